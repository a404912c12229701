package replica

import (
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// Whose messages can be merged is told by a round trip, else by bounds, else by the hello; whom one
// need not wait for is known only of those that are for sure elsewhere.
func TestNearAndFarClocks(t *testing.T) {
	const most = mergeTolerance
	for _, test := range []struct {
		name      string
		clock     peerClock
		near, far bool
	}{
		{"known, ahead", peerClock{known: true, skew: most, guess: time.Hour}, true, false},
		{"known, too far ahead", peerClock{known: true, skew: most + 1}, false, true},
		{"known, behind", peerClock{known: true, skew: -most, bounded: true}, true, false},
		{"known, too far behind", peerClock{known: true, skew: -most - 1}, false, true},
		{"bounded, least", peerClock{bounded: true, least: most, most: time.Hour, guess: time.Hour},
			true, false},
		{"bounded, beyond", peerClock{bounded: true, least: most + 1, most: time.Hour}, false,
			true},
		{"bounded, most", peerClock{bounded: true, least: -time.Hour, most: -most}, true, false},
		{"bounded, below", peerClock{bounded: true, least: -time.Hour, most: -most - 1}, false,
			true},
		{"guessed", peerClock{guess: most}, true, false},
		{"guessed ahead", peerClock{guess: most + 1}, false, true},
		{"guessed behind", peerClock{guess: -most - 1}, false, false},
	} {
		if near, far := test.clock.near(), test.clock.far(); near != test.near || far != test.far {
			t.Errorf("%s: near %v, far %v; want %v, %v", test.name, near, far, test.near, test.far)
		}
	}
}

// A hello keeps what a round trip told a moment ago, unless the peer is ahead of that now. Bounds
// are of the stream before.
func TestHelloOfAPeersClock(t *testing.T) {
	const now = time.Hour
	for _, test := range []struct {
		name  string
		known bool
		at    time.Duration // of the sample
		guess time.Duration
		want  bool
	}{
		{"recent", true, now - failAfter, 0, true},
		{"too old", true, now - failAfter - 1, 0, false},
		{"ahead as far as may be", true, now, time.Second + clockTolerance, true},
		{"further ahead", true, now, time.Second + clockTolerance + 1, false},
		{"behind, which a hello cannot tell", true, now, -time.Hour, true},
		{"not known", false, now, 0, false},
	} {
		k := peerClock{known: test.known, sampledAt: test.at, skew: time.Second, bounded: true}
		k.hello(now, test.guess)
		if k.known != test.want || k.bounded || k.guess != test.guess || k.skew != time.Second {
			t.Errorf("%s: %+v, want known %v", test.name, k, test.want)
		}
	}
}

// What a peer says after we stood still only shows that it is further ahead.
func TestPeerIsAheadAfterAStandstill(t *testing.T) {
	k := peerClock{skew: time.Second, sampledAt: 1, bestTrip: 2}
	if k.isAhead(time.Hour, time.Second); k.known || k.sampledAt != 1 || k.bestTrip != 2 {
		t.Errorf("no further ahead: %+v", k)
	}
	k.isAhead(time.Hour, time.Second+1)
	if !k.known || k.skew != time.Second+1 || k.sampledAt != time.Hour ||
		k.bestTrip != clockTolerance {
		t.Errorf("further ahead: %+v", k)
	}
}

// A sample of a peer's clocks is taken if its round trip was short, by itself and next to the best of
// late; of a long one only bounds are kept, until there is a sample.
func TestSamplesOfAPeersClock(t *testing.T) {
	const now, best = time.Hour, 100 * time.Millisecond
	const longest = 2*best + 20*time.Millisecond
	for _, test := range []struct {
		name    string
		known   bool
		ago     time.Duration // since the last sample
		trip    time.Duration
		taken   bool
		bounded bool
	}{
		{"first", false, 0, clockTolerance, true, false},
		{"first, too long", false, 0, clockTolerance + 1, false, true},
		{"too long", true, time.Hour, clockTolerance + 1, false, false},
		{"as long as may be", true, 0, longest, true, false},
		{"longer than the best", true, sampleAge - 1, longest + 1, false, false},
		{"longer, after a while", true, sampleAge, longest + 1, true, false},
	} {
		c := &Core{}
		c.clock.init(trueTime(now), now)
		p := &peer{}
		p.clock = peerClock{known: test.known, sampledAt: now - test.ago, bestTrip: best,
			skew: time.Minute, askedAt: 1}
		ours := c.clock.micros(now)
		c.sampleClock(now, p, test.trip, &wire.Beat{
			MeshTime: ours.Add(time.Second), Wall: ours.Add(2 * time.Second), Echo: 7,
		})
		k := p.clock
		if test.taken && (!k.known || k.skew != time.Second+test.trip/2 ||
			k.vote != 2*time.Second+test.trip/2 ||
			k.bestTrip != test.trip || k.sampledAt != now || k.askedAt != 7) {
			t.Errorf("%s: %+v", test.name, k)
		}
		if !test.taken && (k.known != test.known || k.skew != time.Minute || k.askedAt != 1) {
			t.Errorf("%s: it was taken: %+v", test.name, k)
		}
		if k.bounded != test.bounded || k.bounded && (k.least != time.Second ||
			k.most != time.Second+test.trip) {
			t.Errorf("%s: bounds %v, %v, %v", test.name, k.bounded, k.least, k.most)
		}
	}
}

// The clock of a mesh is in the middle of its directors' clocks; the earlier of two, unless those on
// the earlier side stood still.
func TestMiddleOfTheMeshTimes(t *testing.T) {
	const s = time.Second
	type other struct {
		skew     time.Duration
		together bool
		change   func(p *peer)
	}
	at := func(skew time.Duration) other { return other{skew: skew} }
	for _, test := range []struct {
		name   string
		others []other
		joiner bool
		want   time.Duration
		peers  int
	}{
		{"alone", nil, false, 0, 0},
		{"a joiner alone", nil, true, 0, 0},
		{"two, the other ahead", []other{at(s)}, false, 0, 1},
		{"two, the other behind", []other{at(-s)}, false, -s, 1},
		{"two, we stood still", []other{{s, true, nil}}, false, s, 1},
		{"two, the other stood still", []other{{-s, true, nil}}, false, 0, 1},
		{"two, within what may be", []other{{clockTolerance, true, nil}}, false, 0, 1},
		{"two, just beyond it", []other{{clockTolerance + 1, true, nil}}, false, clockTolerance + 1,
			1},
		{"three", []other{at(s), at(2 * s)}, false, s, 2},
		{"three, we in the middle", []other{at(-s), {s, true, nil}}, false, 0, 2},
		{"four, both of the later half", []other{at(-s), {2 * s, true, nil}, at(s)}, false, s, 3},
		{"four, none was together", []other{at(-s), at(2 * s), at(s)}, false, 0, 3},
		{"not known", []other{{s, true, func(p *peer) { p.clock.known = false }}}, false, 0, 0},
		{"of another mesh", []other{{s, true, func(p *peer) { p.mesh.ID = 8 }}}, false, 0, 0},
		{"not live any more", []other{{s, true, func(p *peer) { p.live = false }}}, false, 0, 0},
		{"not live, a moment ago", []other{{s, true, func(p *peer) {
			p.live, p.clock.sampledAt = false, time.Hour
		}}}, false, s, 1},
	} {
		c := &Core{peers: make(map[string]*peer)}
		c.table = directory.NewTable(0, "d1", nil)
		if !test.joiner {
			c.table.Found(7)
			c.admission.bootstrapped = true
		}
		for i, o := range test.others {
			p := &peer{live: true, mesh: wire.MeshRank{ID: 7}}
			p.clock = peerClock{known: true, skew: o.skew, together: o.together}
			if o.change != nil {
				o.change(p)
			}
			c.peers[string(rune('a'+i))] = p
		}
		if got, peers := c.meshOffset(time.Hour); got != test.want || peers != test.peers {
			t.Errorf("%s: %v of %d, want %v of %d", test.name, got, peers, test.want, test.peers)
		}
	}
}

// Those that are live, known, of our mesh and of our time have mesh time in common with us; from when
// the question was sent that they have answered.
func TestTogetherWithPeers(t *testing.T) {
	const now = time.Hour
	for _, test := range []struct {
		name   string
		change func(c *Core, p *peer)
		want   bool
	}{
		{"together", func(*Core, *peer) {}, true},
		{"as far off as may be", func(_ *Core, p *peer) { p.clock.skew = -clockTolerance }, true},
		{"off", func(_ *Core, p *peer) { p.clock.skew = clockTolerance + 1 }, false},
		{"not live", func(_ *Core, p *peer) { p.live = false }, false},
		{"not known", func(_ *Core, p *peer) { p.clock.known = false }, false},
		{"another mesh", func(_ *Core, p *peer) { p.mesh.ID = 8 }, false},
		{"we are no member", func(c *Core, _ *peer) { c.admission.bootstrapped = false }, false},
	} {
		c := &Core{peers: make(map[string]*peer)}
		c.clock.init(trueTime(now), now)
		c.table = directory.NewTable(0, "d1", nil)
		c.table.Found(7)
		c.admission.bootstrapped = true
		p := &peer{live: true, mesh: wire.MeshRank{ID: 7}, clock: peerClock{known: true,
			askedAt: now - time.Second}}
		c.peers["d2"] = p
		test.change(c, p)
		c.noteTogether(now)
		with := directory.Micros(0)
		if test.want {
			with = c.clock.micros(now - time.Second)
		}
		if k := p.clock; k.together != test.want || k.votes != test.want || k.with != with {
			t.Errorf("%s: %+v, want %v since %v", test.name, k, test.want, with)
		}
		if p.clock.with = c.clock.micros(now); test.want {
			if c.noteTogether(now); p.clock.with != c.clock.micros(now) {
				t.Errorf("%s: an earlier moment takes the place of a later one", test.name)
			}
		}
	}
}
