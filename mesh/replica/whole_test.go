package replica

import (
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// Three sides of a long split meet. One counts another whose rows it has still to take: these do
// not come by the snapshot that it gives to the third.
func TestDonorThatLacksRowsItself(t *testing.T) {
	const h = 4
	w := started(t, 4, func(c *Config) {
		c.Expire = 15 * time.Minute
		c.Directory = directory.New(c.Expire)
	})
	for _, d := range w.directors {
		d.dir = d.core.dir
	}
	d1, d2, d3, d4 := w.directors[0], w.directors[1], w.directors[2], w.directors[3]
	w.split([]*director{d1}, []*director{d2, d3, d4})
	w.split([]*director{d2}, []*director{d3, d4})
	w.run(failAfter + time.Second)
	to := another(d4.must(h))
	if _, err := d4.do(Move{Hash: h, Backend: to, Wait: true}); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	d4.crash()
	w.run(apartFor + time.Minute) // so no log has the row any more

	w.lose = losing[*wire.SnapshotChunk](d3, d2)
	delete(w.cut, [2]string{"d2", "d3"})
	delete(w.cut, [2]string{"d3", "d2"})
	w.until("d2 counts d3 and lacks its rows", 5*time.Second, func() bool {
		p := d2.core.peers.get("d3")
		return p.Counted && p.lacking
	})
	w.run(500 * time.Millisecond)
	w.heal()
	w.run(2 * time.Second)
	for _, d := range w.directors[:3] {
		if got, _ := d.ask(h); got.IsValid() && got != to {
			t.Errorf("%s answers %v, want %v", d.name, got, to)
		}
	}
	w.lose = nil
	w.until("all are synced", 20*time.Second, w.allSynced)
	w.until("the row is everywhere", time.Second, func() bool {
		return d1.live(h).Backend == to && d2.live(h).Backend == to
	})
}

// A director may be counted while it loads its data directory. What that holds does not come by the
// snapshot of one that has not taken it.
func TestDonorThatCountsOneThatLoads(t *testing.T) {
	const h = 4
	w := newWorld(t)
	d1, d2, d3 := w.startLong("d1"), w.startLong("d2"), w.startLong("d3")
	w.until("all synced", 10*time.Second, w.allSynced)
	w.split(w.directors[:2], w.directors[2:])
	w.run(failAfter + 10*time.Second)
	to := another(d3.must(h))
	d3.order(Move{Hash: h, Backend: to, Wait: true})
	w.run(2 * time.Second)
	d3.crash()
	w.run(apartFor + time.Minute)
	w.heal()
	d3.disk.slow = true
	d3.boots(false, d3.long)
	w.run(time.Second)
	d1.stopped = true
	w.run(2 * time.Second)
	d1.stopped = false // it asks all to be admitted, d3 too
	w.until("d1 is synced", 5*time.Second, d1.core.synced)
	w.run(time.Second)
	if !d1.core.peers.get("d3").Counted {
		t.Fatal("d1 does not count d3 yet")
	}

	// The rows of d3 come slowly. Meanwhile d2 misses rows of d1, and takes a snapshot from that.
	w.lose = func(from, to *director, m wire.Message) bool {
		_, chunk := m.(*wire.SnapshotChunk)
		_, rows := m.(*wire.Rows)
		return chunk && from == d3 || rows && from == d1 && to == d2
	}
	d3.disk.load(d3)
	d1.must(7)
	w.run(7 * time.Second)
	for _, d := range w.directors {
		if got, _ := d.ask(h); got.IsValid() && got != to {
			t.Errorf("%s answers %v, want %v", d.name, got, to)
		}
	}
	w.lose = nil
	w.until("all are synced", 20*time.Second, w.allSynced)
}
