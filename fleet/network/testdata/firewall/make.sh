#!/bin/sh
# Records what nft says of each NAME.nft here, in a network namespace of its own:
# NAME.json, and in NAME.SET.set what is in each of its sets. Needs root and nft.
set -eu
cd "$(dirname "$0")"
for f in *.nft; do
	n=${f%.nft}
	# shellcheck disable=SC2016 # expanded inside
	unshare -n sh -eu -c '
		ip link add eth0 type dummy 2>/dev/null || true
		nft -f "$1.nft"
		nft -j -t list ruleset >"$1.json"
		nft -j -t list ruleset | jq -r ".nftables[] | select(.set) | .set | [.family, .table, .name] | join(\" \")" | while read -r family table set; do
			nft -j list set "$family" "$table" "$set" >"$1.$set.set"
		done' sh "$n"
done
