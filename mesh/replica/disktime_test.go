package replica

import (
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
)

// Some of the wall clocks are an hour off when all start. Nothing ends early or late by that.
func TestWallClocksOffAtStart(t *testing.T) {
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		w := onDisks(t, 3)
		users := w.logins(60)
		w.run(3 * time.Second)
		for _, d := range w.directors {
			d.stopped = true
		}
		w.now = w.now.Add(5 * time.Second)
		for i, d := range w.directors {
			d.boots(false, func(cfg *Config) {
				if i == 1 {
					cfg.Wall = cfg.Wall.Add(off)
				}
			})
		}
		w.until("all synced", 20*time.Second, w.allSynced)
		w.same(users)
		for _, d := range w.directors {
			ahead := d.core.clock.Micros(w.now).Sub(trueTime(w.now)).Abs()
			if ahead > time.Second {
				t.Errorf("off by %v: mesh time of %s is %v off", off, d.name, ahead)
			}
			wall := d.core.clock.Wall(w.now).Sub(trueTime(w.now))
			if want := d.core.cfg.Wall.Sub(trueTime(d.core.began)); wall != want {
				t.Errorf("off by %v: the wall clock of %s is %v off, want %v", off, d.name, wall,
					want)
			}
		}
		w.run(testExpire + 30*time.Second)
		for _, d := range w.directors {
			if n := d.dir.Len(); n > 0 {
				t.Errorf("off by %v: %s still has %d users", off, d.name, n)
			}
		}
	}
}

// Nothing expires before mesh time is agreed.
func TestNothingExpiresBeforeTimeIsAgreed(t *testing.T) {
	w := onDisks(t, 2)
	w.logins(40)
	w.run(2 * time.Second)
	d := w.directors[1]
	for _, d := range w.directors {
		d.stopped = true
	}
	w.directors = w.directors[1:]
	d.boots(false, func(cfg *Config) { cfg.Wall = cfg.Wall.Add(24 * time.Hour) })
	w.run(startWait - 100*time.Millisecond)
	rows := 0
	for leaf := range 1 << 16 {
		rows += len(d.dir.LeafToSend("", uint16(leaf), trueTime(w.now).Time(), nil))
	}
	if rows != 40 || d.core.synced() {
		t.Errorf("%d of 40 rows are left, synced %v", rows, d.core.synced())
	}
}

// A disk whose content lies ahead of the others' mesh time is not used: nothing could be written
// over what it says.
func TestDiskAhead(t *testing.T) {
	w := onDisks(t, 3)
	users := w.logins(30)
	w.run(2 * time.Second)
	ahead := &testDisk{}
	d3 := w.directors[2]
	d3.crash()
	far := d3.core.MeshTime(w.now).Add(time.Hour)
	ahead.kept = []wire.Message{
		&wire.Table{Change: directory.Change{
			Mesh: d3.core.table.Mesh(),
			Backends: []directory.BackendRow{{
				Addr: testBackend(1), Forgotten: directory.StampAt(far),
			}, {
				Addr: testBackend(2), Presence: directory.Register[directory.Presence]{
					Value: directory.Presence{Present: true}, Origin: "d1", Stamp: 5,
				},
			}},
		}},
		&wire.Rows{Blocks: []wire.Block{wire.Pack("", []directory.Mapping{{
			Hash: 77, Backend: testBackend(2), Activity: far.Tick(), Stamp: far.Tick(),
			Generation: 9,
		}})}},
		&wire.Mark{
			MeshTime: far.Micros(), Wall: far.Micros(), Whole: far,
			Mesh: d3.core.meshRank(w.now),
		},
	}
	d3.disk = ahead
	w.run(failAfter + time.Second)
	d3.logs = nil
	d3.boots(false)
	w.until("all synced", 20*time.Second, w.allSynced)
	w.same(users)
	for _, d := range w.directors {
		if _, status := d.dir.Find("", 77, d.core.MeshTime(w.now)); status != directory.None {
			t.Errorf("%s has the row that lies ahead", d.name)
		}
		if row, _ := d.core.table.Row(testBackend(1)); row.Forgotten != 0 {
			t.Errorf("%s has forgotten up to %v", d.name, row.Forgotten)
		}
	}
	if !d3.mentions("lies ahead of mesh time") {
		t.Errorf("it said %v", d3.logs)
	}
	for _, m := range d3.disk.kept {
		if mark, ok := m.(*wire.Mark); ok && mark.MeshTime.Time() > far.Add(-time.Minute) {
			t.Errorf("the disk still has %+v", mark)
		}
	}
}

// What a director wrote is set aside with its disk, and no longer offered as the log that it was.
func TestLogsWhenTheDiskIsSetAside(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	c := d1.core
	d1.must(7)
	w.run(time.Second)
	ended := logs.ID{Name: "d1", Boot: c.boot}
	c.step(w.now, time.Second)
	former := logs.ID{Name: "d1", Boot: ended.Boot - 1} // of the life that wrote the disk
	c.logs.Ended(w.now, former, 7)
	if c.logs.Get(ended) == nil || c.logs.Get(former) == nil {
		t.Fatal("the logs are not offered before, the test shows nothing")
	}
	c.admission.bootstrapped = false
	c.disk = &disk{until: c.clock.At(w.now).Add(time.Hour)}
	c.setAside(w.now)
	if c.logs.Get(ended) != nil || c.logs.Get(former) != nil {
		t.Error("one is still offered")
	}
	if c.logs.Get(c.peers.get("d2").life()) == nil {
		t.Error("the log of a peer is forgotten")
	}
}
