package simulate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// registries are what hosts reach on port 443: the registries of images, whatever
// they are called, which say what version of each image of this world is newest.
type registries struct {
	once sync.Once
	cert tls.Certificate
	pool *x509.CertPool
	err  error
}

// Roots are the certificates by which the registries of this world are known.
func (f *Fleet) Roots() (*x509.CertPool, error) {
	f.registries.once.Do(f.registries.begin)
	return f.registries.pool, f.registries.err
}

// registryHosts are the registries that images of this world come from.
var registryHosts = []string{"registry-1.docker.io", "auth.docker.io", "ghcr.io", "lscr.io", "quay.io"}

// begin makes one certificate for all of them. It is random, and trusted nowhere else.
func (r *registries) begin() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.err = err
		return
	}
	from := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sextant demo"}, DNSNames: registryHosts, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * day), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, from, from, &key.PublicKey, key)
	if err != nil {
		r.err = err
		return
	}
	cert, err := x509.ParseCertificate(der)
	r.err = err
	r.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}
	r.pool = x509.NewCertPool()
	if err == nil {
		r.pool.AddCert(cert)
	}
}

// registry answers as the registries of this world, as a machine reaches them.
type registry struct{ m *machine }

// ServeHTTP answers one question for a digest. Docker's registry wants a token, which
// it gives to everybody; one image wants a login.
func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	name := strings.TrimSuffix(req.Host, ":443")
	if name == "auth.docker.io" {
		answer(w, map[string]string{"token": "anybody"})
		return
	}
	path, ok := strings.CutPrefix(req.URL.Path, "/v2/")
	repository, tag, found := strings.Cut(path, "/manifests/")
	switch {
	case !ok || !found || req.Method != http.MethodHead:
		http.NotFound(w, req)
		return
	case name == "registry-1.docker.io" && req.Header.Get("Authorization") == "":
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:%s:pull"`, repository))
		w.WriteHeader(http.StatusUnauthorized)
		return
	case strings.Contains(repository, "dexidp"):
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if name == "registry-1.docker.io" {
		name = "docker.io"
	}
	w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	w.Header().Set("Docker-Content-Digest", r.m.newest(name+"/"+repository+":"+tag).digest)
	w.Header().Set("Content-Length", strconv.Itoa(1609))
}
