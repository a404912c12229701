package replica

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// Hello is what we say first on a stream that we dial.
func (c *Core) Hello(now mono.Time, to Dial) *wire.Hello {
	defer c.enter(now)()
	h := c.hello(now)
	h.To = wire.Peer{Name: to.Name, Addr: to.Addr}
	h.TakesIn = c.table.Added(to.Addr)
	return h
}

func (c *Core) hello(now mono.Time) *wire.Hello {
	return &wire.Hello{
		Settings: c.settings(),
		From:     c.self(),
		Mesh:     c.meshRank(now),
		MeshTime: c.clock.Micros(now),
		Up:       c.up(now),

		Registers: directory.Registers,
	}
}

// knownRegisters is how many of the registers that were added after the first release a peer knows
// and we do.
func knownRegisters(h *wire.Hello) int {
	return int(min(h.Registers, directory.Registers))
}

// up is for how long this director has been running, in milliseconds.
func (c *Core) up(now mono.Time) int64 { return now.Sub(c.began).Milliseconds() }

// Refusal is what to answer to a dialler that Accept does not accept.
func (c *Core) Refusal(now mono.Time, err error) *wire.Refuse {
	r := &wire.Refuse{From: c.self(), Reason: err.Error(), Up: c.up(now)}
	r.Differs = errors.As(err, new(*settingsError))
	if errors.As(err, new(*strangerError)) {
		r.Stranger = c.table.Mesh()
	}
	var who netip.AddrPort
	if removed := new(removedError); errors.As(err, &removed) {
		who = removed.addr
	}
	if outside := new(outsideError); errors.As(err, &outside) {
		who = outside.addr
	}
	if row, ok := c.table.Director(who); ok {
		r.Change = directory.Change{Mesh: c.table.Mesh(), Directors: []directory.DirectorRow{row}}
	}
	return r
}

// Accept takes a stream that a peer dialled. The reply says from where its log is to be replayed.
// The stream's messages come by Receive under this session; a peer's older session ends with it. An
// error is to be sent as the reason of a wire.Refuse.
func (c *Core) Accept(now mono.Time, h *wire.Hello) (reply *wire.Hello, session uint64, err error) {
	defer c.enter(now)()
	err = c.meant(h.To)
	if err == nil {
		err = c.acceptable(now, h)
	}
	if err == nil {
		err = c.fromOutside(h)
	}
	if err != nil {
		c.counters.Refused++
		c.logf(LogWarn, "director refused", Field{"peer", h.From.Name},
			Field{"addr", addrText(h.From.Addr)}, Field{"error", err.Error()})
		return nil, 0, err
	}
	if p := c.peers.get(h.From.Name); p != nil && p.out && p.boot != h.From.Boot {
		// Our stream is to another life, and nothing goes over it from now on. Its end need not
		// come by itself: a hello that was under way while the peer stepped its clock is of the
		// life before.
		c.emit(CloseStream{Peer: p.name, Reason: "the peer is in another life", Only: OurStream})
	}
	p := c.peerInLife(now, h.From, h.Up)
	c.heardTime(now, p, h.MeshTime)
	p.clock.Hello(now, h.MeshTime.Sub(c.clock.Micros(now)))
	p.takesUs, p.mesh, p.registers = h.TakesIn, h.Mesh, knownRegisters(h)
	c.leaveFormerMesh(now, p)
	c.admission.contact = true
	c.inEnded(now, p, "another stream from the donor took the place of the one before")
	c.session++
	p.in = c.session
	c.sessions[p.in] = p
	c.questionAgain(now, p)
	c.resendKicks(p)
	reply = c.hello(now)
	reply.Resume, reply.Answers, reply.TakesIn = p.log.Resume(), h.From.Boot, c.table.Added(p.addr)
	return reply, p.in, nil
}

