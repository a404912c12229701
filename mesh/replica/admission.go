package replica

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// admission is what keeps this director from answering by itself, or lets it.
type admission struct {
	synced       bool // the result, as of the last evaluate
	syncedAt     time.Duration
	reason       string // why not
	bootstrapped bool   // founded a mesh, or took a first snapshot
	alone        bool   // founded because nobody answered
	contact      bool   // some director has answered ever
	coldSince    time.Duration
	cold         map[string]bool          // cold start: whose snapshots were taken
	named        map[string]time.Duration // live directors by the word of those who admitted us: since when
	clockOff     bool
	leaving      bool
	removed      bool   // by `ring remove`
	refused      string // what a peer said when it refused us
}

// synced reports whether this director answers by itself.
func (c *Core) synced() bool { return c.admission.synced }

// evaluate concludes whether this director may answer by itself now.
func (c *Core) evaluate(now time.Duration) {
	reason := c.obstacle(now)
	a := &c.admission
	a.reason = reason
	if a.synced == (reason == "") {
		return
	}
	if reason == "" {
		a.syncedAt, a.named = now, nil
		for _, p := range c.peers {
			p.said = nil
		}
		a.refused = ""
		c.logf(LogInfo, "synced", Field{"peers", c.liveCount()}, Field{"users", c.dir.Len()})
	} else {
		c.logf(LogWarn, "not synced", Field{"why", reason})
	}
	c.changeView(func() { a.synced = reason == "" })
	for _, p := range c.sortedPeers() {
		c.beatTo(now, p)
	}
	c.progressAdmission(now)
}

// obstacle says why this director must not answer by itself, or nothing.
func (c *Core) obstacle(now time.Duration) string {
	a := &c.admission
	switch {
	case a.leaving:
		return "leaving"
	case c.selfRemoved():
		return "removed from the mesh by ring remove"
	case !a.bootstrapped:
		return "joining"
	case a.clockOff:
		return "mesh time is off by more than a second"
	}
	for _, p := range c.sortedPeers() {
		if !p.live {
			continue
		}
		if p.gap && !c.cfg.Guards.NoGapCheck {
			return "gap in the log of " + p.name
		}
		if p.admittedMe || c.cfg.Guards.NoAdmission {
			continue
		}
		if _, named := a.named[p.name]; p.synced || p.nonce != 0 || named {
			return "not yet admitted by " + p.name
		}
	}
	if c.cfg.Guards.NoAdmission {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(a.named)) {
		if p := c.peers[name]; (p == nil || !p.live && !p.left) && now-a.named[name] <= failAfter {
			return "not yet in contact with " + name
		}
	}
	return ""
}

func (c *Core) liveCount() int {
	n := 0
	for _, p := range c.peers {
		if p.live {
			n++
		}
	}
	return n
}

// progressAdmission does what stands between this director and being synced.
func (c *Core) progressAdmission(now time.Duration) {
	for _, p := range c.sortedPeers() {
		c.ask(now, p)
	}
	if c.selfRemoved() {
		return
	}
	if !c.admission.bootstrapped {
		c.bootstrap(now)
		return
	}
	for _, p := range c.sortedPeers() {
		if p.live && p.gap && !c.tried(now, p.name) {
			c.requestSnapshot(now, p)
			return
		}
	}
}

// ask asks a peer to count us, if that is what it takes. Everything that we ever answered stands before the question on the stream.
func (c *Core) ask(now time.Duration, p *peer) {
	if !p.live || !p.out || p.admittedMe && !c.lacksTable(p) {
		return
	}
	if p.nonce == 0 && c.synced() && !p.synced {
		return // a joiner; it will count us before it answers anything
	}
	if p.nonce != 0 && now-p.askedAt < askAgain {
		return
	}
	if p.nonce == 0 {
		p.nonce = c.newID() // kept when we ask again: the way there and back may take longer than our patience
	}
	p.askedAt = now
	if c.synced() {
		c.evaluate(now) // stop answering first
	}
	c.flushOutbox(now)
	c.send(p, &wire.AdmitRequest{Nonce: p.nonce})
}

// lacksTable reports whether we are about to join the older mesh of a peer, but do not have its table yet.
func (c *Core) lacksTable(p *peer) bool {
	return !c.cfg.Guards.NoAdmission && !c.admission.bootstrapped && p.founding.At != directory.Unfounded && p.founding.Compare(c.table.Founding()) < 0
}

