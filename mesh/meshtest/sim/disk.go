package sim

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Disks is how the directors' data directories behave.
type Disks struct {
	On   bool
	Sync time.Duration // longest, usually
	Slow float64       // share of syncs that take up to 8 s
	// Lies says that a disk reports as synced what it loses: the checker must notice.
	Lies bool
	// Rots says that when all die one disk loses old rows without a word.
	Rots bool
}

// disk is a director's data directory, through all lives.
type disk struct {
	messages []wire.Message // in order; what a snapshot holds stands first
	synced   int            // messages that a loss of power leaves
	syncedAt time.Duration  // when the last mark among these was made
	first    wire.Mark      // that of the snapshot
	before   []wire.Message // until anything of messages is synced: what a loss of power leaves
	anew     bool           // a snapshot is to be written at the next mark
	written  int            // counts the snapshots and the ends of lives
	// keptBefore is until when it had, at the end of the life before, what the mesh knew.
	keptBefore time.Duration
}

// keep takes what the core gives the data directory.
func (d *director) keep(e replica.Keep) {
	k := &d.disk
	m, ok := e.Message.(*wire.Mark)
	if e.Message == nil || len(k.messages) > maxOnDisk {
		k.anew = true
	}
	switch {
	case ok && k.anew:
		d.writeAnew()
		k.messages = append(k.messages, m)
	case e.Message != nil:
		k.messages = append(k.messages, recoded(d.w, e.Message))
	}
	if !ok {
		return
	}
	w, upTo, at := d.w, len(k.messages), d.w.now
	takes := w.between(0, w.schedule.Disks.Sync)
	if w.chance(w.schedule.Disks.Slow) {
		takes = w.between(0, 8*time.Second)
	}
	written := k.written
	w.after(takes, d.inLife("disk", func() {
		if k.written != written || upTo < k.synced {
			return
		}
		k.synced, k.syncedAt, k.before = upTo, at, nil
		d.core.Kept(d.now(), e.N)
	}))
}

// maxOnDisk is after how many messages a snapshot takes their place.
const maxOnDisk = 2000

// writeAnew replaces what is on the disk by all that the director holds.
func (d *director) writeAnew() {
	k := &d.disk
	k.before = k.onDisk()
	k.messages, k.synced, k.anew = d.core.Held(d.now()), 0, false
	k.written++
	k.first = *k.messages[0].(*wire.Mark)
	for _, tag := range d.dir.Tags() {
		for leaf := range 1 << 16 {
			rows := d.dir.LeafToSend(tag, uint16(leaf), d.core.MeshTime(d.now()), nil)
			if len(rows) > 0 {
				block := wire.Pack(tag, rows)
				k.messages = append(k.messages, &wire.Rows{Blocks: []wire.Block{block}})
			}
		}
	}
}

// onDisk is what a loss of power leaves at least.
func (k *disk) onDisk() []wire.Message {
	if k.synced == 0 {
		return k.before
	}
	return slices.Clone(k.messages[:k.synced])
}

// losePower is what becomes of the disk when the host dies: what was not synced may be there, up to
// some message.
func (k *disk) losePower(w *world) {
	switch {
	case w.schedule.Disks.Lies:
		k.messages = k.messages[:k.synced/2]
	case k.synced == 0:
		k.messages = k.before
	default:
		k.messages = k.messages[:k.synced+w.rand.IntN(len(k.messages)-k.synced+1)]
	}
}

// ends ends the use of the disk by a life.
func (k *disk) ends() {
	// A batch and its way take a second, and what came of it may have waited for the mark.
	k.keptBefore = k.syncedAt - 2*time.Second
	k.messages, k.before = slices.Clone(k.messages), nil
	k.synced = len(k.messages)
	k.written++
}

// wipe loses all that was kept, between two lives.
func (k *disk) wipe() { *k = disk{written: k.written} }

// found is what a start begins with; nil if nothing is there.
func (k *disk) found() *replica.Disk {
	found := &replica.Disk{First: k.first}
	for _, m := range k.messages {
		switch m := m.(type) {
		case *wire.Mark:
			found.Mark = *m
		case *wire.Table:
			found.Changes = append(found.Changes, m.Change)
		case *wire.FlushProgress:
			found.Flushes = append(found.Flushes, *m)
		}
	}
	if found.Mark.MeshTime == 0 {
		return nil
	}
	return found
}

// load gives the core the rows, within a second or two.
func (d *director) load() {
	var rows []*wire.Rows
	for _, m := range d.disk.messages {
		if r, ok := m.(*wire.Rows); ok {
			rows = append(rows, r)
		}
	}
	half := len(rows) / 2
	d.w.after(d.w.between(0, time.Second), d.inLife("load", func() {
		for _, r := range rows[:half] {
			d.core.Load(d.now(), r)
		}
	}))
	d.w.after(d.w.between(time.Second, 2*time.Second), d.inLife("load", func() {
		for _, r := range rows[half:] {
			d.core.Load(d.now(), r)
		}
		d.core.Loaded(d.now(), nil)
	}))
}

