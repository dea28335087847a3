package fleet

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestLooksSecret(t *testing.T) {
	for _, c := range []struct {
		name, value string
		secret      bool
	}{
		// by the name
		{"PASSWORD", "x", true},
		{"DB_PASS", "correct horse", true},
		{"MYSQLPASS", "a", true},
		{"PGPASSWORD", "a", true},
		{"POSTGRES_PASSWORD", "1234", true},
		{"MYSQL_PWD", "hello", true},
		{"adminPassword", "hello", true},
		{"restic-passphrase", "hello", true},
		{"SECRET", "x", true},
		{"SECRET_KEY_BASE", "hello", true},
		{"JWTSECRET", "hello", true},
		{"API_KEY", "12", true},
		{"APIKEY", "12", true},
		{"SONARR__AUTH__APIKEY", "12", true},
		{"ENCRYPTIONKEY", "abc", true},
		{"GITHUB_TOKEN", "x", true},
		{"SENTRY_DSN", "https://sentry.example.org/1", true},
		{"REDIS_AUTH", "hello", true},
		{"SLACK_WEBHOOK", "https://example.org/abc", true},
		{"TOTP_SEED", "hello", true},
		{"RELEASE_COOKIE", "monster", true},
		{"WIFI_PSK", "hello", true},
		{"PIN", "1234", true},
		// by the value
		{"X", "ghp_0123456789abcdefghijABCDEFGHIJ012345", true},
		{"X", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", true},
		{"AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE", true},
		{"X", "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaA== -----END OPENSSH PRIVATE KEY-----", true},
		{"X", "AGE-SECRET-KEY-1QQQQQQQQQQQQQQ", true},
		{"X", "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawx", true},
		{"X", "5f4dcc3b5aa765d61d8327deb882cf99", true},
		{"X", "dGhpcyBpcyBhIHNlY3JldCB2YWx1ZTEyMw==", true},
		{"TARGET", "https://hooks.example.org/services/T01/B02/a8Jd72Kq0ZpL5xWvT3nB", true},
		{"TARGET", "https://example.org/notify?id=a8Jd72Kq0ZpL5xWvT3nB", true},
		{"XRAY", "8f14e45f-ceea-467f-a0e6-7c1d2b3a4f5e", true},
		// neither
		{"PASSWORD", "", false},
		{"PWD", "/srv", false},
		{"OLDPWD", "/srv", false},
		{"BYPASS_CACHE", "sometimes", false},
		{"POSTGRES_PASSWORD_FILE", "/run/secrets/db", false},
		{"TLS_KEY", "/certs/tls.key", false},
		{"SSH_AUTH_SOCK", "/run/agent.sock", false},
		{"TOKEN_TTL", "3600", false},
		{"PASSWORD_MIN_LENGTH", "12", false},
		{"AUTH_METHOD", "ldap", false},
		{"DISABLE_AUTH", "true", false},
		{"ALLOW_EMPTY_PASSWORD", "yes", false},
		{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", false},
		{"PATH", "/nix/store/0c1yq0bz6f1n5h8i3d2k4l5m6n7p8q9r-coreutils-9.5/bin:/nix/store/1d1yq0bz6f1n5h8i3d2k4l5m6n7p8q9r-bash-5.2p37/bin", false},
		{"GPG_KEY", "E3FF2839C048B25C084DEBE9B26995E310250568", false},
		{"PYTHON_SHA256", "ed8a5c1a3e2f4b6d7c8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e", false},
		{"org.opencontainers.image.revision", "9f3c2b1a0d4e5f60718293a4b5c6d7e8f90a1b2c", false},
		{"io.podman.compose.config-hash", "9f3c2b1a0d4e5f60718293a4b5c6d7e8f90a1b2c", false},
		{"IMAGE", "docker.io/library/nginx@sha256:9f3c2b1a0d4e5f60718293a4b5c6d7e8f90a1b2c9f3c2b1a0d4e5f60718293a4b", false},
		{"LANG", "en_US.UTF-8", false},
		{"TZ", "America/Argentina/Buenos_Aires", false},
		{"JAVA_OPTS", "-XX:+UseG1GC -Xmx512m -Dlog4j2.formatMsgNoLookups=true", false},
		{"S6_VERBOSITY", "1", false},
		{"HOSTNAME", "084b5894a697", false},
		{"GOPROXY", "https://goproxy.example.org,direct", false},
		{"traefik.http.routers.jellyfin.rule", "Host(`media.example.org`) && PathPrefix(`/web`)", false},
		{"CLASS", "org.springframework.boot.loader.launch.JarLauncher", false},
		{"VERSION", "RELEASE.2024-01-16T16-07-38Z", false},
		{"TRIPLE", "x86_64-unknown-linux-gnu", false},
		{"BUILD_DATE", "2024-01-16T16:07:38.123456789Z", false},
		{"NGINX_VERSION", "1.27.3-1~bookworm", false},
		{"URL", "https://media.example.org/very-long-name-of-a-page/index2024.html", false},
	} {
		if got := LooksSecret(c.name, c.value); got != c.secret {
			t.Errorf("%s=%s: %v", c.name, c.value, got)
		}
	}
}

func TestHideText(t *testing.T) {
	for in, want := range map[string]string{
		"postgres://app:hunter2@db:5432/app":           "postgres://app:(hidden)@db:5432/app",
		"postgres://app:hun/t@r#2@db/app":              "postgres://app:(hidden)@db/app",
		"https://p@ss@example.org/x":                   "https://(hidden)@example.org/x",
		"git clone https://abc123@example.org/r.git":   "git clone https://(hidden)@example.org/r.git",
		"ssh://git@example.org/r.git":                  "ssh://git@example.org/r.git",
		"https://example.org/@ada and a@b.example.org": "https://example.org/@ada and a@b.example.org",
		"curl -H 'Authorization: Bearer abc.def'":      "curl -H 'Authorization: Bearer (hidden)'",
		"Authorization: Basic YTpi failed":             "Authorization: Basic (hidden) failed",
		`{"user":"ada","password":"a\"b","n":1}`:       `{"user":"ada","password":"(hidden)","n":1}`,
		`{"auth": {"apiKey": "abc"}, "port": 80}`:      `{"auth": {"apiKey": "(hidden)"}, "port": 80}`,
		"host=db user=ada password=x dbname=a":         "host=db user=ada password=(hidden) dbname=a",
		"PGPASSWORD='s3 cret' psql -h db":              "PGPASSWORD='(hidden)' psql -h db",
		`PGPASSWORD='it'\''s' psql`:                    `PGPASSWORD='(hidden)' psql`,
		`PASS=a"b c"d psql`:                            `PASS=(hidden) psql`,
		"GET /login?token=abc&user=ada 200":            "GET /login?token=(hidden) 200",
		"run --token abc --verbose":                    "run --token (hidden) --verbose",
		"run --token --verbose":                        "run --token --verbose",
		`exec: ["run", "--db-password", "a b", "x"]`:   `exec: ["run", "--db-password", "(hidden)", "x"]`,
		"--password-file /run/secrets/x":               "--password-file /run/secrets/x",
		"DB_PASSWORD_FILE=/run/secrets/x":              "DB_PASSWORD_FILE=/run/secrets/x",
		"key=sk_live_0123456789abcdef":                 "key=(hidden)",
		"got xoxb-1234567890-abcdefghij":               "got (hidden)",
		"hash $2y$10$abcdefghijklmnopqrstuv":           "hash (hidden)",
		"commit 9f3c2b1a0d4e5f60718293a4b5c6d7e8f90a1": "commit 9f3c2b1a0d4e5f60718293a4b5c6d7e8f90a1",
		"wget: server returned error: HTTP/1.1 500":    "wget: server returned error: HTTP/1.1 500",
		"": "",
	} {
		if got := HideText(in); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestHideArgs(t *testing.T) {
	for in, want := range map[string]string{
		"server|--password=x|--port=80":                            "server|--password=(hidden)|--port=80",
		"server|--token|x|--port|80":                               "server|--token|(hidden)|--port|80",
		"server|--token|-x9Yz":                                     "server|--token|(hidden)",
		"server|--token|--verbose":                                 "server|--token|--verbose",
		"server|--token-file|/run/secrets/x":                       "server|--token-file|/run/secrets/x",
		"server|--token-ttl|3600":                                  "server|--token-ttl|3600",
		"server|--tls-key|/etc/tls/a.key":                          "server|--tls-key|/etc/tls/a.key",
		"podman|run|-e|API_KEY=x|-e|TZ=UTC|nginx":                  "podman|run|-e|API_KEY=(hidden)|-e|TZ=UTC|nginx",
		"podman|run|--env=API_KEY=x":                               "podman|run|--env=API_KEY=(hidden)",
		"mysqladmin|ping|-psecret|-h|localhost":                    "mysqladmin|ping|-p(hidden)|-h|localhost",
		"rsync|-pv|a":                                              "rsync|-pv|a",
		"redis-cli|-a|x|ping":                                      "redis-cli|-a|(hidden)|ping",
		"curl|-u|ada:x|https://example.org":                        "curl|-u|(hidden)|https://example.org",
		"curl|-H|X-Api-Key: abc":                                   "curl|-H|X-Api-Key: (hidden)",
		"redis-server|--requirepass|x":                             "redis-server|--requirepass|(hidden)",
		"sh|-c|cd /x; PASS=x exec mysqladmin -py ping":             "sh|-c|cd /x; PASS=(hidden) exec mysqladmin -p(hidden) ping",
		"app|postgres://a:b@db/x":                                  "app|postgres://a:(hidden)@db/x",
		"app|a8Jd72Kq0ZpL5xWvT3nB":                                 "app|(hidden)",
		"/bin/sh|-c|trap 'exit 0' TERM; while :; do sleep 1; done": "/bin/sh|-c|trap 'exit 0' TERM; while :; do sleep 1; done",
	} {
		argv := strings.Split(in, "|")
		if got := strings.Join(HideArgs(argv), "|"); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
		if strings.Join(argv, "|") != in {
			t.Errorf("%s was changed", in)
		}
	}
	if HideArgs(nil) != nil {
		t.Error("nothing became a list")
	}
}

func TestHideCommand(t *testing.T) {
	for in, want := range map[string]string{
		"mysqladmin ping -h localhost -psecret": "mysqladmin ping -h localhost -p(hidden)",
		"postgres: app app 10.0.0.2(52011)":     "postgres: app app 10.0.0.2(52011)",
		"nginx: worker  process":                "nginx: worker  process",
	} {
		if got := HideCommand(in); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestHideValue(t *testing.T) {
	for _, c := range []struct{ name, value, shown string }{
		{"DATABASE_URL", "postgres://app:5f4dcc3b5aa765d61d8327deb882cf99@db:5432/app", "postgres://app:(hidden)@db:5432/app"},
		{"DATABASE_URL", "postgres://app:x@db/app?id=a8Jd72Kq0ZpL5xWvT3nB", Hidden},
		{"traefik.http.middlewares.auth.basicauth.users", "ada:$apr1$abcdefgh$0123456789abcdefghijkl", "ada:(hidden)"},
		{"OPTS", "--verbose --token abc", "--verbose --token (hidden)"},
		{"API_KEY", "abc", Hidden},
		{"API_KEY", "", ""},
		{"TZ", "UTC", "UTC"},
	} {
		if got, hidden := HideValue(c.name, c.value); got != c.shown || hidden != (c.shown != c.value) {
			t.Errorf("%s=%s: %q %v", c.name, c.value, got, hidden)
		}
	}
}

// alphabets of what programs make secrets of.
var alphabets = map[string]string{
	"hex":    "0123456789abcdef",
	"base62": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
	"base64": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/",
	"url":    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_",
	"lower":  "0123456789abcdefghijklmnopqrstuvwxyz",
	"base32": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
}

func random(r *rand.Rand, alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

// TestRandomLooksSecret: under a name that says nothing, most of what is random is
// seen, and nearly all of what is long.
func TestRandomLooksSecret(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, alphabet := range alphabets {
		for _, n := range []int{24, 32, 43, 64} {
			const tries = 2000
			found := 0
			for range tries {
				if LooksSecret("SETTING", random(r, alphabet, n)) {
					found++
				}
			}
			least := 0.9
			if n > 32 {
				least = 0.97
			}
			if share := float64(found) / tries; share < least {
				t.Errorf("%d of %s: only %.1f %%", n, name, 100*share)
			}
		}
	}
}

// TestNamedIsHidden: what stands under a secret's name never comes through,
// whatever it is made of; and what is hidden stays as it is.
func TestNamedIsHidden(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	names := []string{"DB_PASSWORD", "api-key", "authToken", "CLIENT_SECRET", "sentry.dsn"}
	marks := "!#$%*+,-./:;<=>?@[]^_{|}~"
	for range 1500 {
		name := names[r.IntN(len(names))]
		secret := "q" + random(r, alphabets["url"]+marks, 6+r.IntN(30)) + "Zq9"
		for _, form := range []func() string{
			func() string { s, _ := HideValue(name, secret); return s },
			func() string { return strings.Join(HideArgs([]string{"run", "--" + name, secret, "--x"}), " ") },
			func() string { return strings.Join(HideArgs([]string{"run", "--" + name + "=" + secret}), " ") },
			func() string { return strings.Join(HideArgs([]string{"run", "-e", name + "=" + secret}), " ") },
			func() string { return HideText("begin " + name + "=" + secret + " end") },
			func() string { return HideText("begin " + name + ": " + secret + " end") },
			func() string { return HideText("begin --" + name + " " + secret + " end") },
			func() string { return HideText(`{"` + name + `":"` + secret + `","n":1}`) },
			func() string { return HideText("x='" + name + "=" + secret + "'") },
			func() string { return HideText("redis://ada:" + secret + "@db:6379/1") },
			func() string { return HideCommand("sh -c run --" + name + " '" + secret + "'") },
		} {
			shown := form()
			if leaks(shown, secret) || !strings.Contains(shown, Hidden) {
				t.Fatalf("%s of %q: %s", name, secret, shown)
			}
			if again := HideText(shown); again != shown {
				t.Fatalf("%q became %q", shown, again)
			}
		}
	}
}

// leaks tells whether five signs in a row of a secret are to be seen.
func leaks(shown, secret string) bool {
	for i := range len(secret) - 5 {
		if strings.Contains(shown, secret[i:i+5]) {
			return true
		}
	}
	return strings.Contains(shown, "Zq9")
}

// TestHiddenJSONIsJSON: what a program wrote stays readable to a machine.
func TestHiddenJSONIsJSON(t *testing.T) {
	in := `{"user":"ada","password":"x\\y","list":[{"token":"abc"}],"secret": "z"}`
	var out map[string]any
	if err := json.Unmarshal([]byte(HideText(in)), &out); err != nil || out["password"] != Hidden || out["secret"] != Hidden || out["user"] != "ada" {
		t.Errorf("%v: %s", err, HideText(in))
	}
}

// FuzzHide: nothing panics, words stay as many as they are, what is hidden is hidden
// once and for all.
func FuzzHide(f *testing.F) {
	for _, s := range []string{"a=b", "--token x", "PASS='", `password="\`, "://:@", "key=\xff", "-p", "token=token=token=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		shown := HideText(s)
		if again := HideText(shown); again != shown {
			t.Errorf("%q: %q became %q", s, shown, again)
		}
		words := strings.Split(s, "\n")
		if n := len(HideArgs(words)); n != len(words) {
			t.Errorf("%d words became %d", len(words), n)
		}
		if v, hidden := HideValue("A_TOKEN", s); hidden == (v == s) {
			t.Errorf("%q: %q %v", s, v, hidden)
		}
		_ = HideCommand(s)
	})
}

// TestHideTextIsQuick: what a hostile host tells takes no longer than it is long.
func TestHideTextIsQuick(t *testing.T) {
	for _, piece := range []string{"a=", "key_file=/", "token=", "--token ", "x://a:", "key=\"", "eyJaaaaaaaa.", "password_id=aB3"} {
		began := time.Now()
		HideText(strings.Repeat(piece, 64<<10/len(piece)))
		if d := time.Since(began); d > 60*time.Second {
			t.Errorf("%q: %s", piece, d)
		} else {
			t.Log(piece, d)
		}
	}
}

func BenchmarkHideText(b *testing.B) {
	text := strings.Repeat("postgres://app:x@db:5432/app --token abc PASS=x and some more words ", 4)
	for b.Loop() {
		HideText(text)
	}
}
