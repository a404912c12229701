package directory

import (
	"testing"
	"time"

	"directormesh/ring"
)

func TestSweepByTime(t *testing.T) {
	for _, summarized := range []int{1, summarizedRows} { // a lone row has a summary, and has none
		d := newDirectory()
		d.summarizedRows = summarized
		m, _ := d.Assign("", 5, b1, start)
		end := d.Ends(m)
		for _, test := range []struct {
			name    string
			now     Time
			removed int
			status  Status
			users   int
		}{
			{"alive", end - 1, 0, Live, 1},
			{"dead", end, 0, Dead, 0},
			{"dead for nearly 60 s", end.Add(60*time.Second) - 1, 0, Dead, 0},
			{"dead for 60 s", end.Add(60 * time.Second), 1, None, 0},
		} {
			if removed := d.SweepLeaf("", 0, test.now); removed != test.removed {
				t.Errorf("%s: %d rows removed, want %d", test.name, removed, test.removed)
			}
			if got, status := d.Find("", 5, test.now); status != test.status {
				t.Errorf("%s: found %+v, %v; want %v", test.name, got, status, test.status)
			}
			if d.Users(b1) != test.users || d.Len() != test.users {
				t.Errorf("%s: %d users of %d mappings, want %d",
					test.name, d.Users(b1), d.Len(), test.users)
			}
		}
	}
}

// The table can make a row dead long before or after the stamp that did it:
// the minute counts from when this director noticed.
func TestSweepByTable(t *testing.T) {
	d := newDirectory()
	for h := range 4 {
		d.Assign("", testHashes[h], b1, start)
	}
	forgetAll := []BackendRow{presentRow(b1, "", StampAt(start))}
	noticed := start.Add(5 * time.Minute)
	d.SetBackends(forgetAll)
	if removed := sweepAll(d, noticed); removed != 0 || d.Users(b1) != 0 {
		t.Fatalf("first sweep: %d rows removed, %d users left; want neither", removed, d.Users(b1))
	}
	d.SetBackends(forgetAll) // a table without news does not matter
	if removed := sweepAll(d, noticed.Add(60*time.Second)-1); removed != 0 {
		t.Errorf("%d rows removed too early", removed)
	}
	if m, _ := d.Assign("", testHashes[0], b1, noticed); m.Generation != 2 {
		t.Errorf("generation %d after a dead row, want 2", m.Generation)
	}
	if removed := sweepAll(d, noticed.Add(60*time.Second)); removed != 3 {
		t.Errorf("%d rows removed after a minute, want 3", removed)
	}
	if d.Users(b1) != 1 {
		t.Errorf("%d users, want the one that came back", d.Users(b1))
	}
}

func TestSweepCountsWhatComesBack(t *testing.T) {
	d := newDirectory()
	d.Assign("", 5, b1, start)
	d.SetBackends(nil)
	sweepAll(d, start)
	if d.Users(b1) != 0 {
		t.Errorf("%d users of a removed backend", d.Users(b1))
	}
	d.SetBackends(twoTags())
	sweepAll(d, start)
	if d.Users(b1) != 1 {
		t.Errorf("%d users after the backend is back, want 1", d.Users(b1))
	}
	// It was away for a moment only; a later absence begins a new minute.
	d.SetBackends(nil)
	if removed := sweepAll(d, start.Add(2*time.Minute)); removed != 0 {
		t.Errorf("%d rows removed at once", removed)
	}
}

func TestSweepOfNothing(t *testing.T) {
	d := newDirectory()
	n := d.SweepGroup("", 7, start) + d.SweepGroup("hdd", 7, start) + d.SweepLeaf("", 7, start) +
		d.SweepLeaf("hdd", 7, start)
	if n != 0 {
		t.Errorf("%d rows removed from an empty directory", n)
	}
}

