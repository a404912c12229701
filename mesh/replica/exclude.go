package replica

import (
	"slices"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/admission"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/wire"
)

// outOfTouch is the reason that a peer gets when it is out.
const outOfTouch = "out of touch for too long; ask to be admitted again"

// exclusion excludes live peers that do not answer, and has this director step out if most seem not
// to.
type exclusion struct {
	*output
	exclusionPort

	admission *ownAdmission
	barrier   *barrier.Barrier
	cfg       *Config
	counters  *Counters
	donations *snapshots.Donations
	logs      *logs.Set
	moves     *moves.Set
	peers     *peers
	receiver  *snapshots.Receiver
	table     *directory.Table
}

// exclusionPort is what exclusion needs of the other parts of the core.
type exclusionPort interface {
	ask(now mono.Time, p *peer)
	beginAdmission(now mono.Time)
	concerns(now mono.Time, p *peer) bool
	evaluate(now mono.Time)
	flushOutbox(now mono.Time)
	suspectHolders(now mono.Time, suspect func(p *peer, why string))
	synced() bool
}

// matters reports whether a peer can keep us from answering: it is live, and has neither failed nor
// been excluded without asking to be admitted since.
func (p *peer) matters() bool { return p.live && !p.Barred() }

// behind reports whether a peer holds rows that we lack, in its log or without one.
func (p *peer) behind() bool { return p.gap || p.lacking }

// restOf returns a log whose writer is gone and of which a peer has more than we have, or nil.
func (ex *exclusion) restOf(p *peer) *logs.Peer {
	for _, log := range ex.logs.Behind() {
		if p.claims.Exceed(log) {
			return log
		}
	}
	return nil
}

// toCompare reports whether a peer may hold more of before than what it offers: nothing tells since
// when its rows and ours may differ.
func (p *peer) toCompare() bool { return p.lacking && p.lackSince != 0 && p.togetherAt == 0 }

// lacksOf reports whether a peer holds rows that we do not.
func (ex *exclusion) lacksOf(p *peer) bool { return p.behind() || ex.restOf(p) != nil }

// joining reports whether this director has not been synced since it came.
func (ex *exclusion) joining() bool { return !ex.admission.bootstrapped || !ex.admission.member }

// inMajority reports whether we answer, together with more than half of all directors that we know,
// ourselves included.
func (ex *exclusion) inMajority() bool {
	return ex.synced() && ex.peers.majority(ex.table.Removed)
}

// standsBack reports whether a peer does nothing for all, whatever its name: it says so, or that it
// is not in touch with most directors, and we are.
func (ex *exclusion) standsBack(p *peer) bool {
	return p.standsBack || !p.majority && ex.inMajority()
}

// outnumbered reports whether this director stands back: a peer says that it is in touch with most
// directors, and we are not.
func (ex *exclusion) outnumbered() bool {
	return !ex.inMajority() && slices.ContainsFunc(ex.peers.all, func(p *peer) bool {
		return p.live && p.Counted && p.synced && p.majority
	})
}

// staysIn reports whether of two directors that were out of touch it is the peer that has to ask
// for admission: the one that is in touch with most directors goes on.
func (ex *exclusion) staysIn(p *peer) bool {
	return ex.inMajority() && (!p.majority || ex.cfg.Name < p.name)
}

// gotExclude learns that a peer no longer counts us: we did not answer in time, or were out of
// touch.
func (ex *exclusion) gotExclude(now mono.Time, p *peer, m *wire.Exclude) {
	if p.Barred() && ex.inMajority() && ex.cfg.Name < p.name {
		// Each of us would have the other ask; the one with the higher name does.
		if p.Remind(now) {
			ex.send(p, &wire.Exclude{Reason: outOfTouch})
		}
		return
	}
	if p.HeardExclude() {
		ex.counters.Excluded++
		ex.logf(LogWarn, "excluded by a peer", Field{"peer", p.name}, Field{"reason", m.Reason})
		p.Begin(now, ex.newID())
	}
	ex.evaluate(now)
	ex.ask(now, p)
}

// suspect is a live peer that has not answered for too long.
type suspect struct {
	*peer
	why string
}

// exclude reports to live peers that have not answered for too long that they must ask for
// admission again. From now on their admission does not matter; their confirmations do until they
// ask or have been silent for another while.
func (ex *exclusion) exclude(now mono.Time, suspects ...suspect) {
	suspects = slices.DeleteFunc(suspects, func(p suspect) bool {
		return !p.live || !p.Excludable()
	})
	switch {
	case len(suspects) == 0:
		return
	case ex.joining() && !ex.cfg.Guards.JoinersExclude:
		for _, p := range suspects {
			ex.complain(now, p)
		}
		return
	case ex.outvoted(suspects):
		ex.stepOut(now, suspects[0].why)
		return
	}
	for _, p := range suspects {
		p.Exclude(now)
		if p.behindAt != 0 {
			p.behindAt = now // once it is back it has its time again to give what we lack
		}
		ex.counters.Exclusions++
		ex.logf(LogWarn, "peer excluded", Field{"peer", p.name}, Field{"reason", p.why})
		ex.send(p.peer, &wire.Exclude{Reason: p.why})
	}
}

// outvoted reports whether we would have excluded most of the peers that we count, these included.
func (ex *exclusion) outvoted(next []suspect) bool {
	return !ex.cfg.Guards.NoMajority && ex.peers.all.outvote(next)
}

