package directory

import (
	"fmt"
	"net/netip"

	"directormesh/ring"
)

// SetFactors gives backends other factors, in percent. Those that are not in the table, or have
// the factor, are left out.
func (t *Table) SetFactors(
	stamp Stamp, origin string, factors map[netip.Addr]int,
) (Change, error) {
	c := t.change()
	for _, b := range t.Backends() {
		percent, ok := factors[b.Addr]
		if !ok || Factor(percent).Percent() == Factor(b.Factor).Percent() {
			continue
		}
		if percent < ring.MinFactor || percent > ring.MaxFactor {
			return Change{}, fmt.Errorf("%w of %s: %d is not in %d..%d %%", ErrFactor,
				ring.AddrText(b.Addr), percent, ring.MinFactor, ring.MaxFactor)
		}
		c.Backends = append(c.Backends, BackendRow{
			Addr:   b.Addr,
			Factor: Register[Factor]{Value: Factor(percent), Stamp: stamp, Origin: origin},
		})
	}
	return c, nil
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
