package admission

import (
	"testing"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

const now = mono.Time(time.Hour)

// state is what a Peer says about itself.
type state struct {
	counted, countsUs         bool
	barred, excluded, awaited bool
	asking, probing, asked    bool
}

func stateOf(p *Peer) state {
	return state{
		p.Counted, p.CountsUs, p.Barred(), p.Excluded(), p.Awaited(), p.Asking(), p.Probing(),
		p.Request() != nil,
	}
}

// counting is two directors that count each other.
func counting() *Peer { return &Peer{Counted: true, CountsUs: true} }

func nonces(next uint64) func() uint64 {
	return func() uint64 { next++; return next - 1 }
}

func (p *Peer) take(m wire.AdmitRequest) { p.TakeRequest(&m) }

// What each event makes of a peer.
func TestStanding(t *testing.T) {
	exclude := func(p *Peer) { p.Exclude(now) }
	fail := func(p *Peer) { p.EndContact(); p.Fail(nonces(50)) }
	begin := func(p *Peer) { p.Begin(now, 7) }
	asks := func(p *Peer) { p.take(wire.AdmitRequest{Nonce: 9}) }
	for _, test := range []struct {
		name string
		do   []func(*Peer)
		want state
	}{
		{"counts and is counted", nil, state{counted: true, countsUs: true}},
		{"excluded", []func(*Peer){exclude}, state{
			counted: true, countsUs: true, barred: true, excluded: true, awaited: true,
		}},
		{"excluded, then it asks", []func(*Peer){exclude, asks},
			state{counted: true, countsUs: true, asked: true}},
		{"excluded, then it asks, and owes us an answer", []func(*Peer){begin, exclude, asks},
			state{counted: true, barred: true, excluded: true, asking: true, asked: true}},
		{"then it answers", []func(*Peer){begin, exclude, asks, (*Peer).Admitted},
			state{counted: true, countsUs: true, asked: true}},
		{"excluded while it was probed", []func(*Peer){
			func(p *Peer) { p.Probe(now, 3) }, exclude, (*Peer).Readmit,
		}, state{counted: true, countsUs: true}},
		{"excluded, then it fails", []func(*Peer){exclude, fail},
			state{barred: true, excluded: true}},
		{"and stays silent", []func(*Peer){exclude, fail, (*Peer).ForgetExclusion},
			state{barred: true}},
		{"excluded, it returns", []func(*Peer){exclude, (*Peer).Return}, state{
			counted: true, countsUs: true, barred: true, excluded: true, awaited: true,
		}},
		{"failed", []func(*Peer){fail}, state{barred: true}},
		{"failed, not excluded", []func(*Peer){fail, (*Peer).ForgetExclusion},
			state{barred: true}},
		{"failed, it returns", []func(*Peer){fail, (*Peer).Return}, state{}},
		{"failed, it asks", []func(*Peer){fail, asks}, state{asked: true}},
		{"failed, it asks, and owes us an answer", []func(*Peer){begin, fail, asks},
			state{asking: true, asked: true}},
		{"failed, with all open", []func(*Peer){
			begin, asks, func(p *Peer) { p.Probe(now, 3) }, fail,
		}, state{barred: true, asking: true}},
		{"in good standing", []func(*Peer){(*Peer).ForgetExclusion, (*Peer).Return},
			state{counted: true, countsUs: true}},
		{"we go on without it", []func(*Peer){begin, (*Peer).GoOnWithout},
			state{barred: true, excluded: true, asking: true}},
		{"a new life of ours", []func(*Peer){begin, exclude, (*Peer).EndContact, (*Peer).Forget},
			state{}},
		{"we ask", []func(*Peer){begin}, state{counted: true, asking: true}},
		{"it excluded us", []func(*Peer){exclude, func(p *Peer) { p.HeardExclude() }},
			state{counted: true, countsUs: true}},
		{"it asks and is admitted", []func(*Peer){fail, asks, func(p *Peer) { p.Admit() }},
			state{counted: true}},
	} {
		p := counting()
		for _, do := range test.do {
			do(p)
		}
		if got := stateOf(p); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

// A peer is excluded once, and not if nothing depends on it.
func TestExcludable(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*Peer)
		want bool
	}{
		{"counted", func(*Peer) {}, true},
		{"not counted", func(p *Peer) { p.Counted = false }, true},
		{"excluded", func(p *Peer) { p.Exclude(now) }, false},
		{"barred, not counted", func(p *Peer) { p.Fail(nil); p.Counted = false }, false},
		{"barred, and counted", func(p *Peer) { p.Fail(nil) }, true},
	} {
		p := counting()
		if test.do(p); p.Excludable() != test.want {
			t.Errorf("%s: %v, want %v", test.name, !test.want, test.want)
		}
	}
}

// An open question gets another nonce when the peer fails; without one no nonce is drawn.
func TestFailRenewsTheNonce(t *testing.T) {
	p := counting()
	p.Fail(nil)
	p.Begin(now, 7)
	if p.Fail(nonces(8)); p.Nonce() != 8 || p.Answers(7) || !p.Answers(8) {
		t.Errorf("nonce %d, want 8", p.Nonce())
	}
	if p.Forget(); p.Nonce() != 0 || p.Answers(0) {
		t.Errorf("nonce %d is left", p.Nonce())
	}
}

// What is waited for is over after a time, and a pause of ours does not count. Nothing is over of
// what is not waited for.
func TestPeerDeadlines(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*Peer)
		over func(*Peer, mono.Time) bool
		late time.Duration // pause; what is put off by it
	}{
		{"an excluded peer asks", func(p *Peer) { p.Exclude(now) }, (*Peer).AskOverdue,
			time.Minute},
		{"a probe is answered", func(p *Peer) { p.Probe(now, 7) }, (*Peer).ProbeFailed,
			time.Minute},
		{"the members have done something", func(p *Peer) { p.Report(now) }, (*Peer).ReportFailed,
			0},
	} {
		p := counting()
		if p.Postpone(test.late); test.over(p, 2*now) {
			t.Errorf("%s: over before it began", test.name)
		}
		test.do(p)
		end := now.Add(ConfirmWithin)
		if test.over(p, end) || !test.over(p, end+1) {
			t.Errorf("%s: over at another time", test.name)
		}
		p.Postpone(test.late)
		if end = end.Add(test.late); test.over(p, end) || !test.over(p, end+1) {
			t.Errorf("%s: over at another time after a pause", test.name)
		}
	}
}
