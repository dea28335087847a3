#!/bin/sh
# Which secrets a host decrypts, told in one go; $1 is the mark, a random word that
# begins each section. Of a decrypted secret its name, owner and mode are told, never
# what is in it: none is opened. What is read is in the store, where
# everybody may read it: activation scripts, manifests, units, and the headers of
# encrypted files.
export LC_ALL=C
exec 2>/dev/null
mark=$1
begin() { printf '\n%s %s\n' "$mark" "$*"; }

begin keys
cat /etc/ssh/ssh_host_*_key.pub | head -c 16384

# both lead by a link to the newest of several folders; another's are none of theirs
for d in agenix secrets secrets-for-users; do
	[ -L "/run/$d" ] || continue
	real=$(readlink -f "/run/$d")
	[ -d "$real" ] || continue
	begin "dir /run/$d $(stat -c %Y "$real")"
	find "$real" -maxdepth 5 ! -type d -printf '%m\t%u\t%g\t%P\n' | head -n 2000
done

# What a system decrypts: lines of its activation, or of the units that do it there.
tells() {
	set -- "$1/activate" "$1"/etc/systemd/system/agenix-install-secrets.service "$1"/etc/systemd/system/sops-install-secrets*.service
	scripts=$(grep -ahoE 'ExecStart=[^ ]*/nix/store/[^ ]*agenix[^ ]*' "$2" | sed 's/^ExecStart=[-@:+!]*//')
	# shellcheck disable=SC2086 # paths of the store have no spaces
	grep -ahoE "_(true|staged)Path=\"[^\"]*\"|decrypting '/nix/store/[^']*' to '[^']*'" "$1" $scripts | head -n 4000
	grep -ahoE "/nix/store/[a-z0-9]+-manifest[^ \"']*\.json" "$@" | sort -u | head -n 4 | sed 's/^/manifest /'
}
all=$(
	for s in /run/current-system $(find /nix/var/nix/profiles -maxdepth 1 -name 'system-*-link' | sort -V | tail -n 30); do
		printf 'system %s %s %s\n' "$(stat -c %Y "$s")" "$s" "$(readlink -f "$s")"
		tells "$s"
	done
)
begin systems
printf '%s\n' "$all"

manifests=$(printf '%s\n' "$all" | sed -n 's/^manifest //p' | sort -u | tail -n 40)
for m in $manifests; do
	begin "manifest $m"
	# templates are no secrets, and yet nobody's business
	head -c 1048576 "$m" | sed -E 's/"content":"([^"\\]|\\.)*"/"content":""/g'
done

files() { printf '%s\n' "$all" | grep -oE "decrypting '/nix/store/[^']*'" | cut -d"'" -f2 | sort -u | head -n 2000; }
sopsfiles() {
	[ -n "$manifests" ] || return
	# shellcheck disable=SC2086 # paths of the store have no spaces
	grep -ahoE '"sopsFile":"[^"]*"' $manifests | cut -d'"' -f4 | sort -u | head -n 500
}

# What tells two versions of an encrypted file apart: a sum of it; of a sops file the
# tags of its values, which stay while a value does.
begin sums
files | while IFS= read -r f; do sha256sum -- "$f"; done
sopsfiles | while IFS= read -r f; do
	begin "tags $f"
	head -c 1048576 "$f" | sed -nE -e '/^sops:/q' -e '/^[[:space:]]*"sops":/q' -e '/^\[sops\]/q' -e '/^sops_/d' \
		-e 's/^([[:space:]]*)"?([^":=]+)"?[[:space:]]*[:=].*,tag:([A-Za-z0-9+\/=]+),type.*/\1\2\t\3/p;t' \
		-e 's/^([[:space:]]*)"?([^":=]+)"?[[:space:]]*:[[:space:]]*\{?$/\1\2\t-/p' | head -n 2000
done

# For whom they are encrypted.
files | while IFS= read -r f; do
	begin "age $f"
	head -c 65536 "$f" | sed -n -e '/^---/{' -e '/^--- /p' -e '/^-----BEGIN/!q' -e '}' -e p
done
sopsfiles | while IFS= read -r f; do
	begin "sops $f"
	grep -aE '(recipient|[^a-z]fp)"?[[:space:]]*[:=]' "$f" |
		grep -aoE 'age1[a-z0-9]{50,}|ssh-(ed25519|rsa) [A-Za-z0-9+/=]+|[0-9A-F]{16,40}' | head -n 500
	! grep -aq 'key_groups' "$f" || grep -aoE 'shamir_threshold"?[[:space:]]*[:=][[:space:]]*[0-9]+' "$f" | tail -n 1
done

# Which units name the path of a secret, themselves or in the scripts that they run.
paths='/run/(agenix|secrets|secrets-for-users)/[A-Za-z0-9_./@+:-]+'
begin uses
grep -RoHaE --include='*.service' --include='*.conf' "$paths" /etc/systemd/system /run/systemd/generator | head -n 5000
scripts=$(grep -RoHaE --include='*.service' '/nix/store/[a-z0-9]{32}-unit-script-[A-Za-z0-9_.@+-]+(/bin/[A-Za-z0-9_.@+-]+)?' /etc/systemd/system | head -n 3000)
begin scripts
printf '%s\n' "$scripts"
begin scriptuses
printf '%s\n' "$scripts" | sed 's/^[^:]*://' | sort -u | xargs -r -d '\n' grep -oHaE "$paths" | head -n 5000

begin started
systemctl show --timestamp=unix -p Id,ActiveState,ExecMainStartTimestamp '*.service' | head -n 20000

words="decrypting '/nix|ailed to decrypt '|no identity matched|Activation script snippet '?(agenix|setupSecrets|setup-secrets)|\[agenix\] WARNING|annot decrypt "
begin journal
{
	journalctl -q -b -o short-unix --no-hostname -n 5000 -t stage-2-init -t sops-install-secrets -t nixos -t agenix
	journalctl -q -b -o short-unix --no-hostname -n 5000 -u sops-install-secrets.service -u agenix-install-secrets.service \
		-u nixos-rebuild-switch-to-configuration.service
} | grep -aE "$words" | tail -n 1000
log=$(find /var/lib/sextant/deploys -maxdepth 2 -name log -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
if [ -n "$log" ]; then
	begin "log $(stat -c %Y "$log")"
	grep -aE "$words" "$log" | tail -n 1000
fi
begin end
