package replica

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/admission"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/wire"
)

// crowd is a core with peers that are live, counted and in touch; some of them changed.
func crowd(n int, change func(i int, p *peer)) *Core {
	c := &Core{
		logs: logs.NewSet(), barrier: barrier.New(nil),
		moves: moves.NewSet(), kicks: kicks.NewLocal(),
	}
	c.cfg.Name = "d1"
	c.table = directory.NewTable(7, "d1", nil)
	c.assemble()
	c.admission.synced, c.admission.bootstrapped, c.admission.member = true, true, true
	for i := range n {
		p := &peer{name: fmt.Sprint("d", i+2), boot: uint64(i + 2), live: true,
			mesh: wire.MeshRank{ID: 7}, Peer: admission.Peer{Counted: true, CountsUs: true}}
		change(i, p)
		c.peers.add(p)
	}
	return c
}

// elsewhere is the clock of a peer that is known to be far from our time.
func elsewhere() (clock meshtime.Peer) {
	clock.Take(0, meshtime.Sample{MeshTime: time.Minute})
	return clock
}

// More than half of all directors that are known are a majority, ourselves included. Those that
// left, and those that were only heard of, are not known.
func TestMajority(t *testing.T) {
	for _, test := range []struct {
		name   string
		peers  int
		change func(i int, p *peer)
		want   bool
	}{
		{"alone", 0, nil, true},
		{"two, both there", 1, func(int, *peer) {}, true},
		{"two, one away", 1, func(_ int, p *peer) { p.live = false }, false},
		{"three, one away", 2, func(i int, p *peer) { p.live = i > 0 }, true},
		{"three, two away", 2, func(_ int, p *peer) { p.live = false }, false},
		{"four, two away", 3, func(i int, p *peer) { p.live = i > 1 }, false},
		{"one barred", 1, func(_ int, p *peer) { p.Fail(nil) }, false},
		{"one not counted", 1, func(_ int, p *peer) { p.Counted = false }, false},
		{"one left", 1, func(_ int, p *peer) { p.live, p.left = false, true }, true},
		{"one heard of", 1, func(_ int, p *peer) { p.live, p.boot = false, 0 }, true},
	} {
		c := crowd(test.peers, test.change)
		if got := c.inMajority(); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		c.admission.synced = false
		if c.inMajority() {
			t.Errorf("%s: in the majority although it answers nothing", test.name)
		}
	}
}

