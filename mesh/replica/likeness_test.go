package replica

import (
	"slices"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// loses drops all that the disk has of some users.
func (k *testDisk) loses(users ...ring.UserHash) {
	for i, m := range k.kept {
		rows, ok := m.(*wire.Rows)
		if !ok {
			continue
		}
		left := &wire.Rows{Seq: rows.Seq, Stamp: rows.Stamp}
		for _, b := range rows.Blocks {
			all := slices.DeleteFunc(b.Append(nil), func(row directory.Mapping) bool {
				return slices.Contains(users, row.Hash)
			})
			left.Blocks = append(left.Blocks, wire.Pack(b.Tag, all))
		}
		k.kept[i] = left
	}
}

// countSnapshots counts the rows that some directors, or all, give in snapshots from now on.
func (w *world) countSnapshots(givers ...*director) *int {
	sent := new(int)
	w.seen = func(d *director, e Effect) {
		if s, ok := e.(Send); ok && (givers == nil || slices.Contains(givers, d)) {
			if chunk, ok := s.Message.(*wire.SnapshotChunk); ok {
				for _, b := range chunk.Blocks {
					*sent += b.Len()
				}
			}
		}
	}
	return sent
}

// What single disks have lost of long ago without a word, the others bring back before anybody
// answers: to the first one, which founds the mesh, and to those that join it. Little more than
// that is sent.
func TestDisksThatLostOldRows(t *testing.T) {
	for _, guards := range []Guards{{}, {NoRowCheck: true}} {
		w := onDisks(t, 3)
		users := w.logins(300)
		w.run(20 * time.Second)
		for _, d := range w.directors {
			d.stopped = true
		}
		lost := []ring.UserHash{1 * 0x01234567, 2 * 0x01234567, 3 * 0x01234567, 4 * 0x01234567}
		w.directors[0].disk.loses(lost[0], lost[1])
		w.directors[1].disk.loses(lost[1], lost[2])
		w.directors[2].disk.loses(lost[3])
		sent := w.countSnapshots()
		w.now = w.now.Add(3 * time.Second)
		for _, d := range w.directors {
			d.boots(false, func(cfg *Config) { cfg.Guards = guards })
		}
		w.until("all synced again", 30*time.Second, w.allSynced)
		missing := 0
		for _, d := range w.directors {
			for h, want := range users {
				m, status := d.dir.Find("", h, d.core.MeshTime(w.now))
				if status != directory.Live || m.Backend != want {
					missing++
				}
			}
		}
		switch {
		case guards.NoRowCheck && missing == 0:
			t.Error("nothing is missing although nobody compared")
		case !guards.NoRowCheck && missing > 0:
			t.Errorf("%d users are missing or elsewhere", missing)
		case *sent > 30:
			t.Errorf("%d rows sent, 5 were lost", *sent)
		}
	}
}

// A disk of the mesh that has lost old rows is made good when its director joins the others, who
// went on.
func TestJoinerThatLostOldRows(t *testing.T) {
	w := onDisks(t, 2)
	users := w.logins(200)
	w.run(20 * time.Second)
	d2 := w.directors[1]
	d2.crash()
	d2.disk.loses(2*0x01234567, 7*0x01234567)
	w.run(failAfter + time.Second)
	sent := w.countSnapshots(w.directors[0])
	d2.boots(false)
	w.until("all synced", 10*time.Second, w.allSynced)
	w.same(users)
	if *sent == 0 || *sent > 20 {
		t.Errorf("%d rows sent, 2 were lost", *sent)
	}
	if !d2.mentions("the data directory lacked rows that a peer had") {
		t.Errorf("it said %v", d2.logs)
	}
}

// All are killed again just after they had started. They still give each other only what is new,
// although what they had taken at the start came late.
func TestKilledAgainAtOnce(t *testing.T) {
	w := onDisks(t, 3)
	users := w.logins(300)
	w.run(20 * time.Second)
	for _, d := range w.directors {
		for h := range users {
			d.must(h)
			delete(users, h)
			break
		}
	}
	w.killAll(3 * time.Second)
	for range 3 {
		w.run(1500 * time.Millisecond)
		for _, d := range w.directors {
			d.core.keep(nil) // a snapshot is written anew
			d.carryOut()
		}
		w.run(1500 * time.Millisecond)
		sent := w.countSnapshots()
		w.killAll(time.Second)
		if *sent > 30 {
			t.Errorf("%d rows sent", *sent)
		}
	}
}

// What a director may hold of before, and was never together with us, no snapshot of another one
// brings: that one compared, and found rows that are older than its snapshot goes back.
func TestComparedWithItsHolder(t *testing.T) {
	w := onDisks(t, 3)
	w.run(2 * time.Second)
	c := w.directors[0].core
	donor, holder := c.peers.get("d2"), c.peers.get("d3")
	const since = 1000
	taken := &snapshots.Snapshot{Since: since, Whole: map[wire.Life]bool{
		{Name: holder.name, Boot: holder.boot}: true,
	}}
	for _, together := range []bool{true, false} {
		if !together {
			holder.togetherAt = 0
		}
		holder.lacking, holder.lackSince = true, since
		c.snapshotDone(w.now, donor, taken)
		if holder.lacking == together {
			t.Errorf("together before: %v; still to be taken: %v", together, holder.lacking)
		}
	}
}
