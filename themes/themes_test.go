package themes

import (
	"reflect"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestEverySkinTellsStatesApartWithoutColour(t *testing.T) {
	for _, s := range skins {
		if s.Name == "" || s.About == "" {
			t.Errorf("skin %+v has no name or no description", s.Name)
		}
		if sel := s.SGR(Selection); sel == "" || sel == s.SGR(Text) {
			t.Errorf("%s: a selected row looks like any other", s.Name)
		}
		if s.SGR(Fail) == s.SGR(OK) || s.SGR(Fail) == s.SGR(Warn) {
			t.Errorf("%s: fail looks like ok or warn", s.Name)
		}
	}
}

func TestNamed(t *testing.T) {
	if d, err := Named(""); err != nil || d.Name != Default {
		t.Fatalf("default: %v %v", d, err)
	}
	if _, err := Named("nope"); err == nil {
		t.Fatal("a theme that is not there was found")
	}
	if Names()[0] != Default || len(Names()) != len(skins) {
		t.Fatalf("names: %v", Names())
	}
}

func TestGlyphsAreOneCellWide(t *testing.T) {
	for _, set := range []Glyphs{Unicode, ASCII, Blocks} {
		v := reflect.ValueOf(set)
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if name == "Name" {
				continue
			}
			for _, g := range stringsOf(v.Field(i)) {
				if w := ansi.StringWidth(g); w != 1 {
					t.Errorf("%s %s: %q is %d cells wide", set.Name, name, g, w)
				}
				if set.Name == "ascii" && (len(g) != 1 || g[0] >= 0x7f) {
					t.Errorf("ascii %s: %q is not ASCII", name, g)
				}
			}
		}
	}
	if _, err := GlyphSet("runes"); err == nil {
		t.Fatal("a glyph set that is not there was found")
	}
}

func stringsOf(v reflect.Value) []string {
	switch v.Kind() {
	case reflect.String:
		return []string{v.String()}
	case reflect.Slice, reflect.Array:
		var all []string
		for i := range v.Len() {
			all = append(all, stringsOf(v.Index(i))...)
		}
		return all
	}
	return nil
}
