package mesh

import (
	"sync/atomic"

	"github.com/hashicorp/memberlist"
)

const (
	packetLimit    = 1400 // memberlist's UDPBufferSize: fits every network's packets
	maxGossip      = 4096 // messages kept in each gossip queue
	retransmitMult = 4
)

// gossipLimit is the size of the largest message that fits into a packet of its own.
func gossipLimit(label string, encrypted bool) int {
	const compound, part, userType, labelHeader, encryption = 2, 2, 1, 2, 29
	limit := packetLimit - compound - part - userType
	if label != "" {
		limit -= labelHeader + len(label)
	}
	if encrypted {
		limit -= encryption
	}
	return limit
}

// gossipQueues hold the deltas to gossip: our own, and those of others that we forward. Our own go
// first, so that a flood of others' does not starve them. Safe for concurrent use; never waits.
type gossipQueues struct {
	limit     int // bytes of a message
	own       memberlist.TransmitLimitedQueue
	forwarded memberlist.TransmitLimitedQueue
	hasOwn    atomic.Bool // pruning a queue that was never used panics
	hasOther  atomic.Bool
}

func (q *gossipQueues) init(limit int, nodes func() int) {
	q.limit = limit
	q.own.NumNodes, q.own.RetransmitMult = nodes, retransmitMult
	q.forwarded.NumNodes, q.forwarded.RetransmitMult = nodes, retransmitMult
}

// local queues a message of our own; it must fit the limit.
func (q *gossipQueues) local(b []byte) {
	q.own.QueueBroadcast(broadcast(b))
	q.hasOwn.Store(true)
}

// forward queues a message of another director, seen for the first time.
func (q *gossipQueues) forward(b []byte) {
	if len(b) > q.limit {
		return // it came by a larger packet than ours are; others forward it
	}
	q.forwarded.QueueBroadcast(broadcast(b))
	q.hasOther.Store(true)
}

func (q *gossipQueues) get(overhead, limit int) [][]byte {
	messages := q.own.GetBroadcasts(overhead, limit)
	for _, m := range messages {
		limit -= overhead + len(m)
	}
	return append(messages, q.forwarded.GetBroadcasts(overhead, limit)...)
}

// prune drops the messages sent most often from a queue that is too long, and returns how many.
func (q *gossipQueues) prune() (dropped int) {
	if q.hasOwn.Load() {
		dropped += max(0, q.own.NumQueued()-maxGossip)
		q.own.Prune(maxGossip)
	}
	if q.hasOther.Load() {
		dropped += max(0, q.forwarded.NumQueued()-maxGossip)
		q.forwarded.Prune(maxGossip)
	}
	return dropped
}

// broadcast is a message in a gossip queue. Each is unique: later ones do not replace it.
type broadcast []byte

func (broadcast) Invalidates(memberlist.Broadcast) bool { return false }
func (b broadcast) Message() []byte                     { return b }
func (broadcast) Finished()                             {}
func (broadcast) UniqueBroadcast()                      {}
