package network

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// rowsOf reads what a key is compared with.
func rowsOf(keys []string, op string, right any) ([][]value, bool) {
	var parts []any
	switch set, isSet := field(right, "set").([]any); {
	case isSet:
		parts = set
	case keys[0] == "tcp.flags":
		parts = []any{right}
	default:
		if list, is := right.([]any); is { // flags: any of them
			parts = list
		} else {
			parts = []any{right}
		}
	}
	if len(parts) > maxRows {
		return nil, false
	}
	var rows [][]value
	for _, part := range parts {
		row, ok := rowOf(keys, part)
		if !ok {
			return nil, false
		}
		rows = append(rows, row)
	}
	if strings.HasPrefix(op, "<") || strings.HasPrefix(op, ">") {
		return compared(op, rows)
	}
	return rows, true
}

// compared makes a range of a comparison with a number.
func compared(op string, rows [][]value) ([][]value, bool) {
	if len(rows) != 1 || len(rows[0]) != 1 || !rows[0][0].number {
		return nil, false
	}
	v, most := rows[0][0], ^uint64(0)
	switch {
	case op == "<=":
		v.lo = 0
	case op == ">=":
		v.hi = most
	case op == "<" && v.lo > 0:
		v.lo, v.hi = 0, v.lo-1
	case op == ">" && v.hi < most:
		v.lo, v.hi = v.hi+1, most
	default:
		return nil, false
	}
	return [][]value{{v}}, true
}

// rowOf reads one of the values that a key, or several together, are compared with.
func rowOf(keys []string, part any) ([]value, bool) {
	if e := asObject(field(part, "elem")); e != nil { // with a timeout or a comment
		part = e["val"]
	}
	list, several := field(part, "concat").([]any)
	if !several {
		list = []any{part}
	}
	if len(list) != len(keys) {
		return nil, false
	}
	var row []value
	for _, one := range list {
		v, ok := oneValue(one)
		if !ok {
			return nil, false
		}
		row = append(row, v[0])
	}
	return row, true
}

// oneValue reads a value.
func oneValue(v any) ([]value, bool) {
	switch v := v.(type) {
	case float64:
		if v < 0 || v >= 1<<63 {
			return nil, false
		}
		return []value{{lo: uint64(v), hi: uint64(v), number: true}}, true
	case bool:
		return []value{{word: fmt.Sprint(v)}}, true
	case string:
		if a, err := netip.ParseAddr(v); err == nil {
			return []value{{addr: span{a, a}}}, true
		}
		return []value{{word: v}}, v != "" && v[0] != '@'
	case []any: // flags
		return wordList(v)
	}
	if list, is := field(v, "|").([]any); is {
		return wordList(list)
	}
	if p := asObject(field(v, "prefix")); p != nil {
		a, err := netip.ParseAddr(str(p["addr"]))
		n, isNumber := p["len"].(float64)
		if err != nil || !isNumber || n < 0 || int(n) > a.BitLen() {
			return nil, false
		}
		return []value{{addr: spanOf(netip.PrefixFrom(a, int(n)))}}, true
	}
	if r, is := field(v, "range").([]any); is && len(r) == 2 {
		lo, okLo := oneValue(r[0])
		hi, okHi := oneValue(r[1])
		if !okLo || !okHi || lo[0].number != hi[0].number || lo[0].word != "" || hi[0].word != "" {
			return nil, false
		}
		return []value{{lo: lo[0].lo, hi: hi[0].hi, number: lo[0].number, addr: span{lo[0].addr.lo, hi[0].addr.hi}}}, true
	}
	return nil, false
}

// wordList makes one value of several flags.
func wordList(list []any) ([]value, bool) {
	var words []string
	for _, v := range list {
		w, ok := v.(string)
		if !ok {
			return nil, false
		}
		words = append(words, w)
	}
	return []value{{word: strings.Join(words, ",")}}, len(words) > 0
}

// readSet reads what "nft -j list set" says is in a set. One of which not all was
// told stays unknown.
func (s *ruleset) readSet(name chainName, text []byte) {
	var all struct {
		Items []struct {
			Set *struct {
				Family, Table, Name string
				Type                any
				Elem                []any
			} `json:"set"`
		} `json:"nftables"`
	}
	if json.Unmarshal(text, &all) != nil {
		s.missed("what is in set " + name.name)
		return
	}
	for _, item := range all.Items {
		if item.Set == nil || item.Set.Name != name.name || len(item.Set.Elem) > maxRows {
			continue
		}
		parts, _ := item.Set.Type.([]any)
		keys := make([]string, max(1, len(parts)))
		rows := [][]value{}
		for _, e := range item.Set.Elem {
			row, ok := rowOf(keys, e)
			if !ok {
				s.missed("what is in set " + name.name)
				return
			}
			rows = append(rows, row)
		}
		s.sets[name] = rows
	}
}

// asObject gives an object; nil where it is none.
func asObject(v any) object { o, _ := v.(object); return o }

// field gives a field of an object; nil where there is none.
func field(v any, name string) any { return asObject(v)[name] }

func str(v any) string { s, _ := v.(string); return fleet.Clean(s) }

// show writes a value as nft does.
func show(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return fmt.Sprint(v)
	case bool:
		return map[bool]string{true: "exists", false: "missing"}[v]
	case []any:
		return showAll(v, ",")
	}
	o := asObject(v)
	for _, name := range slices.Sorted(maps.Keys(o)) {
		list, _ := o[name].([]any)
		switch name {
		case "set":
			return "{ " + showAll(list, ", ") + " }"
		case "concat":
			return showAll(list, " . ")
		case "range":
			return showAll(list, "-")
		case "prefix":
			return str(field(o[name], "addr")) + "/" + fmt.Sprint(field(o[name], "len"))
		}
	}
	return "?"
}

// showAll writes the first of several.
func showAll(list []any, between string) string {
	var words []string
	for _, v := range list[:min(len(list), 12)] {
		if _, nested := v.([]any); nested {
			return "?"
		}
		words = append(words, show(v))
	}
	if len(list) > 12 {
		words = append(words, "…")
	}
	return strings.Join(words, between)
}
