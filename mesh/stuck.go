package mesh

import (
	"net"
	"net/netip"
	"time"
)

// Where large packets vanish on the way, as in a tunnel whose routers must not say that they were
// too large, a stream opens and beats pass until the first long message. The system sends that
// again and again; all behind it waits, the peer counts as failed, and the next stream comes to the
// same end. What distinguishes this from a way that is cut is that the peer answers each new
// stream.

// stuckStreams is how many streams to a peer must end stuck, one after the other, each opened after
// the one before, until large packets are to blame.
const stuckStreams = 2

// largeSegment is what a beat never fills, in bytes.
const largeSegment = 500

// stuckConn is a connection that can tell whether what it sends has stopped getting through.
type stuckConn interface {
	// Stuck returns how large the segments are, in bytes, that were sent several times and have
	// not been acknowledged; 0 where all get through, or nobody can tell.
	Stuck() int
}

// Stuck implements stuckConn.
func (c *ownedConn) Stuck() int { return stuckSegments(c.Conn) }

func stuckSegments(conn net.Conn) int {
	if c, ok := conn.(stuckConn); ok {
		return c.Stuck()
	}
	return 0
}

// stuckRow counts the streams to one peer that ended stuck, one after the other.
type stuckRow struct{ streams int }

// ended takes note of how a stream that was open has ended: with segments of so many bytes stuck.
// True: that is because of their size.
func (r *stuckRow) ended(size int) bool {
	if size < largeSegment {
		r.streams = 0
		return false
	}
	r.streams++
	return r.streams >= stuckStreams
}

// noteStuck says that large packets do not reach a peer.
func (n *Node) noteStuck(l *link, size int, lasted time.Duration) {
	n.limited("stuck "+l.name).Warn().Str("peer", l.name).Int("packet_bytes", size).
		Float64("lasted_ms", float64(lasted.Milliseconds())).
		Msg("large packets do not reach a peer, small ones do: check the MTU on the way")
}

// noteOnlySmall says that somebody answers at an address as long as packets are small: a handshake
// came to its end there, an exchange of states did not.
func (n *Node) noteOnlySmall(addr netip.AddrPort) {
	n.limited("only small "+addr.String()).Warn().Stringer("addr", addr).
		Msg("peer answers small packets and no large ones: check the MTU on the way")
}
