package replica

import (
	"testing"
	"time"

	"directormesh/mesh/replica/internal/meshtime"
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
		{"failed, before it voted", func(p *peer) { p.live, p.clock = false, meshtime.Peer{} }, 0},
		{"left", func(p *peer) { p.live, p.left = false, true }, 0},
		{"of another mesh", func(p *peer) { p.mesh.ID++ }, 0},
	} {
		w := started(t, 2, func(c *Config) { c.Guards.NoClockLeash = true })
		c := w.directors[0].core
		p := c.peers.get("d2")
		w.now = w.now.Add(10 * time.Second) // no sample of before is better
		p.clock.Take(w.now, meshtime.Sample{Wall: vote, AskedAt: w.now})
		p.clock.NoteTogether(&c.clock)
		c.ReadWall(w.now, c.clock.Micros(w.now)) // our vote: 0
		test.change(p)
		w.now = w.now.Add(meshtime.RecentFor + time.Second)
		if got := c.slewTarget(w.now); got != test.want {
			t.Errorf("%s: towards %v, want %v", test.name, got, test.want)
		}
	}
}
