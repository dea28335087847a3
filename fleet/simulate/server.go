package simulate

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// maxSessions is sshd's MaxSessions: forwarded channels do not count.
const maxSessions = 10

// client is one SSH connection to a host.
type client struct {
	h        *host
	w        *wire
	conn     *ssh.ServerConn
	ctx      context.Context
	sessions atomic.Int32
}

// serveSSH lets a client in and serves its channels until it goes.
func (h *host) serveSSH(w *wire) {
	ctx, cancel := h.life(w)
	defer cancel()
	_ = w.SetDeadline(time.Now().Add(10 * time.Minute)) // a person may take long
	conn, channels, requests, err := ssh.NewServerConn(w, h.config(ctx))
	if err != nil {
		return
	}
	_ = w.SetDeadline(time.Time{})
	c := &client{h: h, w: w, conn: conn, ctx: ctx}
	go ssh.DiscardRequests(requests) // keepalive@openssh.com gets its REQUEST_FAILURE, as from sshd
	for ch := range channels {
		h.f.wg.Go(func() { c.channel(ch) })
	}
}

// config is how the host lets people in now.
func (h *host) config(ctx context.Context) *ssh.ServerConfig {
	h.mu.Lock()
	fault, login := h.fault, h.login
	h.mu.Unlock()
	cfg := &ssh.ServerConfig{ServerVersion: "SSH-2.0-OpenSSH_10.2", MaxAuthTries: -1}
	cfg.RekeyThreshold = fault.Rekey
	if !login.NoKey || len(login.Keys) > 0 || login.CA != "" {
		cfg.PublicKeyCallback = h.keyCheck(fault, login)
	}
	if login.Password != "" {
		cfg.PasswordCallback = func(meta ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			return allow(!fault.NoLogin && login.is(meta) && string(password) == login.Password)
		}
	}
	if len(login.Answers) > 0 {
		cfg.KeyboardInteractiveCallback = func(meta ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			ok, err := login.interview(ask)
			if err != nil {
				return nil, err
			}
			return allow(!fault.NoLogin && login.is(meta) && ok)
		}
	}
	if login.Open || login.Visit != "" || login.Denied != "" {
		h.tailscale(ctx, cfg, fault, login)
	}
	cfg.AddHostKey(h.shownKey(fault, login))
	return cfg
}

var errDenied = errors.New("denied")

func allow(ok bool) (*ssh.Permissions, error) {
	if !ok {
		return nil, errDenied
	}
	return &ssh.Permissions{}, nil
}

func (l Login) is(meta ssh.ConnMetadata) bool { return l.User == "" || l.User == meta.User() }

// keyCheck takes the fleet's key, those of the login, and certificates of its CA.
func (h *host) keyCheck(fault Fault, login Login) func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
	checker := ssh.CertChecker{
		IsUserAuthority: func(ca ssh.PublicKey) bool { return sameLine(login.CA, ca) },
		UserKeyFallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !login.NoKey && bytes.Equal(key.Marshal(), h.f.public.Marshal()) {
				return allow(true)
			}
			for _, line := range login.Keys {
				if sameLine(line, key) {
					return allow(true)
				}
			}
			return allow(false)
		},
	}
	return func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if fault.NoLogin || !login.is(meta) {
			return allow(false)
		}
		return checker.Authenticate(meta, key)
	}
}

// sameLine tells whether a line of authorized_keys holds a key.
func sameLine(line string, key ssh.PublicKey) bool {
	k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	return err == nil && bytes.Equal(k.Marshal(), key.Marshal())
}

// interview asks the questions one by one.
func (l Login) interview(ask ssh.KeyboardInteractiveChallenge) (bool, error) {
	ok := true
	for _, a := range l.Answers {
		got, err := ask("", "", []string{a.Question}, []bool{a.Echo})
		if err != nil {
			return false, err
		}
		ok = ok && len(got) == 1 && got[0] == a.Answer
	}
	return ok, nil
}

