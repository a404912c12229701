package replica

import (
	"maps"
	"slices"
	"time"

	"directormesh/mesh/wire"
)

// admission is what keeps this director from answering by itself, or lets it.
type admission struct {
	synced       bool // the result, as of the last evaluate
	syncedAt     time.Duration
	unsyncedAt   time.Duration // when it last ceased to be synced
	reason       string        // why not
	bootstrapped bool          // founded a mesh, or took a first snapshot
	alone        bool          // founded because nobody answered
	contact      bool          // some director has answered ever
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
		a.unsyncedAt = now
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
		if !c.concerns(now, p) {
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
	if len(c.logs.behind) > 0 && !c.cfg.Guards.NoGapCheck {
		return "gap in the log of " + c.logs.behind[0].id.name + ", which is gone"
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

// concerns reports whether a live peer can keep us from answering: it is of our mesh, or of the one
// that we join, and of its time. Any other one does not count us, nor we it.
func (c *Core) concerns(now time.Duration, p *peer) bool {
	return p.live && p.clock.near() && (c.sameMesh(p) || c.lacksTable(now, p))
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
	if p := c.restBySnapshot(now); p != nil {
		c.requestSnapshot(now, p)
	}
}

// ask asks a peer to count us, if that is what it takes. Everything that we ever answered stands before the question on the stream.
func (c *Core) ask(now time.Duration, p *peer) {
	if !c.concerns(now, p) || !p.out || p.admittedMe && !c.lacksTable(now, p) {
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
			c.hear(now, hint{name: q.Name, addr: q.Addr, trust: Named}, q.Boot)
			if _, known := c.admission.named[q.Name]; !known {
				c.admission.named[q.Name] = now
			}
		}
	}
	c.progressAdmission(now)
}
