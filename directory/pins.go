package directory

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"directormesh/ring"
)

// PinRow is what the table knows of a user that somebody pinned to a backend. Where the backend is
// usable and has the user's tag, the user's place is that backend, whatever the ring says.
type PinRow struct {
	User    ring.User
	Backend Register[netip.Addr] // the zero address: not pinned any more
}

// MaxPins bounds the users that are pinned, and the rows kept of users that are not any more.
const MaxPins = 10_000

// Pinned says whether the row pins its user, be it to a backend that counts or not.
func (r PinRow) Pinned() bool { return r.Backend.Value.IsValid() }

// Covers says whether merging change into r would leave r as it is.
func (r PinRow) Covers(change PinRow) bool {
	return change.Backend.compare(r.Backend, netip.Addr.Compare) <= 0
}

// unusable says that the row cannot be one: commands alone pin, and what they write has a stamp.
func (r PinRow) unusable() bool {
	return r.Backend.Stamp == 0 || !r.Backend.set() ||
		r.Pinned() && unusable(r.Backend.Value)
}

// comparePins orders rows by user.
func comparePins(a, b PinRow) int { return ring.CompareUsers(a.User, b.User) }

// pins are the rows of a table by user.
type pins struct {
	rows        map[ring.User]PinRow
	absent      int // rows of users that are not pinned any more
	maxAbsent   int
	lastDropped Stamp // the highest stamp of a row dropped for space
}

func newPins() pins {
	return pins{rows: make(map[ring.User]PinRow), maxAbsent: MaxPins}
}

// pinned is how many users are pinned.
func (p *pins) pinned() int { return len(p.rows) - p.absent }

// sorted returns all rows, by user.
func (p *pins) sorted() []PinRow {
	all := make([]PinRow, 0, len(p.rows))
	for _, row := range p.rows {
		all = append(all, row)
	}
	slices.SortFunc(all, comparePins)
	return all
}

// ignores says that a row finds no place: it is none, it was dropped for space, or there are twice
// as many users as may be pinned.
func (p *pins) ignores(row PinRow) bool {
	stored, ok := p.rows[row.User]
	return row.unusable() || !ok && row.Backend.Stamp <= p.lastDropped ||
		row.Pinned() && !stored.Pinned() && p.pinned() >= 2*MaxPins
}

// covers says whether merging a row would change nothing.
func (p *pins) covers(row PinRow) bool {
	return p.ignores(row) || p.rows[row.User].Covers(row)
}

// merge takes over a row if it is the later one.
func (p *pins) merge(in PinRow) (won bool) {
	if p.ignores(in) {
		return false
	}
	row, ok := p.rows[in.User]
	was := ok && !row.Pinned()
	row.User = in.User
	if !row.Backend.merge(in.Backend, netip.Addr.Compare).set() {
		return false
	}
	p.rows[in.User] = row
	switch is := !row.Pinned(); {
	case is && !was:
		p.absent++
	case was && !is:
		p.absent--
	}
	return true
}

// dropTombstones drops the oldest rows of users that are not pinned while there are more than the
// table keeps.
func (p *pins) dropTombstones() {
	excess := p.absent - p.maxAbsent
	if excess <= 0 {
		return
	}
	list := slices.DeleteFunc(p.sorted(), PinRow.Pinned)
	slices.SortStableFunc(list, func(a, b PinRow) int {
		return cmp.Compare(a.Backend.Stamp, b.Backend.Stamp)
	})
	for _, old := range list[:excess] {
		delete(p.rows, old.User)
		p.lastDropped = max(p.lastDropped, old.Backend.Stamp)
	}
	p.absent = p.maxAbsent
}

// believesUnpinned says whether a whole table tells of dropped rows, as one of our mesh may: it
// then has many that are kept, so that no few rows of a director that lies unpin all others.
func (t *Table) believesUnpinned(c Change) bool {
	if c.DroppedPins == 0 || c.Mesh != t.mesh || t.mesh == 0 {
		return false
	}
	kept := 0
	for _, row := range c.Pins {
		if !row.Pinned() {
			kept++
		}
	}
	return kept > 0 && kept >= t.pins.maxAbsent/2
}

