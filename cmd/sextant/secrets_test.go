package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
)

// TestSecretsOfTheDemo: in the simulated fleet the script is sent over real SSH, and
// the files are real ones: each way in which a secret is not well is told, in the
// table, in JSON and in the list of problems.
func TestSecretsOfTheDemo(t *testing.T) {
	o := options{json: true, timeout: 30 * time.Second}
	err := withDemo(t.Context(), o, &discover.Config{}, 0, func(a *app) error {
		if err := a.find(t.Context(), false); err != nil {
			return err
		}
		a.ask(t.Context(), a.store.Snapshot().Hosts, only("secrets"))
		f, _ := a.sealed(t.Context())
		a.store.SetSealed(f)
		snap := a.store.Snapshot()
		var out bytes.Buffer
		if err := printSecrets(&out, o, snap, snap.Hosts, false); !errors.Is(err, exitCode(exitProblem)) {
			t.Errorf("%v", err)
		}
		var got secretsOut
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		states := map[string]string{}
		for _, f := range got.Files {
			states[f.Path] = f.State + " " + strings.Join(f.Hosts(), ",")
		}
		for path, want := range map[string]string{
			"secrets/storage.yaml": "ok storage", "secrets/cloud.yaml": "gone cloud", "secrets/shared.yaml": "rule storage,cloud",
			"secrets/vault/openbao-unseal.age": "ok vault", "secrets/vault/step-ca-password.age": "cannot cottage",
		} {
			if states[path] != want {
				t.Errorf("%s: %s, not %s", path, states[path], want)
			}
		}
		if len(got.Files) != 5 {
			t.Errorf("a file of a host is taken for another than the flake's: %v", states)
		}
		out.Reset()
		if err := printSecrets(&out, options{}, snap, snap.Hosts, false); !errors.Is(err, exitCode(exitProblem)) {
			t.Errorf("%v", err)
		}
		for _, want := range []string{"attic can read it and is no host of the fleet", "podman-immich-server.service started before it changed", "no identity matched", "sops updatekeys secrets/shared.yaml"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, &out)
			}
		}
		var keys []string
		var gather func([]fleet.Finding)
		gather = func(list []fleet.Finding) {
			for _, f := range list {
				keys = append(keys, f.FullKey())
				gather(f.Folded)
			}
		}
		gather(snap.Findings(time.Now()))
		for _, want := range []string{"demo-vault secret:step-ca-password", "demo-vault sealed:cannot", " sealed:reader attic", " sealed:rules", "demo-storage secret:immich-env"} {
			if !slices.Contains(keys, want) {
				t.Errorf("no %q in %q", want, keys)
			}
		}
		var one bytes.Buffer
		vault := slices.DeleteFunc(slices.Clone(snap.Hosts), func(s fleet.State) bool { return s.Host.Name != "vault" })
		_ = printSecrets(&one, options{}, snap, vault, true)
		if text := one.String(); strings.Contains(text, "cloud.yaml") || !strings.Contains(text, "openbao-unseal") {
			t.Errorf("of one host more is told, or less:\n%s", text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
