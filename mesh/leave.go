package mesh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wording"
)

const (
	farewellTime = time.Second            // for the streams to say that we leave
	spreadTime   = 500 * time.Millisecond // for gossip to spread what memberlist has sent one peer
)

// Leave leaves in good order and closes the node: the peers forget this director and do not call it
// failed. ctx bounds the time of the farewell; when it ends early, the node is closed all the same
// and the error says so.
func (n *Node) Leave(ctx context.Context) error {
	if n.ctx.Err() != nil {
		return n.Close()
	}
	n.input(func(c *replica.Core, now mono.Time) {
		n.leaving = true
		c.Leave(now)
	})
	ctx, cancel := context.WithTimeout(ctx, farewellTime+spreadTime)
	defer cancel()
	var err error
	for _, o := range n.outStreams() {
		select {
		case <-o.emptied():
		case <-ctx.Done():
			err = fmt.Errorf("leave: not all peers have heard of it: %w", context.Cause(ctx))
		}
	}
	if n.members.count() > 1 {
		// What memberlist makes of it is gossip; the streams have reached everybody who can be
		// reached.
		deadline, _ := ctx.Deadline()
		leaveErr := n.memberlist.Leave(max(time.Until(deadline), time.Millisecond))
		if leaveErr != nil {
			n.log.Debug().Err(wording.Plain(leaveErr)).Msg("memberlist did not spread the farewell")
		}
		select {
		case <-time.After(spreadTime):
		case <-ctx.Done():
		}
	}
	return errors.Join(err, n.Close())
}

func (n *Node) outStreams() []*outStream {
	n.coreMu.Lock()
	defer n.coreMu.Unlock()
	streams := make([]*outStream, 0, len(n.out))
	for _, o := range n.out {
		streams = append(streams, o)
	}
	return streams
}
