# What the start of a unit does to its container's image, a word a line: "always" or
# "newer" where it pulls it, "load" where it loads it from a file. $1 is the unit, $2
# "user" where it is of the systemd of who runs this. The command lines themselves,
# which hold secrets, stay on the host.
export LC_ALL=C SYSTEMD_COLORS=0 SYSTEMD_PAGER=''
unit=$1 whose=--system
if [ "$2" = user ]; then
	XDG_RUNTIME_DIR=/run/user/$(id -u)
	export XDG_RUNTIME_DIR
	whose=--user
fi
text=$(systemctl $whose show -p LoadState -p ExecStartPre -p ExecStart -- "$unit") || exit
# NixOS puts the commands into scripts
for f in $(printf '%s\n' "$text" | sed -n 's/.*{ path=\([^ ;]*\) ;.*/\1/p'); do
	if [ -f "$f" ] && [ "$(head -c 2 "$f" | tr -d '\000')" = '#!' ]; then
		text="$text
$(head -c 100000 "$f" | tr -d '\000')"
	fi
done
text=$(printf '%s\n' "$text" | tr -d "'\"" | tr '\t\n' '  ')
case "$text " in
*'--pull=always '* | *'--pull always '* | *'podman pull '* | *'docker pull '*) echo always ;;
*'--pull=newer '* | *'--pull newer '*) echo newer ;;
esac
case "$text " in *'podman load '* | *'docker load '*) echo load ;; esac
echo end
