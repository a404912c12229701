package admission

import (
	"testing"
	"time"

	"directormesh/mesh/wire"
)

// A question is asked at once, again after a while with the same nonce, and not of a peer that has
// to ask itself.
func TestNext(t *testing.T) {
	type call struct {
		after          time.Duration
		majority       bool
		joins          bool
		want           Step
		nonce, askedAs uint64 // the nonce at hand, that of the question then
	}
	fail := func(p *Peer) { p.Counted = false; p.Fail(nil) }
	for _, test := range []struct {
		name  string
		do    func(*Peer)
		calls []call
	}{
		{"once", func(*Peer) {}, []call{
			{0, true, false, Ask, 7, 7},
			{AskAgain - 1, true, false, Wait, 8, 7},
			{AskAgain, true, false, Ask, 8, 7},
			{2*AskAgain - 1, true, false, Wait, 8, 7},
		}},
		{"to be asked anew", func(p *Peer) { p.Begin(now, 5) }, []call{
			{0, true, false, Ask, 7, 5},
		}},
		{"admitted a moment ago, and given up", func(p *Peer) {
			p.Begin(now, 5)
			p.Remind(now)
			p.Admitted()
			p.TakeBeat(false)
		}, []call{{0, true, false, Ask, 7, 7}}},
		{"not counted", func(p *Peer) { p.Counted = false }, []call{{0, true, false, Ask, 7, 7}}},
		{"it joins", func(*Peer) {}, []call{{0, true, true, Wait, 7, 0}}},
		{"it joins, and was asked", func(p *Peer) { p.Begin(now, 5) }, []call{
			{0, true, true, Ask, 7, 5},
		}},
		{"failed, we are most", fail, []call{
			{0, true, false, RemindToAsk, 7, 0},
			{AskAgain - 1, true, false, Wait, 7, 0},
			{AskAgain, true, false, RemindToAsk, 7, 0},
		}},
		{"failed, we are not", fail, []call{{0, false, false, Ask, 7, 7}}},
		{"barred, but counted", func(p *Peer) { p.Fail(nil) }, []call{{0, true, false, Ask, 7, 7}}},
		{"excluded, we are most", func(p *Peer) { p.Exclude(now) }, []call{
			{0, true, false, RemindToAsk, 7, 0},
		}},
	} {
		p := counting()
		test.do(p)
		for i, c := range test.calls {
			got := p.Next(now.Add(c.after), func() bool { return c.majority }, c.joins,
				nonces(c.nonce))
			if got != c.want || p.Nonce() != c.askedAs {
				t.Errorf("%s, call %d: step %d with nonce %d, want %d with %d",
					test.name, i, got, p.Nonce(), c.want, c.askedAs)
			}
		}
	}
}

// A beat that says that the peer counts us counts only if we have nothing to ask, and count it.
func TestTakeBeat(t *testing.T) {
	for _, test := range []struct {
		name    string
		do      func(*Peer)
		counted bool
		want    bool
	}{
		{"as before", func(*Peer) {}, true, true},
		{"it gave us up", func(*Peer) {}, false, false},
		{"it counts us again", func(p *Peer) { p.CountsUs = false }, true, true},
		{"not counted here", func(p *Peer) { p.CountsUs, p.Counted = false, false }, true, false},
		{"we ask", func(p *Peer) { p.Begin(now, 7) }, true, false},
	} {
		p := counting()
		test.do(p)
		if p.TakeBeat(test.counted); p.CountsUs != test.want {
			t.Errorf("%s: counts us %v, want %v", test.name, p.CountsUs, test.want)
		}
	}
}

// A peer has so long to answer our question, more while it takes a snapshot or repairs a gap, and
// not for ever.
func TestImpatient(t *testing.T) {
	const never = time.Hour // ago: at the zero of the clock
	for _, test := range []struct {
		name                  string
		asked, pending, acked time.Duration // ago
		want                  bool
	}{
		{"in time", ConfirmWithin, never, never, false},
		{"too late", ConfirmWithin + 1, never, never, true},
		{"repairs", AdmitWithin, ConfirmWithin, never, false},
		{"repairs, said too long ago", AdmitWithin, ConfirmWithin + 1, never, true},
		{"takes a snapshot", AdmitWithin, never, ConfirmWithin, false},
		{"takes none any more", AdmitWithin, never, ConfirmWithin + 1, true},
		{"for ever", AdmitWithin + 1, 0, 0, true},
	} {
		p := counting()
		p.Begin(now.Add(-test.asked), 7)
		p.Pending(now.Add(-test.pending))
		if got := p.Impatient(now, now.Add(-test.acked)); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		if p.Reopen(now); p.Impatient(now.Add(ConfirmWithin), 0) {
			t.Errorf("%s: the time before a stream was open counts", test.name)
		}
	}
}

