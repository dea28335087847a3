package words

import "strings"

// Cure says what a person can do about an error of reaching a host, or "". The
// error itself says what happened; this adds the next step where a common
// cause can be told from its text.
func Cure(err string) string {
	e := strings.ToLower(err)
	for _, c := range []struct {
		signs []string
		cure  string
	}{
		{[]string{"host key mismatch", "key changed", "knownhosts: key mismatch", "remote host identification"},
			"if the machine was set up anew, remove its old line with ssh-keygen -R NAME, then r; if not, do not connect"},
		{[]string{"unknown host key", "key is unknown", "host key is not known"},
			"press r and compare the fingerprint that is asked about"},
		{[]string{"passphrase"}, "add the key to your agent: ssh-add, then r"},
		{[]string{"unable to authenticate", "no supported methods", "permission denied", "no key", "authentication failed", "handshake failed: ssh"},
			"add a key to your agent (ssh-add) or name one: identity = \"~/.ssh/…\" for this host in config.toml, then r"},
		{[]string{"sudo", "root rights"}, "give this user sudo, or set user = \"root\" or become = \"none\" for this host in config.toml"},
		{[]string{"connection refused"}, "is sshd running there, and on this port? services.openssh.enable"},
		{[]string{"no such host", "cannot resolve", "lookup"}, "the name is not known here; is MagicDNS on, or give addresses in config.toml"},
		{[]string{"no route to host", "network is unreachable", "timed out", "timeout", "deadline exceeded"},
			"is it switched on, and are you on its network? tailscale status tells"},
	} {
		for _, sign := range c.signs {
			if strings.Contains(e, sign) {
				return c.cure
			}
		}
	}
	return ""
}
