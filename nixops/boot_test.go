package nixops

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLookTellsOfTheBootPartition: what the new system's kernel and initrd will take
// where the boot menu is, also where that is not /boot; nothing of what is there already.
func TestLookTellsOfTheBootPartition(t *testing.T) {
	for _, from := range userlands {
		for name, c := range map[string]struct{ menu, file string }{
			"systemd-boot": {"boot/loader/entries", "boot/EFI/nixos/%.efi"}, "the ESP at /efi": {"efi/loader/entries", "efi/EFI/nixos/%.efi"},
			"the ESP at /boot/efi": {"boot/efi/loader/entries", "boot/efi/EFI/nixos/%.efi"}, "GRUB that copies": {"boot/grub", "boot/kernels/%"}, "extlinux": {"boot/extlinux", "boot/nixos/%"},
		} {
			t.Run(from+", "+name, func(t *testing.T) {
				t.Parallel()
				s := newSandbox(t, from)
				s.must(os.MkdirAll(filepath.Join(s.root, c.menu), 0o755))
				give := func(g int, part, file string, size int) {
					s.write("root/nix/store/"+file, strings.Repeat("x", size))
					s.must(os.Symlink(s.root+"/nix/store/"+file, s.system(g)+"/"+part))
				}
				give(2, "kernel", "k2/bzImage", 10)
				give(2, "initrd", "i2/initrd", 10)
				give(1, "kernel", "k1/bzImage", 3000)
				give(1, "initrd", "i1/initrd", 5000)
				look := func(g int) Preflight {
					out, code := s.guard("look", s.system(g))
					if code != 0 || lastLine([]byte(out)) != "looked" {
						t.Fatalf("%d: %s", code, out)
					}
					return parseLook([]byte(out))
				}
				installed := func(name string) { s.write("root/"+strings.Replace(c.file, "%", name, 1), "") }
				if p := look(1); p.BootNeed != 0 {
					t.Errorf("nothing is copied there, and %d bytes are needed", p.BootNeed)
				}
				installed("k2-bzImage")
				installed("i2-initrd")
				if p := look(1); p.BootNeed != 8<<10 || p.Free["boot"] == 0 || p.Boot == "" {
					t.Errorf("%d bytes are needed, of %d in %q; want 8 KiB", p.BootNeed, p.Free["boot"], p.Boot)
				}
				installed("k1-bzImage")
				if p := look(1); p.BootNeed != 5<<10 {
					t.Errorf("another initrd alone: %d bytes are needed, want 5 KiB", p.BootNeed)
				}
				if p := look(2); p.BootNeed != 0 {
					t.Errorf("%d bytes are needed for what is there", p.BootNeed)
				}
			})
		}
	}
}
