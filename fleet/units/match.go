package units

import (
	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// fields are those of an entry that are read; what addresses it is told anyway.
const fields = "MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_SYSTEMD_UNIT,UNIT,USER_UNIT,_SYSTEMD_USER_UNIT,CONTAINER_NAME,CONTAINER_ID,CONTAINER_PARTIAL_MESSAGE,CONTAINER_PARTIAL_LAST,_BOOT_ID"

// ofUser reads what belongs to one user: $1. Units and containers of several
// users may have one name, and --user-unit of root means root's own.
const ofUser = `uid=$(id -u -- "$1") || exit
kind=$2 name=$3
shift 3
case $kind in
unit) set -- "$@" "_SYSTEMD_USER_UNIT=$name" "_UID=$uid" + "USER_UNIT=$name" "_UID=$uid" ;;
container) set -- "$@" "CONTAINER_NAME=$name" "_UID=$uid" ;;
esac
exec journalctl "$@"`

// journalctl is the command that reads what a source wrote.
func journalctl(of fleet.LogSource, options []string) link.Command {
	args := append([]string{"--output=json", "--no-pager", "--all", "--quiet", "--output-fields=" + fields}, options...)
	roots := of.User == "" || of.User == "root"
	var c link.Command
	switch {
	case of.Container != "" && !roots:
		c = link.Script(ofUser, append([]string{of.User, "container", of.Container}, args...)...)
	case of.Container != "":
		c.Args = append(append([]string{"journalctl"}, args...), "CONTAINER_NAME="+of.Container, "_UID=0")
	case of.Unit != "" && !roots:
		c = link.Script(ofUser, append([]string{of.User, "unit", of.Unit}, args...)...)
	case of.Unit != "":
		c.Args = append(append([]string{"journalctl"}, args...), "--unit="+of.Unit)
	default:
		c.Args = append([]string{"journalctl"}, args...)
	}
	c.IfRoot, c.Env = true, []string{"LC_ALL=C", "SYSTEMD_COLORS=0"}
	return c
}
