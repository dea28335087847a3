package podman

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// How registries are asked.
const (
	registryPatience = 20 * time.Second // for one answer
	defaultHold      = 10 * time.Minute // where a registry that is asked too much does not say for how long
	maxHold          = 24 * time.Hour
	registryAtOnce   = 2 // questions to one registry
)

// Registries asks registries which image a name has now. It is safe for
// concurrent use. Answers are kept: see [Registries.Known].
//
// They are asked by HEAD through the link, as the host reaches them, so that a
// registry of its own network is found. Nobody logs in: what the host has to log
// in with stays there. A HEAD is not counted as a pull. Where a registry wants a
// login, or has a certificate that is known on the host alone, skopeo on the host
// is asked, which has all that Podman has.
type Registries struct {
	Roots *x509.CertPool   // whose certificates count; nil: the system's
	Now   func() time.Time // nil: time.Now

	mu    sync.Mutex
	known fleet.RegistryAnswers
	turns map[string]chan struct{} // by what is asked
}

func (r *Registries) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

// Recall takes over answers that were kept by an earlier process.
func (r *Registries) Recall(a fleet.RegistryAnswers) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = fleet.RegistryAnswers{Digests: maps.Clone(a.Digests), Held: maps.Clone(a.Held)}
}

// Answers are all that are known, to be kept.
func (r *Registries) Answers() fleet.RegistryAnswers {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fleet.RegistryAnswers{Digests: maps.Clone(r.known.Digests), Held: maps.Clone(r.known.Held)}
}

// Known is what a registry last said of the name of an image on a host; it asks
// nobody. The fact was not asked where that is nothing.
func (r *Registries) Known(h fleet.HostID, name string) fleet.Fact[string] {
	named, err := registryName(name)
	if err != nil {
		return fleet.Nothing[string](err.Error(), r.now(), "image")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.known.Digests[answerKey(h, named)]
	if !ok {
		return fleet.Fact[string]{}
	}
	return fleet.Known(a.Digest, a.At, a.Source)
}

// Digest asks a registry which digest the name of an image has now. What it said
// since then is not asked again, through whichever host; nor is a registry that
// wanted to be left alone. user is whose engine has the image.
func (r *Registries) Digest(ctx context.Context, l link.Link, name, user string, since time.Time) fleet.Fact[string] {
	id := l.Host().ID
	before := r.Known(id, name)
	if before.None || !before.At.Before(since) {
		return before
	}
	named, _ := registryName(name) // it is one: see Known
	domain := reference.Domain(named)
	for _, t := range []struct {
		what   string
		atOnce int
	}{{"name " + answerKey(id, named), 1}, {"registry " + domain, registryAtOnce}} {
		release, err := r.turn(ctx, t.what, t.atOnce)
		if err != nil {
			return before.Refresh(fleet.Unknown[string](err, r.now(), domain))
		}
		defer release()
	}
	if again := r.Known(id, name); again.HasValue() && !again.At.Before(since) { // another host's turn brought it
		return again
	}
	if until := r.held(domain); until.After(r.now()) {
		return before.Refresh(fleet.Unknown[string](heldError(domain, until), r.now(), domain))
	}
	digest, err := r.ask(ctx, l, named, user)
	now := r.now()
	if err != nil {
		return before.Refresh(fleet.Unknown[string](err, now, domain))
	}
	a := fleet.RegistryAnswer{Digest: digest, At: now.UTC(), Source: domain + " through " + l.Host().Name}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known.Digests == nil {
		r.known.Digests = map[string]fleet.RegistryAnswer{}
	}
	r.known.Digests[answerKey(id, named)] = a
	return fleet.Known(a.Digest, a.At, a.Source)
}

// turn waits until something may be done once more, of which so many are done at once.
func (r *Registries) turn(ctx context.Context, what string, atOnce int) (release func(), err error) {
	r.mu.Lock()
	if r.turns == nil {
		r.turns = map[string]chan struct{}{}
	}
	if r.turns[what] == nil {
		r.turns[what] = make(chan struct{}, atOnce)
	}
	turn := r.turns[what]
	r.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (r *Registries) held(domain string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known.Held[domain]
}

// hold leaves a registry alone for as long as it wished.
func (r *Registries) hold(domain string, d time.Duration) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known.Held == nil {
		r.known.Held = map[string]time.Time{}
	}
	until := r.now().Add(min(max(d, time.Second), maxHold)).UTC()
	r.known.Held[domain] = until
	return until
}

func heldError(domain string, until time.Time) error {
	return fmt.Errorf("%s was asked too often, and is not asked again before %s", domain, until.Local().Format("01-02 15:04"))
}

// registryName reads the name of an image that a registry has. The error says why
// none has it.
func registryName(name string) (reference.NamedTagged, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, errors.New("it has no name that a registry knows")
	}
	if _, pinned := named.(reference.Digested); pinned {
		return nil, errPinned
	}
	if reference.Domain(named) == "localhost" {
		return nil, errors.New("it was built on the host: no registry has it")
	}
	tagged, ok := reference.TagNameOnly(named).(reference.NamedTagged)
	if !ok {
		return nil, errPinned
	}
	return tagged, nil
}

// answerKey is where the answer for a name is kept: for all hosts, but where each
// host has a registry of its own by that name.
func answerKey(h fleet.HostID, named reference.NamedTagged) string {
	if onLoopback(reference.Domain(named)) {
		return string(h) + " " + named.String()
	}
	return named.String()
}

