package sim

import (
	"slices"
	"testing"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/ring"
)

// The time in which all hosts stood still is no time to the checker, whatever an event tells: not
// in when a mapping ends, and not in when a frame was sent.
func TestTimeOfAStandstillIsNoTime(t *testing.T) {
	const login, standstill = 20 * time.Second, 30 * time.Second
	s := Schedule{
		Seed: 1, Directors: 2, Expire: time.Minute, ChunkRows: 25,
		Backends: []ring.Backend{{Addr: backend(0), VHosts: 100}},
		Users:    []check.User{{Hash: 140_000_003}},
		Network:  Network{Delay: time.Millisecond, PushPull: 3 * time.Second},
		Actions: []Action{
			{At: 10 * time.Second, Kind: Freeze, From: []int{0, 1}, For: standstill},
			{At: login + standstill, Kind: Login},
			{At: login + standstill, Kind: Bad, Fault: BadRow, Extra: time.Second},
		},
	}
	w := newWorld(s, nil)
	w.until(login + standstill + 5*time.Second)
	ends := login + s.Expire + s.Expire/3 // the share is 20 s at least
	for name, state := range w.finalState().Directors {
		i := slices.IndexFunc(state.Mappings, func(m check.Mapping) bool {
			return m.User == s.Users[0]
		})
		if i < 0 {
			t.Fatalf("%s does not have the user", name)
		}
		if m := state.Mappings[i]; (m.Ends - ends).Abs() > time.Second {
			t.Errorf("%s holds a mapping that ends at %v, expected %v", name, m.Ends, ends)
		}
	}
	for _, e := range w.history {
		if f, ok := e.(check.Frame); ok && f.Sent > f.When() {
			t.Errorf("a frame from %s came at %v, and was sent at %v", f.From, f.When(), f.Sent)
		}
	}
}
