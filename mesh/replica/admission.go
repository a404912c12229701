package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/admission"
	"directormesh/mesh/replica/internal/hints"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
)

// ownAdmission is what keeps this director from answering by itself, or lets it.
type ownAdmission struct {
	synced       bool // the result, as of the last evaluate
	syncedAt     mono.Time
	unsyncedAt   mono.Time // when it last ceased to be synced
	reason       string    // why not
	bootstrapped bool      // founded a mesh, or took a first snapshot
	member       bool      // was synced since
	alone        bool      // founded because no peer answered
	// joinsSince is since when it waits to be bootstrapped: its start, or when it had to join
	// again. Pauses do not count.
	joinsSince mono.Time
	contact    bool // some director has answered ever
	coldSince  mono.Time
	cold       map[string]bool // cold start: whose snapshots were taken
	named      admission.Named
	holds      *holdings // nil: nothing that the members could lack
	clockOff   bool
	leaving    bool
	removed    bool      // by `ring remove`
	refused    string    // what a peer said when it refused us
	refusedAt  mono.Time // when one that is no stranger last did, 0: never
	refusedBy  string    // that one
	differs    string    // why directors to join never will; empty: none has said so
}

// holdings are rows that this director holds although no log of the mesh that it joins has them.
type holdings struct {
	since directory.Tick // those that changed then or later
}

// joinAgain has this director wait for a mesh to take it in, as after a start.
func (a *ownAdmission) joinAgain(now mono.Time) { a.bootstrapped, a.joinsSince = false, now }

// synced reports whether this director answers by itself.
func (c *Core) synced() bool { return c.admission.synced }

// evaluate concludes whether this director may answer by itself now.
func (c *Core) evaluate(now mono.Time) {
	a := &c.admission
	reason := c.unsyncedReason(now)
	if reason == "" && !a.synced {
		c.checkClock(now) // what is known of the clocks may have changed since it was looked at
		reason = c.unsyncedReason(now)
	}
	a.reason, a.member = reason, a.member && a.bootstrapped
	if a.synced == (reason == "") {
		return
	}
	if reason == "" {
		a.syncedAt, a.member, a.named, a.holds = now, true, nil, nil
		for _, p := range c.peers.all {
			p.said = nil
		}
		a.refused = ""
		c.logf(LogInfo, "synced", Field{"peers", c.peers.all.live()}, Field{"users", c.dir.Len()})
	} else {
		a.unsyncedAt = now
		c.logf(LogWarn, "not synced", Field{"reason", reason})
	}
	c.changeView(func() { a.synced = reason == "" })
	c.beatToAll(now)
	c.progressAdmission(now)
}

// unsyncedReason says why this director must not answer by itself, or nothing.
func (c *Core) unsyncedReason(now mono.Time) string {
	a := &c.admission
	switch {
	case a.leaving:
		return "leaving"
	case c.admission.removed:
		return "removed from the mesh by ring remove"
	case c.loading():
		return "loading the data directory"
	case !a.bootstrapped && c.mayNotGoOn():
		return "the data directory is damaged, waiting for a peer that has what is lost"
	case !a.bootstrapped:
		return "joining"
	case a.clockOff:
		return "mesh time is off by more than half a second"
	}
	for _, p := range c.peers.all {
		if why := c.hindrance(now, p); why != "" {
			return why
		}
	}
	if c.cfg.Guards.NoAdmission {
		return ""
	}
	for _, who := range a.named.All() {
		if !c.reachedOrGone(now, who) {
			return "not yet in contact with " + who.Name
		}
	}
	if p := c.mayGoByAnother(); p != nil && !a.synced {
		return "table not yet confirmed by " + p.name
	}
	return ""
}

// hindrance says what keeps us waiting for one peer, or nothing.
func (c *Core) hindrance(now mono.Time, p *peer) string {
	if !c.concerns(now, p) {
		return ""
	}
	if p.Counted && !c.cfg.Guards.NoGapCheck {
		if p.behind() {
			return "gap in the log of " + p.name
		}
		if log := c.restOf(p); log != nil {
			return "gap in the log of " + log.ID().Name + ", which is gone"
		}
	}
	if p.CountsUs || c.cfg.Guards.NoAdmission {
		return ""
	}
	if p.synced || p.Asking() || c.admission.named.Has(p.name) {
		return "not yet admitted by " + p.name
	}
	return ""
}

