package lookups

import (
	"sync"

	"directormesh/directory"
	"directormesh/ring"
)

// maxReplaced bounds how many wait to be taken. What comes beyond is dropped: it only goes into
// the history.
const maxReplaced = 1 << 16

// Replaced is a dead mapping, and one of another backend that a login made in its place.
type Replaced struct {
	Tag          ring.Tag
	Was, Mapping directory.Mapping
}

// replacements collects them until they are taken. The zero value holds none.
type replacements struct {
	mu  sync.Mutex
	all []Replaced // guarded by mu; maxReplaced at most
}

func (r *replacements) add(n Replaced) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) < maxReplaced {
		r.all = append(r.all, n)
	}
}

// TakeReplaced returns what logins have replaced since the last call.
func (a *Answers) TakeReplaced() []Replaced {
	a.replaced.mu.Lock()
	defer a.replaced.mu.Unlock()
	all := a.replaced.all
	a.replaced.all = nil
	return all
}
