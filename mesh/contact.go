package mesh

import (
	"context"
	"net/netip"
	"sync"

	"directormesh/mesh/replica"
	"directormesh/mesh/wording"
)

const (
	// maxContacts is how many directors that no stream has proven are dialled at once. Each may be
	// an invention, and its address somebody else's. None takes longer than dialTime and
	// openingTime.
	maxContacts = 16
	// maxHeard of them may be such that no director here counts, so that the others need not wait
	// until a thousand inventions have been tried.
	maxHeard = 12
	// maxContactQueue bounds those of either sort that wait for their turn.
	maxContactQueue = 1000
)

// contacts dials directors that somebody named and that no stream has proven yet, each once; the
// core asks again. The stream to one that answers gets a link.
type contacts struct {
	n *Node

	mu      sync.Mutex
	queued  map[replica.Dial]bool // waiting or under way, by name and address
	named   []replica.Dial        // waiting: named by a live peer or an operator
	heard   []replica.Dial        // waiting: named by anybody
	running int
	hearing int                            // of the running ones, those out of heard
	over    map[replica.Dial]chan struct{} // of the running ones; closed when they have ended
}

func (c *contacts) init(n *Node) {
	c.n, c.queued = n, make(map[replica.Dial]bool)
	c.over = make(map[replica.Dial]chan struct{})
}

// add has a director dialled, unless it is about to be. It never waits.
func (c *contacts) add(d replica.Dial) {
	queue := &c.heard
	if d.Trust > replica.Heard {
		queue = &c.named
	}
	d.Trust = replica.Heard // the key is name and address
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n.ctx.Err() != nil || c.queued[d] {
		return
	}
	if len(*queue) >= maxContactQueue {
		c.n.metrics.drop(dropContact)
		return
	}
	c.queued[d] = true
	*queue = append(*queue, d)
	if next, heard, ok := c.nextLocked(); ok {
		c.n.wg.Go(func() { c.work(next, heard) })
	}
}

// nextLocked takes the next one to dial out of its queue, if there is one whose turn it is.
func (c *contacts) nextLocked() (d replica.Dial, heard, ok bool) {
	switch {
	case c.running >= maxContacts || c.n.ctx.Err() != nil:
		return replica.Dial{}, false, false
	case len(c.named) > 0:
		d, c.named = c.named[0], c.named[1:]
	case len(c.heard) > 0 && c.hearing < maxHeard:
		d, c.heard, heard = c.heard[0], c.heard[1:], true
		c.hearing++
	default:
		return replica.Dial{}, false, false
	}
	c.running++
	c.over[d] = make(chan struct{})
	return d, heard, true
}

// work dials one after the other until there are no more.
func (c *contacts) work(d replica.Dial, heard bool) {
	for ok := true; ok; {
		c.n.contact(d)
		c.mu.Lock()
		close(c.over[d])
		delete(c.over, d)
		delete(c.queued, d)
		c.running--
		if heard {
			c.hearing--
		}
		d, heard, ok = c.nextLocked()
		c.mu.Unlock()
	}
}

// await waits until no dial to this address is under way any more.
func (c *contacts) await(ctx context.Context, addr netip.AddrPort) {
	for _, over := range c.dialling(addr) {
		select {
		case <-over:
		case <-ctx.Done():
			return
		}
	}
}

// dialling returns what is closed when each of the dials to this address has ended.
func (c *contacts) dialling(addr netip.AddrPort) (over []chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for d, o := range c.over {
		if d.Addr == addr {
			over = append(over, o)
		}
	}
	return over
}

// contact dials a director. If it answers, the stream gets a link.
func (n *Node) contact(d replica.Dial) {
	out, reply, err := n.openTo(n.ctx, d)
	if err != nil {
		n.log.Debug().Str("peer", d.Name).Stringer("addr", d.Addr).Err(wording.Plain(err)).
			Msg("director does not answer")
		return
	}
	n.adopt(out, reply.From)
}