// unpinnedBy returns rows for the users that a whole table of our mesh has dropped as unpinned long
// ago, and that are pinned here still: we come from an old data directory.
func (t *Table) unpinnedBy(c Change) (rows []PinRow) {
	if !t.believesUnpinned(c) {
		return nil
	}
	has := make(map[ring.User]bool, len(c.Pins))
	for _, row := range c.Pins {
		has[row.User] = true
	}
	for _, row := range t.pins.rows {
		if !has[row.User] && row.Pinned() && row.Backend.Stamp <= c.DroppedPins {
			row.Backend.Value, row.Backend.Stamp = netip.Addr{}, c.DroppedPins+1
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, comparePins)
	return rows
}

// mergePins merges the pins of a change and returns what was new.
func (t *Table) mergePins(c Change) (applied []PinRow) {
	t.pins.dropTombstones()
	for _, row := range append(slices.Clip(c.Pins), t.unpinnedBy(c)...) {
		switch {
		case t.pins.merge(row):
			applied = append(applied, row)
		case !row.unusable() && t.pins.ignores(row) && row.Pinned():
			t.refused++
		}
	}
	if t.believesUnpinned(c) {
		t.pins.lastDropped = max(t.pins.lastDropped, c.DroppedPins)
	}
	return applied
}

func (t *Table) coversPins(c Change) bool {
	for _, row := range c.Pins {
		if !t.pins.covers(row) {
			return false
		}
	}
	return len(t.unpinnedBy(c)) == 0
}

// Pin returns what the table knows of a user's pin: nothing, unless somebody pinned the user.
func (t *Table) Pin(u ring.User) (PinRow, bool) {
	row, ok := t.pins.rows[u]
	return row, ok
}

// Pins returns the users that are pinned, sorted, be it to backends that count or not.
func (t *Table) Pins() []PinRow {
	return slices.DeleteFunc(t.pins.sorted(), func(r PinRow) bool { return !r.Pinned() })
}

// PinUser pins a user of a backend's tag to it. Nobody need be mapped anywhere.
func (t *Table) PinUser(
	stamp Stamp, origin string, h ring.UserHash, backend netip.Addr,
) (Change, error) {
	stored, err := t.present(backend)
	if err != nil {
		return Change{}, err
	}
	u := ring.User{Tag: stored.Presence.Value.Tag, Hash: h}
	if row := t.pins.rows[u]; !row.Pinned() && t.pins.pinned() >= MaxPins {
		return Change{}, fmt.Errorf(
			"%w: %d pins are the most; unpin users first", ErrFull, MaxPins)
	}
	return t.pinChange(
		u, Register[netip.Addr]{Value: backend, Stamp: stamp, Origin: origin}), nil
}

// Unpin lets a user go by the ring again.
func (t *Table) Unpin(stamp Stamp, origin string, u ring.User) (Change, error) {
	if !t.pins.rows[u].Pinned() {
		return Change{}, ErrNotPinned
	}
	return t.pinChange(u, Register[netip.Addr]{Stamp: stamp, Origin: origin}), nil
}

func (t *Table) pinChange(u ring.User, backend Register[netip.Addr]) Change {
	return Change{Mesh: t.mesh, Pins: []PinRow{{User: u, Backend: backend}}}
}

// Places says where users without a mapping go: by their pins, if the backend is usable, else by
// the rings of the backends. prev is the last result, or nil.
func (t *Table) Places(prev *ring.Rings) *ring.Rings {
	backends := t.Backends()
	return ring.Build(backends, prev).Pinned(t.pins.counting(backends))
}

// PinCounts says whether a user is pinned to a backend that is usable.
func (t *Table) PinCounts(u ring.User) bool {
	row := t.pins.rows[u]
	if !row.Pinned() {
		return false
	}
	_, counts := t.pins.counting(t.Backends())[u]
	return counts
}

// counting are the pins that count with these backends, which are all that are present.
func (p *pins) counting(backends []ring.Backend) map[ring.User]netip.Addr {
	if p.pinned() == 0 {
		return nil
	}
	tags := make(map[netip.Addr]ring.Tag, len(backends))
	for _, b := range backends {
		if b.Usable() {
			tags[b.Addr] = b.Tag
		}
	}
	counting := make(map[ring.User]netip.Addr)
	for u, row := range p.rows {
		if tag, usable := tags[row.Backend.Value]; usable && tag == u.Tag {
			counting[u] = row.Backend.Value
		}
	}
	return counting
}

// pinsText tells of the pins that count, for a digest.
func pinsText(counting map[ring.User]netip.Addr) string {
	lines := make([]string, 0, len(counting))
	for u, backend := range counting {
		lines = append(lines, fmt.Sprintf("%q %d %v\n", u.Tag, u.Hash, backend))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}
