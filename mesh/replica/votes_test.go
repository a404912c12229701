package replica

import (
	"testing"
	"time"
)

// The vote of a peer that failed counts, that of one that left does not; nor does that of one that
// is live in another mesh.
func TestWhoseVoteCounts(t *testing.T) {
	const vote = 4 * time.Second
	for _, test := range []struct {
		name   string
		change func(*peer)
		want   time.Duration
	}{
		{"live", func(p *peer) {}, vote / 2},
		{"failed", func(p *peer) { p.live = false }, vote / 2},
		{"failed, before it voted",
			func(p *peer) { p.live, p.clock.votes, p.clock.known = false, false, false }, 0},
		{"left", func(p *peer) { p.live, p.left, p.clock.known = false, true, false }, 0},
		{"of another mesh", func(p *peer) { p.mesh.ID++ }, 0},
	} {
		w := started(t, 2, func(c *Config) { c.Guards.NoClockLeash = true })
		c := w.directors[0].core
		p := c.peers["d2"]
		p.clock.votes, p.clock.vote = true, vote
		c.clock.wallZero = c.clock.zero.Add(time.Duration(c.clock.offset.Load())) // our vote: 0
		test.change(p)
		w.now += sampleAge + time.Second
		if got := c.slewTarget(w.now); got != test.want {
			t.Errorf("%s: towards %v, want %v", test.name, got, test.want)
		}
	}
}