// concerns reports whether a live peer can keep us from answering: it is of ours, and has neither
// failed nor been excluded without asking to be admitted since.
func (c *Core) concerns(now mono.Time, p *peer) bool { return p.matters() && c.ofOurs(now, p) }

// ofOurs reports whether a live peer is of our mesh, or of the one that we join, and of its time.
// Any other one does not count us, nor we it.
func (c *Core) ofOurs(now mono.Time, p *peer) bool {
	return p.live && !p.clock.Far() && (c.sameMesh(p) || c.lacksTable(now, p))
}

// reachedOrGone reports whether we need not wait for contact with a director that was named to us.
// Where frames are slow streams take longer to open than it takes for one to fail: then we hear it.
// If we know the name in another life, that life is the later one if it has answered since: what we
// know of it may be from before it began anew.
func (c *Core) reachedOrGone(now mono.Time, who wire.Life) bool {
	named := &c.admission.named
	switch p := c.peers.get(who.Name); {
	case named.Over(now, who, contactLost):
		return true
	case named.Over(now, who, failAfter) && !(p != nil && p.near(now)):
		return true
	case p == nil:
		return false
	case p.boot == who.Boot:
		return p.live || p.left
	default:
		return p.live && p.echoAt > (*named)[who]
	}
}

// everyNamed reports whether something is true of all directors with which we must be in contact
// before we answer. They answer already, and we need not count them yet: we may have begun a new
// life just now. One that is gone does not matter.
func (c *Core) everyNamed(now mono.Time, did func(name string) bool) bool {
	for who := range c.admission.named {
		if !c.reachedOrGone(now, who) {
			return false
		}
		if p := c.peers.get(who.Name); p != nil && c.concerns(now, p) && !did(p.name) {
			return false
		}
	}
	return true
}

// progressAdmission does what stands between this director and being synced.
func (c *Core) progressAdmission(now mono.Time) {
	for _, p := range c.peers.all {
		if p.Request() != nil && !c.lacksOf(p) {
			c.admitIfWhole(now, p)
		}
		c.ask(now, p)
	}
	if c.admission.removed || c.loading() {
		return
	}
	if !c.admission.bootstrapped {
		c.bootstrap(now)
		return
	}
	for _, p := range c.peers.all {
		if (p.matters() || p.Request() != nil) && p.behind() && p.out &&
			!c.receiver.Tried(now, p.name) {
			c.requestSnapshot(now, p)
			return
		}
	}
	if p := c.restBySnapshot(now); p != nil {
		c.requestSnapshot(now, p)
	}
}

// ask asks a peer to count us, if that is what it takes. Everything that we ever answered stands
// before the question on the stream.
func (c *Core) ask(now mono.Time, p *peer) {
	if c.loading() || !c.ofOurs(now, p) || !p.out || p.CountsUs && !c.lacksTable(now, p) {
		return
	}
	switch p.Next(now, c.inMajority, c.synced() && !p.synced, c.newID) {
	case admission.Wait:
		return
	case admission.RemindToAsk:
		c.send(p, &wire.Exclude{Reason: outOfTouch})
		return
	}
	if c.synced() {
		c.evaluate(now) // stop answering first, unless the peer is barred
	}
	c.flushOutbox(now)
	m := &wire.AdmitRequest{
		Nonce: p.Nonce(), Stopped: !c.synced(), Member: c.admission.bootstrapped,
	}
	if h := c.admission.holds; h != nil {
		m.Holds, m.Since = true, h.since
	}
	c.send(p, m)
}

