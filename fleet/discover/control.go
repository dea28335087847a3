package discover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	api "tailscale.com/client/tailscale/v2"

	"github.com/sextant-fleet/sextant/fleet"
)

// Times and sizes of asking the control plane, which has nothing to watch.
const (
	controlEvery  = time.Minute
	controlAnswer = 20 * time.Second
	controlLimit  = 32 << 20
)

// control is Tailscale's control plane, asked through its HTTP API. It works
// from a machine that is not in the tailnet.
type control struct {
	tailnet     string
	url         *url.URL
	serviceTags []string
	credential  func() (credential, error) // read anew for each try: keys are rotated
	transport   http.RoundTripper          // nil: HTTP's usual one
	every       time.Duration
}

// credential lets us in: an API key or an OAuth client. It is never printed.
type credential struct {
	key      string // an API key, or
	clientID string
	secret   string
}

// String keeps secrets out of logs and errors.
func (credential) String() string { return "(secret)" }

// GoString keeps secrets out of logs and errors.
func (c credential) GoString() string { return c.String() }

// newControl makes the source, or gives nil where no credential is configured.
func newControl(c *Config) *control {
	t := c.Tailscale
	read := func() (credential, error) { return t.credential(c.file) }
	if cred, err := read(); err == nil && cred == (credential{}) {
		return nil
	}
	u, err := url.Parse(cmp.Or(t.APIURL, "https://api.tailscale.com"))
	if err != nil {
		return nil // the configuration was checked
	}
	return &control{tailnet: t.Tailnet, url: u, serviceTags: t.ServiceTags, credential: read, every: controlEvery}
}

// credential finds the credential: what the configuration names, else what the
// environment holds.
func (t TailscaleConfig) credential(file func(string) string) (credential, error) {
	key, err := secret(t.APIKeyFile, t.APIKeyEnv, file)
	if err != nil {
		return credential{}, err
	}
	if t.OAuthClientID != "" {
		s, err := secret(t.OAuthSecretFile, t.OAuthSecretEnv, file)
		return credential{clientID: t.OAuthClientID, secret: s}, err
	}
	key = cmp.Or(key, os.Getenv("SEXTANT_TAILSCALE_API_KEY"), os.Getenv("TS_API_KEY"))
	if strings.HasPrefix(key, "tskey-client-") {
		// The secret of an OAuth client; Tailscale finds the client by it.
		return credential{clientID: "sextant", secret: key}, nil
	}
	return credential{key: key}, nil
}

// secret reads a credential of Tailscale's from a file or an environment variable;
// neither named gives "".
func secret(path, env string, file func(string) string) (string, error) {
	return secretOf("a Tailscale credential", path, env, file)
}

// secretOf is secret for what is called so.
func secretOf(what, path, env string, file func(string) string) (string, error) {
	if path != "" {
		b, err := os.ReadFile(file(path))
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", what, err)
		}
		if s := strings.TrimSpace(string(b)); s != "" {
			return s, nil
		}
		return "", fmt.Errorf("reading %s: %s is empty", what, path)
	}
	if env != "" {
		if s := strings.TrimSpace(os.Getenv(env)); s != "" {
			return s, nil
		}
		return "", fmt.Errorf("reading %s: $%s is not set", what, env)
	}
	return "", nil
}

// Name is "control".
func (*control) Name() string { return SourceControl }

// Slow is false: it is a single request, and nobody waits longer than for all.
func (*control) Slow() bool { return false }

// Watch asks once a minute.
func (c *control) Watch(ctx context.Context, emit func([]Sighting, error)) {
	for ctx.Err() == nil {
		list, err := c.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			emit(nil, c.explain(err))
		} else {
			emit(list, nil)
		}
		pause(ctx, c.every)
	}
}

