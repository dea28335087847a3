package fleet

import "time"

// EventKind says what kind of thing happened.
type EventKind string

// Kinds of events. The first are what somebody did.
const (
	EventDeploy      EventKind = "deploy"
	EventRollback    EventKind = "rollback"
	EventConfirm     EventKind = "confirm"
	EventCancel      EventKind = "cancel"
	EventReboot      EventKind = "reboot"
	EventGarbage     EventKind = "garbage"     // generations deleted, garbage collected
	EventNode        EventKind = "node"        // of the tailnet, removed or renamed
	EventAck         EventKind = "acknowledge" // a problem, or taken back
	EventAction      EventKind = "action"      // a unit or a container started, stopped, …
	EventGeneration  EventKind = "generation"  // made, by whatever tool
	EventBoot        EventKind = "boot"
	EventUnit        EventKind = "unit"
	EventContainer   EventKind = "container"
	EventBackup      EventKind = "backup"
	EventAlarm       EventKind = "alarm"
	EventReload      EventKind = "reload"      // a service took up a configuration
	EventCertificate EventKind = "certificate" // issued
	EventSecret      EventKind = "secret"      // changed, decrypted or not
	EventDNS         EventKind = "dns"         // lists made anew, or not
	EventNetwork     EventKind = "network"     // a WAN, a link, an address, a peer: another than in the reading before
)

// Event is something that happened to a host, or was done to it.
type Event struct {
	At     time.Time `json:"at"` // by our clock; when it began, where it took time
	Host   string    `json:"host"`
	HostID HostID    `json:"hostId,omitempty"`
	Kind   EventKind `json:"kind"`
	Level  Level     `json:"level"`
	Text   string    `json:"text"` // in one line, without the host
	Source string    `json:"source"`

	// Of what somebody did:
	ID       string   `json:"id,omitempty"` // of the deploy
	Who      string   `json:"who,omitempty"`
	Client   string   `json:"client,omitempty"` // the machine it was done from
	From     Toplevel `json:"from,omitzero"`
	To       Toplevel `json:"to,omitzero"`
	Revision string   `json:"revision,omitempty"`
	Result   string   `json:"result,omitempty"`   // "confirmed", "rolled back: …", "refused: …"; "" not over
	Duration Seconds  `json:"duration,omitempty"` // seconds until the result
}

// Done tells whether somebody did it with us, rather than that it happened.
func (e Event) Done() bool { return e.Who != "" }