// admit counts a peer from now on. One that was excluded answers nothing until it has our reply, so nobody need wait any longer for its
// confirmation of what stands in that; it counts as failed for whoever asked for it.
func (c *Core) admit(now time.Duration, p *peer, m *wire.AdmitRequest) {
	if !p.out {
		return // it asks again
	}
	if p.excludedAt != 0 {
		c.noteFailed(p.name)
		for _, t := range c.transitions {
			t.confirmAll(p.name)
		}
	}
	p.excludedAt = 0
	c.count(p)
	c.flushOutbox(now)
	reply := &wire.Admitted{Nonce: m.Nonce, Change: c.table.Snapshot(), Moving: c.movingRows(now)}
	for _, q := range c.sortedPeers() {
		if q.live && q.counted && q != p {
			reply.Live = append(reply.Live, wire.Peer{Name: q.name, Boot: q.boot, Addr: q.addr})
		}
	}
	c.send(p, reply)
	c.moves.resend(c, p)
	c.beatTo(now, p)
}

func (c *Core) count(p *peer) {
	if !p.counted {
		p.counted = true
		c.moves.resend(c, p)
	}
}

func (c *Core) gotAdmitted(now time.Duration, p *peer, m *wire.Admitted) {
	if m.Nonce != p.nonce {
		return
	}
	p.nonce, p.admittedMe = 0, true
	c.count(p)
	c.applyWhole(now, m.Change, p)
	c.mergeRows(now, m.Moving, nil)
	if !c.synced() {
		if c.admission.named == nil {
			c.admission.named = make(map[string]time.Duration)
		}
		for _, q := range m.Live {
			if q.Name == c.cfg.Name {
				continue
			}
			c.know(now, q.Name, q.Addr)
			if _, known := c.admission.named[q.Name]; !known {
				c.admission.named[q.Name] = now
			}
		}
	}
	c.progressAdmission(now)
}

// wake begins admission anew after a pause: what we know is of before it. The peers get the time of a failure to answer.
func (c *Core) wake(now time.Duration, late time.Duration) {
	c.counters.Pauses++
	if c.cfg.Guards.NoWakeCheck {
		return
	}
	c.logf(LogWarn, "woke up from a pause", Field{"late", late})
	for _, p := range c.sortedPeers() {
		if p.live {
			p.echoAt = now
			p.admittedMe, p.nonce = false, c.newID()
			p.askedAt = now - askAgain
		}
	}
	c.postpone(late)
	c.evaluate(now)
	c.progressAdmission(now)
}

// postpone gives everything that waits for something outside the time that we slept through.
func (c *Core) postpone(late time.Duration) {
	a := &c.admission
	c.start += late
	if a.coldSince != 0 {
		a.coldSince += late
	}
	for name := range a.named {
		a.named[name] += late
	}
	for _, k := range c.kicks.byID {
		k.since += late
	}
	for _, d := range c.donations {
		d.ackedAt += late
	}
	if c.snapshot != nil {
		c.snapshot.heardAt += late
	}
}

// gotExclude learns that a peer no longer counts us: we did not confirm in time.
func (c *Core) gotExclude(now time.Duration, p *peer, m *wire.Exclude) {
	c.counters.Excluded++
	c.logf(LogWarn, "excluded by a peer", Field{"peer", p.name}, Field{"why", m.Reason})
	p.admittedMe, p.nonce = false, c.newID()
	p.askedAt = now - askAgain
	c.evaluate(now)
	c.ask(now, p)
}

// exclude tells a live peer that has not confirmed for too long that it must ask for admission again.
func (c *Core) exclude(now time.Duration, p *peer, why string) {
	if p.excludedAt != 0 {
		return
	}
	p.excludedAt = now
	c.counters.Exclusions++
	c.logf(LogWarn, "peer excluded", Field{"peer", p.name}, Field{"why", why})
	c.send(p, &wire.Exclude{Reason: why})
}

// excludeSilent finds the live peers that hold up a table change or a move.
func (c *Core) excludeSilent(now time.Duration) {
	for _, t := range c.transitions {
		if now-t.since <= confirmWithin {
			break
		}
		for _, p := range c.sortedPeers() {
			if !p.gap && t.awaits(p) {
				c.exclude(now, p, "table change not confirmed")
			}
		}
	}
	c.moves.excludeSilent(c, now)
}

// found begins a mesh with what the configuration says.
func (c *Core) found(now time.Duration, why string) {
	c.changeView(func() {
		if c.table.Founding().At == directory.Unfounded {
			c.table.Found(directory.Founding{At: c.clock.at(now), By: c.cfg.Name})
		}
		c.dir.SetBackends(c.table.Snapshot().Backends)
		c.rings[len(c.rings)-1] = ring.Build(c.table.Backends(), c.rings[len(c.rings)-1])
	})
	c.admission.bootstrapped, c.admission.coldSince = true, 0
	c.logf(LogInfo, "mesh founded, the table comes from the configuration", Field{"why", why}, Field{"backends", len(c.table.Backends())})
	c.evaluate(now)
	if to := c.streams(); len(to) > 0 {
		c.flushOutbox(now)
		c.sendAll(&wire.Table{Change: c.table.Snapshot()})
	}
}

