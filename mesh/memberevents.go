package mesh

import (
	"net/netip"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica"

	"directormesh/mesh/wording"
)

type eventKind int

const (
	memberJoined eventKind = iota // new, alive again, or restarted
	memberGone
	probeFailed
	nameHeard  // another director seems to have our name
	nameProven // it has, said the answer to a stream that we dialled
	newLife    // our own: memberlist is to spread the new boot id
)

// updateTime is how long memberlist may take to hand a new boot id on to its first peers.
const updateTime = time.Second

// A memberEvent is something that memberlist reported, copied.
type memberEvent struct {
	kind eventKind
	name string
	addr netip.AddrPort
	boot uint64

	ours, theirs time.Duration // nameProven: for how long we and the other one had been up then
}

// handleEvents reports to the core what memberlist saw, in the order it was seen.
func (n *Node) handleEvents() {
	for {
		events, ok := n.events.take()
		if !ok {
			return
		}
		for _, e := range events {
			n.handleEvent(e)
		}
	}
}

func (n *Node) handleEvent(e memberEvent) {
	switch e.kind {
	case memberJoined:
		if e.name == n.cfg.Name {
			return
		}
		n.input(func(c *replica.Core, now mono.Time) {
			c.MemberJoined(now, e.name, e.addr, e.boot)
		})
	case memberGone:
		if e.name != n.cfg.Name {
			n.input(func(c *replica.Core, now mono.Time) { c.MemberFailed(now, e.name) })
		}
	case probeFailed:
		n.input(func(c *replica.Core, now mono.Time) { c.ProbeFailed(now, e.name) })
	case nameHeard:
		if e.addr.IsValid() && e.addr != n.advertise && e.boot != n.boot.Load() {
			n.contacts.add(replica.Dial{Name: n.cfg.Name, Addr: e.addr})
		}
	case nameProven:
		n.nameConflict(e)
	case newLife:
		if err := n.memberlist.UpdateNode(updateTime); err != nil {
			n.log.Debug().Err(wording.Plain(err)).Msg("memberlist did not spread the new boot id")
		}
	}
}
