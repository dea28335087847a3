package main

import (
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/nixops"
)

// TestDeployFlags: what cannot be meant is refused before a host is asked.
func TestDeployFlags(t *testing.T) {
	a := newApp(options{}, &discover.Config{})
	host := func(name string) fleet.State { return fleet.State{Host: fleet.Host{Name: name}} }
	here := host("here")
	here.Host.Local = true
	for _, c := range []struct {
		name   string
		f      deployFlags
		states []fleet.State
		want   string // of the error; "": it is none
	}{
		{"nothing", deployFlags{}, []fleet.State{host("a"), host("b")}, ""},
		{"a store path for two", deployFlags{store: "/nix/store/x"}, []fleet.State{host("a"), host("b")}, "--store-path is for one host, not for 2"},
		{"an attribute for two", deployFlags{attr: "x"}, []fleet.State{host("a"), host("b")}, "--attribute is for one host, not for 2"},
		{"an attribute of a store path", deployFlags{attr: "x", store: "/nix/store/x"}, []fleet.State{host("a")}, "name one of them"},
		{"an attribute", deployFlags{attr: "x"}, []fleet.State{host("a")}, ""},
		{"another end", deployFlags{failure: "panic"}, []fleet.State{host("a")}, "--on-failure panic: keep or roll-back"},
		{"a restart of what runs", deployFlags{restart: true}, []fleet.State{host("a")}, "--action boot"},
		{"a restart", deployFlags{restart: true, action: "boot"}, []fleet.State{host("a")}, ""},
		{"a restart of this machine", deployFlags{restart: true, action: "boot"}, []fleet.State{host("a"), here}, "this machine is not restarted"},
		{"a wave of none", deployFlags{waves: []int{1, 0}}, []fleet.State{host("a")}, "a wave has one host or more"},
		{"another action", deployFlags{action: "swich"}, []fleet.State{host("a")}, "--action swich"},
	} {
		if c.f.action == "" {
			c.f.action = "switch"
		}
		if c.f.failure == "" {
			c.f.failure = "keep"
		}
		o, err := a.order(c.f, c.states)
		switch {
		case (err != nil) != (c.want != ""), err != nil && !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		case err == nil && (o.Attribute != c.f.attr || o.Restart != c.f.restart || o.OnFailure != nixops.Failing(c.f.failure)):
			t.Errorf("%s: %+v", c.name, o)
		}
	}
}

// TestDeployerOfTheConfiguration: [deploy] is what a deployer goes by, and flags
// count for more.
func TestDeployerOfTheConfiguration(t *testing.T) {
	cfg, err := discover.ParseConfig("c.toml", []byte("[deploy]\nbuild_here = false\nmay_reboot = true\nconnect = \"3s\"\nkeep_alive = \"4s\"\nlost_after = \"9s\"\npreflight = \"11s\"\ncopy_stall = \"12s\"\n"+
		"activation = \"13s\"\nconfirm = \"14s\"\ncheck = \"15s\"\ncommit = \"16s\"\nroll_back = \"17s\"\nreboot = \"18s\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(options{}, cfg)
	d := a.deployer()
	want := nixops.Limits{Preflight: 11e9, CopyStall: 12e9, Activation: 13e9, Confirm: 14e9, Check: 15e9, Commit: 16e9, RollBack: 17e9, Reboot: 18e9}
	if d.Limits != want || !d.NeverHere || !d.MayReboot || a.links.DialLimit != 3e9 || a.links.KeepAlive != 4e9 || a.links.LostAfter != 9e9 {
		t.Errorf("%+v, %+v, %s, %s, %s", d.Limits, d, a.links.DialLimit, a.links.KeepAlive, a.links.LostAfter)
	}
	f := changeFlags{confirm: "auto", window: 99e9}
	if _, err := f.confirmation(d); err != nil || d.Limits.Confirm != 99e9 || d.Limits.Activation != 13e9 {
		t.Errorf("%v, %+v", err, d.Limits)
	}
}
