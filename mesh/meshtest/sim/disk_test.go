package sim

import (
	"strings"
	"testing"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/ring"
)

// Disks that lose what they reported as synced are noticed, in the table and in the mappings.
func TestLyingDisksAreNoticed(t *testing.T) {
	long(t)
	var table, users int
	for seed := range uint64(20) {
		s := allOnDisks(seed + 1)
		s.Disks.Lies = true
		for i := range s.Actions {
			s.Actions[i].Power = true
		}
		for _, b := range Run(s, nil).Breaches {
			switch {
			case !strings.Contains(b.Text, "after a start of all"):
			case b.User.Hash != 0:
				users++
			default:
				table++
			}
		}
	}
	if table == 0 || users == 0 {
		t.Errorf("%d breaches about the table, %d about users", table, users)
	}
}

// What a director answered apart from others is on its disk alone, and nobody notices if that loses
// it, unless what the disk had reported as synced is known.
func TestLyingDiskOfOneIsNoticed(t *testing.T) {
	long(t)
	found := 0
	for seed := range uint64(5) {
		s := diesApart(3 * (seed + 1))
		s.Disks.Lies = true
		for i := range s.Actions {
			s.Actions[i].Power = true
		}
		for _, b := range Run(s, nil).Breaches {
			if b.Guarantee == "G2" {
				found++
			}
		}
	}
	if found == 0 {
		t.Error("nothing is missed of what one director answered apart from the others")
	}
}

// A mesh without data directories begins anew when all have died, which the same look notices.
func TestDiskless(t *testing.T) {
	found := false
	for seed := range uint64(5) {
		s := allOnDisks(seed + 1)
		s.Disks.On = false
		for _, b := range Run(s, nil).Breaches {
			found = found || strings.Contains(b.Text, "after a start of all")
		}
	}
	if !found {
		t.Error("nothing is missed of a mesh that keeps nothing")
	}
}

// A disk that rots keeps what no other one has: nothing could bring that back. Here d2 was down
// when the users came, and dies again before it is told of them.
func TestRotOfTheOnlyRow(t *testing.T) {
	for seed := range uint64(10) {
		s := Schedule{
			Seed: seed + 1, Directors: 2, Expire: time.Minute, KickDelay: time.Second, Parallel: 5,
			ChunkRows: 25, End: 105 * time.Second,
			Network:  Network{Delay: time.Millisecond, PushPull: 3 * time.Second},
			Backends: []ring.Backend{{Addr: backend(0), VHosts: 100}},
			Disks:    Disks{On: true, Sync: 10 * time.Millisecond, Rots: true},
			Actions: []Action{
				{At: 20 * time.Second, Kind: Crash, Director: 1, For: 14 * time.Second},
			},
		}
		for i := range 10 {
			s.Users = append(s.Users, check.User{Hash: uint32(i+1) << 24})
			s.Actions = append(s.Actions, Action{At: 21 * time.Second, Kind: Login, User: i})
		}
		s.Actions = append(s.Actions, Action{
			At: 34*time.Second + 2*time.Millisecond, Kind: AllDie, For: time.Second,
		})
		for _, b := range Run(s, nil).Breaches {
			t.Errorf("seed %d: %v", seed+1, b)
		}
	}
}

// A flush that is under way when all die goes on from their disks, long after they have started.
func TestFlushGoesOnFromDisk(t *testing.T) {
	order := func(at time.Duration, op check.Op) Action {
		return Action{At: at, Kind: Order, Op: op}
	}
	s := Schedule{
		Seed: 1, Directors: 2, Expire: time.Minute, KickDelay: 2 * time.Second, Parallel: 1,
		ChunkRows: 25, End: 150 * time.Second,
		Network:  Network{Delay: time.Millisecond, PushPull: 3 * time.Second},
		Backends: []ring.Backend{{Addr: backend(0), VHosts: 100}, {Addr: backend(1)}},
		Disks:    Disks{On: true, Sync: 10 * time.Millisecond},
	}
	logins := func(at time.Duration) {
		for i := range s.Users {
			s.Actions = append(s.Actions, Action{At: at, Kind: Login, Director: i % 2, User: i})
		}
	}
	for i := range 20 {
		s.Users = append(s.Users, check.User{Hash: uint32(i+1) << 24})
	}
	logins(20 * time.Second)
	s.Actions = append(s.Actions,
		order(25*time.Second, check.Op{Kind: check.OpUpdate, Backend: backend(1), VHosts: 100}),
		order(26*time.Second, check.Op{Kind: check.OpUpdate, Backend: backend(0)}),
		order(28*time.Second, check.Op{Kind: check.OpFlush}),
		Action{At: 35 * time.Second, Kind: AllDie, For: time.Second})
	for at := 50 * time.Second; at < 80*time.Second; at += time.Second {
		logins(at)
	}
	for _, b := range Run(s, nil).Breaches {
		t.Error(b)
	}
}

// flushOverAStart has a director die in the middle of a flush, which the others end, and an
// operator move users back to the flushed backend. Then all start, the one that missed that among
// them, and in the end all users log in.
func flushOverAStart(seed uint64) Schedule {
	g := draw(seed, "flushes", 3, 110*time.Second)
	g.s.Disks = Disks{On: true, Sync: g.between(time.Millisecond, 50*time.Millisecond)}
	g.flushed(60, 10, 20*time.Second)
	g.add(Action{At: 22 * time.Second, Kind: Crash, Director: 0, For: 48500 * time.Millisecond})
	for u, user := range g.s.Users[:20] {
		if user.Tag != string(g.s.Backends[0].Tag) {
			continue
		}
		g.add(Action{
			At: 60*time.Second + time.Duration(u)*100*time.Millisecond, Kind: Order, Director: 1,
			Op: check.Op{Kind: check.OpMove, User: user, Backend: backend(0)},
		})
	}
	g.add(Action{At: 70 * time.Second, Kind: AllDie, For: 2 * time.Second})
	for u := range g.s.Users {
		g.add(Action{At: 105 * time.Second, Kind: Login, Director: u % 3, User: u})
	}
	return g.finish()
}

// A flush that had ended is not run again after a start of all, which would move users whom an
// operator had moved back.
func TestFlushOverAStart(t *testing.T) {
	long(t)
	for seed := range uint64(10) {
		for _, b := range Run(flushOverAStart(seed+1), nil).Breaches {
			t.Errorf("seed %d: %v", seed+1, b)
		}
	}
}
