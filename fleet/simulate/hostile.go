package simulate

import (
	"fmt"
	"strings"
)

// hostileText is what must never reach a terminal: it clears the screen, sets
// the title, turns text around, rings, and is not UTF-8.
const hostileText = "\x1b[2J\x1b]0;owned\x07\x1b[31m\u202egnp.exe\u2066\x9b5m\xff\xfe\r\n\x00evil "

// hostileNames is how many containers and units a hostile host has.
const hostileNames = 10000

// poison puts hostile text wherever the machine names something, and makes
// more of it than any screen can hold.
func (m *machine) poison() {
	for _, u := range m.units {
		u.about = strings.ReplaceAll(hostileText, "\n", " ") + u.about
	}
	for i := range m.alarms {
		m.alarms[i].info = hostileText + m.alarms[i].info
		m.alarms[i].value = hostileText
	}
	for i := range m.gens {
		m.gens[i].version = "26.05" + strings.ReplaceAll(hostileText, "\n", " ")
	}
	for i := range hostileNames {
		m.boxes = append(m.boxes, &box{
			name: fmt.Sprintf("%s%05d%s", hostileText, i, strings.Repeat("long", 30)), image: hostileText, state: "running\x1b[2J",
			health: hostileText, made: m.began, network: hostileText, unit: "../../" + hostileText,
		})
		m.units = append(m.units, &unit{
			name: fmt.Sprintf("evil\\x1b%05d.service", i), about: strings.ReplaceAll(hostileText, "\n", " "), kind: "simple",
			active: "active", sub: "running", result: "success", started: m.began, file: "enabled",
		})
	}
	m.programs = append(m.programs, "podman")
	evil := strings.ReplaceAll(hostileText, "\n", " ")
	m.keep(&deploying{id: "evil", kind: evil, action: "boot", who: evil, client: evil, revision: evil, began: m.began, to: m.running, from: m.running, landed: true})
}
