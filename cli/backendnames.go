package cli

import (
	"fmt"
	"strings"

	"directormesh/cli/api"
)

// printNames prints what the directors see of the names of backends, if they look any up.
func (inv *invocation) printNames(names api.Names) error {
	if len(names.Names) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(inv.Stdout); err != nil {
		return err
	}
	t := newTable(inv.Stdout, column{title: "name"}, column{title: "tag"}, column{title: "address"},
		column{title: "state"}, column{title: "seen by"})
	t.grows = true
	for _, n := range names.Names {
		if len(n.Addresses) == 0 {
			if err := t.row(n.Name, n.Tag, "-", "-", "-"); err != nil {
				return err
			}
		}
		for _, a := range n.Addresses {
			seen := "-"
			if len(a.SeenBy) > 0 {
				seen = strings.Join(a.SeenBy, " ")
			}
			state := strings.ReplaceAll(a.State, "_", " ")
			if err := t.row(n.Name, n.Tag, a.IP.String(), state, seen); err != nil {
				return err
			}
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	inv.remarkNames(names)
	return nil
}

// remarkNames says what keeps the directors from following names.
func (inv *invocation) remarkNames(names api.Names) {
	for _, n := range names.Names {
		for _, d := range n.Directors {
			if !d.Resolves {
				inv.remark("Warning: %s does not resolve at %s: %s; its backends stay as they are",
					n.Text(), d.Director, d.Reason)
			}
		}
	}
	for _, a := range names.Alarms {
		of := ""
		if a.Tag != "" {
			of = fmt.Sprintf(" of the tag %q", a.Tag)
		}
		inv.remark("Warning: %d backends%s are gone from their names, and %d may be drained for "+
			"that; no more are. Correct the names, or drain and remove those that are to go",
			a.Gone, of, a.Most)
	}
	if names.OutOfContact {
		inv.remark("Warning: this director is in contact with fewer than half of the directors, " +
			"and follows no names; ask another one, or see \"director ring status\"")
	}
}
