package simulate

import "time"

// Fault is how a host misbehaves, for tests of how bad hosts are borne. The
// zero Fault is a good host; several may be set at once. A change holds for
// connections made after it, except where it says otherwise.
type Fault struct {
	// On the way.
	Refuse  bool          // nothing listens there any more; living connections break at once
	Hang    bool          // connections are accepted, and nothing is ever said
	Garbage bool          // a web server answers in place of an SSH server
	Drip    time.Duration // a pause before every 64 bytes that are sent
	Silent  int64         // after so many bytes the host is gone: nothing is sent or read, nothing is closed

	// Logging in.
	WrongKey  bool   // it shows a host key that nobody was told
	NoLogin   bool   // every way to log in is refused
	PlainCert bool   // it shows a host certificate that an unknown CA signed
	Rekey     uint64 // the session keys are renewed after so many bytes

	// What it is.
	NotNixOS  bool // it is a Debian
	NoSystemd bool
	NoPodman  bool
	NoNetdata bool
	Hostile   bool // escape sequences, reversed text and endless names wherever a host names something; 10,000 containers
	Latin     bool // what the probe says is not UTF-8

	// What it does.
	Sessions  int   // sshd's MaxSessions; 0: 10
	NoExec    bool  // sshd opens sessions, but runs no commands
	NoForward bool  // sshd refuses to forward ports and sockets
	Cut       int   // the probe's answer breaks off after so many bytes, with the connection
	Flood     int64 // every command prints so many bytes first
	Long      int64 // a line of so many bytes stands in the probe's answer, and in the journal
	NoSpace   bool  // its disk is full: no image can be pulled
	Deaf      bool  // commands are accepted, print nothing and never end
}

// Login is how a host lets people in. The zero Login takes the fleet's own key
// for any user.
type Login struct {
	User     string   // the only user there is; empty: any
	NoKey    bool     // the fleet's own key is not taken
	Keys     []string // more public keys it takes, in authorized_keys form
	CA       string   // a public key, in authorized_keys form, whose user certificates it takes
	Password string   // password authentication with this; empty: none. sudo asks for the same
	Answers  []Answer // keyboard-interactive: what is asked, and what must be answered
	Visit    string   // URL to visit: login without a key, as Tailscale SSH in check mode, once Fleet.Visit was called
	Denied   string   // what is said before the connection is cut, as Tailscale SSH does where the tailnet's policy lets nobody in
	Open     bool     // everyone is let in, as Tailscale SSH does
	Sudo     Sudo     // what sudo does for users who are not root
	HostCA   []byte   // private key, PEM, of a CA that signs the host's key; it shows the certificate
}

// Answer is a question of keyboard-interactive authentication and what it wants.
type Answer struct {
	Question, Answer string
	Echo             bool
}

// Sudo is what sudo does for users who are not root.
type Sudo string

// Ways of sudo.
const (
	SudoFree     Sudo = ""         // NOPASSWD: it asks nothing and reads nothing
	SudoPassword Sudo = "password" // it wants Login.Password
	SudoNone     Sudo = "none"     // there is none, nor doas or run0
	SudoDoas     Sudo = "doas"     // there is doas in its place
	SudoRun0     Sudo = "run0"     // there is only run0
)
