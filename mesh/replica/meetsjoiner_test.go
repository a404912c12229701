package replica

import (
	"testing"
	"time"

	"directormesh/mesh/wire"
	"directormesh/ring"
)

// A director joins a mesh, and takes its time for that. Meanwhile this meets another one that ranks
// above it, and both join that. What the director still gets of its donor lacks users of the other
// mesh: parts were sent before the donor had them itself. Here no log tells of these users: the
// other mesh has started from its data directories, and been quiet since.
func TestSnapshotOfAMeshThatIsGivenUp(t *testing.T) {
	const h = 5
	w := newWorld(t)
	w.chunkRows = 1
	d1, d2 := w.startLong("d1"), w.startLong("d2")
	w.until("two are a mesh", 10*time.Second, w.allSynced)
	moved := another(d1.must(h))
	d1.order(Move{Hash: h, Backend: moved, Wait: true})
	w.run(2 * time.Second)
	for _, d := range w.directors {
		d.stopped = true
	}
	for _, d := range w.directors {
		d.boots(false, d.long)
	}
	w.run(6 * time.Minute)

	for _, lower := range []string{"d3", "d4"} {
		for _, d := range []*director{d1, d2} {
			w.cut[[2]string{lower, d.name}], w.cut[[2]string{d.name, lower}] = true, true
		}
	}
	d3 := w.startLong("d3")
	w.until("d3 serves alone", 5*time.Second, d3.core.synced)
	for leaf := range ring.UserHash(20) {
		d3.must((leaf + 1) << 16)
	}
	w.run(time.Second)
	var acks []wire.Message
	w.lose = func(from, to *director, m wire.Message) bool {
		ack, ok := m.(*wire.SnapshotAck)
		if ok = ok && from.name == "d4" && to == d3; ok {
			acks = append(acks, ack)
		}
		return ok
	}
	d4 := w.startLong("d4")
	w.until("d4 has a part", time.Second, func() bool { return len(acks) > 0 })
	w.heal()
	w.until("d3 joins the other mesh", 4*time.Second, func() bool {
		return d3.core.synced() && d3.core.table.Mesh() == d1.core.table.Mesh() &&
			d4.core.table.Mesh() == d1.core.table.Mesh()
	})
	w.lose = nil
	for _, ack := range acks {
		d3.hears(d4, ack)
	}
	w.until("all are synced", 10*time.Second, w.allSynced)
	for _, d := range w.directors {
		if got := d.must(h); got != moved {
			t.Errorf("%s answers %v, want %v", d.name, got, moved)
		}
	}
}