func (c *control) ask(ctx context.Context) ([]Sighting, error) {
	ctx, cancel := context.WithTimeout(ctx, controlAnswer)
	defer cancel()
	client, end, err := c.client(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	devices, err := client.Devices().List(ctx, api.WithFields(api.IncludeFieldsAll))
	if err != nil {
		return nil, err
	}
	return fromDevices(devices, time.Now(), c.serviceTags), nil
}

// client speaks to the control plane until ctx ends; end is called when it is done with.
func (c *control) client(ctx context.Context) (client *api.Client, end func(), err error) {
	cred, err := c.credential()
	if err != nil {
		return nil, nil, err
	}
	base := &http.Transport{Proxy: http.ProxyFromEnvironment}
	plain := &http.Client{Transport: onlyJSON{cmp.Or(c.transport, http.RoundTripper(base))}}
	client = &api.Client{BaseURL: c.url, Tailnet: c.tailnet, UserAgent: "sextant", HTTP: plain, APIKey: cred.key}
	if cred.clientID != "" {
		// Not the client's own OAuth: its token request knows neither ctx nor transport.
		conf := clientcredentials.Config{ClientID: cred.clientID, ClientSecret: cred.secret, TokenURL: c.url.JoinPath("api/v2/oauth/token").String()}
		client.HTTP = conf.Client(context.WithValue(ctx, oauth2.HTTPClient, plain))
	}
	return client, base.CloseIdleConnections, nil
}

// errNoAPI is what a server gives that is none of Tailscale's: headscale
// answers this path with a web page and status 200.
var errNoAPI = errors.New("no Tailscale API")

// onlyJSON refuses answers that are not JSON, and bounds the others.
type onlyJSON struct{ next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (o onlyJSON) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := o.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if req.Method == http.MethodDelete && res.StatusCode/100 == 2 {
		kind = "application/json" // there is nothing to read in it
	}
	if kind != "application/json" && kind != "application/hujson" {
		res.Body.Close()
		return nil, fmt.Errorf("%w: HTTP %d, %s in place of JSON", errNoAPI, res.StatusCode, cmp.Or(kind, "nothing"))
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(res.Body, controlLimit), res.Body}
	return res, nil
}

// explain says why the control plane tells nothing and what can be done.
func (c *control) explain(err error) *Trouble {
	var status api.APIError
	var token *oauth2.RetrieveError
	switch {
	case errors.Is(err, errNoAPI):
		return &Trouble{fmt.Errorf("%s: %w", c.url.Host, errNoAPI), "headscale has none: leave the API out, the local tailscaled tells the same"}
	case errors.As(err, &token):
		return &Trouble{fmt.Errorf("%s refused the OAuth client", c.url.Host), "check id and secret; it needs the scope devices:core:read"}
	case errors.As(err, &status) && status.Status == http.StatusUnauthorized:
		return &Trouble{fmt.Errorf("%s refused the API key", c.url.Host), "it is wrong or has expired: make one in the admin console, Settings, Keys"}
	case errors.As(err, &status) && status.Status == http.StatusForbidden:
		return &Trouble{fmt.Errorf("%s: the credential may not list devices", c.url.Host), "give it the scope devices:core:read"}
	case errors.As(err, &status):
		return &Trouble{fmt.Errorf("%s: %w", c.url.Host, status), ""}
	case errors.Is(err, context.DeadlineExceeded):
		return &Trouble{fmt.Errorf("%s does not answer", c.url.Host), "is this machine online?"}
	}
	return &Trouble{err, "check [tailscale] in the configuration"}
}

// fromDevices makes sightings of the devices the control plane lists, by name.
func fromDevices(devices []api.Device, now time.Time, serviceTags []string) []Sighting {
	list := make([]Sighting, 0, len(devices))
	for _, d := range devices {
		list = append(list, fromDevice(d, deviceSuffix(devices), now, serviceTags))
	}
	slices.SortFunc(list, func(a, b Sighting) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.NodeID, b.NodeID))
	})
	return list
}

// deviceSuffix is the tailnet's MagicDNS suffix: that of its own devices.
func deviceSuffix(devices []api.Device) string {
	for _, d := range devices {
		if _, suffix, ok := strings.Cut(d.Name, "."); ok && !d.IsExternal {
			return suffix
		}
	}
	return ""
}

func fromDevice(d api.Device, suffix string, now time.Time, serviceTags []string) Sighting {
	short, full := tailnetName(d.Name, suffix, d.Hostname)
	s := Sighting{
		Source: SourceControl, Name: short, HostName: clean(d.Hostname), NodeID: clean(d.NodeID), OS: clean(d.OS),
		Tags: tagNames(d.Tags), TailscaleOK: d.SSHEnabled, Joined: d.Created.Time,
	}
	if full != short {
		s.Aliases = []string{full}
	}
	for _, a := range d.Addresses {
		if isIP(a) {
			s.Addresses = append(s.Addresses, fleet.Address{Via: fleet.ViaTailnet, Host: a})
		}
	}
	p := fleet.Presence{Online: d.ConnectedToControl}
	if d.LastSeen != nil && !p.Online {
		p.LastSeen = d.LastSeen.Time
	}
	if !d.KeyExpiryDisabled {
		p.KeyExpiry = d.Expires.Time
		p.Expired = !p.KeyExpiry.IsZero() && p.KeyExpiry.Before(now)
	}
	s.Presence = fleet.Known(p, now, "Tailscale API")
	n := node{
		name: short, os: s.OS, tags: s.Tags, ssh: s.TailscaleOK, ephemeral: d.IsEphemeral,
		exit: slices.Contains(d.EnabledRoutes, "0.0.0.0/0") || slices.Contains(d.EnabledRoutes, "::/0"),
	}
	if d.IsExternal {
		n.foreign = "shared in by " + clean(d.User)
	}
	s.NotHost, s.Guess = n.notHost(serviceTags)
	s.Node, s.Tailnet = deviceNode(d, s), canon(clean(suffix))
	return s
}
