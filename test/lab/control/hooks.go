package main

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"tailscale.com/tailcfg"
)

// addPeer adds a node that does not run: PUT /lab/peers/NAME?host=&os=&tags=&ephemeral=&exit=&shared=&age=AGO&lastSeen=AGO&expired=AGO
func (t *tailnet) addPeer(w http.ResponseWriter, r *http.Request) {
	f := fake{name: r.PathValue("name"), host: r.FormValue("host"), os: r.FormValue("os")}
	f.age, _ = time.ParseDuration(r.FormValue("age"))
	if f.os == "" {
		f.os = "linux"
	}
	if s := r.FormValue("tags"); s != "" {
		f.tags = strings.Split(s, ",")
	}
	f.ephemeral, _ = strconv.ParseBool(r.FormValue("ephemeral"))
	f.exitNode, _ = strconv.ParseBool(r.FormValue("exit"))
	f.shared, _ = strconv.ParseBool(r.FormValue("shared"))
	f.offline, _ = time.ParseDuration(r.FormValue("lastSeen"))
	f.expired, _ = time.ParseDuration(r.FormValue("expired"))
	t.mu.Lock()
	n, _ := t.find(f.name)
	f.id = t.nextID
	t.nextID++
	t.mu.Unlock()
	if n != nil {
		refuse(w, http.StatusConflict, "there is one of that name")
		return
	}
	t.addFake(f)
	reply(w, http.StatusCreated, map[string]string{"message": "added"})
}

// changePeer: POST /lab/peers/NAME?online=true|false|auto&lastSeen=AGO&expires=IN|never&tags=a,b&name=NEW
// Durations are Go's; a negative expires is in the past.
func (t *tailnet) changePeer(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, m := t.find(r.PathValue("name"))
	if n == nil {
		refuse(w, http.StatusNotFound, "no such peer")
		return
	}
	if v := r.FormValue("online"); v == "auto" {
		m.forced = nil
	} else if on, err := strconv.ParseBool(v); err == nil {
		m.forced, m.seen = &on, time.Now()
	}
	if ago, err := time.ParseDuration(r.FormValue("lastSeen")); err == nil {
		m.seen = time.Now().Add(-ago)
	}
	if v := r.FormValue("expires"); v == "never" {
		n.KeyExpiry = time.Time{}
	} else if in, err := time.ParseDuration(v); err == nil {
		n.KeyExpiry = time.Now().Add(in).UTC().Truncate(time.Second)
	}
	if r.Form.Has("tags") {
		n.Tags = strings.FieldsFunc(r.FormValue("tags"), func(c rune) bool { return c == ',' })
		n.User = owner(n, m)
	}
	if v := r.FormValue("name"); v != "" {
		n.Name = t.fqdn(v)
	}
	t.update(n)
	reply(w, http.StatusOK, describe(n, m, true))
}

// removePeer takes a node out of everyone's netmap. One that really runs
// comes back when its tailscaled next reports, under its old address.
func (t *tailnet) removePeer(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, _ := t.find(r.PathValue("name"))
	if n == nil {
		refuse(w, http.StatusNotFound, "no such peer")
		return
	}
	t.remove(n)
	reply(w, http.StatusOK, map[string]string{"message": "removed"})
}

// remove takes a node out of the tailnet and tells everyone; t.mu is held.
func (t *tailnet) remove(n *tailcfg.Node) {
	delete(t.members, n.Key)
	t.save()
	t.tell()
}

// update stores a changed node and tells everyone; t.mu is held.
func (t *tailnet) update(n *tailcfg.Node) {
	t.srv.UpdateNode(n)
	t.save()
	t.tell()
}

// changeSSH: POST /lab/ssh?allow=true|false lets everybody in by Tailscale SSH, or nobody.
func (t *tailnet) changeSSH(w http.ResponseWriter, r *http.Request) {
	allow, err := strconv.ParseBool(r.FormValue("allow"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "allow=true or allow=false")
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.noSSH = !allow
	t.tell()
	reply(w, http.StatusOK, map[string]string{"message": "changed"})
}
