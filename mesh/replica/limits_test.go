package replica

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/hints"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// A process goes on in another life if by both hellos it began at one moment, give or take a
// second and a thousandth of the time that it runs.
func TestProcessGoesOn(t *testing.T) {
	const began = mono.Time(time.Hour)
	for _, test := range []struct {
		boot    uint64
		by, ran time.Duration
		want    bool
	}{
		{7, 0, 0, true}, {1, 0, 0, true}, {0, 0, 0, false},
		{7, time.Second, 0, true}, {7, -time.Second, 0, true}, {7, time.Second + 1, 0, false},
		{7, 2 * time.Second, 1000 * time.Second, true},
		{7, 2*time.Second + 1, 1000 * time.Second, false},
		{7, 2 * time.Second, 999 * time.Second, false},
	} {
		p := &peer{boot: test.boot, began: began}
		if got := p.goesOn(began.Add(test.by), test.ran); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// Directors of a large mesh that start together do not beat together for ever: one of many peers
// beats earlier the first time. In a small mesh nobody does.
func TestBeatsOfALargeMeshScatter(t *testing.T) {
	const now = mono.Time(time.Hour)
	for _, test := range []struct {
		peers, before int
		scattered     bool
	}{
		{beatManyPeers, 0, false}, {beatManyPeers + 1, 0, true},
		{beatManyPeers + 1, beatManyPeers + 1, false}, {2, 0, false},
	} {
		c := crowd(test.peers, func(int, *peer) {})
		c.rand, c.beatPeers = rand.New(rand.NewPCG(1, 2)), test.before
		c.nextBeat = now
		c.beat(now)
		if got := c.nextBeat < now.Add(c.pace().beat()); got != test.scattered || c.nextBeat < now {
			t.Errorf("%+v: the next beat comes in %v of %v",
				test, c.nextBeat.Sub(now), c.pace().beat())
		}
		if c.beatPeers != test.peers {
			t.Errorf("%+v: it remembers %d peers", test, c.beatPeers)
		}
	}
}

// Rows and stamps may lie ahead of mesh time by the limit, and not by more.
func TestLimitsOfWhatLiesAhead(t *testing.T) {
	w := started(t, 1)
	c := w.directors[0].core
	latest := c.latest(w.now).Tick()
	row := func(activity, stamp directory.Tick) directory.Mapping {
		return directory.Mapping{Hash: 1, Generation: 1, Activity: activity, Stamp: stamp}
	}
	for i, test := range []struct {
		row  directory.Mapping
		kept int
	}{
		{row(latest, latest), 1}, {row(latest+1, latest), 0}, {row(latest, latest+1), 0},
	} {
		before := c.counters.ValuesAhead
		kept := c.dropRowsAhead([]directory.Mapping{test.row}, latest)
		dropped := c.counters.ValuesAhead - before
		if len(kept) != test.kept || int(dropped) != 1-test.kept {
			t.Errorf("row %d: %d kept, %d counted", i, len(kept), dropped)
		}
	}
	at := directory.StampAt(c.latest(w.now))
	c.observe(w.now, at)
	if c.counters.ValuesAhead != 2 {
		t.Error("a stamp at the limit is dropped")
	}
	if next := c.hlc.Next(0); next <= at {
		t.Error("a stamp at the limit is not taken")
	}
	c.observe(w.now, directory.StampAt(c.latest(w.now)+1))
	if c.counters.ValuesAhead != 3 {
		t.Error("a stamp beyond the limit is taken")
	}
}

// A command's stamp may lie ahead by less than what peers take.
func TestLimitOfOwnStamps(t *testing.T) {
	for ahead, fails := range map[time.Duration]bool{
		ownAhead: false, ownAhead + time.Millisecond: true,
	} {
		w := started(t, 1)
		c := w.directors[0].core
		after := c.MeshTime(w.now).Add(ahead)
		s, err := c.nextStamp(w.now, after)
		if (err != nil) != fails || err == nil && s.Time() != after {
			t.Errorf("%v ahead: %v, %v", ahead, s, err)
		}
	}
}

// A joiner keeps a bounded number of what a peer says of its table; a member keeps nothing.
func TestWhatAPeerSaidIsBounded(t *testing.T) {
	for _, member := range []bool{false, true} {
		c := crowd(1, func(int, *peer) {})
		c.admission.bootstrapped = member
		p := c.peers.get("d2")
		for range maxSaid + 3 {
			c.confirm(p, directory.Change{})
		}
		if want := map[bool]int{false: maxSaid, true: 0}[member]; len(p.said) != want {
			t.Errorf("member %v: %d are kept, want %d", member, len(p.said), want)
		}
	}
}

// A message of a kind that this release does not have belongs on no stream.
func TestKindBeyondTheLast(t *testing.T) {
	for k := range 3 {
		if h := handlerOf(ofKind(len(handlers) + k)); h.take != nil {
			t.Errorf("kind %d is taken", len(handlers)+k)
		}
	}
}

// ofKind is a message of a kind, and nothing else.
type ofKind wire.Kind

func (k ofKind) Kind() wire.Kind { return wire.Kind(k) }

// As many directors as a mesh may have are accepted, and no more; one that is known is.
func TestMeshIsFull(t *testing.T) {
	w := started(t, 1)
	c := w.directors[0].core
	for i := range MaxDirectors - 1 {
		name := fmt.Sprint("x", i)
		c.peers.add(&peer{name: name, boot: 5})
	}
	hello := func(name string) *wire.Hello {
		h := c.Hello(w.now, Dial{})
		h.From = wire.Peer{Name: name, Boot: 5, Addr: netip.MustParseAddrPort("198.51.100.9:9")}
		return h
	}
	if err := c.acceptable(w.now, hello("y")); err != nil {
		t.Errorf("the last that has room: %v", err)
	}
	c.peers.add(&peer{name: "y", boot: 5})
	if err := c.acceptable(w.now, hello("z")); err == nil {
		t.Error("one too many is accepted")
	}
	if err := c.acceptable(w.now, hello("y")); err != nil {
		t.Errorf("one that is known: %v", err)
	}
}

// A hint of another director at the address where one answers is forgotten; one of that director
// or of another address is not.
func TestFormerNamesAreNoHints(t *testing.T) {
	w := started(t, 1)
	c := w.directors[0].core
	here := netip.MustParseAddrPort("198.51.100.1:9")
	there := netip.MustParseAddrPort("198.51.100.2:9")
	for name, addr := range map[string]netip.AddrPort{"x": here, "y": here, "z": there} {
		c.hear(w.now, hints.Hint{Name: name, Addr: addr}, 0)
	}
	c.endFormerNames(w.now, here, "y")
	if c.hints.Get("x") != nil || c.hints.Get("y") == nil || c.hints.Get("z") == nil {
		t.Errorf("the hints that are left: %v", c.hints.Sorted())
	}
}

// Rows of a few moves are gossiped too, of more they are not.
func TestGossipedRows(t *testing.T) {
	for n, want := range map[int]int{1: 1, gossipRows: 1, gossipRows + 1: 0} {
		w := started(t, 1)
		c := w.directors[0].core
		c.Take()
		var rows []directory.Mapping
		for i := range n {
			rows = append(rows, directory.Mapping{Hash: ring.UserHash(i), Generation: 1})
		}
		c.gossipRows([]wire.Block{wire.Pack("", rows)})
		if got := len(c.Take()); got != want {
			t.Errorf("%d rows: %d deltas, want %d", n, got, want)
		}
	}
}

// A user that was not seen for longer than a login can take has no sessions to wait for.
func TestDelayOfIdleUsers(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(m *moves.Move, seen func(ago time.Duration) directory.Tick)
		delay  bool
	}{
		{"active", func(*moves.Move, func(time.Duration) directory.Tick) {}, true},
		{"seen at the limit", func(m *moves.Move, seen func(time.Duration) directory.Tick) {
			m.Previous.Activity = seen(0)
		}, true},
		{"idle", func(m *moves.Move, seen func(time.Duration) directory.Tick) {
			m.Previous.Activity = seen(time.Second)
		}, false},
		{"idle, not all have told", func(m *moves.Move, seen func(time.Duration) directory.Tick) {
			m.Previous.Activity, m.Unsure = seen(time.Second), true
		}, true},
		{"without a mapping", func(m *moves.Move, _ func(time.Duration) directory.Tick) {
			m.Was = directory.None
		}, false},
		{"on no backend", func(m *moves.Move, _ func(time.Duration) directory.Tick) {
			m.Previous.Backend = netip.Addr{}
		}, false},
	} {
		w := started(t, 1)
		c := w.directors[0].core
		for c.MeshTime(w.now) != c.MeshTime(w.now).Tick().Time() { // a tick begins
			w.now = w.now.Add(time.Millisecond)
		}
		limit := c.MeshTime(w.now).Add(-c.dir.Share() - idleMargin)
		m := &moves.Move{Was: directory.Live, Previous: directory.Mapping{
			Backend: testBackend(1), Activity: c.MeshTime(w.now).Tick(),
		}}
		test.change(m, func(ago time.Duration) directory.Tick { return limit.Add(-ago).Tick() })
		c.startDelay(w.now, m)
		want := w.now
		if test.delay {
			want = want.Add(c.cfg.KickDelay)
		}
		if m.Until != want || m.Phase != moves.Delaying {
			t.Errorf("%s: until %v, want %v; %v", test.name, m.Until, want, m.Phase)
		}
	}
}

// A peer that is excluded because it gives no snapshot, and comes back at once, has its time again
// to give one. Else the two would exclude and admit each other at each tick.
func TestOneThatGivesNoSnapshotIsNotExcludedAtEachTick(t *testing.T) {
	w := started(t, 3)
	d2, d3 := w.directors[1], w.directors[2]
	excluded := 0
	w.lose = func(from, to *director, m wire.Message) bool {
		if _, exclude := m.(*wire.Exclude); exclude && from == d3 && to == d2 {
			excluded++
		}
		_, rows := m.(*wire.Rows)
		_, chunk := m.(*wire.SnapshotChunk)
		return from == d2 && to == d3 && (rows || chunk)
	}
	d2.must(7)
	w.run(donateWithin + time.Second)
	if excluded != 1 {
		t.Errorf("excluded %d times in the first second, want once", excluded)
	}
	w.run(donateWithin)
	if excluded != 2 {
		t.Errorf("excluded %d times after as long again, want twice", excluded)
	}
	w.lose = nil
	w.until("all synced", 15*time.Second, w.allSynced)
}
