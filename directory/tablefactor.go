package directory

import (
	"fmt"
	"net/netip"

	"directormesh/ring"
)

// SetFactors gives backends other factors, in percent, within the bounds. Those that are not in the
// table, or have the factor, are left out.
func (t *Table) SetFactors(stamp Stamp, origin string, factors map[netip.Addr]int) Change {
	c := t.change()
	for _, b := range t.Backends() {
		percent, ok := factors[b.Addr]
		percent = min(max(percent, ring.MinFactor), ring.MaxFactor)
		if !ok || percent == Factor(b.Factor).Percent() {
			continue
		}
		c.Backends = append(c.Backends, BackendRow{
			Addr:   b.Addr,
			Factor: Register[Factor]{Value: Factor(percent), Stamp: stamp, Origin: origin},
		})
	}
	return c
}

// ResetFactors takes the factors of a tag, or of all (nil), away: the vhost counts are the weights
// again. It is written of each backend, so that it wins over what another part of the mesh wrote.
func (t *Table) ResetFactors(stamp Stamp, origin string, tag *ring.Tag) (Change, error) {
	c := t.change()
	for _, b := range t.Backends() {
		if tag != nil && b.Tag != *tag {
			continue
		}
		c.Backends = append(c.Backends, BackendRow{
			Addr: b.Addr, Factor: Register[Factor]{Stamp: stamp, Origin: origin},
		})
	}
	if tag != nil && len(c.Backends) == 0 {
		return Change{}, fmt.Errorf("%w: no backend has the tag %q", ErrUnknownBackend, *tag)
	}
	return c, nil
}
