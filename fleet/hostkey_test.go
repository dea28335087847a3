package fleet

import "testing"

// TestAgeRecipient: SSH keys become the recipients that ssh-to-age makes of them (its
// own examples), and nothing else becomes one.
func TestAgeRecipient(t *testing.T) {
	for key, want := range map[string]string{
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOHz+U0YtjINc54dZiJNclfmEFifF7RXCFlNlTbuZBji joerg@turingmachine": "age17044m9wgakla6pzftf4srtl3h5mcsr85jysgt5fg23zpnta8sfdqhzn452",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF/KPU3Z5LSjbBI6hrq25wCcseq2UpqSzUFZRr+ux6LM":                     "age1hjm3aujg9e79f5yth8a2cejzdjg5n9vnu96l05p70uvfpeltnpms7yy3pp",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIL2vjdqpppuCn7yPdF2muINriAG7zBWrsELKpPWkhn5":                     "age1v8zjc47jmlqwefyu66s0d4ke98qr4vnuj3cpvs4z9npfdw833dxqwjrhzv",
		"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIIL2vjdqpppuCn7yPdF2muINriAG7zBWrsELKpPWkhn5":                         "", // it says one thing and is another
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIL2vjdq":                                                         "",
		"ssh-ed25519 !!": "",
		"ssh-ed25519":    "",
		"":               "",
	} {
		if got := AgeRecipient(key); got != want {
			t.Errorf("%s: %q, not %q", key, got, want)
		}
	}
}

// TestSSHTag: a key is called in age files as age 1.1.1 called it there.
func TestSSHTag(t *testing.T) {
	for key, want := range map[string]string{
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIhHZ9o16SZjlCFPn7kRpdFSZ4TMjYwfuaON+yaY9bwi galactica": "j7af2g",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF7QI/qFB/gkg7CK0SCD+b41ZiXHLK2sodp7SLOEOCZ+ user":      "+stBgw",
		"rubbish": "",
	} {
		if got := SSHTag(key); got != want {
			t.Errorf("%s: %q, not %q", key, got, want)
		}
	}
}
