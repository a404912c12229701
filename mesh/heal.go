package mesh

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
)

const (
	eagerJoin        = time.Second      // between attempts until the first contact
	calmJoin         = 10 * time.Second // and then, ±20 %
	settleJoin       = 2 * time.Second  // after the first contact: once more, with anybody
	joinsAtATime     = 3
	addressesPerSeed = 16 // of one name, joined at once before the first contact

	stateTime = 3 * time.Second // to connect, and then to exchange states
)

// A healer knows which directors to contact again. memberlist never does by itself: it forgets dead
// members, and a split that lasted longer than that stays. Only the goroutine of heal uses it; what
// mu guards, the joins it started use too.
type healer struct {
	n *Node

	mu     sync.Mutex
	busy   map[netip.AddrPort]bool // joins under way
	silent map[netip.AddrPort]bool // the last join failed
}

func newHealer(n *Node) *healer {
	return &healer{
		n: n, busy: make(map[netip.AddrPort]bool), silent: make(map[netip.AddrPort]bool),
	}
}

// heal keeps this director in touch with the mesh, for as long as it lives. Until the first contact
// it joins all configured peers every second; then it looks every ten seconds for peers that are
// away.
func (n *Node) heal() {
	h := newHealer(n)
	for n.members.count() <= 1 && len(n.seeds) > 0 {
		h.joinAway(len(n.seeds) * addressesPerSeed)
		if !n.pause(eagerJoin) {
			return
		}
	}
	// Directors that start together through one peer may each have missed some of the others; a
	// second exchange finds them.
	if n.pause(n.jitter(settleJoin)) {
		h.joinPresent()
	}
	for n.pause(n.jitter(calmJoin)) {
		h.joinAway(joinsAtATime)
	}
}

// pause waits; false means that the node is closed.
func (n *Node) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-n.ctx.Done():
		return false
	}
}

// joinAway joins some of the peers that should be here and are not, each in its own goroutine: one
// that does not answer takes seconds.
func (h *healer) joinAway(limit int) {
	n := h.n
	alive := map[netip.AddrPort]bool{n.advertise: true}
	for _, addr := range n.members.snapshot() {
		alive[addr] = true
	}
	candidates := h.configured()
	for _, d := range h.known() {
		switch {
		case d.Trust == replica.Proven:
			n.ensureLink(d.Name, d.Addr, 0, false)
		case d.Name != "":
			continue // the core has it dialled
		default:
			n.contacts.add(d)
		}
		candidates[d.Addr] = true
	}
	var away []netip.AddrPort
	for addr := range candidates {
		if !alive[addr] {
			away = append(away, addr)
		}
	}
	h.shuffle(away)
	for _, addr := range away[:min(len(away), limit)] {
		h.join(addr)
	}
}

// joinPresent exchanges states once more with some peer that is here.
func (h *healer) joinPresent() {
	var present []netip.AddrPort
	for _, addr := range h.n.members.snapshot() {
		if addr != h.n.advertise {
			present = append(present, addr)
		}
	}
	h.shuffle(present)
	if len(present) > 0 {
		h.join(present[0])
	}
}

// configured resolves all names anew, side by side.
func (h *healer) configured() map[netip.AddrPort]bool {
	n := h.n
	found := make([][]netip.AddrPort, len(n.seeds))
	ctx, cancel := context.WithTimeout(n.ctx, dialTime)
	defer cancel()
	var wg sync.WaitGroup
	for i, s := range n.seeds {
		wg.Go(func() {
			var err error
			if found[i], err = n.resolveSeed(ctx, s); err != nil && n.ctx.Err() == nil {
				n.limited("resolve "+s.host).Warn().Str("name", s.host).Str("reason", plainly(err)).
					Msg("peer to join cannot be resolved, trying again")
			}
		})
	}
	wg.Wait()
	all := make(map[netip.AddrPort]bool)
	for _, addrs := range found {
		for _, addr := range addrs {
			all[addr] = true
		}
	}
	return all
}

// known returns the peers that the core has not forgotten: the peers to dial, and peers that have a
// stream all the same, which memberlist may need to hear of.
func (h *healer) known() []replica.Dial {
	return query(h.n, func(c *replica.Core, _ mono.Time) []replica.Dial {
		return append(c.WantedPeers(), c.Dials()...)
	})
}

// shuffle also undoes the order of map iteration, which no seed governs.
func (h *healer) shuffle(addrs []netip.AddrPort) {
	slices.SortFunc(addrs, netip.AddrPort.Compare)
	h.n.randMu.Lock()
	defer h.n.randMu.Unlock()
	h.n.rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
}

// join lets memberlist exchange states with one address, unless it is doing so already.
func (h *healer) join(addr netip.AddrPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy[addr] || h.n.ctx.Err() != nil {
		return
	}
	h.busy[addr] = true
	h.n.wg.Go(func() {
		err := h.n.join(addr)
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.busy, addr)
		if err == nil {
			delete(h.silent, addr)
		} else if !h.silent[addr] && h.n.ctx.Err() == nil {
			// said once; a peer that is down for weeks is no news every ten seconds
			h.silent[addr] = true
			h.n.log.Info().Stringer("addr", addr).Str("reason", plainly(err)).
				Msg("peer cannot be joined, trying again")
		}
	})
}

// join contacts one address. When that fails although somebody listens there, a stream of ours
// finds out why: memberlist only tells that the other closed the connection, or did not answer.
func (n *Node) join(addr netip.AddrPort) error {
	began := time.Now()
	_, err := n.memberlist.Join([]string{addr.String()})
	waited := time.Since(began) >= stateTime
	if err == nil || n.ctx.Err() != nil {
		return err
	}
	keys := n.keys.current()
	why := n.knock(addr, keys)
	for i := 1; i < len(keys.secrets) && refusedKey(why); i++ {
		why = n.knock(addr, keys.beginningWith(i))
	}
	if failed := new(handshakeError); errors.As(why, &failed) && n.ctx.Err() == nil {
		n.noteHandshake("", addr.String(), true, why)
		n.noteTurnedAway(why)
	}
	if why != nil {
		return why
	}
	if waited && n.ctx.Err() == nil {
		n.noteOnlySmall(addr)
	}
	return err
}

// knock opens a stream as far as both need to find out whether they have the same key and mesh
// name.
func (n *Node) knock(addr netip.AddrPort, keys streamKeys) error {
	ctx, cancel := context.WithTimeout(n.ctx, dialTime)
	defer cancel()
	conn, err := n.transport.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(openingTime)); err != nil {
		return err
	}
	_, err = dialHandshake(conn, keys)
	return err
}

// reviewLinks ends the links to peers that left, were removed, or have been dead for so long that
// the core forgot them.
func (n *Node) reviewLinks() {
	n.linksMu.Lock()
	names := slices.Collect(maps.Keys(n.links))
	n.linksMu.Unlock()
	unwanted := query(n, func(c *replica.Core, _ mono.Time) []string {
		return slices.DeleteFunc(names, c.Wanted)
	})
	n.dropLinks(unwanted)
}
