package replica

import (
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/meshtime"
)

// In larger meshes things are done more rarely, within bounds. However many peers there are, a
// silence of 5 s fails none, and a peer that has failed is noticed in the last seconds of a
// mapping.
func TestPace(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		peers                        pace
		beat, silence, batch, review time.Duration
	}{
		{0, 250 * ms, 5500 * ms, 50 * ms, 0},
		{2, 250 * ms, 5500 * ms, 50 * ms, 2 * ms},
		{11, 250 * ms, 5500 * ms, 50 * ms, 11 * ms},
		{12, 250 * ms, 5500 * ms, 52 * ms, 12 * ms},
		{50, 250 * ms, 5500 * ms, 204 * ms, 50 * ms},
		{100, 500 * ms, 6000 * ms, 404 * ms, 100 * ms},
		{200, 1000 * ms, 7000 * ms, 804 * ms, 200 * ms},
		{500, 1000 * ms, 7000 * ms, 1000 * ms, 200 * ms},
	} {
		n := test.peers
		if n.beat() != test.beat || n.silence() != test.silence || n.batch() != test.batch ||
			n.review() != test.review || n.lateBeat() != 3*test.beat {
			t.Errorf("%d peers: beat %v, silence %v, batch %v, review %v, late after %v",
				n, n.beat(), n.silence(), n.batch(), n.review(), n.lateBeat())
		}
		if n.silence()-2*n.beat() < 5*time.Second {
			t.Errorf("%d peers: a silence of less than 5 s fails a peer", n)
		}
		if need := n.silence() + n.batch() + meshtime.Tolerance; need >= directory.EndOfLife {
			t.Errorf("%d peers: the last seconds of a mapping must be longer than %v", n, need)
		}
	}
}

// All peers count for the pace, whether they are live or not.
func TestPaceOfACore(t *testing.T) {
	c := crowd(3, func(n int, p *peer) { p.live = n > 0 })
	if got := c.pace(); got != 3 {
		t.Errorf("the pace is that of %d peers, want 3", got)
	}
}
