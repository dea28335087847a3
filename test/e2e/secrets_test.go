//go:build lab

package e2e

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/secrets"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// secretsOut is what `secrets --json` tells.
type secretsOut struct {
	Files []struct {
		Path, State string
		Readers     []struct{ Who, Host, Name string }
	}
	Hosts []struct {
		Host, Error string
		Secrets     []struct {
			Name, State, Why, Owner, Mode string
			UsedBy, Older                 []string
		}
	}
}

// secretSetup makes of storage a host with agenix: age files for its own key and one
// for a host that is gone, two generations of which the second brings another
// app.age, an activation that really decrypts, and units that use it, one of them in
// its script. $1 are folders for it, $2 what is to be secret.
const secretSetup = `set -eu
d=$1 value=$2 gen=$3
top=$(cat $d/top 2>/dev/null || readlink -f /run/current-system); mkdir -p $d; echo "$top" >$d/top
add() { nix-store --add "$1" | tee -a $d/added; }
[ -e $d/attic ] || ssh-keygen -q -t ed25519 -N '' -C root@attic -f $d/attic
printf 'TOKEN=%s' "$value" >$d/plain
age -R /etc/ssh/ssh_host_ed25519_key.pub -o $d/app.age $d/plain
age -R $d/attic.pub -o $d/lost.age $d/plain
rm -f $d/plain
app=$(add $d/app.age) lost=$(add $d/lost.age)
rm -f $d/app.age $d/lost.age
{
  echo '_agenix_generation=$(( $(basename "$(readlink /run/agenix || echo 0)") + 1 ))'
  echo 'mkdir -p "/run/agenix.d/$_agenix_generation"; chmod 0751 /run/agenix.d "/run/agenix.d/$_agenix_generation"'
  for pair in "app $app" "lost $lost"; do
    echo "_truePath=\"/run/agenix.d/\$_agenix_generation/${pair% *}\""
    echo "echo \"decrypting '${pair#* }' to '\$_truePath'...\""
    echo "(umask u=r,g=,o=; age --decrypt -i /etc/ssh/ssh_host_ed25519_key -o \"\$_truePath.tmp\" \"${pair#* }\") && chmod 0400 \"\$_truePath.tmp\" && mv -f \"\$_truePath.tmp\" \"\$_truePath\""
  done
  echo 'ln -sfn "/run/agenix.d/$_agenix_generation" /run/agenix'
} >$d/agenix.sh
rm -rf $d/system; cp -a "$top" $d/system; chmod -R u+w $d/system
cat $d/agenix.sh >>$d/system/activate
sys=$(add $d/system)
ln -sfn "$sys" /nix/var/nix/profiles/system-$gen-link
ln -sfn "$sys" /run/current-system
systemd-cat -t stage-2-init sh $d/agenix.sh || :
if [ ! -e /etc/systemd/system/lab-secret.service ]; then
  mkdir -p $d/unit-script-lab-start/bin
  printf '#!/bin/sh\ntest -r /run/agenix/app\nexec sleep infinity\n' >$d/unit-script-lab-start/bin/lab-start
  chmod +x $d/unit-script-lab-start/bin/lab-start
  script=$(add $d/unit-script-lab-start)
  printf '[Service]\nEnvironmentFile=/run/agenix/app\nExecStart=/bin/sleep infinity\n' >/etc/systemd/system/lab-secret.service
  printf '[Service]\nExecStart=%s/bin/lab-start\n' "$script" >/etc/systemd/system/lab-script.service
  systemctl daemon-reload
  systemctl start lab-secret lab-script
fi
`

// secretEnd takes all of it away.
const secretEnd = `d=$1
systemctl stop lab-secret lab-script
rm -f /etc/systemd/system/lab-secret.service /etc/systemd/system/lab-script.service /nix/var/nix/profiles/system-90[12]-link
systemctl daemon-reload
ln -sfn "$(cat $d/top)" /run/current-system
rm -rf /run/agenix /run/agenix.d
sort -u $d/added | xargs nix-store --delete >/dev/null 2>&1
rm -rf $d
`

// heard is a link that keeps what comes over it.
type heard struct {
	link.Link
	all bytes.Buffer
}

// Run implements link.Link.
func (h *heard) Run(ctx context.Context, cmd link.Command) (link.Result, error) {
	res, err := h.Link.Run(ctx, cmd)
	h.all.Write(res.Stdout)
	h.all.Write(res.Stderr)
	return res, err
}

