package replica

import (
	"net/netip"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/hints"
	"directormesh/mesh/wire"
)

// addressBook knows where directors are said to be, and under which names.
type addressBook struct {
	*output
	addressBookPort

	admission *ownAdmission
	aliases   hints.Aliases // of our own address
	cfg       *Config
	counters  *Counters
	hints     hints.Set // of others, not proven yet
	peers     *peers
	table     *directory.Table
}

// addressBookPort is what addressBook needs of the other parts of the core.
type addressBookPort interface {
	peerGone(now mono.Time, p *peer)
}

// hear takes note that a director was named to us. A boot id of zero means that it is not known.
func (ab *addressBook) hear(now mono.Time, h hints.Hint, boot uint64) {
	if h.Name == "" || h.Name == ab.cfg.Name || !h.Addr.IsValid() {
		return
	}
	if h.Addr == ab.cfg.Addr {
		ab.heardAlias(now, h.Name, h.Member)
		return
	}
	if ab.table.Removed(h.Addr) {
		return
	}
	if holder := ab.peers.all.holder(h.Addr); holder != nil && holder.name != h.Name {
		return // it was there once, or only says that it is
	}
	p := ab.peers.get(h.Name)
	switch {
	case p != nil && !p.left && p.addr == h.Addr:
		if !p.out && p.boot != boot {
			ab.dial(Dial{Name: p.name, Addr: p.addr, Trust: Proven}) // it may have started again
		}
		return
	case p != nil && (p.live || p.parted && p.boot == boot):
		return // we know better; what a leaving one sends last may come after its farewell
	}
	dial, ok := ab.hints.Hear(now, h)
	if !ok {
		ab.counters.IgnoredHints++
	}
	if dial != nil {
		ab.dial(dialOf(dial))
	}
}

// goneUnmet forgets a director that was named to us and that we have not met: no peer counts it any
// more. It has left, or nobody hears it. One that memberlist holds alive may have begun another
// life.
func (ab *addressBook) goneUnmet(who wire.Life) {
	if ab.peers.get(who.Name) != nil {
		return
	}
	delete(ab.admission.named, who)
	if h := ab.hints.Get(who.Name); h != nil && !h.Member {
		ab.hints.Forget(who.Name)
	}
}

// dial has a director dialled, unless this one was removed: then only who lets it in again may have
// anything of it, and dials it.
func (ab *addressBook) dial(d Dial) {
	if !ab.admission.removed {
		ab.emit(d)
	}
}

// dialOf is what a hint brings about.
func dialOf(h *hints.Hint) Dial { return Dial{Name: h.Name, Addr: h.Addr, Trust: h.Trust} }

// checkHints dials the directors of hints that are due.
func (ab *addressBook) checkHints(now mono.Time) {
	for _, h := range ab.hints.Review(now, ab.table.Removed) {
		ab.dial(dialOf(h))
	}
}

// MemberJoined notes a director that memberlist holds alive. It may never have been, or be long
// gone.
func (c *Core) MemberJoined(now mono.Time, name string, addr netip.AddrPort, boot uint64) {
	defer c.enter(now)()
	c.hear(now, hints.Hint{Name: name, Addr: addr, Member: true}, boot)
}

// MemberFailed stamps a peer that memberlist has given up. Whether it counts is decided by the
// streams.
func (c *Core) MemberFailed(now mono.Time, name string) {
	defer c.enter(now)()
	c.hints.ForgetMember(name)
	c.aliases.MemberFailed(name)
	if p := c.peers.get(name); p != nil && !p.left {
		p.lastFailed = c.clock.At(now)
	}
}
