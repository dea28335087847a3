package fleet

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Hidden stands in the place of a value that looks secret.
const Hidden = "(hidden)"

// LooksSecret tells whether the value of a setting (a variable, a label, an
// option) should not be seen by whoever looks over a shoulder: its name says so
// (PASS, TOKEN, SECRET, KEY, DSN, …), or it looks like a token. Nobody can tell
// for sure from outside: where in doubt it is secret, for a person can always
// ask for it. A value that only holds a secret among other things, such as a URL
// with a password, does not look secret as a whole; see [HideValue].
func LooksSecret(name, value string) bool {
	if value == "" || value == Hidden {
		return false
	}
	if known.FindString(value) == value {
		return true
	}
	if w := wordsOf(name); secretName(w) {
		return !plainValue(w, value)
	}
	return looksRandom(name, HideText(value))
}

// looksRandom tells whether what is left of a value, its secrets hidden, is a
// token itself.
func looksRandom(name, shown string) bool {
	return !public(wordsOf(name)) && randomText(strings.ReplaceAll(shown, Hidden, " "))
}

// HideValue gives the value of a setting as it may be shown, and whether
// anything of it is hidden: all of it where it looks secret, else the secrets in
// it.
func HideValue(name, value string) (string, bool) {
	if LooksSecret(name, value) {
		return Hidden, true
	}
	shown := HideText(value)
	return shown, shown != value
}

// HideArgs gives the words of a command as they may be shown: the values of
// options and variables that look secret are hidden (--password=x, --token x,
// -e API_KEY=x), and passwords in URLs. The words stay as many as they are, and
// the given list as it is.
func HideArgs(argv []string) []string {
	if argv == nil {
		return nil
	}
	out := make([]string, len(argv))
	before, program := "", "" // the word before where it takes the next one; whose short options these are
	for i, arg := range argv {
		if before != "" && !optional.MatchString(arg) {
			if out[i] = arg; !plainValue(wordsOf(before), arg) {
				out[i] = Hidden
			}
			before = ""
			continue
		}
		if name := path.Base(arg); slices.Contains(passwordPrograms, name) || shortOptions[name] != nil {
			program = name
		}
		if out[i], before = hideArg(program, arg), ""; takesSecret(program, arg) {
			before = arg
		}
	}
	return out
}

// HideCommand gives a command, or a script, as it may be shown that was told as
// one text.
func HideCommand(text string) string {
	return strings.Join(HideArgs(strings.Split(HideText(text), " ")), " ")
}

// optional is what is no value of the option before, but an option itself; a
// secret may begin with a dash.
var optional = regexp.MustCompile(`^(?:-[A-Za-z]|--?[a-z][a-z\-]*(?:=.*)?)$`)

func hideArg(program, arg string) string {
	name, value, ok := strings.Cut(arg, "=")
	switch {
	case ok && named.MatchString(name):
		shown, _ := HideValue(name, value)
		return name + "=" + shown
	case strings.Contains(arg, " "):
		return HideCommand(arg)
	case strings.HasPrefix(arg, "-p") && len(arg) > 2 && slices.Contains(passwordPrograms, program):
		return "-p" + Hidden
	case LooksSecret("", arg):
		return Hidden
	}
	return HideText(arg)
}

// Programs whose short options are passwords.
var (
	passwordPrograms = []string{"mysql", "mysqladmin", "mysqldump", "mariadb", "mariadb-admin", "mariadb-dump", "sshpass"}
	shortOptions     = map[string][]string{"redis-cli": {"-a"}, "valkey-cli": {"-a"}, "curl": {"-u", "--user", "-U", "--proxy-user"}, "sshpass": {"-p"}}
)

// takesSecret tells whether the word after this one is a secret.
func takesSecret(program, arg string) bool {
	switch {
	case !strings.HasPrefix(arg, "-") || strings.ContainsAny(arg, "= "):
		return false
	case slices.Contains(shortOptions[program], arg):
		return true
	}
	w := wordsOf(arg)
	return secretName(w) && !of(w, aboutWords) && !of(w, fileWords)
}

// named is what may name an option or a variable.
var named = regexp.MustCompile(`^-{0,2}[A-Za-z_][A-Za-z0-9_.\-]*$`)

