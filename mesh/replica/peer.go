package replica

import (
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/admission"
	"directormesh/mesh/replica/internal/health"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/names"
	"directormesh/mesh/wire"
)

const (
	forgetDead = logs.LongestGone // peers dead for this long, unless configured, are forgotten
	forgetLeft = 10 * time.Second // peers that left
	// forgetUnmet is for peers that were never in touch both ways.
	forgetUnmet = time.Minute
	// tripSlack is how much longer a peer may say that it held an echo than that can have been.
	tripSlack = 50 * time.Millisecond
)

// peer is another director as seen here. Everything below addr belongs to one life (boot) of it.
type peer struct {
	name       string
	to         []string // the name alone, for Send
	addr       netip.AddrPort
	lastFailed directory.Time // 0: never
	seenAt     mono.Time      // last sign of life
	left       bool
	parted     bool // it said that it leaves: this life of it is over
	met        bool // was live, in this life or an earlier one

	boot     uint64
	began    mono.Time     // when its process began, by our clock and the hello of this life
	out      bool          // our stream to it is open
	in       uint64        // session of its stream to us, 0: none
	mesh     wire.MeshRank // as of its last beat
	stranger bool          // it was refused for that: it is no director of ours
	disjoint bool          // its mesh has no backend in common with ours, as of compared
	compared meshes        // the last two whose whole tables were compared
	shown    meshes        // the last two for which it was sent our whole table, to compare
	// registers is how many of a backend's registers it knows beyond those of the first release
	registers int
	takesUs   bool // its mesh was ordered by command to take us in
	verdicts  int  // beats in a row that showed its mesh to rank above ours
	clock     meshtime.Peer
	users     uint64

	log    *logs.Peer  // what we have of its log; nil while we do not know which life it is in
	gap    bool        // something of its log is missing here
	claims logs.Claims // what it says to have of the logs of others, of those in Core.logs

	// liveness
	live      bool
	liveSince mono.Time
	sentAt    int64     // its clock, of its last beat
	beatAt    mono.Time // when we got that
	echoAt    mono.Time // our clock: what we sent then has been answered; 0: nothing yet
	echoedIn  uint64    // session whose first beat was echoed at once
	roundTrip time.Duration

	synced     bool // it says so
	majority   bool // it says that it is in touch with most directors
	standsBack bool // it says that it does nothing for all
	loading    bool // it loads its data directory

	admission.Peer // which of us counts the other, and what each has asked

	behindAt  mono.Time      // since when we are behind it; 0: we are not
	wholeAt   mono.Time      // when we last ceased to be
	lacking   bool           // it holds rows that its log does not bring us
	lackSince directory.Tick // they changed then or later
	// togetherAt is when last we counted it, it was synced, and we lacked nothing of it, by mesh
	// time.
	togetherAt directory.Time

	holdsSentAt mono.Time // when it last got the holds again that it had not confirmed

	// What it confirmed of the mesh's table while we were joining: it may have said that before we
	// had the table ourselves.
	said []directory.Change

	// announced is the boot under which our peers know that we count it; 0: they do not.
	announced uint64
	counts    map[wire.Life]bool // what it counts, as it says

	differs bool // its digests differ from ours

	disk peerDisk

	sights health.Sights // what it sees of backends; nil: it does not check any

	names names.Sights // what it sees of names of backends; nil: it looks none up

	loads   *wire.Loads // what it last said of loads; nil: nothing, it does not balance
	loadsAt mono.Time   // when that came
}

// goesOn reports whether the process of a peer that begins another life is the one of the life
// before: by both hellos it began at one moment. The hellos were under way for a while, and in the
// time between clocks have drifted apart by less than a thousandth.
func (p *peer) goesOn(began mono.Time, up time.Duration) bool {
	return p.boot != 0 && began.Sub(p.began).Abs() <= time.Second+up/1000
}

// stillHeard reports whether a peer runs for all that we hear. If it does not hear us it counts us
// as failed, and goes on with others.
func (p *peer) stillHeard(now mono.Time) bool {
	return p.in != 0 && (p.beatAt == 0 || now.Sub(p.beatAt) <= failAfter)
}

// peerInLife returns the peer that a stream has proven to run, for so many milliseconds, a new one
// if need be. A new life begins with nothing.
func (c *Core) peerInLife(now mono.Time, who wire.Peer, up int64) *peer {
	p := c.peers.get(who.Name)
	if p == nil {
		p = &peer{name: who.Name, to: []string{who.Name}}
		c.peers.add(p)
	}
	c.hints.Forget(who.Name)
	if who.Addr.IsValid() {
		p.addr = who.Addr
	}
	p.seenAt = now
	if p.boot == who.Boot {
		p.left = false
		return p
	}
	upFor := time.Duration(up) * time.Millisecond
	began := now.Add(-upFor)
	goesOn := p.goesOn(began, upFor)
	if p.boot != 0 {
		c.peerGone(now, p)
	}
	delete(c.sessions, p.in)
	c.receiver.Forget(p.name)
	*p = peer{
		name: p.name, to: p.to, addr: p.addr, lastFailed: p.lastFailed, seenAt: now, boot: who.Boot,
		began: began, met: p.met, announced: p.announced, clock: p.clock.NextLife(goesOn),
		log:        c.logs.Open(logs.ID{Name: who.Name, Boot: who.Boot}),
		togetherAt: p.togetherAt,
	}
	p.gap = !p.log.Whole()
	return p
}

// self is what the peer is to others.
func (p *peer) self() wire.Peer { return wire.Peer{Name: p.name, Boot: p.boot, Addr: p.addr} }

