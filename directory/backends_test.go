package directory

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"directormesh/ring"
)

func backendNumber(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("198.51.100.%d", n)) }

// With few ids, backends that come and go must share them, and no mapping may
// ever lead to a backend other than its own.
func TestBackendIDsAreReused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := New(0)
		d.maxBackends = 4
		now := start
		own := map[ring.UserHash]netip.Addr{}
		user := ring.UserHash(0)
		for range rapid.IntRange(1, 30).Draw(t, "rounds") {
			var rows []BackendRow
			for n := range 8 {
				if rapid.Bool().Draw(t, "present") && len(rows) < d.maxBackends {
					rows = append(rows, presentRow(backendNumber(n), "", 0))
				}
			}
			d.SetBackends(rows)
			for _, r := range rows {
				user += 0x00010001
				if m, ok := d.Assign("", user, r.Addr, now); ok {
					own[user] = m.Backend
				}
			}
			if rapid.Bool().Draw(t, "sweep") {
				after := rapid.SampledFrom([]time.Duration{0, deadKept, time.Hour})
				now = now.Add(after.Draw(t, "after"))
				sweepAll(d, now)
			}
			for u, want := range own {
				switch m, status := d.Find("", u, now); {
				case status == None:
					delete(own, u)
				case m.Backend != want:
					t.Fatalf("user %v was assigned to %v and is on %v", u, want, m.Backend)
				}
			}
			if n := len(d.view.Load().entries); n > d.maxBackends+1 {
				t.Fatalf("%d entries for %d ids", n, d.maxBackends)
			}
			wantCounts(t, d)
		}
	})
}

func TestVanishedBackendsMakeRoom(t *testing.T) {
	d := New(0)
	d.maxBackends = 2
	d.SetBackends([]BackendRow{presentRow(b1, "", 0), presentRow(b2, "", 0)})
	stored, _ := d.Assign("", 5, b1, start)

	// b2 has no rows, so its id is free; b1's is not.
	d.SetBackends([]BackendRow{presentRow(b3, "", 0), presentRow(b6, "", 0)})
	if _, ok := d.Assign("", 6, b3, start); !ok {
		t.Error("no room for the first new backend")
	}
	if m, ok := d.Assign("", 7, b6, start); ok {
		t.Errorf("room for a third backend: %+v", m)
	}
	if m, status := d.Find("", 5, start); status != Dead || m != stored {
		t.Errorf("the mapping to a vanished backend became %+v, %v", m, status)
	}

	sweepAll(d, start)
	sweepAll(d, start.Add(deadKept))
	d.SetBackends([]BackendRow{presentRow(b3, "", 0), presentRow(b6, "", 0)})
	if _, ok := d.Assign("", 7, b6, start); !ok {
		t.Error("no room for the second new backend after the old rows are gone")
	}
	if d.Users(b1) != 0 || d.Users(b3) != 1 || d.Users(b6) != 1 {
		t.Errorf("users: %d, %d, %d; want 0, 1, 1", d.Users(b1), d.Users(b3), d.Users(b6))
	}
}

// Everything at once, for the race detector; afterwards the counts are right
// and no mapping leads where nobody sent it.
func TestConcurrentUse(t *testing.T) {
	const users, rounds = 400, 300
	d := New(0)
	d.maxBackends = 3
	// Users whose hash is even go to even backends, odd ones to odd backends.
	backendOf := func(h ring.UserHash, round int) netip.Addr {
		return backendNumber(int(h%2) + 2*(round%4))
	}
	tables := make([][]BackendRow, 4)
	for i := range tables {
		tables[i] = []BackendRow{
			presentRow(backendNumber(2*i), "", Stamp(i)), presentRow(backendNumber(2*i+1), "", 0),
			presentRow(b3, "ssd", 0),
		}
	}
	at := func(round int) Time { return start.Add(time.Duration(round) * 5 * time.Second) }
	hash := func(i int) ring.UserHash { return ring.UserHash(i%users) * 0x00000801 }
	var wg sync.WaitGroup
	worker := func(work func(round int)) {
		wg.Go(func() {
			for round := range rounds {
				work(round)
			}
		})
	}
	worker(func(round int) { d.SetBackends(tables[round/10%4]) })
	for w := range 2 { // two logins at a time
		worker(func(round int) {
			now := at(round)
			for i := range 20 {
				h := hash(round*20 + i + w*7)
				m, status := d.Find("", h, now)
				if status == Live {
					d.Touch("", m, now)
				} else {
					d.Assign("", h, backendOf(h, round/10), now)
				}
				next := backendOf(h, round/10)
				if m, _, _ := d.Supersede("", h, next, true, now, 0); m.Generation > 0 {
					d.Release("", m)
				}
			}
		})
	}
	worker(func(round int) {
		leaf, now := uint16(round%16), at(round)
		rows := d.Leaf("", leaf, now, nil)
		d.Merge("", rows, now, func(in Mapping, _ Merged) { d.Find("", in.Hash, now) })
		d.DigestLeaf("", leaf, now)
		d.Users(backendNumber(1))
		d.Len()
	})
	worker(func(round int) { d.SweepGroup("", 0, at(round)) })
	wg.Wait()

	sweepAll(d, at(rounds))
	for i := range users {
		h := hash(i)
		if m, status := d.Find("", h, at(rounds)); status != None &&
			m.Backend.As4()[3]%2 != byte(h%2) {
			t.Errorf("user %v is on %v, where nobody sent it", h, m.Backend)
		}
	}
	wantCounts(t, d)
}
