package simulate

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Cloudflare of the demo: a zone whose names lead to the cloud host by the proxy, one
// that comes through a tunnel, and one whose public answer is an old one.
const (
	cloudZone    = "fleet.example"
	cloudAccount = "a1"
	cloudTunnel  = "6ff42ae2-765d-4adf-8112-31c55c1551ef"
)

// Cloudflare dials the API of a Cloudflare that knows this world's names, whatever
// the address. It answers as https://developers.cloudflare.com/api documents it.
func (*Fleet) Cloudflare(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() { _ = (&http.Server{Handler: http.HandlerFunc(answerCloud)}).Serve(&single{conn: theirs}) }() //nolint:gosec // nobody but this process can be slow
	return ours, nil
}

// single is a listener with one connection.
type single struct{ conn net.Conn }

// Accept gives the connection, and then none.
func (s *single) Accept() (net.Conn, error) {
	if s.conn == nil {
		return nil, io.EOF
	}
	c := s.conn
	s.conn = nil
	return c, nil
}

// Close closes nothing: the connection is the server's.
func (*single) Close() error { return nil }

// Addr is nowhere.
func (*single) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func answerCloud(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	path := strings.TrimPrefix(r.URL.Path, "/client/v4")
	var result string
	switch path {
	case "/zones":
		result = fmt.Sprintf(`[{"id":"z1","name":%q,"status":"active","account":{"id":%q}}]`, cloudZone, cloudAccount)
	case "/zones/z1/dns_records":
		result = "[" + strings.Join(cloudRecords(r.URL.Query().Get("name")), ",") + "]"
	case "/accounts/" + cloudAccount + "/cfd_tunnel":
		result = "[" + cloudTunnelJSON + "]"
	case "/accounts/" + cloudAccount + "/cfd_tunnel/" + cloudTunnel:
		result = cloudTunnelJSON
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"success":false,"errors":[{"code":7003,"message":"Could not route to the path"}],"messages":[],"result":null}`)
		return
	}
	fmt.Fprintf(w, `{"success":true,"errors":[],"messages":[],"result":%s,"result_info":{"page":1,"total_pages":1}}`, result)
}

const cloudTunnelJSON = `{"id":"` + cloudTunnel + `","name":"cottage","status":"healthy","created_at":"2026-02-01T08:00:00Z"}`

// cloudRecords are the records of the zone, or those of one name.
func cloudRecords(name string) []string {
	var list []string
	add := func(n, kind, content string, proxied bool) {
		if name == "" || n == name {
			list = append(list, fmt.Sprintf(`{"id":"r%d","name":%q,"type":%q,"content":%q,"proxied":%t,"ttl":1}`, len(list), n, kind, content, proxied))
		}
	}
	add(cloudZone, "MX", "mail.example.net", false)
	for _, v := range vhosts["cloud"] {
		add(v.name, "A", "203.0.113.3", true)
	}
	add("home.fleet.example", "CNAME", cloudTunnel+".cfargotunnel.com", true)
	return list
}
