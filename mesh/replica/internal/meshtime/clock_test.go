package meshtime

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"directormesh/directory"
	"directormesh/mesh/mono"
)

const now = mono.Time(time.Hour)

// begun is what the wall clock says now.
const begun = directory.Micros(1_800_000_000_000_000)

func started() *Clock {
	k := new(Clock)
	k.Init(begun, now)
	return k
}

// at are the clocks of peers that are so far ahead of ours.
func at(skews ...time.Duration) (peers []*Peer) {
	for _, skew := range skews {
		p := &Peer{}
		p.Take(now, Sample{MeshTime: skew, Wall: skew, AskedAt: now})
		peers = append(peers, p)
	}
	return peers
}

// Mesh time begins with the wall clock, but never in a past that mappings cannot store. Then it
// runs on, whatever the wall clock is set to, and moves when it is told to.
func TestClockRuns(t *testing.T) {
	k := started()
	k.ReadWall(now, begun.Add(-time.Hour))
	k.Move(3 * time.Second)
	later := now.Add(time.Minute)
	if got, want := k.Micros(later), begun.Add(63*time.Second); got != want {
		t.Errorf("mesh time is %v, want %v", got, want)
	}
	if got, want := k.At(later), begun.Add(63*time.Second).Time(); got != want {
		t.Errorf("in milliseconds it is %v, want %v", got, want)
	}
	if got, want := k.Wall(later), begun.Add(time.Minute-time.Hour); got != want {
		t.Errorf("the wall clock is at %v, want %v", got, want)
	}
	k = new(Clock)
	if k.Init(7, now); k.At(now) != earliest {
		t.Errorf("a machine without a battery begins at %v, want %v", k.At(now), earliest)
	}
}

// It is looked whether to slew each beat, but no more often than mesh time changes; always by one
// that is not synced. The more time has passed, the more it may be.
func TestSlewIsDue(t *testing.T) {
	for _, test := range []struct {
		after, beat time.Duration
		always      bool
		due         bool
		most        time.Duration
	}{
		{slewEvery - 1, 0, false, false, 0},
		{slewEvery, 0, false, true, time.Millisecond},
		{slewEvery, time.Second, false, false, 0},
		{2 * time.Second, time.Second, false, true, 2 * SlewPerSecond},
		{20 * time.Millisecond, time.Second, true, true, 100 * time.Microsecond},
	} {
		k := started()
		most, due := k.Due(now.Add(test.after), test.beat, test.always)
		if most != test.most || due != test.due {
			t.Errorf("%+v: due %v, %v at most", test, due, most)
		}
		if _, again := k.Due(now.Add(test.after), slewEvery, false); due && again {
			t.Errorf("%+v: due again at once", test)
		}
	}
}

// Since when a clock is off is kept until it is not, or it stood still once more.
func TestOffSince(t *testing.T) {
	k := started()
	for _, test := range []struct {
		note func()
		want mono.Time
	}{
		{func() { k.NoteAgain(now) }, 0},
		{func() { k.NoteOff(now, true) }, now},
		{func() { k.NoteOff(now+1, true) }, now},
		{func() { k.NoteAgain(now + 2) }, now + 2},
		{func() { k.NoteOff(now+3, false) }, 0},
	} {
		if test.note(); k.OffSince() != test.want {
			t.Errorf("off since %v, want %v", k.OffSince(), test.want)
		}
	}
}

func TestMayBeApart(t *testing.T) {
	for since, want := range map[time.Duration]time.Duration{
		-time.Hour:         Tolerance,
		0:                  Tolerance,
		100 * time.Second:  Tolerance + time.Second,
		24 * 6 * time.Hour: Tolerance + 24*6*36*time.Second,
	} {
		if got := MayBeApart(since); got != want {
			t.Errorf("after %v: %v, want %v", since, got, want)
		}
	}
}