// Opened notes that the stream to a peer is up, and sends the peer what it may have missed.
func (c *Core) Opened(now mono.Time, to Dial, reply *wire.Hello) error {
	defer c.enter(now)()
	if to.Name != "" && to.Name != reply.From.Name {
		return fmt.Errorf("director %q answers at %s, not %q",
			reply.From.Name, addrText(to.Addr), to.Name)
	}
	if err := c.acceptable(now, reply); err != nil {
		return err
	}
	if err := c.fromOutside(reply); err != nil {
		return err
	}
	if reply.Answers != c.boot {
		return errors.New("the answer is to a hello of before mesh time was stepped")
	}
	if p := c.peers.all.holder(to.Addr); p != nil && p.name != reply.From.Name {
		return fmt.Errorf("director %s answers at %s, where %s answers too",
			reply.From.Name, addrText(to.Addr), p.name)
	}
	c.endFormerNames(now, to.Addr, reply.From.Name)
	if p := c.peers.get(reply.From.Name); p != nil && p.in != 0 && p.boot != reply.From.Boot {
		// Its stream was dialled in another life, which may be the one after the life that has
		// answered, if that was long under way. It has to dial again: we would not listen to it.
		c.emit(CloseStream{Peer: p.name, Reason: "the peer is in another life", Only: TheirStream})
	}
	p := c.peerInLife(now, reply.From, reply.Up)
	c.heardTime(now, p, reply.MeshTime)
	p.clock.Hello(now, reply.MeshTime.Sub(c.clock.Micros(now)))
	p.takesUs, p.mesh, p.registers = reply.TakesIn, reply.Mesh, knownRegisters(reply)
	c.admission.contact = true
	c.outEnded(now, p, "another stream to the donor took the place of the one before")
	p.out, p.shown = true, meshes{}
	c.showMesh(p, c.table.Snapshot())
	c.sendAllCounting(p)
	c.sendSights(p)
	c.sendLoads(now, p)
	c.sendNames(p)
	p.Reopen(now)
	// where one has none yet, it is not said that they will have one
	if c.table.Mesh() != 0 && reply.Mesh.ID != 0 {
		c.sendMarks(p)
	}
	c.replay(now, p, reply.Resume)
	c.flushOutbox(now)
	c.send(p, &wire.Table{Change: c.table.Snapshot()})
	c.resendHolds(p)
	c.repeatAnswers(now, p)
	c.tellFlushes(p)
	c.resendKicks(p)
	c.reportGoneTo(now, p)
	c.beatTo(now, p)
	c.questionAgain(now, p)
	c.ask(now, p)
	return nil
}

// meant refuses a dialler that wants another director.
func (c *Core) meant(to wire.Peer) error {
	if to.Name != "" && to.Name != c.cfg.Name {
		return fmt.Errorf("the director at %s is %s, not %s",
			addrText(to.Addr), c.cfg.Name, to.Name)
	}
	return nil
}

// acceptable compares what two directors must have in common.
func (c *Core) acceptable(now mono.Time, h *wire.Hello) error {
	if err := differences(c.settings(), h.Settings); err != nil {
		return &settingsError{err}
	}
	if h.From.Name == c.cfg.Name {
		return nameTaken(h.From, c.cfg.Addr)
	}
	if h.From.Boot == 0 {
		return errors.New("the hello has no boot id")
	}
	p := c.peers.get(h.From.Name)
	if p == nil && len(c.peers.all) >= MaxDirectors {
		return fmt.Errorf("the mesh has %d directors already", MaxDirectors)
	}
	if p != nil && p.parted && p.boot == h.From.Boot {
		// A stream that was being opened when it left must not bring it back.
		return fmt.Errorf("director %s has left", p.name)
	}
	if p != nil && p.live && p.boot != h.From.Boot && p.addr != h.From.Addr {
		return fmt.Errorf("director %s still counts as running at %s; at %s it is let in some "+
			"seconds after the old one is gone; if both run, give one another --node-name",
			p.name, addrText(p.addr), addrText(h.From.Addr))
	}
	if err := c.addressTaken(now, h.From); err != nil {
		return err
	}
	if err := c.knownStranger(now, h); err != nil {
		return err
	}
	if c.removedHere(h) {
		return &removedError{h.From.Addr}
	}
	return nil
}

// A settingsError refuses a director of other settings.
type settingsError struct{ error }