// sealFor encrypts with age for public SSH keys.
func sealFor(t *testing.T, file, value string, keys ...string) {
	t.Helper()
	var to []age.Recipient
	for _, k := range keys {
		r, err := agessh.ParseRecipient(k)
		if err != nil {
			t.Fatal(err)
		}
		to = append(to, r)
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := age.Encrypt(f, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(w, value); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSecrets: with real age files and the hosts' own keys it is told which host can
// read what, which secret was not decrypted and why, and which units run with an
// older one; restarting them mends it; and no value comes out anywhere.
func TestSecrets(t *testing.T) {
	lab := labtest.Load(t)
	l := lab.Link(t, "storage")
	values := []string{rand.Text(), rand.Text(), rand.Text()}
	const dir = "/var/lib/lab/secrets"
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := l.Run(ctx, link.Command{Args: []string{"sh", "-c", secretEnd, "end", dir}, IfRoot: true}); err != nil {
			t.Error(err)
		}
	})
	labtest.Output(t, l, "sh", "-c", secretSetup, "setup", dir, values[0], "901")
	labtest.Output(t, l, "sleep", "2") // times are told by the second
	labtest.Output(t, l, "sh", "-c", secretSetup, "setup", dir, values[1], "902")

	key := func(host string) string {
		return strings.TrimSpace(labtest.Output(t, lab.Link(t, host), "cat", "/etc/ssh/ssh_host_ed25519_key.pub"))
	}
	storage, cloud := key("storage"), key("cloud")
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wire, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	attic := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(wire)))
	flake := t.TempDir()
	for name, to := range map[string][]string{"app": {storage, cloud}, "lost": {attic}, "left": {storage, attic}, "few": {storage}} {
		sealFor(t, filepath.Join(flake, name+".age"), values[2], to...)
	}
	rules := fmt.Sprintf(`let storage = %q; cloud = %q; attic = %q; systems = [ storage cloud attic ]; in {
  "app.age".publicKeys = [ storage cloud ];
  "lost.age".publicKeys = [ attic ];
  "left.age".publicKeys = [ storage attic ];
  "few.age".publicKeys = [ storage cloud ];
}`, storage, cloud, attic)
	cfg := filepath.Join(t.TempDir(), "config.toml")
	for file, text := range map[string]string{filepath.Join(flake, "secrets.nix"): rules, filepath.Join(flake, "flake.nix"): "{ outputs = _: { }; }", cfg: fmt.Sprintf("flake = %q\n", flake)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	state, said := t.TempDir(), ""
	ask := func() (secretsOut, int) {
		if out, errs, code := sextantIn(t, state, "secrets", "cloud", "--config", cfg); code > 3 {
			t.Fatalf("%d: %s %s", code, out, errs)
		}
		out, errs, code := sextantIn(t, state, "secrets", "storage", "--config", cfg, "--json")
		said += out + errs
		if got := decode[secretsOut](t, out); len(got.Hosts) == 1 && got.Hosts[0].Error == "" {
			return got, code
		}
		t.Fatalf("%d: %s %s", code, out, errs)
		return secretsOut{}, 0
	}
	got, code := ask()
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	states := map[string]string{}
	for _, v := range got.Hosts[0].Secrets {
		states[v.Name] = v.State
		switch v.Name {
		case "app":
			if want := []string{"lab-script.service", "lab-secret.service"}; !slices.Equal(v.UsedBy, want) || !slices.Equal(v.Older, want) || v.Owner != "root" || v.Mode != "400" {
				t.Errorf("%+v", v)
			}
		case "lost":
			if !strings.Contains(v.Why, "no identity matched") {
				t.Errorf("%+v", v)
			}
		}
	}
	if states["app"] != "older" || states["lost"] != "missing" {
		t.Errorf("%v", states)
	}
	files := map[string]string{}
	for _, f := range got.Files {
		files[f.Path] = f.State
	}
	if files["app.age"] != "ok" || files["lost.age"] != "cannot" || files["left.age"] != "gone" || files["few.age"] != "rule" {
		t.Errorf("%+v", got.Files)
	}
	out, errs, _ := sextantIn(t, state, "status", "storage", "--deep", "--json")
	said += out + errs
	if !strings.Contains(out, `"secret:app"`) || !strings.Contains(out, `"secret:lost"`) {
		t.Errorf("status does not tell of them: %s", out)
	}
	for _, unit := range []string{"lab-secret.service", "lab-script.service"} {
		if _, errs, code := sextantIn(t, state, "unit", "restart", "storage", unit, "--yes"); code != 0 {
			t.Fatalf("%d: %s", code, errs)
		}
	}
	got, _ = ask()
	for _, v := range got.Hosts[0].Secrets {
		if v.Name == "app" && v.State != "ok" {
			t.Errorf("restarting the units does not mend it: %+v", v)
		}
	}
	h := &heard{Link: l}
	if f := secrets.Host(t.Context(), h); !f.Current() || len(f.Value.Secrets) != 2 {
		t.Errorf("%+v", f)
	}
	said += h.all.String() + remembered(t, state)
	for _, v := range values {
		if strings.Contains(said, v) {
			t.Errorf("the value %s came out", v)
		}
	}
}

// remembered is all that stands in a folder of history.
func remembered(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		b.Write(text)
		return err
	})
	if err != nil || b.Len() == 0 {
		t.Fatalf("%d bytes are remembered: %v", b.Len(), err)
	}
	return b.String()
}