// What follows a name in a text: in quotes, or up to the next blank.
var value = regexp.MustCompile(`^(?:"(?:[^"\\]|\\.)*"?(?:[^\s"',;&}\]):]\S*)?|'[^']*'?(?:[^\s"',;&}\]):]\S*)?|[^\s"'](?:"[^"]*"?|'[^']*'?|[^\s"'])*)`)

// What in a text is hidden.
var (
	userinfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.\-]*://)([^\s/?#"']+)@`)
	// Passwords of databases are written into URLs as they are.
	database = regexp.MustCompile(`\b((?:postgres|postgresql|mysql|mariadb|mongodb|mongodb\+srv|redis|rediss|valkey|amqp|amqps|sqlserver|clickhouse|nats|ldap|ldaps|smtp|smtps|mqtt|mqtts)(?:\+[a-z0-9]+)?://)([^\s"']+)@`)
	header   = regexp.MustCompile(`(?i)\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|token|digest)\s+)?)([^\s"']+)`)
	bearer   = regexp.MustCompile(`\b((?i:bearer)\s+)([A-Za-z0-9._~+/\-]{8,}=*)`)
	assigned = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.\-]*)(["']?\s*[=:]\s*|["']\s*,\s*)`)
	flagged  = regexp.MustCompile(`(^|[\s"'\[,(;&])(--?[A-Za-z][A-Za-z0-9_.\-]*)(["']?[,\s]\s*)`)
	// known are tokens that say themselves what they are, and password hashes.
	known = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|$)` +
		`|\bAGE-SECRET-KEY-1[0-9A-Z]+` +
		`|\b(?:gh[pousr]_|github_pat_|glpat-|gldt-|glrt-|glsoat-|xox[abeoprs]-|xapp-|sk_live_|rk_live_|sk_test_|whsec_|tskey-|hvs\.|hvb\.|pypi-|dop_v1_|shpat_|SG\.|ya29\.|AIza|dckr_pat_|lin_api_|figd_|glsa_|ATATT)[A-Za-z0-9_\-.=]{12,}` +
		`|\bsk-[A-Za-z0-9_\-]{20,}|\bnpm_[A-Za-z0-9]{36}\b|\btk_[a-z0-9]{29}\b` +
		`|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b` +
		`|\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?` +
		`|\b\d{8,10}:[A-Za-z0-9_\-]{35}\b` +
		`|\$(?:2[abxy]|apr1|[156]|y|argon2[id]{1,2}|pbkdf2[a-z0-9\-]*|scrypt)\$[A-Za-z0-9./$=,+\-]{8,}`)
)

// HideText gives a text, such as an error or the output of a program, with what
// looks secret in it hidden: passwords in URLs, what is assigned to a name that
// says it is secret (password=x, "token": "x", --api-key x), authorization
// headers, and tokens of well-known kinds. What is long and random alone stays:
// in a text it mostly is a digest or an ID.
func HideText(text string) string {
	if !strings.ContainsAny(text, ":=-$._ ") { // most words of commands
		return text
	}
	text = known.ReplaceAllString(text, Hidden)
	if strings.Contains(text, "://") {
		text = database.ReplaceAllStringFunc(text, hideUserinfo)
		text = userinfo.ReplaceAllStringFunc(text, hideUserinfo)
	}
	text = header.ReplaceAllString(text, "${1}"+Hidden)
	text = bearer.ReplaceAllString(text, "${1}"+Hidden)
	text = hideNamed(text, flagged, 2, func(w []string, v string) bool {
		return !of(w, aboutWords) && !optional.MatchString(v)
	})
	return hideNamed(text, assigned, 1, func(_ []string, v string) bool { return !further.MatchString(v) })
}

// further is what follows a name and has names itself: the rest of a URL, an
// object or a list of JSON.
var further = regexp.MustCompile(`^(?://|[{\[]+(?:$|["'\s]))`)

// longPlain is how long a value is, in bytes, that may be none of a secret although
// its name is one's.
const longPlain = 300

// hideNamed hides what follows the names that are in a group of before, where
// they are secrets' and the value is none of which is known that it is no secret.
// Values of other names are looked into: they may hold the next name. Every
// text of a host comes here: the time it takes grows with the length and not with
// its square.
func hideNamed(text string, before *regexp.Regexp, group int, may func(name []string, value string) bool) string {
	var b strings.Builder
	for {
		at := before.FindStringSubmatchIndex(text)
		if at == nil {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:at[1]])
		name := wordsOf(text[at[2*group]:at[2*group+1]])
		if text = text[at[1]:]; !secretName(name) {
			continue
		}
		v := value.FindString(text[:min(len(text), longPlain)])
		if v == "" || len(v) < longPlain && (plainValue(name, unquoted(v)) || !may(name, v)) {
			continue
		}
		if len(v) == longPlain {
			v = value.FindString(text)
		}
		b.WriteString(requoted(v))
		text = text[len(v):]
	}
}

func unquoted(s string) string { return strings.Trim(s, `"'`) }

// requoted hides a value and keeps its quotes, so that JSON stays JSON.
func requoted(s string) string {
	if q := s[:1]; q == `"` || q == "'" {
		return q + Hidden + q
	}
	return Hidden
}

// hideUserinfo hides the password in the beginning of a URL, or all of what
// stands before the @ where that is no name and password.
func hideUserinfo(s string) string {
	scheme, rest, _ := strings.Cut(s, "://")
	user, _, ok := strings.Cut(strings.TrimSuffix(rest, "@"), ":")
	switch {
	case !ok && slices.Contains([]string{"ssh", "git", "sftp", "git+ssh", "ssh-ng", "rsync"}, scheme):
		return s // only a name
	case !ok || randomText(user):
		return scheme + "://" + Hidden + "@"
	}
	return scheme + "://" + user + ":" + Hidden + "@"
}

// Words that say what a setting is, in small letters.
var (
	secretWords = []string{"key", "keys", "dsn", "auth", "salt", "pepper", "cookie", "creds", "cred", "psk", "pin", "otp", "totp", "jwt", "seed", "mnemonic", "webhook", "bearer", "pat", "sas"}
	secretParts = []string{"passw", "passphrase", "secret", "token", "credential", "apikey", "privkey"}
	// harmless are words with "pass" in them that are none.
	harmless = []string{"bypass", "compass", "passive", "passenger", "passthrough", "passthru", "encompass", "passes", "passed"}
	// aboutWords end names that tell something about a secret and not the secret.
	aboutWords = []string{
		"id", "ids", "type", "types", "size", "length", "len", "algorithm", "alg", "algo", "name", "names", "ttl", "expiry", "expires", "expiration", "lifetime", "timeout",
		"enabled", "disabled", "enable", "disable", "required", "method", "mode", "provider", "driver", "backend", "policy", "count", "min", "max", "age", "interval", "format", "version",
		"endpoint", "issuer", "audience", "header", "prefix", "scope", "scopes", "domain", "samesite", "secure", "host", "port", "user", "username", "email", "group", "groups",
	}
	// fileWords end names of settings that say where a secret lies.
	fileWords = []string{"file", "path", "dir", "directory", "folder", "sock", "socket", "location", "files"}
	// publicWords end names of settings that are long and random, and public.
	publicWords = []string{"id", "revision", "rev", "commit", "digest", "sha", "sha1", "sha256", "sha512", "md5", "checksum", "hash", "fingerprint", "version", "uid", "build", "ref"}
	plainValues = []string{"true", "false", "yes", "no", "on", "off", "none", "null", "nil", "0", "1", "enabled", "disabled", "enable", "disable", "optional", "required"}
)

// wordsOf takes a name apart: DB_PASSWORD, db.password, dbPassword.
func wordsOf(name string) []string {
	var list []string
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			list = append(list, word.String())
			word.Reset()
		}
	}
	before := rune(0)
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
		case unicode.IsUpper(r) && unicode.IsLower(before):
			end()
			fallthrough
		default:
			word.WriteRune(unicode.ToLower(r))
		}
		before = r
	}
	end()
	return list
}

