package directory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"

	"directormesh/ring"
)

// Table is the replicated set of backends, with the directors that were added
// or removed by command. Two tables that have merged the same changes, in
// whatever order and however often, are equal.
//
// A Table is plain data without a lock: one goroutine owns it.
type Table struct {
	mesh      MeshID
	backends  map[netip.Addr]BackendRow
	directors map[netip.AddrPort]DirectorRow
	pins      pins

	tags        map[ring.Tag]int // of the backends that are present: how many have each
	absent      int              // rows in backends that are not present
	maxAbsent   int
	refused     uint64 // rows for which there was no room
	unlimited   bool   // all failed backends are out
	lastDropped Stamp  // the highest last stamp of a row dropped for space
}

// MaxTombstones bounds the rows kept of backends that are not present.
const MaxTombstones = 10_000

// Change is a delta or a whole table.
type Change struct {
	// Mesh is the mesh that the sender belongs to. Configured registers count
	// only at directors of the same mesh.
	Mesh      MeshID
	Backends  []BackendRow
	Directors []DirectorRow
	// Pins are users that were pinned or unpinned. Directors of an earlier release neither know
	// them nor pass them on.
	Pins []PinRow
	// Dropped is set in a whole table from which tombstones were dropped: a
	// backend that is not in it, and was last written at that stamp or before,
	// was removed.
	Dropped Stamp
	// DroppedPins is the same of pins.
	DroppedPins Stamp
}

// Empty says whether the change carries no row.
func (c Change) Empty() bool { return c.Rows() == 0 }

// Rows is how many rows the change carries.
func (c Change) Rows() int { return len(c.Backends) + len(c.Directors) + len(c.Pins) }

// NewTable returns the table of a director named origin that has these backends
// configured. The director belongs to the given mesh, or to none if mesh is 0.
func NewTable(mesh MeshID, origin string, configured []ring.Backend) *Table {
	t := &Table{
		mesh:      mesh,
		backends:  make(map[netip.Addr]BackendRow, len(configured)),
		directors: make(map[netip.AddrPort]DirectorRow),
		pins:      newPins(),
		tags:      make(map[ring.Tag]int),
		maxAbsent: MaxTombstones,
	}
	for _, b := range configured {
		if unusable(b.Addr) {
			continue
		}
		t.mergeBackend(mesh, BackendRow{
			Addr: b.Addr,
			Presence: Register[Presence]{
				Value: Presence{Present: true, Tag: b.Tag, Name: b.Name}, Origin: origin,
			},
			VHosts:  Register[int]{Value: b.VHosts, Origin: origin},
			State:   Register[State]{Value: State{Down: b.Down}, Origin: origin},
			Standby: configuredStandby(b, origin),
		})
	}
	return t
}

// Clone returns a table of its own that holds the same.
func (t *Table) Clone() *Table {
	c := *t
	c.backends, c.directors = maps.Clone(t.backends), maps.Clone(t.directors)
	c.tags, c.pins.rows = maps.Clone(t.tags), maps.Clone(t.pins.rows)
	return &c
}

// Mesh returns the mesh to which the table belongs, 0 if to none.
func (t *Table) Mesh() MeshID { return t.mesh }

// Disjoint says whether a whole table of another mesh has no backend in common
// with this one, neither being empty. Backends that were removed count.
func (t *Table) Disjoint(other Change) bool {
	if t.mesh == 0 || other.Mesh == 0 || t.mesh == other.Mesh || len(t.backends) == 0 ||
		len(other.Backends) == 0 {
		return false
	}
	for _, row := range other.Backends {
		if _, ok := t.backends[row.Addr]; ok {
			return false
		}
	}
	return true
}

// Found makes a table that belongs to no mesh that of the mesh id; its
// configured backends become the mesh's. A table that has a mesh keeps it.
func (t *Table) Found(id MeshID) {
	if t.mesh == 0 {
		t.mesh = id
	}
}

// Join makes the table part of the mesh id. If that is another mesh, the
// configured registers of before are dropped. What commands wrote stays.
func (t *Table) Join(id MeshID) {
	if id == t.mesh {
		return
	}
	t.mesh = id
	t.dropConfigured()
}

// FirstStamp is the stamp of what somebody says who knows of nothing that others have said of a
// backend: all that was said elsewhere is later, and holds. Once tombstones were dropped for space
// an early stamp would pass for that of a backend removed long ago: then it is the stamp of now.
func (t *Table) FirstStamp(now Stamp) Stamp {
	if t.lastDropped != 0 {
		return now
	}
	return 1
}

// Row returns what the table knows of a backend, present or not.
func (t *Table) Row(addr netip.Addr) (BackendRow, bool) {
	row, ok := t.backends[addr]
	return row, ok
}

// Director returns what the table knows of a director: nothing, unless
// somebody added or removed it.
func (t *Table) Director(addr netip.AddrPort) (DirectorRow, bool) {
	row, ok := t.directors[addr]
	return row, ok
}

