package link

import "strings"

// Quote makes one line that runs exactly these arguments, for a POSIX shell
// and for fish: `ssh HOST LINE` is read by the login shell of the user there.
// It is the only place where a command line is built. Nushell, which reads no
// POSIX quoting, is not served.
func Quote(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = quoteOne(a)
	}
	return strings.Join(quoted, " ")
}

// quoteOne wraps an argument in single quotes where it needs them. A single
// quote or a backslash stands outside the quotes, escaped: inside them fish
// reads a backslash where POSIX shells do not.
func quoteOne(arg string) string {
	if arg != "" && strings.Trim(arg, safe) == "" {
		return arg
	}
	return "'" + outside.Replace(arg) + "'"
}

var outside = strings.NewReplacer(`'`, `'\''`, `\`, `'\\'`)

// safe are the characters that mean nothing to those shells anywhere in a
// word. "=" is not among them, NAME=value in front would be an assignment; nor
// "~", nor "%", which old fish expands.
const safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:@+"
