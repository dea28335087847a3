# shellcheck shell=sh disable=SC2154,SC3013 # what is not set here, guard.sh sets; every sh knows -ef
# The ways in: by what a host is reached, whether that changes, and whether it is
# there again after going back. guard.sh reads it in.

# ways are the units by which a host is reached, and configs what they read in /etc.
ways='sshd.service sshd.socket sshd@.service ssh.service ssh.socket tailscaled.service tailscaled-*.service systemd-networkd.service systemd-networkd.socket
systemd-resolved.service NetworkManager.service NetworkManager-*.service dhcpcd.service wpa_supplicant.service wpa_supplicant-*.service iwd.service
nftables.service firewall.service network-setup.service network-local-commands.service network-addresses-*.service network-link-*.service
wg-quick-*.service wireguard-*.service'
configs='ssh systemd/network systemd/networkd.conf systemd/resolved.conf NetworkManager dhcpcd.conf wpa_supplicant wpa_supplicant.conf iwd hosts resolv.conf'

# soon and later are how many seconds they have to be there again.
soon=10 later=20

# alike A B: files or folders with the same in them; or neither is there
alike() {
	if [ "$1" -ef "$2" ]; then return 0; fi
	[ -e "$1" ] || [ -e "$2" ] || return 0
	diff -rq "$1" "$2" >/dev/null 2>&1
}
# same UNIT: whether it is the same before and after, with what is added to it (NixOS
# keeps settings and the reasons to restart in UNIT.d)
same() { alike "$prev/etc/systemd/system/$1" "$run/etc/systemd/system/$1" && alike "$prev/etc/systemd/system/$1.d" "$run/etc/systemd/system/$1.d"; }

# changing: the ways in that differ between the system before and the new one
changing() {
	for t in "$prev" "$run"; do
		(
			cd "$t/etc/systemd/system" 2>/dev/null || exit 0
			for u in $ways; do
				[ ! -e "$u" ] || say "$u"
				[ ! -e "$u.d" ] || say "$u"
			done
		)
	done | sort -u | while read -r u; do same "$u" || say "$u"; done
	for c in $configs; do alike "$prev/etc/$c" "$run/etc/$c" || say "/etc/$c"; done
}

# open_ways: those of them that run
open_ways() {
	set -f
	# shellcheck disable=SC2086 # a list
	systemctl list-units --plain --no-legend --full --no-pager --state=active $ways 9>&- 2>/dev/null | cut -d' ' -f1
	set +f
}

# contact: what the host itself can tell of being reached, a line each: its ways in
# run, somebody listens where ssh came in, there is a default route, and the tailnet
# has given it an address
contact() {
	{
		open_ways | sed 's/^/unit /'
		at=$(printf ':%04X' "$(get port || say 22)")
		for f in tcp tcp6; do
			while read -r _ local _ st _; do [ "$st" != 0A ] || case $local in *"$at") say 'listening for ssh' ;; esac; done 2>/dev/null <"$root/proc/net/$f"
		done
		while read -r _ to _; do [ "$to" != 00000000 ] || say 'default route'; done 2>/dev/null <"$root/proc/net/route"
		while read -r _ _ _ _ _ card; do case $card in tailscale*) say 'tailnet address' ;; esac; done 2>/dev/null <"$root/proc/net/if_inet6"
	} | sort -u
}

# missing FILE TEXT: the lines of the file that are not in the text
missing() {
	[ ! -e "$1" ] || while IFS= read -r line; do
		case "
$2
" in *"
$line
"*) ;; *) say "$line" ;; esac
	done <"$1"
}
# reached SECONDS: waits until all is there that was before; $lost is what is not
reached() {
	left=$1
	while
		lost=$(missing "$dir/baseline-contact" "$(contact)" | tr '\n' ',')
		lost=${lost%,}
		[ "$lost" ]
	do
		[ $((left -= 1)) -ge 0 ] || return 1
		sleep 1 9>&-
	done
}

# mend [all]: restarts the ways in that were open before and are not, or that differ;
# or all of them
mend() {
	[ -e "$dir/baseline-contact" ] || return 0
	running=$(open_ways)
	while read -r what u; do
		[ "$what" = unit ] || continue
		case "${1:-}
$running
" in "
"*"
$u
"*) same "$u" && continue ;; esac
		say "== restarting $u"
		timeout 60 systemctl restart "$u" 9>&- </dev/null
	done <"$dir/baseline-contact"
}

# prove: that the host can be reached as before, as far as it can tell. What does not
# come back by itself is helped once more.
prove() {
	mend
	reached $soon && return 0
	say "== not as before: $lost"
	mend all
	reached $later
}