// stepOut stops answering and asks everybody for admission: too many peers seem not to answer.
func (ex *exclusion) stepOut(now mono.Time, why string) {
	ex.counters.StepsOut++
	ex.logf(LogWarn, "most peers seem not to answer, asking to be admitted again",
		Field{"reason", why})
	for _, p := range ex.peers.all {
		if p.Excluded() {
			p.Readmit()
		}
	}
	ex.restartPatience(now)
	ex.beginAdmission(now)
}

// restartPatience lets all peers have the whole time again to confirm changes and holds.
func (ex *exclusion) restartPatience(now mono.Time) {
	ex.barrier.Restart(now)
	ex.moves.Patience(now)
}

// complain is all that a joiner does about a peer that does not answer: the members know better
// whether it is the peer's fault. They exclude the peer if it does not answer them either. In the
// end we go on without it.
func (ex *exclusion) complain(now mono.Time, p suspect) {
	switch {
	case p.Report(now):
		ex.logf(LogWarn, "a peer does not answer, telling the members",
			Field{"peer", p.name}, Field{"reason", p.why})
		ex.tellWaiting(p.peer)
	case p.ReportFailed(now):
		ex.logf(LogWarn, "joining without a peer that does not answer",
			Field{"peer", p.name}, Field{"reason", p.why})
		p.GoOnWithout() // once we are a member we tell it to ask again, see ask
	}
}

func (ex *exclusion) tellWaiting(p *peer) {
	m := &wire.Waiting{For: []wire.Peer{{Name: p.name, Boot: p.boot, Addr: p.addr}}}
	for _, q := range ex.peers.all {
		if q != p && q.live && q.CountsUs {
			ex.send(q, m)
		}
	}
}

// gotWaiting asks the peers for which a joiner waits whether they answer us.
func (ex *exclusion) gotWaiting(now mono.Time, _ *peer, m *wire.Waiting) {
	for _, who := range m.For {
		p := ex.peers.get(who.Name)
		if p == nil || p.boot != who.Boot || !p.matters() || !p.Counted {
			continue
		}
		ex.question(now, p)
	}
}

// question asks a peer that counts us something, to see whether it answers, and what its table is.
func (ex *exclusion) question(now mono.Time, p *peer) {
	if p.Probing() || !p.out {
		return
	}
	nonce := ex.newID()
	p.Probe(now, nonce)
	ex.flushOutbox(now)
	ex.send(p, &wire.AdmitRequest{
		Nonce: nonce, Stopped: !ex.synced(), Member: ex.admission.bootstrapped,
	})
}

// questionAgain repeats a question to which the answer may be lost, since a stream is a new one.
func (ex *exclusion) questionAgain(now mono.Time, p *peer) {
	if p.out && p.LoseProbe() {
		ex.question(now, p)
	}
}

// excludeSilent excludes the live peers that do not admit us, do not answer, or hold up a table
// change or a move.
func (ex *exclusion) excludeSilent(now mono.Time) {
	var suspects []suspect
	suspected := make(map[*peer]bool)
	add := func(p *peer, why string) {
		if !suspected[p] {
			suspected[p] = true
			suspects = append(suspects, suspect{p, why})
		}
	}
	for _, p := range ex.peers.all {
		switch {
		case !ex.concerns(now, p):
		case p.ProbeFailed(now):
			add(p, "does not answer")
		case p.Asking() && ex.impatient(now, p):
			add(p, "does not admit us")
		case ex.refusesRows(now, p):
			add(p, "gives no snapshot")
		}
	}
	for _, t := range ex.barrier.Overdue(now, confirmWithin) {
		for _, p := range ex.peers.all {
			if !p.behind() && t.Awaits(p.barrierPeer()) && now.Sub(p.wholeAt) > confirmWithin {
				add(p, "table change not confirmed")
			}
		}
	}
	ex.suspectHolders(now, add)
	ex.exclude(now, suspects...)
	ex.reportUnreached(now)
}

// impatient reports whether a peer has had its time to admit us. One that takes a snapshot from us
// before it does gets more.
func (ex *exclusion) impatient(now mono.Time, p *peer) bool {
	ackedAt := mono.Time(0)
	if d := ex.donations.Get(p.name); d != nil {
		ackedAt = d.AckedAt()
	}
	return p.Impatient(now, ackedAt)
}

// refusesRows notes since when we are behind a peer, and reports whether that is for too long
// without rows from any donor.
func (ex *exclusion) refusesRows(now mono.Time, p *peer) bool {
	switch {
	case !p.behind():
		if p.behindAt != 0 {
			p.behindAt, p.wholeAt = 0, now
			ex.confirmAnew(now, p)
		}
		return false
	case p.behindAt == 0:
		p.behindAt = now
	}
	silent := now.Sub(max(p.behindAt, ex.receiver.ChunkAt))
	return p.Counted && silent > donateWithin &&
		(now.Sub(ex.receiver.BusyAt) > confirmWithin || silent > admission.AdmitWithin)
}

// confirmAnew asks a peer for its table if we wait for its confirmation: that may have been in a
// gap that was repaired by rows alone.
func (ex *exclusion) confirmAnew(now mono.Time, p *peer) {
	if ex.barrier.Awaits(p.barrierPeer()) {
		ex.question(now, p)
	}
}

// reportUnreached reports to the members the directors that they named and that we cannot reach. A
// director that answers by itself has no such directors.
func (ex *exclusion) reportUnreached(now mono.Time) {
	for _, who := range ex.admission.named.All() {
		p := ex.peers.get(who.Name)
		if p != nil && !p.live && !(p.left && p.boot == who.Boot) &&
			ex.admission.named.Over(now, who, confirmWithin) && p.Report(now) {
			ex.tellWaiting(p)
		}
	}
}
