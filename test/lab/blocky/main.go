// Command blocky is the lab's stand-in for Blocky, which is not to be had there. It
// answers over HTTP as Blocky 0.34 is documented to, with its one list group "ads",
// and no DNS. Files beside its configuration change it: "slow" has a refresh take so
// many seconds, "failing" has so many downloads of it fail.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// writeTime is Blocky's own: an answer that takes longer is cut off.
const writeTime = 20 * time.Second

type blocky struct {
	dir   string // of the configuration
	began time.Time

	mu        sync.Mutex
	off       bool
	until     time.Time
	groups    []string
	refreshed time.Time
	failed    int
	entries   int
}

func main() {
	config := flag.String("config", "/etc/lab/blocky/config.yml", "its configuration")
	flag.Parse()
	at, err := setting(*config, "http")
	if err != nil {
		log.Fatal(err)
	}
	b := &blocky{dir: filepath.Dir(*config), began: time.Now(), refreshed: time.Now(), entries: 1000}
	s := http.Server{Addr: at, Handler: b, ReadTimeout: writeTime, WriteTimeout: writeTime}
	log.Fatal(s.ListenAndServe())
}

// setting is the address behind a key of the configuration.
func setting(path, key string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), key+": "); ok {
			return value, nil
		}
	}
	return "", fmt.Errorf("%s has no %s", path, key)
}

// number is what a file beside the configuration says, 0 where it is not there.
func (b *blocky) number(name string) int {
	text, _ := os.ReadFile(filepath.Join(b.dir, name))
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

// ServeHTTP answers.
func (b *blocky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	log.Print(r.Method, " ", r.URL)
	switch r.Method + " " + r.URL.Path {
	case "GET /api/blocking/status":
		tell(w, b.status())
	case "GET /api/blocking/disable":
		b.disable(w, r)
	case "GET /api/blocking/enable":
		b.mu.Lock()
		b.off, b.until, b.groups = false, time.Time{}, nil
		b.mu.Unlock()
	case "GET /api/stats":
		b.stats(w)
	case "GET /metrics":
		b.metrics(w)
	case "POST /api/lists/refresh":
		b.refresh()
	case "POST /api/query":
		b.query(w, r)
	default:
		http.NotFound(w, r)
	}
}

func tell(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (b *blocky) status() map[string]any {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := time.Until(b.until)
	if b.off && !b.until.IsZero() && left <= 0 {
		b.off, b.until, b.groups = false, time.Time{}, nil
	}
	out := map[string]any{"enabled": !b.off}
	if sec := int(left.Seconds()); b.off && sec > 0 {
		out["autoEnableInSec"] = sec
	}
	if b.off && len(b.groups) > 0 {
		out["disabledGroups"] = b.groups
	}
	return out
}

func (b *blocky) disable(w http.ResponseWriter, r *http.Request) {
	var until time.Time
	if text := r.URL.Query().Get("duration"); text != "" {
		length, err := time.ParseDuration(text)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if length > 0 {
			until = time.Now().Add(length)
		}
	}
	groups := []string{"ads"}
	if text := r.URL.Query().Get("groups"); text != "" {
		groups = strings.Split(text, ",")
	}
	for _, g := range groups {
		if g != "ads" {
			http.Error(w, fmt.Sprintf("group '%s' is unknown", g), http.StatusBadRequest)
			return
		}
	}
	b.mu.Lock()
	b.off, b.until, b.groups = true, until, groups
	b.mu.Unlock()
}

// refresh goes on when nobody waits for its answer any more.
func (b *blocky) refresh() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(time.Duration(b.number("slow")) * time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.failed += b.number("failing")
		b.refreshed = time.Now()
		b.entries++
	}()
	<-done
}

func (b *blocky) stats(w http.ResponseWriter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now().UTC()
	tell(w, map[string]any{
		"start": b.began.UTC(), "end": now,
		"summary":        map[string]any{"queries": 400, "cached": 200, "forwarded": 100, "blocked": 90, "filtered": 0, "local": 10, "dropped": 0, "errors": 2, "avgResponseMs": 5, "cacheHitRate": 0.667},
		"byResponseType": map[string]int{"CACHED": 200}, "byQueryType": map[string]int{"A": 400}, "byResponseCode": map[string]int{"NOERROR": 400}, "perHour": []any{},
		"topDomains":        []any{map[string]any{"name": "lab.example.com", "count": 50}},
		"topBlockedDomains": []any{map[string]any{"name": "ads.example.com", "count": 40}},
		"topClients":        []any{map[string]any{"name": "10.77.0.30", "count": 300}},
		"lists":             map[string]any{"denylist": map[string]int{"ads": b.entries}, "allowlist": map[string]int{"ads": 1}}, "cache": map[string]int{"entries": 7},
	})
}

func (b *blocky) metrics(w http.ResponseWriter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
	fmt.Fprintf(w, "# HELP blocky_build_info Version number and build info\n# TYPE blocky_build_info gauge\nblocky_build_info{build_time=\"lab\",version=\"v0.34.0-stand-in\"} 1\n")
	fmt.Fprintf(w, "blocky_denylist_cache_entries{group=\"ads\"} %d\nblocky_allowlist_cache_entries{group=\"ads\"} 1\n", b.entries)
	fmt.Fprintf(w, "blocky_failed_downloads_total %d\nblocky_last_list_group_refresh_timestamp_seconds %d\n", b.failed, b.refreshed.Unix())
	fmt.Fprintf(w, "blocky_query_total{client=\"10.77.0.30\",type=\"A\"} 400\nblocky_error_total 2\nblocky_cache_hits_total 200\nblocky_cache_misses_total 100\nprocess_start_time_seconds %.2f\n", float64(b.began.UnixMilli())/1000)
}

func (b *blocky) query(w http.ResponseWriter, r *http.Request) {
	var in struct{ Query, Type string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&in); err != nil || in.Type == "" || in.Type != strings.ToUpper(in.Type) {
		http.Error(w, "unknown query type '"+in.Type+"'", http.StatusBadRequest)
		return
	}
	out := map[string]string{"reason": "RESOLVED (udp:10.77.0.1)", "response": "A (10.77.0.11)", "responseType": "RESOLVED", "returnCode": "NOERROR"}
	if strings.HasPrefix(in.Query, "ads.") && b.status()["enabled"] == true {
		out = map[string]string{"reason": "BLOCKED (ads)", "response": "A (0.0.0.0)", "responseType": "BLOCKED", "returnCode": "NOERROR"}
	}
	tell(w, out)
}
