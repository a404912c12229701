package sim

import (
	"testing"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
)

// TestActivityOfTheUnheard has a director take in nothing but beats while others record activity.
// As long as it asks nobody anything it cannot know what it misses. But once its change is not
// confirmed by anybody it must have stopped when its copies of the mappings end. One that goes on
// is noticed.
func TestActivityOfTheUnheard(t *testing.T) {
	for _, test := range []struct {
		name     string
		asks     time.Duration // when it changes the table; 0: it does not
		guards   replica.Guards
		breaches bool
	}{
		{name: "it asks nothing"},
		{
			name: "it asks too late", asks: 48 * time.Second,
			guards: replica.Guards{NoMajority: true},
		},
		{name: "it asks and stops", asks: 40 * time.Second},
		{
			name: "it asks and goes on", asks: 40 * time.Second,
			guards: replica.Guards{NoMajority: true}, breaches: true,
		},
	} {
		s := oneUnhearing(test.asks)
		s.Guards = test.guards
		if r := Run(s, nil); len(r.Breaches) > 0 != test.breaches {
			t.Errorf("%s: %v, want breaches: %v", test.name, r.Breaches, test.breaches)
		}
	}
}

func oneUnhearing(asks time.Duration) Schedule {
	s, logins := fewUsers(10*time.Second, 130*time.Second)
	order := func(at time.Duration, director int, op check.Op) {
		s.Actions = append(s.Actions, Action{At: at, Kind: Order, Director: director, Op: op})
	}
	logins(20*time.Second, 0)
	order(25*time.Second, 1, check.Op{
		Kind: check.OpUpdate, Backend: backend(0), VHosts: 1000,
	})
	s.Actions = append(s.Actions,
		Action{At: 28 * time.Second, Kind: Deaf, Director: 2, For: 32 * time.Second})
	logins(35*time.Second, 1)
	if asks != 0 {
		order(asks, 2, check.Op{Kind: check.OpUp, Backend: backend(1)})
	}
	logins(44*time.Second, 0)
	logins(51*time.Second, 2) // its copies have ended at 50 s
	return *s
}
