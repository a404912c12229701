package replica

import (
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// startLong is start with mappings that live for a quarter of an hour, and a data directory.
func (w *world) startLong(name string) *director {
	d := &director{
		w: w, name: name, disk: &testDisk{},
		kicker: func(Kick) (int, bool, bool) { return 0, true, true },
	}
	w.directors = append(w.directors, d)
	d.boots(len(w.directors) == 1, d.long)
	return d
}

// long has the mappings of a director that boots live for a quarter of an hour.
func (d *director) long(c *Config) {
	c.Expire = 15 * time.Minute
	d.dir = directory.New(c.Expire)
	c.Directory = d.dir
}

// The first director does not wait for ever for one that loads. What that holds comes when it has
// loaded: nothing that was taken of it before stands for that.
func TestFoundedWhileOneLoads(t *testing.T) {
	w := newWorld(t)
	w.chunkRows = 1
	d1, d2 := w.startLong("d1"), w.startLong("d2")
	w.until("all synced", 10*time.Second, w.allSynced)
	d1.crash()
	w.run(failAfter + 10*time.Second)
	users := make(map[ring.UserHash]netip.Addr)
	for leaf := range ring.UserHash(20) {
		h := leaf << 16
		users[h] = another(d2.must(h))
		d2.order(Move{Hash: h, Backend: users[h], Wait: true})
	}
	w.run(2 * time.Second)
	d2.crash()
	w.now = w.now.Add(6 * time.Minute)

	d2.disk.slow = true
	d1.boots(false, d1.long)
	d2.boots(false, d2.long)
	w.run(2 * time.Second)
	for _, m := range d2.disk.kept {
		if rows, ok := m.(*wire.Rows); ok {
			for _, b := range rows.Blocks {
				var half []directory.Mapping
				for row := range b.All() {
					if row.Hash >= 10<<16 {
						half = append(half, row)
					}
				}
				if len(half) > 0 {
					d2.core.Load(w.now, &wire.Rows{Blocks: []wire.Block{wire.Pack(b.Tag, half)}})
				}
			}
		}
	}
	var acks []wire.Message
	w.lose = func(from, _ *director, m wire.Message) bool { // until d2 has loaded
		ack, ok := m.(*wire.SnapshotAck)
		if ok = ok && from == d1; ok {
			acks = append(acks, ack)
		}
		return ok
	}
	w.run(9 * time.Second)
	d2.disk.load(d2)
	w.run(200 * time.Millisecond)
	w.lose = nil
	for _, ack := range acks {
		d2.hears(d1, ack)
	}
	w.until("all synced", 20*time.Second, w.allSynced)
	w.same(users)
}
