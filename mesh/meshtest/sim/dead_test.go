package sim

import (
	"testing"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/ring"
)

// TestActivityOfTheDead lets two directors lose each other, while a third is in contact with both,
// and one of the two die. Recorded activity that only the third has heard of must be known to the
// other one before its own copies of the mappings end. A director that does not care is noticed.
func TestActivityOfTheDead(t *testing.T) {
	s := oneInTheMiddle()
	for _, b := range Run(s, nil).Breaches {
		t.Error(b)
	}
	s.Guards.NoRests = true
	if r := Run(s, nil); len(r.Breaches) == 0 {
		t.Error("no breach although nobody passes on what it has of a dead director's log")
	}
}

func oneInTheMiddle() Schedule {
	s, logins := fewUsers(time.Minute, 5*time.Minute)
	cut := func(from, to int) {
		s.Actions = append(s.Actions, Action{
			At: 50 * time.Second, Kind: Cut, From: []int{from}, To: []int{to},
			For: 100 * time.Second,
		})
	}
	logins(10*time.Second, 0)
	cut(0, 2)
	cut(2, 0)
	logins(58*time.Second, 0) // d2 is told, d3 is not
	s.Actions = append(s.Actions,
		Action{At: 72 * time.Second, Kind: Crash, Director: 0},
		Action{At: 84 * time.Second, Kind: Order, Director: 1, Op: check.Op{
			Kind: check.OpUpdate, Backend: backend(0), VHosts: 1000,
		}})
	logins(92*time.Second, 2) // its copies would have ended at 90 s
	logins(92*time.Second+time.Millisecond/2, 1)
	return *s
}

// fewUsers is a quiet schedule of three directors. Logins adds one of each user at a director.
func fewUsers(expire, end time.Duration) (
	s *Schedule, logins func(at time.Duration, director int),
) {
	s = &Schedule{
		Seed: 1, Directors: 3, Expire: expire, KickDelay: time.Second, Parallel: 5, ChunkRows: 25,
		Network: Network{
			Delay: time.Millisecond, Jitter: 2 * time.Millisecond, PushPull: 3 * time.Second,
		},
		End: end,
	}
	for i := range 4 {
		s.Backends = append(s.Backends, ring.Backend{Addr: backend(i), VHosts: 100})
	}
	for i := range 30 {
		s.Users = append(s.Users, check.User{Hash: uint32(i+1) * 140_000_003})
	}
	return s, func(at time.Duration, director int) {
		for u := range s.Users {
			s.Actions = append(s.Actions, Action{At: at, Kind: Login, Director: director, User: u})
		}
	}
}