func TestSweepGivesMemoryBack(t *testing.T) {
	d := newDirectory()
	rows := crowd(2000, 1)
	d.Merge("", rows, start, nil)
	last := d.Ends(Mapping{Activity: start.Tick()})
	if removed := sweepAll(d, last.Add(time.Minute)); removed != len(rows) {
		t.Fatalf("%d rows removed of %d", removed, len(rows))
	}
	for leaf := range 4 {
		room := shape(d.shard("").group(uint16(leaf)).leaves[leaf&0xff].shape.Load()).room()
		if room != 0 {
			t.Errorf("leaf %d keeps room for %d rows", leaf, room)
		}
	}
}

// A sweep of a group gives memory back once all leaves of a lock have been swept.
func TestSweepOfAGroupGivesMemoryBack(t *testing.T) {
	d := newDirectory()
	rows := crowd(2000, 1)
	d.Merge("", rows, start, nil)
	last := d.Ends(Mapping{Activity: start.Tick()})
	removed := 0
	for group := range 256 {
		removed += d.SweepGroup("", uint8(group), last.Add(time.Minute))
	}
	if removed != len(rows) {
		t.Fatalf("%d rows removed of %d", removed, len(rows))
	}
	if l := d.shard("").group(0).lockOf(0); !l.bare() {
		t.Errorf("room for %d rows is kept", len(l.pack))
	}
}

// What is forgotten later begins a minute of its own, and is noticed where summaries say that
// nothing has changed since the last sweep.
func TestSweepAfterForgettingAgain(t *testing.T) {
	for _, summarized := range []int{1, summarizedRows} {
		d := newDirectory()
		d.summarizedRows = summarized
		d.Assign("", 5, b1, start)
		first := start.Add(10 * time.Second)
		d.SetBackends([]BackendRow{presentRow(b1, "", StampAt(first))})
		sweepAll(d, first)
		second := first.Add(2 * time.Minute)
		d.Assign("", 6, b1, second)
		if sweepAll(d, second); d.Users(b1) != 1 {
			t.Fatalf("%d users of which one came back, from %d rows on", d.Users(b1), summarized)
		}
		d.SetBackends([]BackendRow{presentRow(b1, "", StampAt(second))})
		for _, test := range []struct {
			at      Time
			removed int
		}{{second, 0}, {second.Add(deadKept) - 1, 0}, {second.Add(deadKept), 1}} {
			if removed := sweepAll(d, test.at); removed != test.removed || d.Users(b1) != 0 {
				t.Errorf(
					"%d rows removed after %v, %d users left; want %d and none, from %d rows on",
					removed, test.at.Sub(second), d.Users(b1), test.removed, summarized)
			}
		}
	}
}

// A sweep of a single leaf gives memory back at once; that of a group does so for a lock when its
// last leaf has been swept, because a new array for each would cost too much.
func TestWhenASweepGivesMemoryBack(t *testing.T) {
	room := func(d *Directory) int { return len(d.shard("").group(0).lockOf(0).pack) }
	rows := []Mapping{}
	for leaf := range ring.UserHash(2) { // of one lock
		for i := range ring.UserHash(300) {
			rows = append(rows, Mapping{
				Hash: leaf<<16 | i, Backend: b1, Generation: 1,
				Activity: start.Tick(), Stamp: start.Tick(),
			})
		}
	}
	for _, trim := range []bool{false, true} {
		d := newDirectory()
		d.Merge("", rows, start, nil)
		full := room(d)
		removed := d.sweep(d.shard(""), 0, d.Ends(rows[0]).Add(deadKept), trim)
		if removed != 300 || (room(d) < full) != trim {
			t.Errorf("trim %v: room for %d rows after %d of 600 are gone, was %d",
				trim, room(d), removed, full)
		}
	}
	d := newDirectory()
	d.Merge("", rows[:300], start, nil)
	if d.SweepLeaf("", 0, d.Ends(rows[0]).Add(deadKept)); room(d) != 0 {
		t.Errorf("room for %d rows after the only leaf was swept", room(d))
	}
}
