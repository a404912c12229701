package mesh

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/mesh/wording"
	"directormesh/ring"
)

// delegate is what memberlist calls. Its methods copy what they are given and hand it over; none
// waits, because memberlist holds its own lock around some of them and stops receiving packets
// during others. It is a type of its own so that these methods do not show on Node.
type delegate struct{ n *Node }

var (
	_ memberlist.Delegate         = delegate{}
	_ memberlist.EventDelegate    = delegate{}
	_ memberlist.ConflictDelegate = delegate{}
	_ memberlist.AliveDelegate    = delegate{}
)

// NodeMeta implements memberlist.Delegate.
func (d delegate) NodeMeta(int) []byte { return d.n.meta().encode() }

// maxDeltas bounds the gossiped messages that wait to be decoded.
const maxDeltas = 4096

// NotifyMsg implements memberlist.Delegate. The buffer is memberlist's.
func (d delegate) NotifyMsg(b []byte) {
	select {
	case d.n.deltas <- append([]byte(nil), b...):
	default:
		d.n.metrics.drop(dropDeltaQueue)
	}
}

// GetBroadcasts implements memberlist.Delegate.
func (d delegate) GetBroadcasts(overhead, limit int) [][]byte {
	return d.n.gossip.get(overhead, limit)
}

// LocalState implements memberlist.Delegate.
func (d delegate) LocalState(bool) []byte {
	var s *wire.PushPull
	d.n.input(func(c *replica.Core, now mono.Time) { s = c.PushPull(now) })
	return d.n.encodeState(s)
}

// encodeState returns a state as memberlist is to send it; nil if it cannot be sent.
func (n *Node) encodeState(s *wire.PushPull) []byte {
	b, err := wire.Encode(s)
	if err != nil {
		// The table and who speaks matter most; without digests the background check rests.
		n.limited("state size").Warn().Err(wording.Plain(err)).
			Msg("push/pull state is too large, sending it without digests")
		n.metrics.drop(dropOversize)
		s.Digests = nil
		if b, err = wire.Encode(s); err != nil {
			n.limited("state").Error().Err(wording.Plain(err)).Msg("push/pull state cannot be sent")
			return nil
		}
	}
	return b
}

// MergeRemoteState implements memberlist.Delegate.
func (d delegate) MergeRemoteState(b []byte, _ bool) {
	n := d.n
	m, err := wire.Decode(b)
	if errors.Is(err, wire.ErrUnknownKind) {
		n.skipUnknown("", err)
		return
	}
	if err != nil {
		n.dropUndecodable(err)
		n.limited("undecodable state").Error().Err(wording.Plain(err)).
			Msg("push/pull state does not decode")
		return
	}
	s, ok := m.(*wire.PushPull)
	if !ok {
		n.metrics.drop(dropUndecodable)
		return
	}
	if s.Hello.From.Name == n.cfg.Name && s.Hello.From.Boot != n.boot.Load() {
		n.events.put(memberEvent{kind: nameHeard, addr: s.Hello.From.Addr, boot: s.Hello.From.Boot})
		return
	}
	n.input(func(c *replica.Core, now mono.Time) { err = c.MergePushPull(now, s) })
	if err != nil {
		n.log.Debug().Err(wording.Plain(err)).Str("peer", s.Hello.From.Name).
			Msg("push/pull state refused")
	}
}

// skipUnknown counts a message of a kind that this release does not know, and writes about it now
// and then. peer is the one who sent it; empty: that is not known.
func (n *Node) skipUnknown(peer string, err error) {
	n.metrics.drop(dropUnknownKind)
	named := func(e *zerolog.Event) {
		if peer != "" {
			e.Str("peer", peer)
		}
	}
	n.limited("unknown kind " + peer).Warn().Func(named).Err(wording.Plain(err)).
		Msg("message of an unknown kind skipped; is a peer newer than this director?")
}

// dropUndecodable counts a message that does not decode.
func (n *Node) dropUndecodable(err error) {
	if errors.Is(err, wire.ErrTooMany) {
		n.metrics.drop(dropTooMany)
	} else {
		n.metrics.drop(dropUndecodable)
	}
}