// nameTaken refuses a director whose name another one has.
func nameTaken(who wire.Peer, other netip.AddrPort) error {
	return fmt.Errorf("node name %q is used by two directors, %s and %s; "+
		"give one another --node-name", who.Name, addrText(who.Addr), addrText(other))
}

// differences names the settings in which two directors differ.
func differences(ours, theirs wire.Settings) error {
	switch {
	case ours.Mesh != theirs.Mesh:
		return fmt.Errorf("mesh name differs: ours is %q, theirs %q", ours.Mesh, theirs.Mesh)
	case ours.Protocol != theirs.Protocol:
		return fmt.Errorf("protocol version differs: ours is %d, theirs %d",
			ours.Protocol, theirs.Protocol)
	case ours.HashFormat != theirs.HashFormat:
		return fmt.Errorf("username hash differs: ours is %q, theirs %q",
			ours.HashFormat, theirs.HashFormat)
	case ours.Expire != theirs.Expire:
		return fmt.Errorf("user expire differs: ours is %s, theirs %s",
			time.Duration(ours.Expire)*time.Millisecond,
			time.Duration(theirs.Expire)*time.Millisecond)
	}
	return nil
}

// InClosed takes note that a peer's stream to us ended.
func (c *Core) InClosed(now mono.Time, session uint64, err error) {
	defer c.enter(now)()
	if p := c.sessions[session]; p != nil {
		c.inEnded(now, p, "the stream from the donor ended")
	}
}

// inEnded ends what a peer's stream to us, if there is one, may have lost at its end: both
// directors may dial at once, and then a stream takes the place of another that still works.
func (c *Core) inEnded(now mono.Time, p *peer, why string) {
	if p.in == 0 {
		return
	}
	delete(c.sessions, p.in)
	p.in, p.differs = 0, false // its answer may be lost
	c.donorLost(now, p.name, why)
}

// OutClosed takes note that our stream to a peer ended; what was queued for it is lost until the
// replay.
func (c *Core) OutClosed(now mono.Time, name string, err error) {
	defer c.enter(now)()
	p := c.peers.get(name)
	if p == nil || !p.out {
		return
	}
	c.outEnded(now, p, "the stream to the donor ended")
	if !p.left && p.liveSince != 0 { // before, it was only starting
		p.lastFailed = c.clock.At(now)
	}
}

// outEnded ends what our stream to a peer, if there is one, may have lost at its end.
func (c *Core) outEnded(now mono.Time, p *peer, why string) {
	if !p.out {
		return
	}
	p.out, p.differs = false, false // our question may be lost
	c.donations.Forget(p.name)
	c.donorLost(now, p.name, why)
}

// DialFailed takes note that a peer could not be reached.
func (c *Core) DialFailed(now mono.Time, name string, err error) {
	defer c.enter(now)()
	c.hints.Failed(name, c.clock.At(now))
	if p := c.peers.get(name); p != nil && !p.left && p.liveSince != 0 {
		p.lastFailed = c.clock.At(now)
	}
}

// TurnedAway takes note that a director to join has another key, mesh name or version. It has said
// so before it knew who we are.
func (c *Core) TurnedAway(now mono.Time, reason string) {
	defer c.enter(now)()
	c.admission.refused, c.admission.differs = reason, reason
}

// Refused takes note that a peer does not want to talk to us.
func (c *Core) Refused(now mono.Time, r *wire.Refuse) {
	defer c.enter(now)()
	c.counters.Refused++
	if r.Differs {
		c.admission.differs = r.Reason
	}
	switch {
	case saysItIsOutside(r):
		// There is no mesh to which it could let us in.
	case r.Stranger != 0 && r.Stranger != c.table.Mesh():
		c.admission.refused = r.Reason
		c.strangers.note(now, r.Stranger)
		if p := c.peers.get(r.From.Name); p != nil {
			p.stranger = true
		}
	default:
		a := &c.admission
		a.refused, a.refusedAt, a.refusedBy = r.Reason, now, r.From.Name
	}
	c.heardOfRemoval(now, r.Change)
	c.logf(LogError, "refused by a director", Field{"peer", r.From.Name},
		Field{"addr", addrText(r.From.Addr)}, Field{"reason", r.Reason})
}