// Of two that were apart the one in the majority stays; of two such the one with the lower name.
func TestWhoStaysIn(t *testing.T) {
	for _, test := range []struct {
		ours, theirs bool
		name         string
		want         bool
	}{
		{true, false, "d0", true}, {true, true, "d2", true}, {true, true, "d0", false},
		{false, false, "d2", false}, {false, true, "d2", false},
	} {
		c := crowd(0, nil)
		c.admission.synced = test.ours
		if got := c.staysIn(&peer{name: test.name, majority: test.theirs}); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// Whoever would exclude two or more, and more than half of those that it counts, is at fault
// itself.
func TestOutvoted(t *testing.T) {
	for _, test := range []struct {
		peers, excluded, next int
		want                  bool
	}{
		{1, 0, 1, false}, {2, 0, 2, true}, {3, 0, 1, false}, {3, 0, 2, true}, {4, 0, 2, false},
		{4, 1, 1, false}, {4, 1, 2, true}, {3, 1, 1, true}, {2, 1, 0, false},
	} {
		var next []suspect
		c := crowd(test.peers, func(i int, p *peer) {
			if i < test.excluded {
				p.Exclude(0)
			}
			if i >= test.excluded && i < test.excluded+test.next {
				next = append(next, suspect{p, ""})
			}
		})
		if got := c.outvoted(next); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
		c.cfg.Guards.NoMajority = true
		if c.outvoted(next) {
			t.Errorf("%+v: without the guard", test)
		}
	}
	c := crowd(4, func(i int, p *peer) {
		if i == 3 {
			p.Fail(nil)
		}
	})
	if !c.outvoted([]suspect{{c.peers.get("d2"), ""}, {c.peers.get("d3"), ""}}) {
		t.Error("one that failed counts among those that stay")
	}
}

// A peer that takes a snapshot from us has more time to admit us, from its last word on.
func TestImpatience(t *testing.T) {
	const now = mono.Time(time.Hour)
	for _, test := range []struct {
		name   string
		chunks time.Duration // ago
		want   bool
	}{
		{"takes a snapshot", confirmWithin, false},
		{"takes none any more", confirmWithin + 1, true},
	} {
		c := crowd(1, func(int, *peer) {})
		p := c.peers.get("d2")
		p.Begin(now.Add(-admission.AdmitWithin), 7)
		c.donations.Begin(now.Add(-test.chunks), "d2", 1, 0, nil, nil)
		if got := c.impatient(now, p); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// A peer behind which we are gives us rows in time, or is said to give none: later if we were told
// that donors are busy.
func TestRefusedRows(t *testing.T) {
	const now = mono.Time(time.Hour)
	const never = time.Hour // ago: at the zero of the clock
	for _, test := range []struct {
		name                string
		behind, chunk, busy time.Duration // ago
		counted, want       bool
	}{
		{"in time", donateWithin, never, never, true, false},
		{"too late", donateWithin + 1, never, never, true, true},
		{"not counted", donateWithin + 1, never, never, false, false},
		{"chunks come", never - 1, donateWithin, never, true, false},
		{"chunks came", never - 1, donateWithin + 1, never, true, true},
		{"busy", donateWithin + 1, never, confirmWithin, true, false},
		{"was busy", donateWithin + 1, never, confirmWithin + 1, true, true},
		{"busy for long", admission.AdmitWithin, never, 0, true, false},
		{"busy for ever", admission.AdmitWithin + 1, never, 0, true, true},
	} {
		c := crowd(1, func(int, *peer) {})
		p := c.peers.get("d2")
		p.gap, p.Counted, p.behindAt = true, test.counted, now.Add(-test.behind)
		c.receiver.ChunkAt, c.receiver.BusyAt = now.Add(-test.chunk), now.Add(-test.busy)
		if got := c.refusesRows(now, p); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	c := crowd(1, func(int, *peer) {})
	p := c.peers.get("d2")
	p.gap = true
	if c.refusesRows(now, p) || p.behindAt != now {
		t.Errorf("at first: since %v", p.behindAt)
	}
	c.refusesRows(now.Add(time.Second), p)
	if p.behindAt != now {
		t.Errorf("then: since %v", p.behindAt)
	}
	p.gap = false
	if c.refusesRows(now.Add(time.Minute), p) || p.behindAt != 0 ||
		p.wholeAt != now.Add(time.Minute) {
		t.Errorf("in the end: behind since %v, whole since %v", p.behindAt, p.wholeAt)
	}
}

// What keeps a director from answering is said, the first thing first; the order is that of names.
func TestHindrances(t *testing.T) {
	const now = mono.Time(time.Hour)
	for _, test := range []struct {
		name   string
		change func(c *Core, p *peer)
		want   string
	}{
		{"nothing", func(*Core, *peer) {}, ""},
		{"a gap", func(_ *Core, p *peer) { p.gap = true }, "gap in the log of d2"},
		{"rows that no log has", func(_ *Core, p *peer) { p.lacking = true },
			"gap in the log of d2"},
		{"a gap at one that does not count", func(_ *Core, p *peer) {
			p.gap, p.Counted = true, false
		}, ""},
		{"not admitted, it answers", func(_ *Core, p *peer) {
			p.CountsUs, p.synced = false, true
		}, "not yet admitted by d2"},
		{"not admitted, asked", func(_ *Core, p *peer) { p.Begin(now, 7) },
			"not yet admitted by d2"},
		{"not admitted, named", func(c *Core, p *peer) {
			p.CountsUs = false
			c.admission.named = admission.Named{{Name: "d2"}: now}
		}, "not yet admitted by d2"},
		{"not admitted, joins itself", func(_ *Core, p *peer) { p.CountsUs = false }, ""},
		{"not admitted, barred", func(_ *Core, p *peer) {
			p.CountsUs, p.synced = false, true
			p.Fail(nil)
		}, ""},
		{"not admitted, of another time", func(_ *Core, p *peer) {
			p.CountsUs, p.synced, p.clock = false, true, elsewhere()
		}, ""},
		{"not admitted, of another mesh", func(_ *Core, p *peer) {
			p.CountsUs, p.synced, p.mesh.ID = false, true, 8
		}, ""},
		{"named, not reached", func(c *Core, _ *peer) {
			c.admission.named = admission.Named{{Name: "d9"}: now.Add(-failAfter)}
		}, "not yet in contact with d9"},
		{"named, gone", func(c *Core, _ *peer) {
			c.admission.named = admission.Named{{Name: "d9"}: now.Add(-failAfter - 1)}
		}, ""},
		{"leaving", func(c *Core, p *peer) { c.admission.leaving, p.gap = true, true }, "leaving"},
		{"removed", func(c *Core, _ *peer) { c.admission.removed = true },
			"removed from the mesh by ring remove"},
		{"no member", func(c *Core, _ *peer) { c.admission.bootstrapped = false }, "joining"},
		{"clock off", func(c *Core, _ *peer) { c.admission.clockOff = true },
			"mesh time is off by more than half a second"},
	} {
		c := crowd(2, func(int, *peer) {})
		test.change(c, c.peers.get("d2"))
		if got := c.unsyncedReason(now); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// Nobody need wait for a director that was named if it is there in the life in which it was named,
// has left in that one, or had its time. What is known of another life says nothing, unless that
// one has answered since.
func TestNamedDirectors(t *testing.T) {
	const now = mono.Time(time.Hour)
	const life, other = 7, 99 // boot ids
	for _, test := range []struct {
		name string
		boot uint64 // of the life in which d2 is known; 0: d2 is not known
		peer peer
		want bool
	}{
		{"not known", 0, peer{}, false},
		{"live", life, peer{live: true}, true},
		{"left", life, peer{left: true}, true},
		{"not in touch", life, peer{}, false},
		{"left in another life", other, peer{left: true}, false},
		{"lived in another life", other, peer{live: true, echoAt: now}, false},
		{"lives in another life", other, peer{live: true, echoAt: now + 1}, true},
		{"lived on in another life, not in touch", other, peer{echoAt: now + 1}, false},
	} {
		c := crowd(1, func(_ int, p *peer) {
			p.boot, p.live, p.left, p.echoAt =
				test.boot, test.peer.live, test.peer.left, test.peer.echoAt
		})
		if test.boot == 0 {
			c.peers = peers{}
		}
		d2 := wire.Life{Name: "d2", Boot: life}
		c.admission.named.Note(now, d2)
		if got := c.reachedOrGone(now.Add(failAfter), d2); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
		if !c.reachedOrGone(now.Add(failAfter+1), d2) {
			t.Errorf("%s: it is waited for for ever", test.name)
		}
	}
}

// All that waits for something outside gets the time of a pause, and what waits for nothing does
// not.
func TestPostponed(t *testing.T) {
	const late, at = time.Minute, mono.Time(time.Hour)
	c := crowd(2, func(i int, p *peer) {
		if i == 0 {
			p.Exclude(at)
			p.Probe(at, 7)
		}
	})
	c.admission.joinsSince, c.admission.coldSince = at, at
	c.admission.named = admission.Named{{Name: "d2"}: at}
	c.moves.Queue(&moves.Move{Row: directory.Mapping{Generation: 1}})
	for range c.moves.Announce(at, c.newID) { // a Hold for whose confirmations we wait
	}
	c.donations.Begin(at, "d2", 1, 0, nil, nil)
	c.receiver.Begin(at, snapshots.Snapshot{ID: 1, Peer: "d2"})
	c.postpone(late)
	got := []mono.Time{
		c.admission.joinsSince, c.admission.coldSince, c.admission.named[wire.Life{Name: "d2"}],
		c.donations.Get("d2").AckedAt(),
	}
	for i, v := range got {
		if v != at.Add(late) {
			t.Errorf("number %d is put off to %v", i, v)
		}
	}
	if c.receiver.Silent(at.Add(late + snapshots.Stall)) {
		t.Error("the donor is given up for the time of the pause")
	}
	for b := range c.moves.Overdue(at.Add(late), 0) {
		t.Errorf("Hold %d is waited for all the time of the pause", b.ID)
	}
	if p := c.peers.get("d2"); p.AskOverdue(at.Add(late+confirmWithin)) ||
		p.ProbeFailed(at.Add(late+confirmWithin)) {
		t.Error("a peer is given up for the time of the pause")
	}
	c = crowd(0, nil)
	if c.postpone(late); c.admission.coldSince != 0 {
		t.Error("a cold start begins by a pause")
	}
}

// Whose life goes on is told by its own frames or by a peer that counts it, both of our time.
func TestWhoRuns(t *testing.T) {
	d9 := wire.Life{Name: "d9", Boot: 9}
	far := elsewhere()
	for _, test := range []struct {
		name   string
		change func(p *peer)
		life   wire.Life
		want   bool
	}{
		{"a peer", func(*peer) {}, wire.Life{Name: "d2", Boot: 2}, true},
		{"another life of it", func(*peer) {}, wire.Life{Name: "d2", Boot: 3}, false},
		{"not live", func(p *peer) { p.live = false }, wire.Life{Name: "d2", Boot: 2}, false},
		{"of another time", func(p *peer) { p.clock = far }, wire.Life{Name: "d2", Boot: 2}, false},
		{"counted by it", func(p *peer) { p.counts = map[wire.Life]bool{d9: true} }, d9, true},
		{"counted by one not live", func(p *peer) {
			p.live, p.counts = false,
				map[wire.Life]bool{d9: true}
		}, d9, false},
		{"counted by one of another time", func(p *peer) {
			p.clock, p.counts = far,
				map[wire.Life]bool{d9: true}
		}, d9, false},
		{"counted by nobody", func(*peer) {}, d9, false},
	} {
		c := crowd(1, func(_ int, p *peer) { test.change(p) })
		if got := c.runs(test.life); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// What a peer says of whom it counts is bounded; a whole list takes the place of the one before.
func TestCountingIsBounded(t *testing.T) {
	c := crowd(1, func(int, *peer) {})
	p := c.peers.get("d2")
	many := &wire.Counting{}
	for i := range maxLives + 5 {
		many.Counts = append(many.Counts, wire.Life{Name: fmt.Sprint("x", i), Boot: 1})
	}
	c.gotCounting(0, p, many)
	if len(p.counts) != maxLives {
		t.Errorf("%d are remembered, want %d", len(p.counts), maxLives)
	}
	c.gotCounting(0, p, &wire.Counting{Gone: many.Counts[:10], Counts: []wire.Life{{Name: "y",
		Boot: 1}}})
	if len(p.counts) != maxLives-9 || p.counts[many.Counts[0]] || !p.counts[wire.Life{Name: "y",
		Boot: 1}] {
		t.Errorf("%d are remembered", len(p.counts))
	}
	c.gotCounting(0, p, &wire.Counting{Whole: true, Counts: many.Counts[:1]})
	if len(p.counts) != 1 || !p.counts[many.Counts[0]] {
		t.Errorf("%v are remembered", p.counts)
	}
}

// The names of states and settings are what operators read.
func TestWordsForOperators(t *testing.T) {
	if got := []string{Handshaking.String(), Syncing.String(), Synced.String()}; !slices.Equal(got,
		[]string{"handshaking", "syncing", "synced"}) {
		t.Errorf("%v", got)
	}
	ours := wire.Settings{Protocol: 1, Mesh: "m", HashFormat: "%u", Expire: 60_000}
	for want, change := range map[string]func(s *wire.Settings){
		`mesh name differs: ours is "m", theirs "n"`: func(s *wire.Settings) {
			s.Mesh = "n"
		},
		"protocol version differs: ours is 1, theirs 2": func(s *wire.Settings) {
			s.Protocol = 2
		},
		`username hash differs: ours is "%u", theirs "%Lu"`: func(s *wire.Settings) {
			s.HashFormat = "%Lu"
		},
		"user expire differs: ours is 1m0s, theirs 30s": func(s *wire.Settings) {
			s.Expire = 30_000
		},
	} {
		theirs := ours
		change(&theirs)
		if err := differences(ours, theirs); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := differences(ours, ours); err != nil {
		t.Errorf("the same settings: %v", err)
	}
}

// A joiner tells those that count it, and are there, for whom it waits; not that one itself.
func TestTellWaiting(t *testing.T) {
	c := crowd(5, func(i int, p *peer) {
		p.out, p.to = true, []string{p.name}
		p.live, p.CountsUs = i != 2, i != 3
	})
	c.tellWaiting(c.peers.get("d2"))
	var told []string
	for _, e := range c.Take() {
		told = append(told, e.(Send).To...)
	}
	if want := []string{"d3", "d6"}; !slices.Equal(told, want) {
		t.Errorf("told are %v, want %v", told, want)
	}
}
