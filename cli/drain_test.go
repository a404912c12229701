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

// A director that does not go on with a drain says why; without a drain there is nothing to say.
func TestStatusOutOfContact(t *testing.T) {
	const warning = "moves nobody by itself"
	on, off := &api.Task{On: true}, &api.Task{}
	for _, test := range []struct {
		name string
		out  bool
		b    api.Backend
		want bool
	}{
		{"drains", true, api.Backend{Drain: on, Users: 1}, true},
		{"its last user is moved", true, api.Backend{Drain: on, Leaving: 1}, true},
		{"rebalances", true, api.Backend{Rebalance: on}, true},
		{"in contact", false, api.Backend{Drain: on, Users: 1}, false},
		{"drained", true, api.Backend{Drain: on}, false},
		{"ended", true, api.Backend{Drain: off, Rebalance: off, Users: 1}, false},
		{"nothing to move", true, api.Backend{Users: 1}, false},
	} {
		d := httpapitest.Sample()
		d.BackendsIs = api.Backends{Backends: []api.Backend{test.b}, OutOfContact: test.out}
		socket := httpapitest.Serve(t, d, zerolog.Nop())
		for _, args := range [][]string{{"status"}, {"status", "-v"}} {
			got := runCommand(t, "", append(args, "-a", socket)...)
			if got.status != 0 || strings.Contains(got.stderr, warning) != test.want {
				t.Errorf("%s: %v: %+v", test.name, args, got)
			}
		}
	}
}
