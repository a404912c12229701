package check

import (
	"net/netip"
	"time"
)

// Renamed says that the name of a backend loses its address, for some director at least. From then
// on directors may drain the backend for that, and use it again, at any time.
type Renamed struct {
	At
	Backend netip.Addr
}

// renamed notes that a backend may be gone from its name, or back, from now on: as if somebody had
// ordered both, of whom nobody knows when it took place.
func (c *Checker) renamed(t time.Duration, backend netip.Addr) {
	b := c.table.backend(backend)
	if b.unnamed {
		return
	}
	b.unnamed = true
	for _, kind := range []OpKind{OpDrain, OpUndrain} {
		o := &operation{
			at: t, op: Op{Kind: kind, Backend: backend}, rough: true, away: true, standing: true,
			everywhere: forever, still: forever, ended: forever, done: true, doneAt: t,
		}
		c.operations = append(c.operations, o)
		c.table.order(t, o)
	}
}
