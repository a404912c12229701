package admission

import (
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

const (
	// ConfirmWithin is how long a live peer may owe an answer; then it is excluded.
	ConfirmWithin = 5 * time.Second
	// AdmitWithin bounds how long we wait for a peer that says again and again that it is repairing
	// a gap before it admits us.
	AdmitWithin = 30 * time.Second
	// AskAgain is after how long a question is repeated.
	AskAgain = time.Second
)

// Peer is where this director and one peer stand. In the zero value neither counts the other, and
// neither has asked.
type Peer struct {
	Counted  bool // we wait for its confirmations
	CountsUs bool // it waits for ours, as far as we know; false while our question is open

	question question
	standing standing
	// excludedAt is when we reported to the peer that it is excluded; 0 unless it is, and once its
	// confirmations are not awaited any more.
	excludedAt mono.Time

	request *wire.AdmitRequest // its question, until we answer it
	offered uint64             // nonce of the last question that said what it holds

	probe    uint64 // nonce of a question that only asks whether it answers; 0: none
	probedAt mono.Time
}

// question is ours to be admitted.
type question struct {
	nonce      uint64    // 0: it is answered, or was never asked
	since      mono.Time // when we began to ask, or a stream to ask by was opened
	at         mono.Time // when we last asked, or reminded the peer to ask
	pendingAt  mono.Time // when the peer last said that it is repairing a gap first; 0: never
	reportedAt mono.Time // when we reported to the members that it does not answer; 0: never
}

// standing says whether a peer is barred, and why.
type standing int

const (
	inGoodStanding standing = iota
	failed                  // it has failed, or is back and has not asked yet
	excluded                // it is live, or was a moment ago, and did not answer
)

// Barred reports whether the peer failed or was excluded, and has not asked for admission since.
func (p *Peer) Barred() bool { return p.standing != inGoodStanding }

// Excluded reports whether the peer is barred because it was excluded.
func (p *Peer) Excluded() bool { return p.standing == excluded }

// Awaited reports whether the peer is excluded and its confirmations are awaited nevertheless:
// until it asks, it may answer lookups.
func (p *Peer) Awaited() bool { return p.excludedAt != 0 }

// AskOverdue reports whether an excluded peer had its time to ask for admission.
func (p *Peer) AskOverdue(now mono.Time) bool {
	return p.Awaited() && now.Sub(p.excludedAt) > ConfirmWithin
}

// Excludable reports whether it makes sense to exclude a live peer: it was not excluded already,
// and there is something for which it counts.
func (p *Peer) Excludable() bool { return !p.Awaited() && (!p.Barred() || p.Counted) }

// Exclude bars a live peer, which is to hear of it.
func (p *Peer) Exclude(now mono.Time) { p.standing, p.excludedAt, p.probe = excluded, now, 0 }

// GoOnWithout bars a peer that keeps us from joining, without a word to it. It may think that we
// count it.
func (p *Peer) GoOnWithout() {
	p.standing = excluded
	p.Counted, p.CountsUs = false, false
}

// Readmit forgets that the peer failed or was excluded.
func (p *Peer) Readmit() { p.standing, p.excludedAt = inGoodStanding, 0 }

// Return readmits a peer that failed and is back, if it is not the peer that has to ask.
func (p *Peer) Return() {
	if p.standing == failed {
		p.standing = inGoodStanding
	}
}

// ForgetExclusion treats an excluded peer that fell silent like any other that failed.
func (p *Peer) ForgetExclusion() {
	if p.standing == excluded {
		p.standing, p.excludedAt = failed, 0
	}
}

// EndContact forgets what holds only while frames flow both ways.
func (p *Peer) EndContact() {
	p.Counted, p.CountsUs = false, false
	p.excludedAt, p.probe, p.request = 0, 0, nil
}

// Fail bars a peer that failed, left or began a new life. An open question gets another nonce: an
// answer that is still under way may be of before.
func (p *Peer) Fail(newNonce func() uint64) {
	if p.standing == inGoodStanding {
		p.standing = failed
	}
	if p.Asking() {
		p.question.nonce = newNonce()
	}
}

// Forget begins anew in a new life of ours, of which the peer knows nothing.
func (p *Peer) Forget() {
	p.question.nonce = 0
	p.Readmit()
}

// Postpone gives the peer so much more time to answer: we slept.
func (p *Peer) Postpone(late time.Duration) {
	if p.Awaited() {
		p.excludedAt = p.excludedAt.Add(late)
	}
	if p.Probing() {
		p.probedAt = p.probedAt.Add(late)
	}
}
