package hostscreen

import (
	"cmp"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// hostSecrets is the list of the secrets that a host decrypts, or several do. Their
// values are not known here.
func hostSecrets(several bool) *tableTab {
	list := func(st fleet.State) fleet.Fact[[]fleet.HostSecret] {
		return fleet.Derive(st.Secrets, func(h fleet.HostSecrets) []fleet.HostSecret { return h.Secrets })
	}
	t := &tableTab{
		several: several, group: "served",
		columns: []widget.Column{
			{Title: "host", Width: 7, Max: 16},
			{Title: "secret", Width: 14, Max: 40},
			{Title: "state", Width: 9},
			{Title: "used by", Width: 14, Max: 50},
			{Title: "changed", Width: 7, Drop: 3},
			{Title: "owner", Width: 9, Max: 20, Drop: 4},
			{Title: "mode", Width: 4, Drop: 5},
			{Title: "by", Width: 8, Drop: 6},
		},
		rows: func(_ *screen.Context, st fleet.State) []row {
			var rows []row
			for i, v := range st.Secrets.Value.Secrets {
				r := row{id: v.System + " " + v.Name + " " + v.Path, name: v.Name, more: st.SecretWord(v) + " " + v.System + " " + strings.Join(v.UsedBy, " "), at: i}
				if several {
					r.more += " " + st.Host.Name
				}
				rows = append(rows, r)
			}
			return rows
		},
		cells: func(c *screen.Context, st fleet.State, at int) []widget.Line {
			v := st.Secrets.Value.Secrets[at]
			cells := []widget.Line{
				widget.L(themes.Dim, st.Host.Name), widget.T(v.Name), secretState(st.SecretWord(v)), secretUsers(st, v),
				widget.L(themes.Dim, words.Ago(v.Changed, c.Now)), widget.L(themes.Dim, secretOwner(v)), widget.L(themes.Dim, v.Mode), widget.L(themes.Dim, v.System),
			}
			if !several {
				cells = cells[1:]
			}
			return cells
		},
		lines: func(_ *screen.Context, st fleet.State, at int) [2]widget.Line {
			v := st.Secrets.Value.Secrets[at]
			first := widget.T(v.Name + "  ").Join(secretState(st.SecretWord(v)))
			if several {
				first = first.And(themes.Dim, "  "+st.Host.Name)
			}
			return [2]widget.Line{first, widget.T("  ").Join(secretUsers(st, v))}
		},
		detail: hostSecret,
		missing: func(c *screen.Context, st fleet.State) []widget.Line {
			return none(c, st, list(st), "no secret")
		},
		age: func(c *screen.Context, st fleet.State) widget.Line { return outdated(c, st, st.Secrets) },
		aim: func(st fleet.State, at int, t *fleet.Target) {
			t.Unit = st.UnitOfSecret(st.Secrets.Value.Secrets[at].Name)
		},
		log: func(st fleet.State, at int) (fleet.LogSource, string) {
			return unitLog(st.UnitOfSecret(st.Secrets.Value.Secrets[at].Name))
		},
	}
	if !several {
		t.columns = t.columns[1:]
	}
	return t
}

// secretState is a secret's word in its colour.
func secretState(word string) widget.Line {
	switch word {
	case "ok":
		return widget.L(themes.OK, word)
	case "missing", "cannot":
		return widget.L(themes.Fail, word)
	case "older", "gone", "nobody", "rule":
		return widget.L(themes.Warn, word)
	case "left over":
		return widget.L(themes.Dim, word)
	}
	return widget.L(themes.Unknown, word)
}

// secretUsers are the units of a secret; those that run with an older one stand out.
func secretUsers(st fleet.State, v fleet.HostSecret) widget.Line {
	if older := st.Older(v); len(older) > 0 {
		return widget.L(themes.Warn, strings.Join(older, " "))
	}
	return widget.L(themes.Dim, cmp.Or(strings.Join(v.UsedBy, " "), "-"))
}

func secretOwner(v fleet.HostSecret) string { return strings.Trim(v.Owner+":"+v.Group, ":") }

// hostSecret is all that is known of one.
func hostSecret(c *screen.Context, st fleet.State, at, w int) widget.Doc {
	v, h := st.Secrets.Value.Secrets[at], st.Secrets.Value
	d := widget.Doc{}.Field(w, label, "secret", widget.L(themes.Title, v.Name).And(themes.Dim, "  by "+v.System))
	d = d.Field(w, label, "state", secretState(st.SecretWord(v)))
	if v.Why != "" {
		d = d.Field(w, label, "why", widget.T(v.Why))
	}
	older := st.Older(v)
	if len(older) > 0 {
		d = d.Field(w, label, "older", widget.L(themes.Warn, strings.Join(older, " ")+": started before it changed"))
		d = d.Field(w, label, "cure", widget.T("sextant unit restart "+st.Host.Name+" "+strings.Join(older, " ")))
	}
	d = d.Field(w, label, "path", widget.T(v.Path))
	if v.Owner != "" {
		d = d.Field(w, label, "owner", widget.T(secretOwner(v)+"  "+v.Mode))
	}
	d = d.Field(w, label, "file", orUnknown(v.File))
	if v.Key != "" {
		d = d.Field(w, label, "key", widget.T(v.Key))
	}
	changed := "not as far as its generations tell"
	if !v.Changed.IsZero() {
		changed = words.When(v.Changed, c.Now)
	}
	d = d.Field(w, label, "changed", widget.T(changed))
	d = d.Field(w, label, "used by", widget.T(cmp.Or(strings.Join(v.UsedBy, " "), "no unit names its path")))
	if len(v.Restarts) > 0 {
		d = d.Field(w, label, "restarts", widget.T(strings.Join(v.Restarts, " ")))
	}
	if !h.Installed.IsZero() {
		d = d.Field(w, label, "decrypted", widget.T(words.When(h.Installed, c.Now)))
	}
	return d.Field(w, label, "source", widget.L(themes.Dim, st.Secrets.Source+", "+words.AgoLong(st.Secrets.At, c.Now)))
}
