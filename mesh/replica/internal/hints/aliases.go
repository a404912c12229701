package hints

import (
	"slices"
	"time"

	"directormesh/mesh/mono"
)

const (
	// MaxAliases bounds how many names are remembered.
	MaxAliases = 8
	// AliasFor is how long after it was heard a name is shown.
	AliasFor = time.Minute
)

// alias is a name under which our own address was heard.
type alias struct {
	heardAt mono.Time // last
	member  bool      // memberlist holds it alive
}

// Aliases are the other names under which our address was heard. The zero value holds none.
type Aliases struct {
	byName map[string]*alias // MaxAliases at most
}

// Hear takes note of a name, if there is room, and reports whether it is new. Member says that
// memberlist holds it alive.
func (a *Aliases) Hear(now mono.Time, name string, member bool) (news bool) {
	known := a.byName[name]
	if known == nil {
		if len(a.byName) >= MaxAliases {
			return false
		}
		if a.byName == nil {
			a.byName = make(map[string]*alias)
		}
		known, news = &alias{}, true
		a.byName[name] = known
	}
	known.heardAt, known.member = now, member || known.member
	return news
}

// MemberFailed notes that memberlist no longer holds a name alive.
func (a *Aliases) MemberFailed(name string) {
	if known := a.byName[name]; known != nil {
		known.member = false
	}
}

// Shown are the names that were heard lately, or that memberlist holds alive, in order.
func (a *Aliases) Shown(now mono.Time) (names []string) {
	for name, known := range a.byName {
		if known.member || now.Sub(known.heardAt) <= AliasFor {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
