package replica

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// testDisk is a data directory.
type testDisk struct {
	kept    []wire.Message
	synced  int       // of kept
	stuck   bool      // syncs do not end
	first   wire.Mark // that of the snapshot, or what stands for it
	damaged bool
	goOn    bool
	slow    bool // the rows are loaded when the test wants
}

func (k *testDisk) keep(d *director, e Keep) {
	if k.first.Noted == 0 {
		k.first.Noted = d.core.MeshTime(d.w.now)
	}
	if e.Message != nil {
		k.kept = append(k.kept, reread(d.w.t, e.Message))
		if e.Message.Kind() == wire.KindMark && !k.stuck {
			k.synced = len(k.kept)
			d.core.Kept(d.w.now, e.N)
		}
		return
	}
	k.kept, k.synced = d.core.Held(d.w.now), 0
	k.first = *k.kept[0].(*wire.Mark)
	for tag, row := range d.dir.All(d.core.MeshTime(d.w.now)) {
		block := wire.Pack(tag, []directory.Mapping{row})
		k.kept = append(k.kept, &wire.Rows{Blocks: []wire.Block{block}})
	}
}

// found is what a start finds; nil if there is nothing.
func (k *testDisk) found() *Disk {
	found := &Disk{First: k.first, Damaged: k.damaged, GoOn: k.goOn}
	for _, m := range k.kept {
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

// load gives a director the rows.
func (k *testDisk) load(d *director) {
	for _, m := range k.kept {
		if rows, ok := m.(*wire.Rows); ok {
			d.core.Load(d.w.now, rows)
		}
	}
	d.core.Loaded(d.w.now, nil)
}

// copy is a copy of what the disk has now.
func (k *testDisk) copy() *testDisk {
	return &testDisk{kept: slices.Clone(k.kept), first: k.first}
}

// losePower loses what was not synced.
func (k *testDisk) losePower() { k.kept, k.stuck = k.kept[:k.synced], false }

// onDisks starts directors, each with a data directory.
func onDisks(t *testing.T, n int) *world {
	w := newWorld(t)
	for _, name := range []string{"d1", "d2", "d3", "d4", "d5"}[:n] {
		d := &director{
			w: w, name: name, disk: &testDisk{},
			kicker: func(Kick) (int, bool, bool) { return 0, true, true },
		}
		w.directors = append(w.directors, d)
		d.boots(len(w.directors) == 1)
	}
	w.until("all synced", 20*time.Second, w.allSynced)
	return w
}

// killAll kills all directors at one moment, starts them again after a time, and waits until all
// are synced.
func (w *world) killAll(pause time.Duration) {
	w.t.Helper()
	for _, d := range w.directors {
		d.stopped = true
	}
	w.now = w.now.Add(pause)
	for _, d := range w.directors {
		d.boots(false)
	}
	w.until("all synced again", 30*time.Second, w.allSynced)
}

// logins maps users at the directors in turn.
func (w *world) logins(n int) map[ring.UserHash]netip.Addr {
	users := make(map[ring.UserHash]netip.Addr)
	for i := range n {
		h := ring.UserHash(i+1) * 0x01234567
		users[h] = w.directors[i%len(w.directors)].must(h)
	}
	return users
}

// same checks that all users are where they were, at all directors.
func (w *world) same(users map[ring.UserHash]netip.Addr) {
	w.t.Helper()
	for _, d := range w.directors {
		for h, want := range users {
			m, status := d.dir.Find("", h, d.core.MeshTime(w.now))
			if status != directory.Live || m.Backend != want {
				w.t.Errorf("%s has %v on %v (%v), was on %v", d.name, h, m.Backend, status, want)
			}
		}
	}
}

func (d *director) mentions(text string) bool {
	return slices.ContainsFunc(d.logs, func(l Log) bool { return strings.Contains(l.Text, text) })
}
