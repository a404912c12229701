package doctor

import (
	"fmt"
	"strings"

	"directormesh/cli/api"
)

// names finds names of backends that do not resolve, or that the directors cannot follow.
func (f *findings) names(names api.Names) {
	for _, n := range names.Names {
		for _, d := range n.Directors {
			if !d.Resolves {
				f.warning("name", d.Director, fmt.Sprintf("%s does not resolve: %s",
					n.Text(), d.Reason), "look at the name and at this host's name servers; "+
					"its backends stay as they are")
			}
		}
		for _, a := range n.Addresses {
			if a.State == api.NameConflict {
				f.problem("name_conflict", "", fmt.Sprintf("backend %s, which %s has, is also "+
					"under another name or tag, and is left alone", a.IP, n.Text()),
					"let each address be under one name of --mail-servers; see: director status -v")
			}
		}
	}
	for _, a := range names.Alarms {
		of := ""
		if a.Tag != "" {
			of = fmt.Sprintf(" of the tag %q", a.Tag)
		}
		f.problem("names_gone", "", fmt.Sprintf("%d backends%s are gone from their names, and %d "+
			"may be drained for that; no more are", a.Gone, of, a.Most), "correct the names, or "+
			"drain and remove those that are to go; see: director status -v")
	}
	if few := fewer(names); len(few) > 0 {
		f.warning("name_watched", "", "too few directors look up "+strings.Join(few, ", ")+
			" for it to be followed", "give all directors the same --mail-servers")
	}
}

// fewer are the names that half of the directors or fewer look up.
func fewer(names api.Names) (few []string) {
	for _, n := range names.Names {
		if 2*len(n.Directors) <= names.Count {
			few = append(few, n.Text())
		}
	}
	return few
}
