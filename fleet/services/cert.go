package services

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Bounds of handshakes.
const (
	certTime   = 3 * time.Second
	certAtOnce = 4
	maxCerts   = 300
	certKept   = 30 * time.Minute // how long what was shown is believed
)

// certs keeps what sites have shown, by host, port and name.
type certs struct{ kept[fleet.Certificate] }

// add has each site that speaks TLS show its certificate, where it has not done so
// lately.
func (c *certs) add(ctx context.Context, l link.Link, sites []fleet.Site) {
	var group errgroup.Group
	group.SetLimit(certAtOnce)
	asked := 0
	for i := range sites {
		s := &sites[i]
		if !s.TLS || s.Name == "" || s.Port == 0 || asked == maxCerts {
			continue
		}
		asked++
		group.Go(func() error {
			cert := c.of(ctx, l, s.Name, s.Port)
			s.Cert = &cert
			return nil
		})
	}
	_ = group.Wait()
}

func (c *certs) of(ctx context.Context, l link.Link, name string, port uint16) fleet.Certificate {
	key := keyOf(l.Host().ID, port, name)
	if before, ok := c.get(key); ok && time.Since(before.At) < certKept && before.Error == "" {
		return before
	}
	cert := Show(ctx, l, name, port, nil)
	c.put(key, cert)
	return cert
}

// Show has a host's own web server show its certificate for a name; of a wildcard,
// for a name that is made up. Roots are whom this machine trusts, nil: its own.
func Show(ctx context.Context, l link.Link, name string, port uint16, roots *x509.CertPool) fleet.Certificate {
	cert := fleet.Certificate{At: time.Now()}
	chain, err := handshake(ctx, l, strings.Replace(name, "*", "sextant-check", 1), port)
	if err != nil {
		cert.Error = err.Error()
		return cert
	}
	leaf := chain[0]
	cert.Names, cert.Issuer = words(leaf.DNSNames), word(leaf.Issuer.CommonName)
	if len(leaf.Issuer.Organization) > 0 && !strings.Contains(cert.Issuer, leaf.Issuer.Organization[0]) {
		cert.Issuer = strings.TrimSpace(word(leaf.Issuer.Organization[0]) + " " + cert.Issuer)
	}
	cert.NotBefore, cert.NotAfter = leaf.NotBefore, leaf.NotAfter
	cert.Covers = slices.ContainsFunc(cert.Names, func(n string) bool { return fleet.MatchName(n, name) })
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: middle(leaf)})
	trusted := err == nil
	cert.Trusted = &trusted
	if err != nil {
		cert.Untrusted = word(err.Error())
	}
	return cert
}

// middle is a time at which the certificate is valid: whether it is still so is
// judged apart from who issued it.
func middle(c *x509.Certificate) time.Time { return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2) }

// handshake gives the certificates that are shown.
func handshake(ctx context.Context, l link.Link, name string, port uint16) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, certTime)
	defer cancel()
	raw, err := l.Dial(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("no handshake at port %d: %w", port, nobody(err))
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { raw.Close() }) // not every connection of a link knows deadlines
	defer stop()
	conn := tls.Client(raw, &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // it is looked at, whatever it is: judging it is the point
	if err := conn.HandshakeContext(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("no handshake at port %d within %s", port, certTime)
		}
		return nil, fmt.Errorf("no handshake at port %d: %s", port, word(err.Error()))
	}
	chain := conn.ConnectionState().PeerCertificates
	if len(chain) == 0 {
		return nil, errors.New("no certificate was shown")
	}
	return chain, nil
}
