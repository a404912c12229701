package directory

import "directormesh/ring"

// SetStandby adds to a change that adds a backend that the backend is a standby, or is none.
func (c Change) SetStandby(stamp Stamp, origin string, standby bool) Change {
	for i := range c.Backends {
		c.Backends[i].Standby = Register[bool]{Value: standby, Stamp: stamp, Origin: origin}
	}
	return c
}

// configuredStandby is the register of a configured backend: unset unless it is a standby, as in
// the releases before.
func configuredStandby(b ring.Backend, origin string) (r Register[bool]) {
	if b.Standby {
		r = Register[bool]{Value: true, Origin: origin}
	}
	return r
}

// rest marks the standbys of a list, which has all backends that are present, that are off the
// ring: those of tags where another backend takes users. It depends on nothing but the table, so
// all directors with the same table do alike.
func (t *Table) rest(list []ring.Backend) {
	served := make(map[ring.Tag]bool)
	for _, b := range list {
		if !b.Standby && b.Usable() {
			served[b.Tag] = true
		}
	}
	for i := range list {
		list[i].Idle = list[i].Standby && served[list[i].Tag]
	}
}