// meetFounding lets a director of a younger mesh join an older one, once it is in touch with that both ways: the word alone that there is one
// does not help it to serve.
func (c *Core) meetFounding(now time.Duration, p *peer, theirs directory.Founding) {
	ours := c.table.Founding()
	if !p.live || !c.admission.bootstrapped || theirs.At == directory.Unfounded || theirs.Compare(ours) >= 0 {
		return
	}
	c.logf(LogWarn, "met an older mesh, joining it", Field{"peer", p.name}, Field{"founded_by", theirs.By}, Field{"ours_founded_by", ours.By})
	c.counters.MeshesMet++
	c.admission.bootstrapped = false
	c.evaluate(now)
	c.ask(now, p)
}

// bootstrap takes the first snapshot, or founds a mesh where there is nobody to take it from.
func (c *Core) bootstrap(now time.Duration) {
	a := &c.admission
	live, synced := c.candidates(now)
	switch {
	case len(live) == 0:
		c.bootstrapAlone(now)
	case len(synced) > 0:
		a.coldSince = 0
		if c.allNamedReached(now) {
			c.requestSnapshot(now, synced[0])
		}
	default:
		c.bootstrapCold(now, live)
	}
}

// candidates are the live peers, and those of them whose snapshot makes us a member: synced, of the oldest mesh in sight, and
// they count us already. Nearest first.
func (c *Core) candidates(now time.Duration) (live, synced []*peer) {
	lacking := false
	for _, p := range c.sortedPeers() {
		if !p.live {
			continue
		}
		live = append(live, p)
		lacking = lacking || p.synced && c.lacksTable(p)
		if p.synced && c.sameMesh(p) && (p.admittedMe || c.cfg.Guards.NoAdmission) && !c.tried(now, p.name) {
			synced = append(synced, p)
		}
	}
	if lacking {
		synced = nil
	}
	slices.SortStableFunc(synced, func(a, b *peer) int { return cmp.Compare(a.roundTrip, b.roundTrip) })
	for _, p := range live {
		if p.synced && len(synced) == 0 {
			return live, nil // wait for its admission, do not start cold beside it
		}
	}
	return live, synced
}

// sameMesh reports whether a peer's table is of the same mesh as ours.
func (c *Core) sameMesh(p *peer) bool {
	return p.founding == c.table.Founding() || c.cfg.Guards.NoAdmission
}

// allNamedReached reports whether streams stand to all directors named by those who admitted us, so that nothing falls between
// the snapshot and their logs.
func (c *Core) allNamedReached(now time.Duration) bool {
	for name, since := range c.admission.named {
		if p := c.peers[name]; (p == nil || !p.live) && now-since <= failAfter {
			return false
		}
	}
	return true
}

func (c *Core) bootstrapAlone(now time.Duration) {
	a := &c.admission
	a.coldSince = 0
	if c.snapshot != nil {
		return
	}
	waited := now - c.start
	if !a.contact && waited >= startWait || a.contact && waited >= contactLost && c.nobodyInSight(now) {
		a.alone = true
		c.counters.ServedAlone++
		c.logf(LogWarn, "no peer answers, serving alone; trying on")
		c.found(now, "no peer answered")
	}
}

// nobodyInSight reports whether no peer has shown a sign of life lately.
func (c *Core) nobodyInSight(now time.Duration) bool {
	for _, p := range c.peers {
		if now-p.seenAt <= failAfter && p.boot != 0 {
			return false
		}
	}
	return true
}

// bootstrapCold is the start of all directors together: nobody is synced. The one with the lowest name takes everybody's
// snapshot and founds the mesh; the others then join it. Should it not get there, the others do not wait for ever.
func (c *Core) bootstrapCold(now time.Duration, live []*peer) {
	a := &c.admission
	for _, p := range live {
		if p.synced {
			return
		}
	}
	if a.coldSince == 0 {
		a.coldSince, a.cold = now, make(map[string]bool)
	}
	patience := coldWait
	if live[0].name < c.cfg.Name {
		patience = coldImpatience
	}
	if now-a.coldSince < patience || now-a.coldSince < patience+failAfter && c.someoneNear(now) {
		return
	}
	for _, p := range live {
		if !p.admittedMe {
			return
		}
		if !a.cold[p.name] && !c.tried(now, p.name) {
			c.requestSnapshot(now, p)
			return
		}
	}
	for _, p := range live {
		if !a.cold[p.name] && now-a.coldSince < patience+contactLost {
			return
		}
	}
	c.found(now, fmt.Sprintf("%d directors start together", len(live)+1))
}

// someoneNear reports whether there is a director that has just been heard of but is not in touch both ways yet. It may belong to a mesh.
func (c *Core) someoneNear(now time.Duration) bool {
	for _, p := range c.peers {
		if !p.live && !p.left && p.boot != 0 && now-p.seenAt <= failAfter {
			return true
		}
	}
	return false
}

const (
	coldWait       = 500 * time.Millisecond // for peers that start at the same moment to show up
	coldImpatience = 15 * time.Second       // for the lowest name to found the mesh
)