// of tells whether a name ends with one of these words.
func of(name, words []string) bool {
	return len(name) > 0 && slices.Contains(words, name[len(name)-1])
}

// secretName tells whether a name says that its value is secret.
func secretName(w []string) bool {
	if len(w) == 1 && (w[0] == "pwd" || w[0] == "oldpwd") { // where a shell stands
		return false
	}
	if slices.Contains(w, "public") || slices.Contains(w, "pubkey") || slices.Contains(w, "gpg") && of(w, []string{"key", "keys"}) {
		return false
	}
	for i, word := range w {
		last := i == len(w)-1
		switch {
		case slices.Contains(harmless, word):
		case slices.ContainsFunc(secretParts, func(p string) bool { return strings.Contains(word, p) }):
			return true
		case strings.HasPrefix(word, "pass") || strings.HasSuffix(word, "pass") || strings.HasSuffix(word, "pwd"):
			return true
		case word == "auth" && !last: // AUTH_METHOD, but REDIS_AUTH
		case slices.Contains(secretWords, word):
			return true
		case last && (strings.HasSuffix(word, "key") || strings.HasSuffix(word, "keys")):
			return true
		}
	}
	return false
}

// public tells whether a name says that its value is no secret, however random
// it looks.
func public(w []string) bool {
	return of(w, publicWords) || slices.Contains(w, "public") || slices.Contains(w, "pubkey") || slices.Contains(w, "gpg")
}