// Added reports whether somebody added a director, and nobody removed it
// since.
func (t *Table) Added(addr netip.AddrPort) bool {
	row, ok := t.directors[addr]
	return ok && !row.Removed.Value
}

// Removed reports whether somebody removed a director, and nobody added it
// since.
func (t *Table) Removed(addr netip.AddrPort) bool { return t.directors[addr].Removed.Value }

// Backends returns the backends that are present, sorted by ring.CompareAddr. Failed ones are out
// as far as the guard allows, standbys while others take users.
func (t *Table) Backends() []ring.Backend {
	list := make([]ring.Backend, 0, len(t.backends)-t.absent)
	for _, row := range t.backends {
		if !row.present() {
			continue
		}
		list = append(list, ring.Backend{
			Addr:       row.Addr,
			Name:       row.Presence.Value.Name,
			Tag:        row.Presence.Value.Tag,
			VHosts:     row.vhosts(),
			Factor:     int(row.Factor.Value),
			Down:       row.State.Value.Down,
			Drained:    row.Drained(),
			Rebalanced: row.Rebalance.Value.On,
			Standby:    row.Standby.Value,
			Start:      row.Start.Value.Percent,
			Gone:       row.Listing.Value.Gone,
		})
	}
	slices.SortFunc(list, func(a, b ring.Backend) int { return ring.CompareAddr(a.Addr, b.Addr) })
	t.guard(list)
	t.rest(list)
	return list
}

// Digest stands for what the table says of the backends that are present: two tables with the same
// digest give all users the same places. When and by whom it was said does not matter.
func (t *Table) Digest() string {
	h := sha256.New()
	backends := t.Backends()
	counting := t.pins.counting(backends)
	for _, b := range backends {
		// They change no place.
		b.Name, b.Rebalanced, b.Failed, b.Standby, b.Gone = "", false, false, false, false
		fmt.Fprintf(h, "%+v\n", b)
	}
	fmt.Fprint(h, pinsText(counting))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Tasks yields the backends that are present and drained or rebalanced, sorted by address.
func (t *Table) Tasks() iter.Seq[BackendRow] {
	return func(yield func(BackendRow) bool) {
		var rows []BackendRow
		for _, row := range t.backends {
			if row.present() && (row.Drained() || row.Rebalance.Value.On) {
				rows = append(rows, row)
			}
		}
		slices.SortFunc(rows, func(a, b BackendRow) int { return ring.CompareAddr(a.Addr, b.Addr) })
		for _, row := range rows {
			if !yield(row) {
				return
			}
		}
	}
}

// Snapshot returns the whole table, tombstones too, sorted by address.
func (t *Table) Snapshot() Change {
	c := Change{
		Mesh: t.mesh, Dropped: t.lastDropped, DroppedPins: t.pins.lastDropped,
	}
	if len(t.pins.rows) > 0 {
		c.Pins = t.pins.sorted()
	}
	for _, row := range t.backends {
		c.Backends = append(c.Backends, row)
	}
	for _, row := range t.directors {
		c.Directors = append(c.Directors, row)
	}
	slices.SortFunc(c.Backends, func(a, b BackendRow) int {
		return ring.CompareAddr(a.Addr, b.Addr)
	})
	slices.SortFunc(c.Directors, func(a, b DirectorRow) int { return a.Addr.Compare(b.Addr) })
	return c
}

// Covers says whether merging c would leave the table as it is: the director
// has applied c, or something that wins over it.
func (t *Table) Covers(c Change) bool {
	for _, row := range c.Backends {
		if !t.coversBackend(c.Mesh, t.counting(c.Mesh, row)) {
			return false
		}
	}
	if len(t.removedBy(c)) > 0 || !t.coversPins(c) {
		return false
	}
	for _, row := range c.Directors {
		if row.Addr.IsValid() && !t.directors[row.Addr].Covers(row) && !t.noRoomForDirector(row) {
			return false
		}
	}
	return true
}

func (t *Table) coversBackend(mesh MeshID, change BackendRow) bool {
	if unusable(change.Addr) {
		return true
	}
	row, ok := t.backends[change.Addr]
	if t.noRoom(row, change) {
		return true
	}
	if !ok && t.wasDropped(mesh, change) {
		return true
	}
	return row.Covers(change)
}

// wasDropped says of a row of some mesh that the table does not hold whether
// the backend was removed, and its tombstone is not kept any more.
func (t *Table) wasDropped(mesh MeshID, row BackendRow) bool {
	last := row.lastStamp()
	if t.lastDropped == 0 || last > t.lastDropped {
		return false
	}
	return mesh == t.mesh || !row.present() && last > 0
}

// unusable says that an address cannot name a backend: the zero address means
// "no backend" in a mapping, and a zone means nothing to another director.
func unusable(addr netip.Addr) bool { return !addr.IsValid() || addr.Zone() != "" }
