package sim

import (
	"fmt"
	"net/netip"
	"slices"

	"directormesh/directory"
	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// assignment is what a note tells of a mapping. Its stamp is left out: a step of mesh time moves
// it.
type assignment struct {
	user       check.User
	backend    netip.Addr
	generation uint16
}

// notes are the histories of all directors together, none of which is lost.
type notes struct {
	known  map[check.User]map[uint16][]netip.Addr // backends, by the generation of the mapping
	tables map[netip.Addr]bool                    // backends of which a change was noted
}

func newNotes() notes {
	return notes{
		known: make(map[check.User]map[uint16][]netip.Addr), tables: make(map[netip.Addr]bool),
	}
}

// take takes a note of a director, unless such notes get lost.
func (n *notes) take(note wire.Note, lost wire.Kind) {
	if note.Kind() == lost {
		return
	}
	switch note := note.(type) {
	case *wire.UserNote:
		n.know(note.Tag, note.Hash, note.To, note.Generation)
	case *wire.LoginsNote:
		for m := range note.Block.All() {
			n.know(note.Block.Tag, m.Hash, m.Backend, m.Generation)
		}
	case *wire.TableNote:
		for _, row := range note.Change.Backends {
			n.tables[row.Addr] = true
		}
	}
}

func (n *notes) know(tag ring.Tag, hash ring.UserHash, backend netip.Addr, generation uint16) {
	user := check.User{Tag: string(tag), Hash: uint32(hash)}
	if n.known[user] == nil {
		n.known[user] = make(map[uint16][]netip.Addr)
	}
	n.known[user][generation] = append(n.known[user][generation], backend)
}

// tell reports whether the notes tell of a mapping. One that took the place of another on the same
// backend, as by a move to where the user is, needs no note.
func (n *notes) tell(a assignment) bool {
	last := uint16(0)
	for generation := range n.known[a.user] {
		if generation <= a.generation {
			last = max(last, generation)
		}
	}
	return slices.Contains(n.known[a.user][last], a.backend)
}

// unnoted returns a breach for each mapping at the end, and each change of a backend by a command,
// of which no director has a note.
func (w *world) unnoted() (breaches []check.Breach) {
	seen := make(map[assignment]bool)
	breach := func(u check.User, format string, args ...any) {
		breaches = append(breaches, check.Breach{
			At: w.now, Guarantee: "history", User: u, Text: fmt.Sprintf(format, args...),
		})
	}
	for _, d := range w.directors {
		if !d.alive || d.removed {
			continue
		}
		for _, m := range d.mappings() {
			a := assignment{m.User, m.Backend, m.Generation}
			if !w.notes.tell(a) && !seen[a] {
				breach(m.User, "%s has a mapping to %v that nobody has noted", d.name, m.Backend)
			}
			seen[a] = true
		}
		for _, row := range d.core.Table().Backends {
			if commanded(row) && !w.notes.tables[row.Addr] {
				breach(check.User{}, "%s has a change of %v that nobody has noted", d.name,
					row.Addr)
				w.notes.tables[row.Addr] = true
			}
		}
	}
	return breaches
}

// commanded reports whether a command has changed a backend.
func commanded(row directory.BackendRow) bool {
	return row.Forgotten != 0 || row.VHosts.Stamp != 0 || row.State.Stamp != 0 ||
		row.Presence.Stamp != 0
}
