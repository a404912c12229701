// Package wiretest has sample messages for the tests of packages that handle
// messages of package wire.
package wiretest

import "directormesh/mesh/wire"

// Samples returns one message of every kind, in the order of the kinds. No field of them is zero
// where another value is possible: what was added after version 1 is set here. The messages are the
// caller's.
func Samples() []wire.Message {
	all := V1()
	for _, m := range all {
		if m, ok := m.(*wire.Beat); ok {
			m.Loading, m.Keeps, m.Kept = true, true, 69_990
		}
	}
	return append(all, &wire.Mark{
		MeshTime: now.Micros() + 123, Wall: now.Micros() + 456_789, Whole: now - 250, Mesh: blue,
		Live: []wire.Peer{director(1), director(2)}, Noted: now - 3_600_000,
	})
}
