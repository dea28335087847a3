// Command control is the lab's tailnet: Tailscale's own test control server,
// a DERP relay and a STUN server, plus the small part of Tailscale's public
// HTTP API that the product uses. Machines join with a real tailscaled.
//
// Everything listens on one address of the lab's bridge.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"time"

	"tailscale.com/derp/derpserver"
	"tailscale.com/net/stunserver"
	"tailscale.com/tailcfg"
	"tailscale.com/types/key"
)

func main() {
	ip := flag.String("ip", "10.77.0.1", "address to listen on (8080 control and API, 8443 DERP, 3478 STUN)")
	domain := flag.String("domain", "lab.ts.net", "MagicDNS suffix")
	state := flag.String("state", "", "file that keeps the joined nodes over a restart")
	hosts := flag.String("hosts", "", "table of hosts: the last octet of a host's address is also that of its tailnet address")
	flag.Parse()

	dm, err := relay(*ip)
	if err != nil {
		log.Fatal(err)
	}
	tn, err := newTailnet("http://"+*ip+":8080", *domain, *state, *hosts, dm)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	tn.routes(mux)
	mux.Handle("/", tn.srv)
	l, err := listen(*ip + ":8080")
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("control http://%s:8080", *ip)
	log.Fatal(http.Serve(l, mux))
}

// listen notices within half a minute that a machine has lost its power.
func listen(addr string) (net.Listener, error) {
	const tcpUserTimeout = 18 // package syscall does not name it
	lc := net.ListenConfig{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control: func(_, _ string, c syscall.RawConn) error {
			var opt error
			err := c.Control(func(fd uintptr) {
				opt = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, 20_000)
			})
			return errors.Join(err, opt)
		},
	}
	return lc.Listen(context.Background(), "tcp", addr)
}

// relay starts DERP and STUN and returns the map that tells nodes about them.
func relay(ip string) (*tailcfg.DERPMap, error) {
	l, err := net.Listen("tcp", ip+":8443")
	if err != nil {
		return nil, err
	}
	d := derpserver.New(key.NewNode(), func(string, ...any) {})
	hs := httptest.NewUnstartedServer(derpserver.Handler(d))
	_ = hs.Listener.Close()
	hs.Listener = l
	// DERP upgrades the connection itself, which HTTP/2 cannot do.
	hs.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	hs.StartTLS()

	stun := stunserver.New(context.Background())
	if err := stun.Listen(ip + ":3478"); err != nil {
		return nil, err
	}
	go func() { log.Print(stun.Serve()) }()

	return &tailcfg.DERPMap{
		OmitDefaultRegions: true,
		Regions: map[int]*tailcfg.DERPRegion{1: {
			RegionID: 1, RegionCode: "lab", RegionName: "Lab",
			Nodes: []*tailcfg.DERPNode{{
				Name: "1a", RegionID: 1, HostName: ip, IPv4: ip, IPv6: "none",
				STUNPort: 3478, DERPPort: 8443, InsecureForTests: true, STUNTestIP: ip,
			}},
		}},
	}, nil
}