// That we are excluded is news unless we ask already; from a barred peer it always is, as the open
// question may be of before.
func TestHeardExclude(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*Peer)
		want bool
	}{
		{"counted", func(*Peer) {}, true},
		{"we ask", func(p *Peer) { p.Begin(now, 7) }, false},
		{"barred, we ask", func(p *Peer) { p.Begin(now, 7); p.Exclude(now) }, true},
	} {
		p := counting()
		test.do(p)
		if got := p.HeardExclude(); got != test.want || p.Barred() {
			t.Errorf("%s: news %v, barred %v", test.name, got, p.Barred())
		}
	}
}

// A peer is told once in a while that it has to ask.
func TestRemind(t *testing.T) {
	p := counting()
	for i, test := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {AskAgain - 1, false}, {AskAgain, true}, {AskAgain + 1, false}} {
		if got := p.Remind(now.Add(test.after)); got != test.want {
			t.Errorf("%d: reminded %v, want %v", i, got, test.want)
		}
	}
}

// The members are told once for each question.
func TestReport(t *testing.T) {
	p := counting()
	if !p.Report(now) || p.Report(now) {
		t.Error("not told exactly once")
	}
	if p.Begin(now, 7); !p.Report(now) {
		t.Error("not told for a new question")
	}
}

// A peer that was out of touch must not answer lookups when it asks, if we go on.
func TestMustStop(t *testing.T) {
	for _, test := range []struct {
		name              string
		do                func(*Peer)
		stopped, majority bool
		want              bool
	}{
		{"counted", func(*Peer) {}, false, true, false},
		{"failed", func(p *Peer) { p.Fail(nil) }, false, true, true},
		{"failed, it has stopped", func(p *Peer) { p.Fail(nil) }, true, true, false},
		{"failed, we do not go on", func(p *Peer) { p.Fail(nil) }, false, false, false},
		{"excluded", func(p *Peer) { p.Exclude(now) }, false, false, true},
		{"excluded, it has stopped", func(p *Peer) { p.Exclude(now) }, true, true, false},
	} {
		p := counting()
		test.do(p)
		m := &wire.AdmitRequest{Stopped: test.stopped}
		if got := p.MustStop(m, func() bool { return test.majority }); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// A question settles the confirmations of an excluded peer. What it offers is noted once for each
// question.
func TestTakeRequest(t *testing.T) {
	for _, test := range []struct {
		name            string
		do              func(*Peer)
		m               wire.AdmitRequest
		settled, offers bool
	}{
		{"counted", func(*Peer) {}, wire.AdmitRequest{Nonce: 9}, false, false},
		{"failed", func(p *Peer) { p.Fail(nil) }, wire.AdmitRequest{Nonce: 9}, false, false},
		{"excluded", func(p *Peer) { p.Exclude(now) }, wire.AdmitRequest{Nonce: 9}, true, false},
		{"holds rows", func(*Peer) {}, wire.AdmitRequest{Nonce: 9, Holds: true}, false, true},
		{"holds rows, asked again", func(p *Peer) {
			p.take(wire.AdmitRequest{Nonce: 9, Holds: true})
		}, wire.AdmitRequest{Nonce: 9, Holds: true}, false, false},
		{"holds rows, another question", func(p *Peer) {
			p.take(wire.AdmitRequest{Nonce: 9, Holds: true})
		}, wire.AdmitRequest{Nonce: 10, Holds: true}, false, true},
	} {
		p := counting()
		test.do(p)
		settled, offers := p.TakeRequest(&test.m)
		if settled != test.settled || offers != test.offers || p.Request() != &test.m {
			t.Errorf("%s: settled %v, offers %v", test.name, settled, offers)
		}
	}
}

// A peer is admitted, and counted for the first time, once.
func TestAdmit(t *testing.T) {
	p := &Peer{}
	p.take(wire.AdmitRequest{Nonce: 9})
	if !p.Admit() || p.Admit() || p.Count() || p.Request() != nil || !p.Counted {
		t.Errorf("admitted: %+v", stateOf(p))
	}
}

// A probe is closed by its nonce, or when it is lost.
func TestProbe(t *testing.T) {
	p := counting()
	if p.EndProbe(0) || p.LoseProbe() {
		t.Error("a probe ends that was not sent")
	}
	p.Probe(now, 7)
	if p.EndProbe(8) || !p.EndProbe(7) || p.EndProbe(7) {
		t.Error("a probe does not end by its nonce, once")
	}
	p.Probe(now, 7)
	if !p.LoseProbe() || p.Probing() {
		t.Error("a lost probe is open")
	}
}
