package link

import "strings"

// Quote makes one line for a POSIX shell that runs exactly these arguments.
// It is the only place where a command line is built.
func Quote(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = quoteOne(a)
	}
	return strings.Join(quoted, " ")
}

// quoteOne wraps an argument in single quotes where it needs them; a single
// quote inside ends the quotes, stands escaped, and begins them again.
func quoteOne(arg string) string {
	if arg != "" && strings.Trim(arg, safe) == "" {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

// safe are the characters that mean nothing to any POSIX shell anywhere in a
// word. "=" is not among them: NAME=value in front would be an assignment; nor
// "~".
const safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:@%+"
