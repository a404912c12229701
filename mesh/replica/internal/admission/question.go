package admission

import (
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// Step is what is to be done next to be counted by a peer.
type Step int

// The steps.
const (
	Wait        Step = iota // nothing now
	RemindToAsk             // remind the peer that it has to ask
	Ask                     // send our question, with its nonce
)

// Next says what is to be done next. Majority reports whether we answer and are in touch with most
// directors; then a peer that was out of touch has to ask. Joins says that the peer is joining: it
// asks before it answers anything.
func (p *Peer) Next(
	now mono.Time, majority func() bool, joins bool, newNonce func() uint64,
) Step {
	switch {
	case (p.Asking() || p.Barred()) && !p.askDue(now):
		return Wait
	case p.Barred() && (p.Awaited() || !p.Counted) && majority():
		p.question.at = now
		return RemindToAsk
	case !p.Asking() && joins:
		return Wait
	}
	// The nonce is kept when we ask again: the way there and back may take longer than our
	// patience.
	if !p.Asking() {
		p.Begin(now, newNonce())
	}
	p.question.at = now
	return Ask
}

func (p *Peer) askDue(now mono.Time) bool { return now.Sub(p.question.at) >= AskAgain }

// Begin opens a new question: the peer must count us anew before we answer by ourselves. It is sent
// at the next occasion.
func (p *Peer) Begin(now mono.Time, nonce uint64) {
	p.CountsUs = false
	p.question = question{nonce: nonce, since: now, at: now.Add(-AskAgain)}
}

// Asking reports whether our question is open.
func (p *Peer) Asking() bool { return p.question.nonce != 0 }

// Nonce is that of our open question, 0 without one.
func (p *Peer) Nonce() uint64 { return p.question.nonce }

// Answers reports whether an answer with this nonce is for our open question.
func (p *Peer) Answers(nonce uint64) bool { return p.Asking() && nonce == p.question.nonce }

// Pending takes the answer that the peer repairs a gap first.
func (p *Peer) Pending(now mono.Time) { p.question.pendingAt = now }

// Admitted takes the answer that the peer counts us.
func (p *Peer) Admitted() {
	p.question.nonce, p.CountsUs = 0, true
	p.Readmit()
}

// TakeBeat takes from a beat of the peer whether it counts us. That it does counts only if we have
// nothing to ask.
func (p *Peer) TakeBeat(counted bool) {
	switch {
	case !counted:
		p.CountsUs = false
	case !p.Asking() && p.Counted:
		p.CountsUs = true
	}
}

// Reopen gives the peer its time anew: a stream to ask by is open now.
func (p *Peer) Reopen(now mono.Time) { p.question.since = now }

// Impatient reports whether the peer had its time to answer our open question. It has more while it
// takes a snapshot from us, whose last word was at ackedAt, 0 if there is none, or repairs a gap.
func (p *Peer) Impatient(now, ackedAt mono.Time) bool {
	q := &p.question
	heard := max(q.since, q.pendingAt, ackedAt)
	return now.Sub(heard) > ConfirmWithin || now.Sub(q.since) > AdmitWithin
}

// HeardExclude takes the word of the peer that it excluded us. It reports whether that is news, so
// that a new question is to be opened with Begin.
func (p *Peer) HeardExclude() (news bool) {
	news = !p.Asking() || p.Barred()
	p.Readmit()
	return news
}

// Remind reports whether it is time to remind a barred peer again that it has to ask, and notes
// that it is reminded.
func (p *Peer) Remind(now mono.Time) bool {
	if !p.askDue(now) {
		return false
	}
	p.question.at = now
	return true
}

// Report notes that the members hear that the peer does not answer. It reports whether this
// is the first time.
func (p *Peer) Report(now mono.Time) (first bool) {
	if p.question.reportedAt != 0 {
		return false
	}
	p.question.reportedAt = now
	return true
}

// ReportFailed reports whether the members have heard and had their time to make the peer answer.
func (p *Peer) ReportFailed(now mono.Time) bool {
	at := p.question.reportedAt
	return at != 0 && now.Sub(at) > ConfirmWithin
}

// MustStop reports whether a peer that asks to be admitted has to stop answering lookups first: it
// was out of touch, and we go on.
func (p *Peer) MustStop(m *wire.AdmitRequest, majority func() bool) bool {
	return p.Barred() && !m.Stopped && (p.Excluded() || majority())
}

// TakeRequest takes the peer's question, which waits until Admit. Settled reports that the
// confirmations of an excluded peer are not awaited any more: it answers nothing until it has our
// reply. Offers reports that it says for the first time that it holds rows from elsewhere.
func (p *Peer) TakeRequest(m *wire.AdmitRequest) (settled, offers bool) {
	settled = p.Awaited()
	if p.Excluded() && p.Asking() {
		// it asks, but still owes us an answer: until that has come we do not wait for it
		p.excludedAt = 0
	} else {
		p.Readmit()
	}
	if offers = m.Holds && p.offered != m.Nonce; offers {
		p.offered = m.Nonce
	}
	p.request = m
	return settled, offers
}

// Request is the peer's question, nil if it has none that is not answered.
func (p *Peer) Request() *wire.AdmitRequest { return p.request }

// Admit counts a peer whose question is answered now. It reports whether it was not counted before.
func (p *Peer) Admit() (first bool) {
	p.request = nil
	return p.Count()
}

// Count counts the peer, and reports whether it was not counted before.
func (p *Peer) Count() (first bool) {
	first, p.Counted = !p.Counted, true
	return first
}

// Probe opens a question that only asks whether the peer answers.
func (p *Peer) Probe(now mono.Time, nonce uint64) { p.probe, p.probedAt = nonce, now }

// Probing reports whether such a question is open.
func (p *Peer) Probing() bool { return p.probe != 0 }

// EndProbe closes it if this is its nonce, and reports whether it is.
func (p *Peer) EndProbe(nonce uint64) bool {
	if !p.Probing() || nonce != p.probe {
		return false
	}
	p.probe = 0
	return true
}

// LoseProbe closes a probe that is lost, and reports whether there was one.
func (p *Peer) LoseProbe() bool { return p.EndProbe(p.probe) }

// ProbeFailed reports whether the peer had its time to answer.
func (p *Peer) ProbeFailed(now mono.Time) bool {
	return p.Probing() && now.Sub(p.probedAt) > ConfirmWithin
}