// life names the life that a peer is in. What it chose, ids above all, means nothing in another
// one.
func (p *peer) life() logs.ID { return logs.ID{Name: p.name, Boot: p.boot} }

// inLife returns the peer if it is in this life still, else nil.
func (c *Core) inLife(l logs.ID) *peer {
	if p := c.peers.get(l.Name); p != nil && p.boot == l.Boot {
		return p
	}
	return nil
}

func (c *Core) cameAlive(now mono.Time, p *peer) {
	p.live, p.met, p.liveSince = true, true, now
	p.log.Live()
	c.wantRest(now, p.log, false)
	c.seekRestsFrom(now, p)
	if p.Barred() && !p.Excluded() && !c.staysIn(p) {
		p.Return() // we are the one that comes back
	}
	c.admission.contact = true
	c.logf(LogInfo, "peer reachable", Field{"peer", p.name}, Field{"addr", addrText(p.addr)})
	if p.Counted { // it was admitted before: what it asks comes sooner than its first echo
		c.greet(p)
	}
	c.progressAdmission(now)
}

// checkPeers fails the peers that have not echoed for too long, and forgets peers long gone.
func (c *Core) checkPeers(now mono.Time) {
	for _, p := range c.peers.all {
		switch {
		case p.live && now.Sub(p.echoAt) > c.pace().silence():
			c.fail(now, p, "no answer")
		case p.live && p.Counted && p.clock.Far() && !c.admission.clockOff: // else ours is wrong
			c.logf(LogWarn, "peer is not counted, its mesh time is not ours",
				Field{"peer", p.name}, Field{"skew", p.clock.Skew()})
			p.Counted = false
			c.barrier.NoteFailed(p.barrierPeer())
			c.waiters.Recheck()
		case p.live && p.AskOverdue(now):
			c.emit(CloseStream{
				Peer: p.name, Reason: "excluded and does not ask to be admitted again",
			})
			c.fail(now, p, "excluded")
		case !p.live && p.Excluded() && now.Sub(p.seenAt) > c.pace().silence():
			p.ForgetExclusion()
		// The name of a removed one may be asked for.
		case p.left && now.Sub(p.seenAt) > forgetLeft && !c.table.Removed(p.addr),
			!p.live && !p.out && p.in == 0 && now.Sub(p.seenAt) > p.remembered():
			c.peerGone(now, p)
			c.forgottenWith = max(c.forgottenWith, p.clock.With())
			apart := c.wasWith(p)
			c.peers.remove(p)
			switch {
			case p.left: // nobody is apart from it any more
				delete(c.apart, p.name)
			case apart: // it may come back after a long split
				c.noteApart(now, []wire.Apart{p.apart()})
			}
		}
		if p.live {
			p.seenAt = now
		}
	}
}

// remembered is for how long a peer is dialled that is not in touch. One that dialled us and never
// answered where it says that it can be reached is soon forgotten.
func (p *peer) remembered() time.Duration {
	if p.met {
		return forgetDead
	}
	return forgetUnmet
}

// near reports whether a peer was heard of lately and is not in touch both ways yet.
func (p *peer) near(now mono.Time) bool {
	return !p.live && !p.left && !p.Barred() && p.boot != 0 && now.Sub(p.seenAt) <= failAfter
}

// fail counts a live peer as failed.
func (c *Core) fail(now mono.Time, p *peer, why string) {
	p.lastFailed = c.clock.At(now)
	c.counters.PeerFailures++
	c.logf(LogWarn, "peer failed", Field{"peer", p.name}, Field{"reason", why})
	c.peerGone(now, p)
}

// peerGone ends everything that waits for a peer: it failed, left, or began a new life.
func (c *Core) peerGone(now mono.Time, p *peer) {
	wasCounted := p.Counted
	if wasCounted && now.Sub(p.echoAt) <= failAfter &&
		(c.peers.all.someAsk(now, p) || c.hints.Len() > 0) {
		// It confirms no more Holds, and may just have answered another director, maybe one that
		// we have only heard of.
		c.relayed.NoteAll(now)
	}
	p.endContact()
	c.logGone(now, p)
	p.Fail(c.newID)
	if wasCounted && !p.left {
		c.barrier.NoteFailed(p.barrierPeer())
	}
	c.moves.PeerGone(p.name)
	c.flushes.RunnerGone(p.name, c.clock.At(now))
	c.donations.Forget(p.name)
	c.donorLost(now, p.name, "the donor failed")
	c.waiters.Recheck()
}

// endContact forgets what holds only while frames flow both ways.
func (p *peer) endContact() {
	p.live, p.synced, p.majority, p.standsBack = false, false, false, false
	p.echoAt, p.verdicts = 0, 0
	p.EndContact()
}

// ProbeFailed stamps a peer that did not answer a probe of memberlist, even if an indirect probe
// then reached it.
func (c *Core) ProbeFailed(now mono.Time, name string) {
	defer c.enter(now)()
	if p := c.peers.get(name); p != nil && !p.left {
		p.lastFailed = c.clock.At(now)
	}
}

// Leave reports to the peers that we leave in good order. From now on no lookup is answered.
func (c *Core) Leave(now mono.Time) {
	defer c.enter(now)()
	c.admission.leaving = true
	c.evaluate(now)
	c.flushOutbox(now)
	c.sendAll(&wire.Leaving{})
}

func (c *Core) gotLeaving(now mono.Time, p *peer, _ *wire.Leaving) {
	p.left, p.parted = true, true
	c.logf(LogInfo, "peer left", Field{"peer", p.name})
	c.peerGone(now, p)
}
