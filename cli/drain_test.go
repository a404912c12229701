package cli

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
)

// emptying is a director with a drained backend that has so many users mapped to it, and on the way
// away from it, each time that it is asked.
type emptying struct {
	*httpapitest.Director
	states [][2]int
	asked  atomic.Int64
}

func (e *emptying) Backends() api.Backends {
	state := e.states[min(int(e.asked.Add(1)), len(e.states))-1]
	b := e.BackendsIs.Backends[0]
	b.Users, b.Leaving, b.Drain = state[0], state[1], &api.Task{On: true}
	return api.Backends{Backends: []api.Backend{b}}
}

// drain --wait returns when the last user has been moved, not when the last move begins.
func TestDrainWaitsForTheLastMove(t *testing.T) {
	d := &emptying{
		Director: httpapitest.Sample(), states: [][2]int{{2, 1}, {0, 2}, {0, 1}, {0, 0}},
	}
	socket := httpapitest.Serve(t, d, zerolog.Nop())
	got := runCommand(t, "", "drain", "-a", socket, "--wait", "192.0.2.1")
	if got.status != 0 || !strings.Contains(got.stderr, "192.0.2.1: 3 of 3 users moved") {
		t.Errorf("%+v", got)
	}
	if n := d.asked.Load(); n != 4 {
		t.Errorf("asked %d times, want 4: until nobody is on the way", n)
	}
}