// onLoopback tells whether a registry is the asking host itself. Such a one is
// asked without TLS, as Docker does.
func onLoopback(domain string) bool {
	host := domain
	if h, _, err := net.SplitHostPort(domain); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// ask asks the registry, else skopeo on the host where that may know more.
func (r *Registries) ask(ctx context.Context, l link.Link, named reference.NamedTagged, user string) (string, error) {
	domain := reference.Domain(named)
	digest, wait, err := r.head(ctx, l, named)
	switch {
	case wait > 0:
		return "", heldError(domain, r.hold(domain, wait))
	case err == nil:
		return digest, nil
	case ctx.Err() != nil || !needsTheHost(err):
		return "", told{err}
	}
	digest, ok, theirs := bySkopeo(ctx, l, named.String(), user)
	switch {
	case ok:
		return digest, nil
	case theirs != nil:
		return "", told{theirs}
	}
	return "", fleet.WithCure(told{err}, "install skopeo on the host: it asks with the logins and certificates that Podman has there")
}

// errLogin is what a registry says to those who may not know, or whom it does not know.
var errLogin = errors.New("wants a login for it, or does not have it")

// needsTheHost tells whether a registry may answer the host, which did not answer us:
// it has a login, a certificate, a mirror or leave to go without TLS.
func needsTheHost(err error) bool {
	var cert *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	return errors.Is(err, errLogin) || errors.Is(err, link.ErrForbidden) || errors.As(err, &cert) || errors.As(err, &plain) ||
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") // net/http has no name for it
}

// errNoImage is what a registry says that it does not have.
var errNoImage = errors.New("has no such image")

// head asks for the digest of a manifest. wait is how long the registry wants to be
// left alone; 0: it does not.
func (r *Registries) head(ctx context.Context, l link.Link, named reference.NamedTagged) (digest string, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	repo, err := remote.NewRepository(named.Name())
	if err != nil {
		return "", 0, err
	}
	repo.PlainHTTP = onLoopback(reference.Domain(named))
	trip := &throughLink{transport: transportOver(l, r.Roots), now: r.now}
	defer trip.transport.CloseIdleConnections()
	repo.Client = &auth.Client{Client: &http.Client{Transport: trip, CheckRedirect: noDowngrade}, Cache: auth.NewCache()}
	d, err := repo.Resolve(ctx, named.Tag())
	var no *errcode.ErrorResponse
	switch {
	case trip.wait > 0:
		return "", trip.wait, err
	case err == nil:
		return d.Digest.String(), 0, nil
	case errors.As(err, &no) && no.StatusCode == http.StatusUnauthorized, errors.As(err, &no) && no.StatusCode == http.StatusForbidden:
		return "", 0, fmt.Errorf("%s %w", reference.Domain(named), errLogin)
	case trip.missing:
		return "", 0, fmt.Errorf("%s %w: %s", reference.Domain(named), errNoImage, named)
	}
	return "", 0, err
}

// noDowngrade follows no way out of TLS.
func noDowngrade(req *http.Request, via []*http.Request) error {
	if len(via) >= 5 || via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return errors.New("the registry sends us elsewhere, where we do not go")
	}
	return nil
}

// transportOver dials as the host would.
func transportOver(l link.Link, roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		DialContext:            l.Dial,
		TLSClientConfig:        tlsOf(roots),
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		TLSHandshakeTimeout:    10 * time.Second,
	}
}

// throughLink bounds what a registry may send, and notices when it is asked too
// much. One question at a time.
type throughLink struct {
	transport *http.Transport
	now       func() time.Time
	wait      time.Duration
	missing   bool
}

// RoundTrip implements http.RoundTripper.
func (t *throughLink) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		t.wait = retryAfter(resp.Header.Get("Retry-After"), t.now(), defaultHold)
	case http.StatusServiceUnavailable:
		t.wait = retryAfter(resp.Header.Get("Retry-After"), t.now(), 0)
	case http.StatusNotFound:
		t.missing = true
	}
	resp.Body = &limited{ReadCloser: resp.Body, left: maxRegistry}
	return resp, nil
}

// maxRegistry is how many bytes of an answer are read: tokens and errors.
const maxRegistry = 1 << 20

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(value string, now time.Time, otherwise time.Duration) time.Duration {
	if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && n >= 0 {
		return min(max(time.Duration(min(n, int(maxHold/time.Second)))*time.Second, time.Second), maxHold)
	}
	if t, err := http.ParseTime(value); err == nil {
		return min(max(t.Sub(now), time.Second), maxHold)
	}
	return otherwise
}

// skopeo asks a registry with what the user has on the host to log in with.
const skopeo = `# The manifest of an image, as its registry has it
command -v skopeo >/dev/null 2>&1 || exit 127
u=$(id -u)
HOME=$(getent passwd "$u" | cut -d: -f6)
export HOME
if [ -d "/run/user/$u" ]; then export XDG_RUNTIME_DIR="/run/user/$u"; fi
cd /
exec skopeo inspect --raw "docker://$1"`

// bySkopeo has skopeo on the host read a manifest, and gives its digest. There is
// none, and no error, where the host has no skopeo.
func bySkopeo(ctx context.Context, l link.Link, name, user string) (digest string, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*registryPatience)
	defer cancel()
	cmd := link.Script(skopeo, name)
	if cmd.User = user; user == rootUser || user == "" {
		cmd.User, cmd.Root = "", true
	}
	res, err := l.Run(ctx, cmd)
	switch {
	case err != nil, res.Status == 127:
		return "", false, nil
	case res.Status != 0:
		return "", false, errors.New("skopeo on the host: " + strings.TrimSpace(string(res.Stderr)))
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(res.Stdout)), true, nil
}

func tlsOf(roots *x509.CertPool) *tls.Config {
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}
