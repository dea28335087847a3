package screen

import (
	"slices"
	"testing"
)

func TestTheSpecialComesFirst(t *testing.T) {
	k := NewKeymap([]Binding{
		{ID: "global", Keys: []string{"r", "x"}, In: []string{"global"}}, {ID: "list", Keys: []string{"r"}, In: []string{"list"}}, {ID: "logs", Keys: []string{"r"}, In: []string{"logs"}},
	}, nil)
	for _, c := range []struct {
		scopes []string
		want   string
	}{{[]string{"logs"}, "logs"}, {[]string{"fleet", "list"}, "list"}, {nil, "global"}} {
		if b, _ := k.Find("r", c.scopes); b.ID != c.want {
			t.Errorf("r in %v: %s", c.scopes, b.ID)
		}
	}
	var ids []string
	for _, b := range k.In([]string{"logs"}) {
		ids = append(ids, b.ID)
	}
	if !slices.Equal(ids, []string{"global", "logs"}) { // global still has x
		t.Errorf("%v", ids)
	}
}

func TestKeysThatAreBoundAnewAreTaken(t *testing.T) {
	list := []Binding{
		{ID: "a", Keys: []string{"a"}, In: []string{"fleet"}}, {ID: "b", Keys: []string{"b", "c"}, In: []string{"fleet"}}, {ID: "logs", Keys: []string{"b"}, In: []string{"logs"}},
	}
	k := NewKeymap(list, map[string][]string{"a": {"b"}, "no such": {"c"}})
	if b, _ := k.Find("b", []string{"fleet"}); b.ID != "a" {
		t.Errorf("b is %s", b.ID)
	}
	if b, _ := k.Find("c", []string{"fleet"}); b.ID != "b" {
		t.Errorf("c is %s", b.ID)
	}
	if b, _ := k.Find("b", []string{"logs"}); b.ID != "logs" {
		t.Errorf("b in logs is %s", b.ID)
	}
	if list[1].Keys[0] != "b" {
		t.Error("the declaration was changed")
	}
}
