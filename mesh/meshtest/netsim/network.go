package netsim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Faults are what packets and streams suffer on their way. The zero value is a perfect network
// without delay.
type Faults struct {
	Delay time.Duration // one way
	// up to that much more, each packet for itself, so packets overtake each other
	Jitter    time.Duration
	Loss      float64 // share of packets lost
	Duplicate float64 // share of packets that arrive twice
	Bandwidth int     // bytes per second of each stream direction and pair; 0: no limit
}

// Network connects the sockets opened on it. Safe for concurrent use.
type Network struct {
	faults  atomic.Pointer[Faults]
	blocked atomic.Pointer[func(from, to netip.Addr) bool]

	randMu sync.Mutex
	rand   *rand.Rand

	mu      sync.Mutex
	hosts   map[netip.AddrPort]*host
	pipes   map[*pipe]struct{} // that somebody may read
	changed chan struct{}      // closed and replaced when ways are blocked or freed
	ports   map[netip.Addr]uint16
	lanes   map[[2]netip.Addr]*lane

	alarmsMu sync.Mutex
	alarms   map[int64]*alarm // by time in nanoseconds
}

// New returns a network without hosts whose faults come from seed.
func New(seed uint64, faults Faults) *Network {
	n := &Network{
		rand:    rand.New(rand.NewPCG(seed, 0x6e6574)),
		hosts:   make(map[netip.AddrPort]*host),
		changed: make(chan struct{}),
		ports:   make(map[netip.Addr]uint16),
		lanes:   make(map[[2]netip.Addr]*lane),
		pipes:   make(map[*pipe]struct{}),
		alarms:  make(map[int64]*alarm),
	}
	n.SetFaults(faults)
	n.Heal()
	return n
}

// SetFaults changes what happens to what is sent from now on.
func (n *Network) SetFaults(f Faults) { n.faults.Store(&f) }

// Block blocks the ways for which blocked says so, in that direction only, and frees all others.
// blocked must be safe for concurrent use.
func (n *Network) Block(blocked func(from, to netip.Addr) bool) {
	n.blocked.Store(&blocked)
	n.mu.Lock()
	close(n.changed)
	n.changed = make(chan struct{})
	pipes := slices.Collect(maps.Keys(n.pipes))
	n.mu.Unlock()
	for _, p := range pipes {
		p.wake()
	}
}

// alarm is what happens at one time. All that happens then share a timer: in a large mesh thousands
// of messages are sent, and arrive, at the same moment.
type alarm struct {
	arrivals  []*pipe // something arrives
	deadlines []*pipe // a deadline may pass, if it has not been moved meanwhile
}

// arriveAt lets the reader of a pipe look again at a time.
func (n *Network) arriveAt(t time.Time, p *pipe) {
	n.alarmsMu.Lock()
	a := n.alarmLocked(t)
	a.arrivals = append(a.arrivals, p)
	n.alarmsMu.Unlock()
}

// expireAt lets both ends of a pipe look at their deadlines at a time.
func (n *Network) expireAt(t time.Time, p *pipe) {
	n.alarmsMu.Lock()
	a := n.alarmLocked(t)
	a.deadlines = append(a.deadlines, p)
	n.alarmsMu.Unlock()
}

func (n *Network) alarmLocked(t time.Time) *alarm {
	at := t.UnixNano()
	a := n.alarms[at]
	if a == nil {
		a = new(alarm)
		n.alarms[at] = a
		time.AfterFunc(time.Until(t), func() { n.sound(at) })
	}
	return a
}

func (n *Network) sound(at int64) {
	n.alarmsMu.Lock()
	a := n.alarms[at]
	delete(n.alarms, at)
	n.alarmsMu.Unlock()
	for _, p := range a.arrivals {
		p.arrived()
	}
	for _, p := range a.deadlines {
		p.expire()
	}
}

// forget takes a pipe that nobody reads any more out of those that changed ways wake.
func (n *Network) forget(p *pipe) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.pipes, p)
}

// Heal frees all ways.
func (n *Network) Heal() { n.Block(func(_, _ netip.Addr) bool { return false }) }

// Partition lets only addresses of one group talk to each other; those in no group are cut off from
// all.
func (n *Network) Partition(groups ...[]netip.Addr) {
	side := make(map[netip.Addr]int)
	for i, group := range groups {
		for _, a := range group {
			side[a] = i + 1
		}
	}
	n.Block(func(from, to netip.Addr) bool {
		return from != to && (side[from] == 0 || side[from] != side[to])
	})
}

