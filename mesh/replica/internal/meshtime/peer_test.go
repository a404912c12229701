package meshtime

import (
	"testing"
	"time"

	"directormesh/mesh/mono"
)

// A hello that shows its peer ahead of what we knew makes that void; one that took long does not.
// Nor does anything remain that was measured long ago.
func TestHelloOfAPeerAhead(t *testing.T) {
	for guess, known := range map[time.Duration]bool{
		-30 * time.Second: true, 0: true, Tolerance: true,
		Tolerance + 1: false, 30 * time.Second: false,
	} {
		p := at(0)[0]
		if p.Hello(now.Add(RecentFor), guess); p.known != known {
			t.Errorf("after a hello that says %v its clock is known: %v, want %v",
				guess, p.known, known)
		}
	}
	p := at(0)[0]
	if p.Hello(now.Add(RecentFor+1), 0); p.known {
		t.Error("what was measured long ago is still known")
	}
}

// A hello can show that a peer is ahead, and not that it is behind; by a round trip both are known.
func TestNearAndFar(t *testing.T) {
	for _, test := range []struct {
		ahead     time.Duration
		known     bool
		near, far bool
	}{
		{mergeTolerance, false, true, false},
		{mergeTolerance + 1, false, false, true},
		{-mergeTolerance - 1, false, false, false},
		{mergeTolerance, true, true, false},
		{mergeTolerance + 1, true, false, true},
		{-mergeTolerance - 1, true, false, true},
	} {
		p := &Peer{}
		if test.known {
			p = at(test.ahead)[0]
		} else {
			p.Hello(now, test.ahead)
		}
		if p.Near() != test.near || p.Far() != test.far {
			t.Errorf("%v ahead, by a round trip: %v: near %v, far %v",
				test.ahead, test.known, p.Near(), p.Far())
		}
	}
}

// A round trip of seconds says little of a peer's clock. It must not count as one that is off: both
// would answer apart.
func TestClockOfASlowPeer(t *testing.T) {
	const trip = 3600 * time.Millisecond
	for _, test := range []struct {
		says time.Duration // its mesh time less ours, when that comes
		near bool
	}{
		{-trip, true}, {-trip - 1900*time.Millisecond, true}, {1900 * time.Millisecond, true},
		{-trip - 2100*time.Millisecond, false}, {2100 * time.Millisecond, false},
	} {
		p := &Peer{}
		p.Hello(now, -trip)
		p.Take(now, Sample{Trip: trip, MeshTime: test.says})
		if got := p.Near(); got != test.near || p.Known(now, true) {
			t.Errorf("a peer that says that it is %v ahead, after %v, is near: %v",
				test.says, trip, got)
		}
		if p.Hello(now, 0); !p.Near() {
			t.Error("a new hello leaves the bounds of before")
		}
	}
}

// A sample that took much longer than the best of late is passed over, as long as that is fresh.
func TestSamplesThatAreTaken(t *testing.T) {
	for _, test := range []struct {
		name  string
		trip  time.Duration
		after time.Duration
		taken bool
	}{
		{"as quick", 10 * time.Millisecond, 0, true},
		{"a little slower", 40 * time.Millisecond, 0, true},
		{"much slower", 41 * time.Millisecond, sampleAge - 1, false},
		{"much slower, after a while", 41 * time.Millisecond, sampleAge, true},
		{"as slow as may be, after a while", Tolerance, sampleAge, true},
		{"too slow", Tolerance + 1, sampleAge - 1, false},
		{"too slow, and better than nothing", Tolerance + 1, sampleAge, true},
		{"slow beyond that", roughTrip + 1, time.Hour, false},
	} {
		const first, second = 200 * time.Millisecond, -100 * time.Millisecond
		p := &Peer{}
		p.Take(now, Sample{Trip: 10 * time.Millisecond, MeshTime: first, AskedAt: now.Add(-1)})
		before := *p
		p.Take(now.Add(test.after), Sample{
			Trip: test.trip, MeshTime: second, AskedAt: now.Add(5),
		})
		if taken := *p != before; taken != test.taken {
			t.Errorf("%s: taken: %v, want %v", test.name, taken, test.taken)
		}
		if want := second + test.trip/2; test.taken && p.Skew() != want {
			t.Errorf("%s: %v ahead, want %v", test.name, p.Skew(), want)
		}
		if p.AskedSince(now) != test.taken {
			t.Errorf("%s: answers what was asked since: %v", test.name, p.AskedSince(now))
		}
	}
}

