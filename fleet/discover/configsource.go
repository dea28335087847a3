package discover

import (
	"context"

	"github.com/sextant-fleet/sextant/fleet"
)

// configured is the [[host]] tables of the configuration. What they say goes
// before what any other source says.
type configured struct{ config *Config }

// Name is "config".
func (configured) Name() string { return SourceConfig }

// Slow is false.
func (configured) Slow() bool { return false }

// Watch tells the hosts once: the file is read when the program begins.
func (c configured) Watch(_ context.Context, emit func([]Sighting, error)) {
	emit(fromConfig(c.config), nil)
}

func fromConfig(c *Config) []Sighting {
	list := make([]Sighting, 0, len(c.Hosts))
	for _, h := range c.Hosts {
		s := Sighting{
			Source: SourceConfig, Name: clean(h.Name), User: h.User, Port: h.Port, Jump: h.Jump, Become: h.Become,
			Tags: tagNames(h.Tags), Flake: h.Flake, Checks: h.Checks, NeverBuild: h.Build == "never", Role: h.Role, Tier: h.Tier,
		}
		if h.Identity != "" {
			s.Identity = c.file(h.Identity)
		}
		for _, text := range h.Addresses {
			if a, err := parseAddress(text); err == nil {
				s.Addresses = append(s.Addresses, a)
			}
		}
		if len(s.Addresses) == 0 {
			// ssh_config or DNS may know the name; Merge leaves it out where a source told more.
			s.Addresses = []fleet.Address{{Via: fleet.ViaConfig, Host: s.Name}}
		}
		list = append(list, s)
	}
	return list
}