// gotAdmitRequest lets a peer in, or answers what must be done before.
func (c *Core) gotAdmitRequest(now mono.Time, p *peer, m *wire.AdmitRequest) {
	if !p.out {
		return // it asks again
	}
	if p.MustStop(m, c.inMajority) {
		c.send(p, &wire.Exclude{Reason: outOfTouch})
		return
	}
	settled, offers := p.TakeRequest(m)
	if settled {
		// The peer's confirmation of what stands in our reply need not be waited for. It counts as
		// failed in the outcomes of operations that wait for that.
		c.barrier.NoteFailed(p.barrierPeer())
		c.barrier.ConfirmAll(p.name)
	}
	p.synced = p.synced && !m.Stopped
	if offers {
		c.lack(p, min(m.Since, c.offeredSince(p)))
	}
	c.meetAgain(now, p, m.Member)
	c.admitIfWhole(now, p)
}

// admitIfWhole counts a peer that has asked for it as soon as we have what it holds. Until then the
// peer answers nothing, so we go on.
func (c *Core) admitIfWhole(now mono.Time, p *peer) {
	m := p.Request()
	if m == nil {
		return
	}
	if c.lacksOf(p) && !p.Counted && c.admission.bootstrapped && !c.cfg.Guards.NoGapCheck {
		c.send(p, &wire.Admitted{Nonce: m.Nonce, Pending: true})
		return
	}
	if p.Admit() {
		c.greet(p)
	}
	c.flushOutbox(now)
	reply := &wire.Admitted{
		Nonce: m.Nonce, Member: c.admission.bootstrapped, Change: c.table.Snapshot(),
		Moving: c.movingRows(now),
	}
	for _, q := range c.peers.all {
		if q.live && q.Counted && q != p {
			reply.Live = append(reply.Live, q.self())
		}
	}
	if reply.Member && !m.Member {
		reply.Apart = c.apartFrom(now)
	}
	c.send(p, reply)
	c.resendHolds(p)
	c.beatTo(now, p)
}

// greet sends a peer that has just come to be counted what it must take part in.
func (c *Core) greet(p *peer) {
	c.resendHolds(p)
	c.sendKicks(p)
}

func (c *Core) gotAdmitted(now mono.Time, p *peer, m *wire.Admitted) {
	if p.EndProbe(m.Nonce) {
		if m.Pending || !c.mayTake(now, p, m.Change) { // who repairs a gap first sends no table
			return
		}
		c.applyWhole(now, m.Change, p)
		return
	}
	if !p.Answers(m.Nonce) {
		return
	}
	if m.Pending {
		p.Pending(now)
		return
	}
	if !c.mayTake(now, p, m.Change) {
		return
	}
	p.Admitted()
	c.meetAgain(now, p, m.Member)
	if p.Count() {
		c.greet(p)
	}
	c.applyWhole(now, m.Change, p)
	if m.Member {
		c.awaitTable(now, p, m.Change)
		c.noteApart(now, m.Apart)
		c.noteParted(p, m)
	}
	c.mergeRows(now, m.Moving, nil)
	if !c.synced() {
		for _, q := range m.Live {
			if q.Name == c.cfg.Name {
				continue
			}
			c.hear(now, hints.Hint{Name: q.Name, Addr: q.Addr, Trust: Named}, q.Boot)
			if c.admission.named.Note(now, wire.Life{Name: q.Name, Boot: q.Boot}) {
				c.dialAtOnce(q.Name)
			}
		}
	}
	c.progressAdmission(now)
}

// apartFor is after how long two directors that were out of touch may lack more of each other than
// logs tell.
const apartFor = logs.GoneReported - 15*time.Second

// meetAgain notes that a peer holds what we may lack, if we were apart for longer than it tells of
// logs that are gone. Its own log only shows what it answered itself, not what it had from
// directors that died meanwhile.
func (c *Core) meetAgain(now mono.Time, p *peer, member bool) {
	if !c.admission.bootstrapped || !member || p.Counted || !c.sameMesh(p) ||
		c.cfg.Guards.NoAdmission {
		return
	}
	if c.clock.At(now).Sub(p.togetherAt) > apartFor {
		c.lack(p, logs.Since(p.togetherAt))
	}
}

// lack notes that a peer holds rows of this time or later that its log does not bring us.
func (c *Core) lack(p *peer, since directory.Tick) {
	if c.cfg.Guards.OneWayAdmission {
		return
	}
	if !p.lacking {
		p.lacking, p.lackSince = true, since
		c.counters.Lacks++
	}
	p.lackSince = min(p.lackSince, since)
}
