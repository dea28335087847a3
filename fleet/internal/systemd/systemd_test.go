package systemd

import (
	"strings"
	"testing"
	"time"
)

func TestStamps(t *testing.T) {
	at := time.Date(2026, 11, 22, 19, 28, 48, 0, time.UTC)
	for v, want := range map[string]time.Time{
		"@1795375728": at, "Sun 2026-11-22 19:28:48 UTC": at,
		"": {}, "@0": {}, "@": {}, "@-1": {}, "n/a": {}, "2026-11-22": {},
	} {
		if got := Stamp(v); !got.Equal(want) || got.IsZero() != want.IsZero() {
			t.Errorf("%q is %v, want %v", v, got, want)
		}
	}
}

func TestPropertiesAreClean(t *testing.T) {
	p := Properties("Id=a.service\nDescription=x=\x1b[2Jy\nno property\n")
	if len(p) != 2 || p["Id"] != "a.service" || !strings.HasPrefix(p["Description"], "x=") || strings.ContainsRune(p["Description"], 0x1b) {
		t.Errorf("%q", p)
	}
}
