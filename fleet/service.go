package fleet

import (
	"cmp"
	"strings"
	"time"
)

// Health is how something is, as far as it was asked.
type Health string

// States of health.
const (
	HealthOK      Health = "ok"
	HealthBroken  Health = "broken"
	HealthUnknown Health = "unknown"
)

// Service is a service of a host that Sextant can ask how it is.
type Service struct {
	Kind      string `json:"kind"` // "authelia", "dex", "lldap", "redis", …
	Unit      string `json:"unit,omitempty"`
	Container string `json:"container,omitempty"` // the name of the container it runs in
	Address   string `json:"address,omitempty"`   // where it was asked
	Health    Health `json:"health"`
	Why       string `json:"why,omitempty"`  // why it is not ok, or how little that it is says
	Cure      string `json:"cure,omitempty"` // what a person can do about it
}

// serviceProblems are the services of the host that are not well.
func (s State) serviceProblems(now time.Time, b *bench) {
	if !s.Services.Usable(now) {
		return
	}
	for _, v := range s.Services.Value {
		sev := map[Health]Severity{HealthBroken: SeverityFail, HealthUnknown: SeverityUnknown}[v.Health]
		if sev == "" || v.Health == HealthUnknown && v.Address == "" {
			continue // where it cannot be asked from the host, that is so every day: it is told with the services
		}
		p := b.add(Object{Kind: KindService, Name: strings.TrimSuffix(v.Kind+"/"+cmp.Or(v.Unit, v.Container), "/")}, sev, time.Time{}, "%s: %s", v.Kind, v.Why)
		p.Cure = v.Cure
		if v.Unit != "" {
			p.Because = append(p.Because, Object{Kind: KindUnit, Name: v.Unit}.Key())
		}
		if v.Container != "" {
			p.Because = append(p.Because, Object{Kind: KindContainer, Name: v.Container}.Key())
		}
	}
}
