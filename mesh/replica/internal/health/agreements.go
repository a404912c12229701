package health

import (
	"net/netip"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// Agreement is what most observers of a backend see.
type Agreement struct {
	Sight wire.Sight // Unseen: nobody observes it, or as many see it good as failing
	Since mono.Time  // when this director first had it so
}

// Agreements is what most observers of each backend see. The zero value is ready to use.
type Agreements struct {
	of map[netip.Addr]Agreement
}

// Get returns what most observers of a backend see.
func (a *Agreements) Get(backend netip.Addr) Agreement { return a.of[backend] }

// Count counts again what the observers of a backend see. see returns what one of them sees, Unseen
// if it does not count. A tie leaves open what is so, and begins the time of what follows anew.
func (a *Agreements) Count(
	now mono.Time, backend netip.Addr, observers []string, see func(director string) wire.Sight,
) {
	good, failing := 0, 0
	for _, director := range observers {
		switch see(director) {
		case wire.Good:
			good++
		case wire.Failing:
			failing++
		}
	}
	sight := wire.Unseen
	switch {
	case good > failing:
		sight = wire.Good
	case failing > good:
		sight = wire.Failing
	}
	if a.of[backend].Sight == sight {
		return
	}
	if a.of == nil {
		a.of = make(map[netip.Addr]Agreement)
	}
	a.of[backend] = Agreement{Sight: sight, Since: now}
}

// Keep forgets the backends for which keep is false.
func (a *Agreements) Keep(keep func(backend netip.Addr) bool) {
	for backend := range a.of {
		if !keep(backend) {
			delete(a.of, backend)
		}
	}
}
