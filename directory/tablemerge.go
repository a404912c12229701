package directory

import (
	"cmp"
	"net/netip"
	"slices"

	"directormesh/ring"
)

// Merge takes over what is new in c and returns just that, for forwarding:
// applied, merged elsewhere, has the same effect as c had here.
//
// Configured registers (stamp zero) live within one mesh only: from a change of
// another mesh, or of none, they are ignored. Merging never makes a table part
// of another mesh; see Join.
//
// Merging is commutative, associative and idempotent, as long as no tombstone
// has to be dropped for space. What was dropped is not taken up again, or two
// directors would tell each other of it for ever. Tombstones of this change
// are dropped by the next one at the earliest: until then they can be sent.
func (t *Table) Merge(c Change) (applied Change) {
	t.dropTombstones()
	applied.Mesh = t.mesh
	for _, row := range c.Backends {
		if unusable(row.Addr) {
			continue
		}
		if won := t.mergeBackend(c.Mesh, t.counting(c.Mesh, row)); !won.Empty() {
			applied.Backends = append(applied.Backends, won)
		}
	}
	for _, removed := range t.removedBy(c) {
		if won := t.mergeBackend(c.Mesh, removed); !won.Empty() {
			applied.Backends = append(applied.Backends, won)
		}
	}
	if t.believesDropped(c) {
		t.lastDropped = max(t.lastDropped, c.Dropped)
	}
	applied.Pins = t.mergePins(c)
	for _, row := range c.Directors {
		if !row.Addr.IsValid() {
			continue
		}
		if t.noRoomForDirector(row) {
			t.refused++
			continue
		}
		stored := t.directors[row.Addr]
		stored.Addr = row.Addr
		if won := stored.Removed.merge(row.Removed, compareBool); won.set() {
			t.directors[row.Addr] = stored
			applied.Directors = append(applied.Directors, DirectorRow{Addr: row.Addr, Removed: won})
		}
	}
	return applied
}

// counting returns the registers of row that count here, if row comes from the
// given mesh.
func (t *Table) counting(mesh MeshID, row BackendRow) BackendRow {
	if mesh == 0 || mesh != t.mesh {
		return row.Commanded()
	}
	return row
}

// believesDropped says whether a change tells of dropped tombstones, as a whole
// table of our mesh may. It then has many that are kept: no few rows of a
// director that lies make others remove what is not among them.
func (t *Table) believesDropped(c Change) bool {
	if c.Dropped == 0 || c.Mesh != t.mesh || t.mesh == 0 {
		return false
	}
	kept := 0
	for _, row := range c.Backends {
		if !row.present() {
			kept++
		}
	}
	return kept > 0 && kept >= t.maxAbsent/2
}

// removedBy returns tombstones for the backends that a whole table of our mesh
// has dropped as removed long ago, and we still hold: we come from an old data
// directory.
func (t *Table) removedBy(c Change) (rows []BackendRow) {
	if !t.believesDropped(c) {
		return nil
	}
	has := make(map[netip.Addr]bool, len(c.Backends))
	for _, row := range c.Backends {
		has[row.Addr] = true
	}
	for addr, row := range t.backends {
		if has[addr] || !row.present() || row.lastStamp() > c.Dropped {
			continue
		}
		gone := row.Presence
		gone.Value.Present, gone.Stamp = false, c.Dropped+1
		rows = append(rows, BackendRow{Addr: addr, Presence: gone, Forgotten: c.Dropped + 1})
	}
	slices.SortFunc(rows, func(a, b BackendRow) int { return ring.CompareAddr(a.Addr, b.Addr) })
	return rows
}

func (t *Table) mergeBackend(mesh MeshID, in BackendRow) (won BackendRow) {
	row, ok := t.backends[in.Addr]
	if !ok && t.wasDropped(mesh, in) {
		return won
	}
	if t.noRoom(row, in) {
		t.refused++
		return won
	}
	row.Addr = in.Addr
	before := row
	won = row.merge(in)
	if won.Empty() {
		return won
	}
	if ok {
		t.count(before, -1)
	}
	t.backends[in.Addr] = row
	t.count(row, 1)
	return won
}

// What a table takes from other directors: more than any honest mesh can have, even if all add to
// it at the same moment, and little enough for a director that lies. Beyond that, merging depends
// on the order, as it does where tombstones are dropped.
const (
	maxPresent   = 2 * ring.MaxBackends
	maxTags      = 2 * ring.MaxTags
	maxDirectors = 10_000
)

// noRoom says that a change would bring one more backend, or tag, than the table takes. stored is
// what it has of that backend.
func (t *Table) noRoom(stored, change BackendRow) bool {
	if stored.present() || !change.present() {
		return false
	}
	return len(t.backends)-t.absent >= maxPresent ||
		len(t.tags) >= maxTags && t.tags[change.Presence.Value.Tag] == 0
}

func (t *Table) noRoomForDirector(change DirectorRow) bool {
	if len(t.directors) < maxDirectors {
		return false
	}
	_, ok := t.directors[change.Addr]
	return !ok
}

// Refused returns how many rows of other directors found no room.
func (t *Table) Refused() uint64 { return t.refused }

// dropConfigured unsets every register of stamp zero.
func (t *Table) dropConfigured() {
	for addr, row := range t.backends {
		t.count(row, -1)
		row = row.Commanded()
		if row.Empty() {
			delete(t.backends, addr)
			continue
		}
		t.backends[addr] = row
		t.count(row, 1)
	}
}

// count notes that a row has come into backends (1) or left it (-1).
func (t *Table) count(row BackendRow, by int) {
	if !row.present() {
		t.absent += by
		return
	}
	tag := row.Presence.Value.Tag
	if t.tags[tag] += by; t.tags[tag] == 0 {
		delete(t.tags, tag)
	}
}

// dropTombstones drops the oldest rows of absent backends while there are more
// than the table keeps. Mappings to such a backend are dead without the row
// too, as the backend is not present.
func (t *Table) dropTombstones() {
	excess := t.absent - t.maxAbsent
	if excess <= 0 {
		return
	}
	type tombstone struct {
		last Stamp
		addr netip.Addr
	}
	list := make([]tombstone, 0, t.absent)
	for addr, row := range t.backends {
		if !row.present() {
			list = append(list, tombstone{row.lastStamp(), addr})
		}
	}
	slices.SortFunc(list, func(a, b tombstone) int {
		return cmp.Or(cmp.Compare(a.last, b.last), ring.CompareAddr(a.addr, b.addr))
	})
	for _, old := range list[:excess] {
		delete(t.backends, old.addr)
		t.lastDropped = max(t.lastDropped, old.last)
	}
	t.absent = t.maxAbsent
}