// tailscale lets people in without a key, in check mode once they have been
// seen at a page.
func (h *host) tailscale(ctx context.Context, cfg *ssh.ServerConfig, fault Fault, login Login) {
	cfg.NoClientAuth = true
	if login.Visit != "" {
		cfg.BannerCallback = func(ssh.ConnMetadata) string {
			return "# Tailscale SSH requires an additional check.\n# To authenticate, visit: " + login.Visit + "\n"
		}
	}
	if login.Denied != "" {
		cfg.BannerCallback = func(ssh.ConnMetadata) string { return login.Denied }
	}
	cfg.NoClientAuthCallback = func(meta ssh.ConnMetadata) (*ssh.Permissions, error) {
		if login.Denied != "" {
			return nil, &ssh.PartialSuccessError{}
		}
		if login.Visit != "" {
			select {
			case <-h.visit():
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return allow(!fault.NoLogin && login.is(meta))
	}
}

// visit gives what is closed when someone has been at the page.
func (h *host) visit() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.visited == nil {
		h.visited = make(chan struct{})
	}
	return h.visited
}

// shownKey is the key the host shows: its own, another, or a certificate.
func (h *host) shownKey(fault Fault, login Login) ssh.Signer {
	key := h.key
	if fault.WrongKey {
		key = hostKey(h.f.opts.Seed+1, h.role.name)
	}
	ca := ssh.Signer(nil)
	if fault.PlainCert {
		ca = hostKey(h.f.opts.Seed, "a CA that nobody knows")
	}
	if len(login.HostCA) > 0 {
		ca, _ = ssh.ParsePrivateKey(login.HostCA)
	}
	if ca == nil {
		return key
	}
	cert := &ssh.Certificate{
		Key: key.PublicKey(), CertType: ssh.HostCert, KeyId: h.role.name, ValidPrincipals: []string{h.role.name, "127.0.0.1"},
		ValidBefore: ssh.CertTimeInfinity,
	}
	if err := cert.SignCert(rand.Reader, ca); err != nil {
		return key
	}
	signer, err := ssh.NewCertSigner(cert, key)
	if err != nil {
		return key
	}
	return signer
}

// channel serves one channel.
func (c *client) channel(ch ssh.NewChannel) {
	switch ch.ChannelType() {
	case "session":
		if int(c.sessions.Add(1)) > cmp.Or(c.w.fault.Sessions, maxSessions) {
			c.sessions.Add(-1)
			_ = ch.Reject(ssh.ConnectionFailed, "open failed")
			return
		}
		defer c.sessions.Add(-1)
		c.session(ch)
	case "direct-tcpip", "direct-streamlocal@openssh.com":
		c.forward(ch)
	default:
		_ = ch.Reject(ssh.UnknownChannelType, "unknown channel type")
	}
}

// forward opens a port or a socket of the host.
func (c *client) forward(ch ssh.NewChannel) {
	if c.w.fault.NoForward {
		_ = ch.Reject(ssh.Prohibited, "open failed")
		return
	}
	if ch.ChannelType() == "direct-tcpip" {
		c.forwardTCP(ch)
		return
	}
	var to struct {
		Path, Reserved string
		Port           uint32
	}
	var p *podman
	if ssh.Unmarshal(ch.ExtraData(), &to) == nil && !c.w.fault.NoPodman && c.conn.User() == "root" {
		p = c.h.machine().listening(c.h, to.Path)
	}
	if p == nil {
		_ = ch.Reject(ssh.ConnectionFailed, "open failed") // missing or closed: sshd says the same
		return
	}
	c.enter(ch, p)
}

// forwardTCP opens Netdata's port, or one of another host of this fleet. No
// other address is ever dialled.
func (c *client) forwardTCP(ch ssh.NewChannel) {
	var to struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}
	if ssh.Unmarshal(ch.ExtraData(), &to) != nil {
		_ = ch.Reject(ssh.ConnectionFailed, "Connection refused")
		return
	}
	m := c.h.machine()
	if to.Port == netdataPort && m.netdata && !c.w.fault.NoNetdata && loopback(to.Host) {
		c.enter(ch, &netdata{h: c.h, m: m})
		return
	}
	if to.Port == httpsPort && loopback(to.Host) && m.unitRuns("caddy.service") {
		c.showCertificate(ch, m)
		return
	}
	if s := m.serves(to.Port); s != nil && loopback(to.Host) {
		c.enter(ch, s)
		return
	}
	if other := c.h.f.byName[to.Host]; other != nil {
		if s := other.machine().serves(to.Port); s != nil {
			c.enter(ch, s)
			return
		}
	}
	if to.Port == 443 && slices.Contains(registryHosts, to.Host) {
		c.enterRegistry(ch, m)
		return
	}
	for _, other := range c.h.f.hosts {
		if port, _ := other.door(); uint32(port) == to.Port && (loopback(to.Host) || to.Host == other.role.name) {
			c.jump(ch, port)
			return
		}
	}
	_ = ch.Reject(ssh.ConnectionFailed, "Connection refused")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// jump carries bytes to the port of another host.
func (c *client) jump(ch ssh.NewChannel, port int) {
	conn, err := (&net.Dialer{}).DialContext(c.ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		_ = ch.Reject(ssh.ConnectionFailed, "Connection refused")
		return
	}
	c.carry(ch, conn)
}

// enterRegistry carries bytes to the registries, behind TLS.
func (c *client) enterRegistry(ch ssh.NewChannel, m *machine) {
	near, far := net.Pipe()
	if _, err := c.h.f.Roots(); err != nil {
		_ = ch.Reject(ssh.ConnectionFailed, "Connection refused")
		return
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{c.h.f.registries.cert}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	if err := c.h.f.enter(tls.Server(far, cfg), &registry{m}); err != nil {
		_ = ch.Reject(ssh.ConnectionFailed, "Connection refused")
		return
	}
	c.carry(ch, near)
}

// enter carries bytes to a service.
func (c *client) enter(ch ssh.NewChannel, s service) {
	near, far := newHalves()
	if err := c.h.f.enter(far, s); err != nil {
		_ = ch.Reject(ssh.ConnectionFailed, "Connection refused")
		return
	}
	c.carry(ch, near)
}

// carry copies both ways until both have ended.
func (c *client) carry(ch ssh.NewChannel, conn net.Conn) {
	defer conn.Close()
	channel, requests, err := ch.Accept()
	if err != nil {
		return
	}
	defer channel.Close()
	go ssh.DiscardRequests(requests)
	defer context.AfterFunc(c.ctx, func() { conn.Close() })()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(conn, channel)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		} else {
			conn.Close()
		}
	}()
	_, _ = io.Copy(channel, conn)
	_ = channel.CloseWrite()
	channel.Close()
	<-ended
}