// recoded passes a message through the codec, as a disk does.
func recoded(w *world, m wire.Message) wire.Message {
	b, err := wire.Encode(m)
	if err == nil {
		m, err = wire.Decode(b)
	}
	if err != nil {
		panic(fmt.Sprintf("sim: seed %d: what is kept cannot be coded: %v", w.schedule.Seed, err))
	}
	return m
}

// newest are the rows that came last, by user.
func (k *disk) newest() map[ring.User]directory.Mapping {
	rows := make(map[ring.User]directory.Mapping)
	for _, m := range k.messages {
		if m, ok := m.(*wire.Rows); ok {
			for _, b := range m.Blocks {
				for row := range b.All() {
					rows[ring.User{Tag: b.Tag, Hash: row.Hash}] = row
				}
			}
		}
	}
	return rows
}

// keptByOther reports whether another disk has the same row of a user. Nothing brings back what the
// only disk loses that has it, as when the others were down when it was made.
func (w *world) keptByOther(k *disk, u ring.User, row directory.Mapping) bool {
	return slices.ContainsFunc(w.directors, func(d *director) bool {
		return &d.disk != k && d.disk.newest()[u] == row
	})
}

// rot loses all rows of some users that the mesh has long known. Rows of what was forgotten stay:
// nothing compares them, and they matter for a minute.
func (k *disk) rot(w *world) {
	var whole directory.Time
	last := make(map[ring.User]directory.Tick)
	forgotten := make(map[netip.Addr]directory.Tick)
	for _, m := range k.messages {
		switch m := m.(type) {
		case *wire.Mark:
			whole = max(whole, m.Whole)
		case *wire.Table:
			for _, b := range m.Change.Backends {
				forgotten[b.Addr] = max(forgotten[b.Addr], b.Forgotten.Tick())
			}
		case *wire.Rows:
			for _, b := range m.Blocks {
				for row := range b.All() {
					u := ring.User{Tag: b.Tag, Hash: row.Hash}
					last[u] = max(last[u], row.Stamp, row.Activity)
				}
			}
		}
	}
	rows := k.newest()
	lost := make(map[ring.User]bool)
	limit := whole.Add(-10 * time.Second).Tick()
	for _, u := range slices.SortedFunc(maps.Keys(last), func(a, b ring.User) int {
		return cmp.Or(cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.Hash, b.Hash))
	}) {
		lost[u] = w.chance(0.3) && last[u] < limit &&
			rows[u].Stamp > forgotten[rows[u].Backend] && w.keptByOther(k, u, rows[u])
	}
	for i, m := range k.messages {
		rows, ok := m.(*wire.Rows)
		if !ok {
			continue
		}
		left := &wire.Rows{Seq: rows.Seq, Stamp: rows.Stamp}
		for _, b := range rows.Blocks {
			all := slices.DeleteFunc(b.Append(nil), func(row directory.Mapping) bool {
				return lost[ring.User{Tag: b.Tag, Hash: row.Hash}]
			})
			left.Blocks = append(left.Blocks, wire.Pack(b.Tag, all))
		}
		k.messages[i] = left
	}
}

// allDie ends all directors at one moment and starts them again, each within a time.
func (w *world) allDie(a Action) {
	for _, d := range w.directors {
		if a.Power {
			d.disk.losePower(w)
		}
		d.crash(a.Silent)
	}
	if w.schedule.Disks.Rots {
		w.directors[w.rand.IntN(len(w.directors))].disk.rot(w)
	}
	for _, d := range w.directors {
		w.after(w.between(0, a.For), func() { d.start(false) })
	}
	w.after(a.For, w.reportRestarted)
}

// noneBut reports whether no other director lives.
func (w *world) noneBut(d *director) bool {
	return !slices.ContainsFunc(w.directors, func(x *director) bool { return x != d && x.alive })
}

// reportRestarted reports what all hold, as soon as all are synced and none serves alone: what one
// disk lacks comes from another.
func (w *world) reportRestarted() {
	for _, d := range w.directors {
		self := replica.SelfStatus{}
		if d.alive {
			self = d.core.Self(d.now())
		}
		if !self.Synced || self.Alone && len(w.directors) > 1 {
			w.after(w.pace(100*time.Millisecond), w.reportRestarted)
			return
		}
	}
	kept := time.Duration(0)
	for _, d := range w.directors {
		kept = max(kept, d.disk.keptBefore)
	}
	w.record(check.Restarted{At: w.when(), Kept: kept, Directors: w.finalState().Directors})
}
