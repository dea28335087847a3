package labtest

import (
	"net/http"
	"testing"
	"time"
)

// Peer changes a node of the lab's tailnet: "PUT", "notebook?os=linux&lastSeen=3h".
// What there is to say is in the lab's README.
func (l Lab) Peer(t testing.TB, method, peer string) {
	t.Helper()
	req, err := http.NewRequest(method, l.Control+"/lab/peers/"+peer, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode >= 300 {
		t.Fatalf("%s %s: %s", method, peer, res.Status)
	}
}

// NewPeer adds a node that does not run, until the end of the test.
func (l Lab) NewPeer(t testing.TB, name, query string) {
	t.Helper()
	l.Peer(t, http.MethodPut, name+"?"+query)
	t.Cleanup(func() { l.Peer(t, http.MethodDelete, name) })
}