// plainValue tells whether the value of a setting with a secret's name is none:
// a switch, or where the secret lies, or something about it.
func plainValue(w []string, value string) bool {
	switch {
	case value == "" || strings.HasPrefix(value, Hidden) || strings.Trim(value, "*") == "":
		return true
	case slices.Contains(plainValues, strings.ToLower(value)):
		return true
	case of(w, fileWords):
		return strings.HasPrefix(value, "/") || strings.HasPrefix(value, "file:///")
	case of(w, aboutWords):
		return !randomText(value)
	}
	return keptIn.MatchString(value)
}

// keptIn is a file in which a secret lies: no token has a slash and a dot so.
var keptIn = regexp.MustCompile(`^(?:/run/(?:secrets|agenix|credentials|keys)/[\w./\-@]+|/[\w./\-]*\.[a-z0-9]{2,5})$`)

// minRandom is how many letters and digits in a row may look random.
const minRandom = 16

var storeHash = regexp.MustCompile(`/nix/store/[0-9a-df-np-sv-z]{32}-`)

// randomText tells whether a text holds a long piece of letters and digits that
// is no word: between them change kinds (digit, small, capital letter) far more
// often than in names and versions. A URL is taken apart, for what is random in
// its path or query is a token; the hash of a store path is none.
func randomText(text string) bool {
	text = storeHash.ReplaceAllString(escapes.Replace(text), "/nix/store/")
	switch {
	case content.MatchString(text):
		return false
	case uuid.MatchString(text):
		return true
	}
	return slices.ContainsFunc(strings.FieldsFunc(text, func(r rune) bool {
		return !letter(r) && !strings.ContainsRune(joints, r)
	}), randomRun)
}

// joints are the signs that stand in tokens beside letters and digits, and
// between the words of names and paths.
const joints = "+/-_"

func letter(r rune) bool {
	return r <= unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// randomRun judges a piece as one word where it has no more joints than tokens
// have, and else each of its words.
func randomRun(run string) bool {
	words := strings.FieldsFunc(run, func(r rune) bool { return !letter(r) })
	if 10*(len(words)-1) <= len(run) && randomWord(strings.Join(words, "")) {
		return true
	}
	return slices.ContainsFunc(words, randomWord)
}

// escapes are how URLs write what tokens hold besides letters and digits.
var escapes = strings.NewReplacer("%2B", "+", "%2b", "+", "%2F", "/", "%2f", "/", "%3D", "=", "%3d", "=")

// content names what an image is, or anything else, by its digest.
var content = regexp.MustCompile(`\bsha(?:256|512)[:\-][0-9A-Za-z+/=]+$`)

// uuid is what some programs take for a password.
var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// letter kinds
const (
	small = iota
	digit
	capital
)

// kindOf is the kind of a letter or digit.
func kindOf(r rune) int {
	switch {
	case unicode.IsDigit(r):
		return digit
	case unicode.IsUpper(r):
		return capital
	}
	return small
}

// randomWord judges letters and digits. How often kinds must change depends on
// which there are; a time like 20240116T160738Z has few letters.
func randomWord(w string) bool {
	var n [3]int
	changes, before := 0, -1
	for _, r := range w {
		kind := kindOf(r)
		n[kind]++
		if before >= 0 && kind != before && (before != capital || kind != small) { // Words begin so
			changes++
		}
		before = kind
	}
	need := 0.26
	switch {
	case len(w) < minRandom || n[digit] == 0 || n[small]+n[capital] < 5:
		return false
	case n[capital] == 0:
		need = 0.2
	case n[small] == 0:
		need = 0.12
	}
	return float64(changes) >= need*float64(len(w))
}