// A peer leaves us behind that had our mesh time and is further ahead than both have slewed since.
func TestLeavesBehind(t *testing.T) {
	for _, test := range []struct {
		together     bool
		after, ahead time.Duration
		want         bool
	}{
		{true, 0, Tolerance, false}, {true, 0, Tolerance + 1, true},
		{true, time.Minute, Tolerance + 600*time.Millisecond, false},
		{true, time.Minute, Tolerance + 601*time.Millisecond, true},
		{true, 0, -time.Minute, false}, {false, 0, time.Minute, false},
	} {
		k, p := started(), at(0)[0]
		if test.together {
			p.NoteTogether(k)
		}
		p.skew = test.ahead
		if got := p.LeavesBehind(now.Add(test.after), k); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// Clocks that come together pass the tolerance, and round trips err by half their length: the peer
// seems to be further ahead a moment after it has had our time.
func TestLeavesBehindForSure(t *testing.T) {
	for _, test := range []struct {
		trip, ahead time.Duration // of the later sample, the peer being ahead by that or more
		want        bool
	}{
		{20 * time.Millisecond, Tolerance + 10*time.Millisecond, false},
		{20 * time.Millisecond, Tolerance + 11*time.Millisecond, true},
		{0, Tolerance + 10*time.Millisecond, false},
		{200 * time.Millisecond, Tolerance + 10*time.Millisecond, false},
	} {
		k, p := started(), new(Peer)
		p.Take(now, Sample{
			Trip: 20 * time.Millisecond, MeshTime: Tolerance - 10*time.Millisecond, AskedAt: now,
		})
		p.NoteTogether(k)
		if !p.Together() {
			t.Fatal("it had not our time")
		}
		later := now.Add(sampleAge) // any sample is better
		p.Take(later, Sample{Trip: test.trip, MeshTime: test.ahead + 50*time.Millisecond})
		if got := p.LeavesBehind(later, k); got != test.want {
			t.Errorf("%+v: %v, skew %v", test, got, p.Skew())
		}
	}
}

// What a peer is ahead at least is no estimate; and how far off an estimate was counts also when
// the peer has stepped since.
func TestLeavesBehindByWhatIsKnown(t *testing.T) {
	const trip = 200 * time.Millisecond
	together := func() (*Clock, *Peer) {
		k, p := started(), new(Peer)
		p.Take(now, Sample{Trip: trip, MeshTime: -trip / 2, AskedAt: now})
		p.NoteTogether(k)
		return k, p
	}
	for _, more := range []time.Duration{0, 1} {
		k, p := together()
		p.IsAhead(now, Tolerance+trip/2+more)
		if got := p.LeavesBehind(now, k); got != (more > 0) {
			t.Errorf("ahead by %v at least: %v", p.Skew(), got)
		}
		k, p = together()
		next := p.NextLife(true)
		next.Take(now, Sample{MeshTime: Tolerance + trip/2 + more})
		if got := next.LeavesBehind(now, k); got != (more > 0) {
			t.Errorf("has stepped, and is %v ahead: %v", next.Skew(), got)
		}
	}
}

// However long an answer took, its peer is not behind what it says. What we knew of its clock is of
// before we stood still then, and any sample is better.
func TestAnswerOfAPeerAhead(t *testing.T) {
	for _, trip := range []time.Duration{100 * time.Millisecond, 3 * time.Second} {
		for _, says := range []time.Duration{Tolerance, Tolerance + 1} {
			p := at(0)[0]
			p.Take(now, Sample{Trip: trip, MeshTime: says})
			if ahead := p.Skew() >= says; ahead != (says > Tolerance) {
				t.Errorf("its clock was ours, and it says %v after %v: now it is %v ahead",
					says, trip, p.Skew())
			}
		}
	}
}

// A peer that had our mesh time and has stepped leaves us behind if its time is ahead now. It does
// not after we have stepped ourselves, nor if it is another process.
func TestStepsAhead(t *testing.T) {
	for _, test := range []struct {
		name  string
		lives []bool // whether the process went on into each
		ahead time.Duration
		after func(p *Peer)
		want  bool
	}{
		{"ahead", []bool{true}, Tolerance + 1, nil, true},
		{"by no more than both may slew", []bool{true}, Tolerance, nil, false},
		{"back", []bool{true}, -time.Minute, nil, false},
		{"twice", []bool{true, true}, time.Minute, nil, true},
		{"another process", []bool{false}, time.Minute, nil, false},
		{"another process after that", []bool{true, false}, time.Minute, nil, false},
		{"we have stepped since", []bool{true}, time.Minute,
			func(p *Peer) { p.Stepped(0, 0) }, false},
	} {
		k, p := started(), at(0)[0]
		p.NoteTogether(k)
		for _, goesOn := range test.lives {
			*p = p.NextLife(goesOn)
		}
		if test.after != nil {
			test.after(p)
		}
		p.Take(now, Sample{MeshTime: test.ahead})
		if p.SteppedAhead() != test.want || p.LeavesBehind(now, k) != test.want {
			t.Errorf("%s: has stepped ahead: %v, leaves us behind: %v", test.name,
				p.SteppedAhead(), p.LeavesBehind(now, k))
		}
		want := time.Duration(0)
		if test.want || test.ahead < 0 {
			want = test.ahead
		}
		if got := k.Offset([]*Peer{p}, true, true); got != want {
			t.Errorf("%s: mesh time is %v ahead of ours, want %v", test.name, got, want)
		}
	}
}

// A peer that is not live tells its time for a moment.
func TestWhoTellsTheTime(t *testing.T) {
	p := at(0)[0]
	for _, test := range []struct {
		after time.Duration
		live  bool
		want  bool
	}{
		{time.Hour, true, true}, {RecentFor, false, true}, {RecentFor + 1, false, false},
	} {
		if got := p.Known(now.Add(test.after), test.live); got != test.want {
			t.Errorf("after %v, live %v: %v", test.after, test.live, got)
		}
	}
	if p = new(Peer); p.Known(now, true) {
		t.Error("a clock that nobody read tells the time")
	}
}

// A clock that is suddenly ahead of what it was a moment ago shows that we stood still. The moment
// moves on by itself, or when it is told to.
func TestLeap(t *testing.T) {
	p := at(time.Second)[0]
	for i, test := range []struct {
		after, ahead time.Duration
		anew         bool
		want         time.Duration
	}{
		{0, time.Second, true, 0},
		{steadyFor / 2, 13 * time.Second, false, 12 * time.Second},
		{steadyFor - 1, time.Second, false, 0},
	} {
		if got, known := p.Leap(now.Add(test.after), test.ahead, test.anew); got != test.want ||
			!known {
			t.Errorf("%d: a leap of %v, want %v", i, got, test.want)
		}
	}
	p.IsAhead(now, 13*time.Second)
	if got, _ := p.Leap(now.Add(steadyFor-1), 13*time.Second, false); got != 12*time.Second {
		t.Errorf("a leap of %v, want what it was before the peer was found to be ahead", got)
	}
	if got, _ := p.Leap(now.Add(steadyFor), 13*time.Second, false); got != 0 {
		t.Errorf("a moment later a leap of %v", got)
	}
	if _, known := new(Peer).Leap(now, 0, false); known {
		t.Error("of a clock that nobody read a leap is known")
	}
}

// That a peer is ahead by something counts if it is more than what was known, until any round trip.
func TestPeerThatIsAhead(t *testing.T) {
	p := at(5 * time.Second)[0]
	if p.IsAhead(now, 4*time.Second); p.Skew() != 5*time.Second {
		t.Errorf("%v ahead, want 5 s", p.Skew())
	}
	p.IsAhead(now, 9*time.Second)
	if p.Skew() != 9*time.Second || !p.Off() || p.Near() {
		t.Errorf("%v ahead; off: %v, near: %v", p.Skew(), p.Off(), p.Near())
	}
	p.Take(now, Sample{Trip: Tolerance})
	if p.Skew() != Tolerance/2 || p.Off() {
		t.Errorf("after a round trip %v ahead, off: %v", p.Skew(), p.Off())
	}
}

// The moment in common is when the question was sent that showed it, and lasts from life to life. A
// peer that is off has none.
func TestMomentInCommon(t *testing.T) {
	k := started()
	for _, test := range []struct {
		skew time.Duration
		want bool
	}{{Tolerance, true}, {Tolerance + 1, false}} {
		p := &Peer{}
		p.Take(now, Sample{MeshTime: test.skew, AskedAt: now.Add(-time.Second)})
		p.NoteTogether(k)
		got := p.With() == k.Micros(now.Add(-time.Second))
		if got != test.want || p.Votes() != test.want {
			t.Errorf("%v ahead: in common since %v, votes: %v", test.skew, p.With(), p.Votes())
		}
		had := p.With()
		p.Take(now, Sample{MeshTime: test.skew, AskedAt: now.Add(-time.Minute)})
		if p.NoteTogether(k); p.With() != had {
			t.Errorf("the moment went back to %v", p.With())
		}
		next := p.NextLife(false)
		if next.With() != p.With() || next.Votes() != p.Votes() || next.known || next.together {
			t.Errorf("%+v is left of %+v in the next life", next, p)
		}
		stepped := p.NextLife(true)
		if stepped.With() != 0 && test.want || stepped.Votes() != p.Votes() {
			t.Errorf("%+v is left of %+v after a step", stepped, p)
		}
	}
}

// When our mesh time moves, all that is known of a peer's clock moves the other way.
func TestShift(t *testing.T) {
	p := at(3 * time.Second)[0]
	p.Leap(now, 0, true)
	p.Shift(time.Second)
	if p.Skew() != 2*time.Second || p.vote != 2*time.Second {
		t.Errorf("%v ahead, votes for %v; want 2 s", p.Skew(), p.vote)
	}
	if leap, _ := p.Leap(now, 2*time.Second, false); leap != 0 {
		t.Errorf("our own move looks like a leap of %v", leap)
	}
	slow := &Peer{}
	slow.Hello(now, mergeTolerance+time.Second)
	if slow.Shift(time.Second); !slow.Near() {
		t.Error("what a hello said stays as it was")
	}
	slow.Take(now, Sample{Trip: time.Second, MeshTime: mergeTolerance + time.Second})
	if slow.Near() {
		t.Fatal("the bounds are near already; the test shows nothing")
	}
	if slow.Shift(time.Second); !slow.Near() {
		t.Error("the bounds stay as they were")
	}
}

// A step moves the moments in common that came after the last one with those that we step to, and
// makes void who shared our time.
func TestStepped(t *testing.T) {
	for _, test := range []struct {
		after, want time.Duration // less the moment in common
	}{{-1, time.Second}, {0, 0}} {
		p, k := at(0)[0], started()
		p.NoteTogether(k)
		had := p.With()
		p.Stepped(had.Add(test.after*time.Microsecond), time.Second)
		if got := p.With().Sub(had); got != test.want || p.together {
			t.Errorf("moved by %v, want %v; together: %v", got, test.want, p.together)
		}
	}
}

// An answer that comes too late to tell a clock shows all the same that the peer is behind what we
// took it for, unless it was asked before that. Then it is known roughly, and each later answer
// says as much, until one comes in time.
func TestLateAnswerOfAPeerBehind(t *testing.T) {
	const trip = 2 * time.Second
	late := func(p *Peer, ahead time.Duration, asked mono.Time) {
		p.Take(now.Add(trip), Sample{Trip: trip, MeshTime: ahead - trip, AskedAt: asked})
	}
	known := func() *Peer {
		p := new(Peer)
		p.Take(now, Sample{Trip: 10 * time.Millisecond, AskedAt: now.Add(-1)})
		p.NoteTogether(started())
		return p
	}
	for _, test := range []struct {
		name  string
		ahead time.Duration // at most
		asked mono.Time
		taken bool
	}{
		{"behind", 5*time.Millisecond - Tolerance - 1, now, true},
		{"perhaps not", 5*time.Millisecond - Tolerance, now, false},
		{"asked before", -time.Minute, now.Add(-1), false},
	} {
		p := known()
		before := p.Skew()
		if late(p, test.ahead, test.asked); p.Skew() != before != test.taken {
			t.Errorf("%s: %v ahead, from %v", test.name, p.Skew(), before)
		}
	}

	p := known()
	vote := p.vote
	late(p, -time.Second, now)
	late(p, -trip, now.Add(1))
	if want := -trip - trip/2; p.Skew() != want || !p.AskedSince(now.Add(1)) || p.vote != vote {
		t.Errorf("known roughly: %v ahead, vote %v; want %v, and %v", p.Skew(), p.vote, want, vote)
	}
	if !p.Near() || p.Far() {
		t.Error("it may be near")
	}
	if late(p, -mergeTolerance-1, now.Add(2)); p.Near() {
		t.Error("it is not near for sure")
	}
	late(p, trip/2, now.Add(3))
	if before := p.With(); p.Skew() != 0 {
		t.Errorf("%v ahead", p.Skew())
	} else if p.NoteTogether(started()); p.With() != before {
		t.Error("what is known roughly passes for a moment in common")
	}
	p.Take(now.Add(trip), Sample{Trip: Tolerance, MeshTime: -trip, AskedAt: now.Add(4)})
	if want := -trip + Tolerance/2; p.Skew() != want || p.rough {
		t.Errorf("in time: %v ahead, want %v", p.Skew(), want)
	}
}

// A clock that is known roughly is taken for the one next to it that is known well, if it may be
// that.
func TestClockKnownRoughly(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name  string
		skews []time.Duration
		want  time.Duration // of the first, which may be off by a second
	}{
		{"alone", []time.Duration{-9 * s}, -9 * s},
		{"near one", []time.Duration{-9 * s, -10*s - Tolerance}, -10*s - Tolerance},
		{"near two", []time.Duration{-9 * s, -10 * s, -8200 * time.Millisecond},
			-8200 * time.Millisecond},
		{"far from one", []time.Duration{-9 * s, -10*s - Tolerance - 1}, -9 * s},
	} {
		peers := at(test.skews...)
		peers[0].rough, peers[0].unsure = true, s
		if got := peers[0].likely(peers); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// A peer that counts, and has not had our mesh time yet, leaves us behind by what it is further
// ahead than it was, or would have been at our time.
func TestLeavesBehindByMoreThanItsLead(t *testing.T) {
	const far = 2 * Tolerance
	for _, test := range []struct {
		name       string
		was, ahead time.Duration
		after      time.Duration
		want       bool
	}{
		{"ahead as before", far, far + Tolerance, 0, false},
		{"further ahead", far, far + Tolerance + 1, 0, true},
		{"further ahead after a while",
			far, far + Tolerance + 600*time.Millisecond, time.Minute, false},
		{"it was behind", -far, Tolerance, 0, false},
		{"it was behind, and is ahead", -far, Tolerance + 1, 0, true},
		{"it was too far", far + 1, time.Minute, 0, false},
	} {
		k, p := started(), at(test.was)[0]
		p.NoteLead(k)
		p.skew = test.ahead
		if got := p.LeavesBehind(now.Add(test.after), k); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
		p.Shift(-test.ahead)
		if p.Stepped(0, 0); p.LeavesBehind(now, k) {
			t.Errorf("%s: also after a step of ours", test.name)
		}
	}

	k, p := started(), at(far)[0]
	p.NoteLead(k)
	p.skew = far + 20*time.Millisecond
	if p.NoteLead(k); p.lead != far {
		t.Errorf("what slewing cannot have brought about moves the lead to %v", p.lead)
	}
	p.askedAt = p.askedAt.Add(2 * time.Second)
	if p.NoteLead(k); p.lead != far+20*time.Millisecond {
		t.Errorf("the lead is %v", p.lead)
	}
	p.rough = true
	p.skew = far
	if p.NoteLead(k); p.lead == far {
		t.Error("what is known roughly moves the lead")
	}
	p.rough = false
	p.Shift(far)
	if p.NoteTogether(k); p.leads {
		t.Error("it has our time, and counts as one that has not had it")
	}
	if p.NoteLead(k); p.leads {
		t.Error("it had our time, and counts as one that has not")
	}
}