func TestOffset(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name         string
		skews        []time.Duration
		member, thaw bool
		want         time.Duration
	}{
		{"alone", nil, true, true, 0},
		{"nobody to ask", nil, false, true, 0},
		{"one of two: the earlier is right", []time.Duration{4 * s}, true, false, 0},
		{"the other of two", []time.Duration{-4 * s}, true, false, -4 * s},
		{"a joiner does not count itself", []time.Duration{4 * s}, false, false, 4 * s},
		{"a joiner of four", []time.Duration{5 * s, 4 * s, 7 * s}, false, false, 5 * s},
		{"of three the middle one", []time.Duration{4 * s, 9 * s}, true, false, 4 * s},
		{"four, in any order", []time.Duration{9 * s, -3 * s, 4 * s}, true, false, 0},
	} {
		if got := started().Offset(at(test.skews...), test.member, test.thaw); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// Of two halves the earlier one stood still if somebody of the one had the time of somebody of the
// other, be it us or a peer. A gap that is no gap says nothing.
func TestOffsetOfHalfAMeshThatStoodStill(t *testing.T) {
	for _, test := range []struct {
		name     string
		skews    []time.Duration
		together int // the peer with whom we had one time
		want     time.Duration
	}{
		{"we stood still", []time.Duration{0, 12 * time.Second, 12 * time.Second},
			1, 12 * time.Second},
		{"the others did", []time.Duration{0, -12 * time.Second, -12 * time.Second}, 1, 0},
		{"the one beside us says nothing",
			[]time.Duration{0, 12 * time.Second, 12 * time.Second}, 0, 0},
		{"no gap", []time.Duration{0, Tolerance, Tolerance}, 1, 0},
	} {
		peers := at(test.skews...)
		peers[test.together].together = true
		if got := started().Offset(peers, true, true); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		without := min(0, test.skews[1])
		if got := started().Offset(peers, true, false); got != without {
			t.Errorf("%s, not looked for: %v, want %v", test.name, got, without)
		}
	}
}

// One that counts and has not had our time yet says as much by leaping away from where it was.
func TestOffsetOfOneWithALead(t *testing.T) {
	const lead = 2 * Tolerance
	for _, test := range []struct {
		was, is, want time.Duration
	}{
		{lead, lead + Tolerance + 1, lead + Tolerance + 1}, {lead, lead + Tolerance, 0},
		{-lead, -lead - Tolerance - 1, 0}, {-lead, -lead - Tolerance, -lead - Tolerance},
	} {
		k, peers := started(), at(test.was)
		peers[0].NoteLead(k)
		peers[0].skew = test.is
		if got := k.Offset(peers, true, true); got != test.want {
			t.Errorf("from %v to %v: %v, want %v", test.was, test.is, got, test.want)
		}
	}
}

// The target is the median vote, with our own, but not beyond the leash from the mesh's time; and a
// single wild clock counts as one that is a little off.
func TestTarget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) []time.Duration {
			ms := rapid.SliceOfN(rapid.IntRange(-20_000, 20_000), 0, 5).Draw(t, name)
			var all []time.Duration
			for _, n := range ms {
				all = append(all, time.Duration(n)*time.Millisecond)
			}
			return all
		}
		k, votes, skews := started(), draw("votes"), draw("skews")
		own := time.Duration(rapid.IntRange(-20_000, 20_000).Draw(t, "own")) * time.Millisecond
		k.ReadWall(now, begun.Add(own))
		reached := []time.Duration{reach(own)}
		for _, v := range votes {
			reached = append(reached, reach(v))
		}
		want := Median(reached)
		if got := k.Target(now, at(votes...), at(skews...), false); got != want ||
			got.Abs() > voteReach {
			t.Fatalf("votes %v and %v: towards %v, want %v", own, votes, got, want)
		}
		middle := Median(append([]time.Duration{0}, skews...))
		got := k.Target(now, at(votes...), at(skews...), true)
		switch {
		case (got - middle).Abs() > leash:
			t.Fatalf("towards %v, on a leash from %v", got, middle)
		case got != want && (got-middle).Abs() != leash:
			t.Fatalf("towards %v, want %v within the leash from %v", got, want, middle)
		}
	})
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		of   []time.Duration
		want time.Duration
	}{
		{[]time.Duration{7}, 7},
		{[]time.Duration{9, 3}, 6},
		{[]time.Duration{9, 3, 4}, 4},
		{[]time.Duration{9, -3, 4, 100}, 6},
	} {
		if got := Median(test.of); got != test.want {
			t.Errorf("of %v: %v, want %v", test.of, got, test.want)
		}
	}
}

// Stamps that commands got are known, the oldest are forgotten first.
func TestStamps(t *testing.T) {
	var o Stamps
	const added = 2*stampsKept + 7
	for n := range added {
		o.Add(directory.Stamp(2 * n))
	}
	if len(o) > stampsKept || len(o) < stampsKept/2 {
		t.Errorf("%d stamps are kept", len(o))
	}
	for n := added - len(o); n < added; n++ {
		if !o.Contains(directory.Stamp(2*n)) || o.Contains(directory.Stamp(2*n+1)) {
			t.Fatalf("stamp %d is not known, or one that was never given is", 2*n)
		}
	}
	if o.Contains(0) {
		t.Error("the first stamp is known for ever")
	}
}

// A step moves stamps by whole seconds, never ahead of the clock.
func TestWholeSeconds(t *testing.T) {
	for _, test := range []struct{ by, want time.Duration }{
		{1999 * time.Millisecond, time.Second}, {600 * time.Millisecond, 0},
		{-600 * time.Millisecond, -time.Second}, {-2 * time.Second, -2 * time.Second},
	} {
		if got := WholeSeconds(test.by); got != test.want {
			t.Errorf("a step of %v moves stamps by %v, want %v", test.by, got, test.want)
		}
	}
}