// NotifyAlive implements memberlist.AliveDelegate. memberlist believes whatever its packets say of
// members, and what it believes of one may keep it from exchanging states with any other.
func (d delegate) NotifyAlive(node *memberlist.Node) error {
	err := checkMember(node)
	if err == nil && !d.n.members.room(node.Name) {
		err = fmt.Errorf("there are %d directors already", wire.MaxDirectors)
	}
	if err != nil {
		d.n.metrics.drop(dropMember)
	}
	return err
}

// checkMember checks whether what memberlist heard of can be one of our directors.
func checkMember(node *memberlist.Node) error {
	if err := ring.CheckWord(node.Name); err != nil {
		return fmt.Errorf("its name %w", err)
	}
	if node.DMin != replica.ProtocolVersion || node.DMax != replica.ProtocolVersion ||
		node.DCur != replica.ProtocolVersion {
		return fmt.Errorf("it speaks version %d of the protocol, not %d",
			node.DCur, replica.ProtocolVersion)
	}
	addr := nodeAddr(node.Addr, node.Port)
	if !usable(addr.Addr()) && !addr.Addr().IsLoopback() || addr.Port() == 0 {
		return fmt.Errorf("it cannot be reached at %s", addr)
	}
	_, err := decodeMeta(node.Meta)
	return err
}

// NotifyJoin implements memberlist.EventDelegate.
func (d delegate) NotifyJoin(node *memberlist.Node) { d.put(memberJoined, node) }

// NotifyUpdate implements memberlist.EventDelegate.
func (d delegate) NotifyUpdate(node *memberlist.Node) { d.put(memberJoined, node) }

// NotifyLeave implements memberlist.EventDelegate. It does not tell a farewell from a failure;
// peers that leave say so on the streams.
func (d delegate) NotifyLeave(node *memberlist.Node) { d.put(memberGone, node) }

// NotifyConflict implements memberlist.ConflictDelegate. That another director has our name is
// looked into. Of two others the streams find out, where one of them is refused.
func (d delegate) NotifyConflict(_, other *memberlist.Node) {
	if other.Name == d.n.cfg.Name {
		d.put(nameHeard, other)
	}
}

// probeFailed is memberlist's DisableTcpPingsForNode, which it asks exactly when a direct probe has
// failed.
func (d delegate) probeFailed(name string) bool {
	d.n.events.put(memberEvent{kind: probeFailed, name: name})
	return false
}

// put copies what is of use of a node of memberlist's, which goes on changing it.
func (d delegate) put(kind eventKind, node *memberlist.Node) {
	e := memberEvent{kind: kind, name: node.Name, addr: nodeAddr(node.Addr, node.Port)}
	switch kind {
	case memberJoined:
		d.n.members.set(e.name, e.addr)
	case memberGone:
		d.n.members.remove(e.name)
	}
	if m, err := decodeMeta(node.Meta); err == nil {
		e.boot = m.boot
	}
	d.n.events.put(e)
}

func nodeAddr(ip net.IP, port uint16) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr.Unmap(), port)
}

// handleDeltas decodes what was gossiped and passes on what was news.
func (n *Node) handleDeltas() {
	for {
		select {
		case b := <-n.deltas:
			n.handleDelta(b)
		case <-n.ctx.Done():
			return
		}
	}
}

func (n *Node) handleDelta(b []byte) {
	m, err := wire.Decode(b)
	delta, ok := m.(*wire.Delta)
	switch {
	case errors.Is(err, wire.ErrUnknownKind):
		n.skipUnknown("", err)
		return
	case !ok:
		n.dropUndecodable(err)
		n.limited("undecodable delta").Warn().Err(wording.Plain(err)).
			Msg("gossiped message does not decode")
		return
	}
	fresh := false
	n.input(func(c *replica.Core, now mono.Time) { fresh = c.Gossip(now, delta) })
	if fresh {
		n.gossip.forward(b)
	}
}

// spread gossips a delta. What does not fit into a packet would stay in memberlist's queue for
// ever; the streams carry it.
func (n *Node) spread(e replica.Gossip) {
	b, err := wire.Encode(e.Delta)
	if err != nil || len(b) > n.gossip.limit {
		n.metrics.drop(dropOversizeDelta)
		return
	}
	if e.Passed {
		n.gossip.forward(b)
		return
	}
	n.gossip.local(b)
}