func (n *Network) isBlocked(from, to netip.Addr) bool { return (*n.blocked.Load())(from, to) }

// waitChange returns a channel that is closed at the next change of ways.
func (n *Network) waitChange() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changed
}

// roll returns what befalls one packet: the delays of its copies; none if it is lost.
func (n *Network) roll() []time.Duration {
	f := n.faults.Load()
	n.randMu.Lock()
	defer n.randMu.Unlock()
	copies := 1
	if f.Loss > 0 && n.rand.Float64() < f.Loss {
		return nil
	}
	if f.Duplicate > 0 && n.rand.Float64() < f.Duplicate {
		copies = 2
	}
	delays := make([]time.Duration, copies)
	for i := range delays {
		delays[i] = f.Delay
		if f.Jitter > 0 {
			delays[i] += time.Duration(n.rand.Int64N(int64(f.Jitter)))
		}
	}
	return delays
}

// Listen implements mesh.Network.
func (n *Network) Listen(addr netip.AddrPort) (net.Listener, net.PacketConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if addr.Port() == 0 {
		n.ports[addr.Addr()]++
		addr = netip.AddrPortFrom(addr.Addr(), 20000+n.ports[addr.Addr()])
	}
	if n.hosts[addr] != nil {
		return nil, nil, &net.OpError{
			Op: "listen", Net: "tcp", Addr: net.TCPAddrFromAddrPort(addr), Err: syscall.EADDRINUSE,
		}
	}
	h := newHost(n, addr)
	n.hosts[addr] = h
	return (*listener)(h), (*packetConn)(h), nil
}

func (n *Network) host(addr netip.AddrPort) *host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hosts[addr]
}

// Dial implements mesh.Network.
func (n *Network) Dial(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	fail := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	for n.isBlocked(from.Addr(), to.Addr()) || n.isBlocked(to.Addr(), from.Addr()) {
		select {
		case <-ctx.Done():
			return nil, fail(ctx.Err())
		case <-n.waitChange():
		}
	}
	if d := 2 * n.faults.Load().Delay; d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return nil, fail(ctx.Err())
		case <-timer.C:
		}
	}
	h := n.host(to)
	if h == nil {
		return nil, fail(syscall.ECONNREFUSED)
	}
	near, far := n.connect(from, h)
	select {
	case h.accepts <- far:
		return near, nil
	case <-h.done:
		return nil, fail(syscall.ECONNREFUSED)
	case <-ctx.Done():
		return nil, fail(ctx.Err())
	}
}

// connect makes the two ends of a stream.
func (n *Network) connect(from netip.AddrPort, h *host) (near, far *conn) {
	there, back := newPipe(n, from.Addr(), h.addr.Addr()), newPipe(n, h.addr.Addr(), from.Addr())
	n.mu.Lock()
	n.pipes[there], n.pipes[back] = struct{}{}, struct{}{}
	n.mu.Unlock()
	dialer := n.host(from)
	near = &conn{read: back, write: there, local: from, remote: h.addr, host: dialer}
	far = &conn{read: there, write: back, local: h.addr, remote: from, host: h}
	for _, c := range []*conn{near, far} {
		if c.host != nil && !c.host.own(c) {
			c.vanish()
		}
	}
	return near, far
}

// Vanish takes a host off the network without a word, as a power failure does: its sockets are
// closed, its connections are dead, and their other ends hear nothing until they write and the
// address is in use again.
func (n *Network) Vanish(addr netip.AddrPort) error {
	h := n.host(addr)
	if h == nil {
		return fmt.Errorf("no host at %s", addr)
	}
	for c := range h.conns() {
		c.vanish()
	}
	return errors.Join((*listener)(h).Close(), (*packetConn)(h).Close())
}

// lane is what one way between two hosts can carry: all streams in that direction share it.
type lane struct {
	mu   sync.Mutex
	free time.Time // when what is under way has been sent
}

func (n *Network) lane(from, to netip.Addr) *lane {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := [2]netip.Addr{from, to}
	l := n.lanes[key]
	if l == nil {
		l = new(lane)
		n.lanes[key] = l
	}
	return l
}

// arrival returns when size bytes sent now arrive.
func (n *Network) arrival(l *lane, size int) time.Time {
	f := n.faults.Load()
	now := time.Now()
	if f.Bandwidth <= 0 {
		return now.Add(f.Delay)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(float64(size) / float64(f.Bandwidth) * float64(time.Second)))
	return l.free.Add(f.Delay)
}
