package replica

import (
	"testing"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/meshtime"
)

// A sample of a clock outlasts a failure for as long as a peer may be silent and count as live. The
// two packages cannot share the constant: neither length is the other's affair.
func TestSamplesLastAsLongAsSilence(t *testing.T) {
	if meshtime.RecentFor != failAfter {
		t.Errorf("samples last for %v, a silent peer is live for %v", meshtime.RecentFor, failAfter)
	}
}

// A peer keeps the time that we follow if it is of the mesh and its clock was read lately. Its vote
// outlasts that, unless it left.
func TestTimekeepers(t *testing.T) {
	const readAt = mono.Time(time.Hour)
	clock := &meshtime.Clock{}
	clock.Init(0, readAt)
	for _, test := range []struct {
		name         string
		change       func(*peer)
		later        time.Duration // since its clock was read
		keeps, votes bool
	}{
		{"live", func(*peer) {}, time.Minute, true, true},
		{"live, its clock was never read", func(p *peer) { p.clock = meshtime.Peer{} }, 0,
			false, false},
		{"live, of another mesh", func(p *peer) { p.mesh.ID++ }, 0, false, false},
		{"failed a moment ago", func(p *peer) { p.live = false }, meshtime.RecentFor, true, true},
		{"failed", func(p *peer) { p.live = false }, meshtime.RecentFor + 1, false, true},
		{"failed, it never voted", func(p *peer) { p.live, p.clock = false, meshtime.Peer{} }, 0,
			false, false},
		{"left", func(p *peer) { p.live, p.left = false, true }, time.Minute, false, false},
		{"left a moment ago", func(p *peer) { p.live, p.left = false, true }, 0, false, false},
	} {
		p := &peer{name: "d2", live: true}
		p.mesh.ID = 7
		p.clock.Take(readAt, meshtime.Sample{AskedAt: readAt})
		p.clock.NoteTogether(clock)
		test.change(p)
		k := timekeepers{mesh: 7, now: readAt.Add(test.later)}
		if got := k.include(p); got != test.keeps {
			t.Errorf("%s: keeps the time: %v, want %v", test.name, got, test.keeps)
		}
		all := peerList{p}
		if n := len(k.clocks(all)); (n > 0) != test.keeps {
			t.Errorf("%s: %d clocks are followed, want one: %v", test.name, n, test.keeps)
		}
		if n := len(k.voters(all)); (n > 0) != test.votes {
			t.Errorf("%s: %d votes count, want one: %v", test.name, n, test.votes)
		}
	}
}
