package fleet

import "time"

// QuestionKind says what a person is asked.
type QuestionKind string

// Kinds of questions.
const (
	AskHostKey    QuestionKind = "host-key"   // trust this new host key? yes or no
	AskPassword   QuestionKind = "password"   // SSH password or keyboard-interactive answer
	AskPassphrase QuestionKind = "passphrase" // of a private key file
	AskSudo       QuestionKind = "sudo"       // password for sudo on the host
	AskConfirm    QuestionKind = "confirm"    // keep a system that was activated? yes or no
	AskVisit      QuestionKind = "visit"      // open URL in a browser (Tailscale SSH check); ends by itself
)

// Question waits for a person. Answers are kept in memory only.
type Question struct {
	ID     int
	Host   string // name
	Kind   QuestionKind
	Text   string   // one line: "unknown host key of storage"
	Detail []string // more lines: fingerprint, where it is from
	URL    string   // for AskVisit
	Secret bool     // do not echo the answer
	At     time.Time
}

// Reply answers a question. Refuse ends the attempt that asked.
type Reply struct {
	Refuse bool
	Later  bool   // no decision: only of AskConfirm
	Text   string // the secret; empty for yes/no questions
}

// Level of a message.
type Level string

// Levels of messages.
const (
	Info  Level = "info"
	Warn  Level = "warn"
	Error Level = "error"
)

// Message is something worth reading later: what was done to which host, what
// failed, why and what to do next.
type Message struct {
	At    time.Time `json:"at"`
	Level Level     `json:"level"`
	Host  string    `json:"host,omitempty"`
	Text  string    `json:"text"`
}
