package replica

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/wire"
)

// A director whose peers do not answer serves alone when its time is over, and not before; it says
// so once, and counts it.
func TestServingAlone(t *testing.T) {
	w := newWorld(t)
	w.start("d1")
	d2 := w.start("d2") // has somebody to join
	w.directors[0].stopped = true
	began := w.now
	for !d2.core.synced() {
		w.run(25 * time.Millisecond)
		if w.now-began > time.Minute {
			t.Fatal("it never serves")
		}
	}
	if took := w.now - began; took < startWait || took > startWait+50*time.Millisecond {
		t.Errorf("it serves after %v, want %v", took, startWait)
	}
	w.run(time.Second)
	if got := d2.core.Counters().ServedAlone; got != 1 || !d2.core.Self(w.now).Alone {
		t.Errorf("counted %d times, %+v", got, d2.core.Self(w.now))
	}
}

// Whose sign of life was lately is in sight, unless it failed or was only heard of.
func TestNobodyInSight(t *testing.T) {
	const now = time.Hour
	for _, test := range []struct {
		name   string
		change func(p *peer)
		want   bool
	}{
		{"seen", func(p *peer) { p.seenAt = now - failAfter }, false},
		{"not seen any more", func(p *peer) { p.seenAt = now - failAfter - 1 }, true},
		{"barred", func(p *peer) { p.seenAt, p.barred = now, true }, true},
		{"heard of", func(p *peer) { p.seenAt, p.boot = now, 0 }, true},
	} {
		c := crowd(1, func(_ int, p *peer) { test.change(p) })
		if got := c.nobodyInSight(now); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// What a peer of another time says is counted and left alone, but for what has no time.
func TestMessagesOfAnotherTime(t *testing.T) {
	for _, test := range []struct {
		m    wire.Message
		want uint64
	}{
		{&wire.Rows{}, 1}, {&wire.Counting{Counts: []wire.Life{{Name: "d9", Boot: 9}}}, 1},
		{&wire.Exclude{Reason: "test"}, 0}, {&wire.Leaving{}, 0},
	} {
		w := started(t, 2)
		d1, d2 := w.directors[0], w.directors[1]
		p := d1.core.peers["d2"]
		p.counts = nil
		p.clock.Take(w.now, meshtime.Sample{MeshTime: time.Hour})
		d1.core.admission.synced = false // else it notices by itself
		before := d1.core.Counters()
		d1.hears(d2, test.m)
		after := d1.core.Counters()
		if got := after.OtherTime - before.OtherTime; got != test.want || len(p.counts) > 0 {
			t.Errorf("%T: %d counted, %v taken", test.m, got, p.counts)
		}
	}
}

// Names under which our address is heard are said once each, as many as there is room for, and
// shown for a while; for as long as memberlist holds them alive.
func TestAliases(t *testing.T) {
	c := started(t, 1).directors[0].core
	const at = time.Hour
	c.Take()
	for range 2 {
		for i := range maxAliases + 2 {
			c.heardAlias(at, fmt.Sprint("x", i), i == 0)
		}
	}
	lines := 0
	for _, e := range c.Take() {
		if _, ok := e.(Log); ok {
			lines++
		}
	}
	if lines != maxAliases || len(c.aliases) != maxAliases {
		t.Errorf("%d lines about %d names, want %d", lines, len(c.aliases), maxAliases)
	}
	for ago, want := range map[time.Duration]string{
		aliasFor: "x0, x1, x2, x3, x4, x5, x6, x7", aliasFor + 1: "x0",
	} {
		if got := c.shownAliases(at + ago); got != want {
			t.Errorf("%v later %q is shown, want %q", ago, got, want)
		}
	}
	c.MemberFailed(at, "x0")
	if got := c.shownAliases(at + aliasFor + 1); got != "" {
		t.Errorf("after memberlist has given it up %q is shown", got)
	}
}

// Of too many directors that were named, one that is trusted less and was heard of longest ago
// makes room; of several, the first by name.
func TestRoomForHints(t *testing.T) {
	for _, test := range []struct {
		name  string
		trust Trust
		left  []string
		ok    bool
	}{
		{"heard of", Heard, []string{"a", "b", "c", "d"}, false},
		{"named", Named, []string{"a", "c", "d"}, true},
	} {
		c := started(t, 1).directors[0].core
		for name, h := range map[string]*hint{
			"a": {trust: Named, heardAt: 1}, "b": {trust: Heard, heardAt: 5},
			"c": {trust: Heard, heardAt: 5}, "d": {trust: Heard, heardAt: 6},
		} {
			h.name = name
			c.hints[name] = h
		}
		ok := c.makeRoom(test.trust)
		var left []string
		for _, h := range c.sortedHints() {
			left = append(left, h.name)
		}
		if diff := cmp.Diff(test.left, left); diff != "" || ok != test.ok {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, ok, diff)
		}
	}
}

// A director that was named is told of once more when it moves, but not on the word of one that is
// trusted less.
func TestHintsMove(t *testing.T) {
	old, next := netip.MustParseAddrPort("198.51.100.1:9"),
		netip.MustParseAddrPort("198.51.100.2:9")
	for _, test := range []struct {
		name          string
		before, after Trust
		addr          netip.AddrPort
		want          netip.AddrPort
		dials         int
	}{
		{"the same", Heard, Heard, old, old, 0},
		{"moved", Heard, Heard, next, next, 1},
		{"moved, named", Heard, Named, next, next, 1},
		{"moved, by somebody", Named, Heard, next, old, 0},
	} {
		c := started(t, 1).directors[0].core
		c.hear(time.Hour, hint{name: "d9", addr: old, trust: test.before}, 0)
		c.hints["d9"].lastFailed = 7
		c.Take()
		c.hear(time.Hour+1, hint{name: "d9", addr: test.addr, trust: test.after}, 0)
		dials := 0
		for _, e := range c.Take() {
			if d, ok := e.(Dial); ok && d.Name == "d9" && d.Addr == test.want {
				dials++
			}
		}
		h := c.hints["d9"]
		if h.addr != test.want || dials != test.dials || h.lastFailed != 7 ||
			h.trust != max(test.before, test.after) {
			t.Errorf("%s: at %v, trust %v, dialled %d times", test.name, h.addr, h.trust, dials)
		}
	}
}

// Without admission nobody waits for directors that were named.
func TestNoAdmissionNoWait(t *testing.T) {
	for _, without := range []bool{false, true} {
		c := crowd(0, nil)
		c.cfg.Guards.NoAdmission = without
		c.admission.named = map[string]time.Duration{"d9": time.Hour}
		if got := c.unsyncedReason(time.Hour); (got == "") != without {
			t.Errorf("without admission %v: %q", without, got)
		}
	}
}
