package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// maxOutstanding bounds the requests of a connection that wait for an answer in the open loop:
	// at a thousand requests a second, the answers of sixteen seconds.
	maxOutstanding = 1 << slotBits
	slotBits       = 14
	// readBuffer is for the answers of one read.
	readBuffer = 64 << 10
	// maxAnswer is the longest answer that is taken; it must fit into readBuffer.
	maxAnswer = 16 << 10
	// reconnectPause is between two attempts to connect again.
	reconnectPause = 100 * time.Millisecond
)

// connection is one connection to a director; after a loss it is made again. One goroutine, run,
// owns its life and reads from it.
type connection struct {
	load     *run
	director *director
	protocol protocol
	picker   *picker // closed loop

	// Of the goroutine that reads:
	in       []byte // read and not yet understood
	buffer   []byte
	backends map[string]uint32 // numbers that are known
	expected []byte            // a name
	sums     sums

	// Of the goroutine that writes:
	out   []byte   // not yet written
	outTo net.Conn // what it was meant for

	mu          sync.Mutex // guards what follows
	conn        net.Conn   // nil: not connected
	slots       []slot     // requests, by the lower bits of their id
	free        []uint32   // of slots
	order       queue      // slots in the order of sending, if answers come without ids
	outstanding int
}

// slot holds one request, and another one when that is answered.
type slot struct {
	busy  bool
	round uint32 // how often it was used; the upper bits of the id
	user  uint32
	due   time.Duration // latency counts from here
	sent  time.Duration
}

func newConnection(r *run, d *director, number int, p *picker) *connection {
	return &connection{
		load: r, director: d, picker: p,
		protocol: r.protocols(r.cfg, d.target, number),
		buffer:   make([]byte, readBuffer),
		backends: make(map[string]uint32),
		sums:     sums{reasons: make(map[string]int64)},
	}
}

// connect makes the connection and says what comes first.
func (c *connection) connect(ctx context.Context) error {
	conn, err := c.load.dial(ctx, c.director.target)
	if err != nil {
		return err
	}
	c.in = c.in[:0]
	if greeting := c.protocol.greeting(); len(greeting) > 0 {
		if _, err := conn.Write(greeting); err != nil {
			conn.Close()
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.load.shut.Load() { // set before connections are closed
		conn.Close()
		return net.ErrClosed
	}
	c.conn = conn
	return nil
}

// run keeps the connection until the load is over. The first connection is there already.
func (c *connection) run(ctx context.Context) {
	for {
		err := c.exchange()
		c.lose(err)
		if err == nil {
			return
		}
		for {
			// also before the first attempt: a director may accept connections only to close them
			select {
			case <-time.After(reconnectPause):
			case <-ctx.Done():
				return
			}
			if c.load.over() {
				return
			}
			err := c.connect(ctx)
			if err == nil {
				break
			}
			if c.picker != nil {
				c.director.fail("no connection: "+reason(err), 1)
			}
		}
	}
}

// exchange reads, and in the closed loop writes, until all is done or an error ends the connection.
func (c *connection) exchange() error {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	for {
		if c.picker != nil {
			if err := c.fill(); err != nil {
				return err
			}
			if c.waiting() == 0 {
				return nil
			}
		}
		n, err := conn.Read(c.buffer[len(c.in):])
		if n > 0 {
			c.in = c.buffer[:len(c.in)+n]
			if err := c.receive(); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// fill sends as many requests as the closed loop wants outstanding.
func (c *connection) fill() error {
	now := c.load.now()
	if now >= c.load.end() {
		return nil
	}
	for c.waiting() < c.load.cfg.Depth {
		user, err := c.picker.pick()
		if err != nil {
			break // all users have been asked for
		}
		c.add(user, now, now)
	}
	return c.flush()
}

// waiting returns how many requests are outstanding.
func (c *connection) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outstanding
}

// The reasons why a request was not even sent.
var (
	errNotConnected = errors.New("no connection")
	errNoRoom       = fmt.Errorf("%d requests of a connection are unanswered", maxOutstanding)
)

// add takes a request; flush sends it.
func (c *connection) add(user uint32, due, now time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return errNotConnected
	}
	if c.outTo != c.conn {
		c.out, c.outTo = c.out[:0], c.conn
	}
	if len(c.free) == 0 {
		if len(c.slots) == maxOutstanding {
			return errNoRoom
		}
		c.slots = append(c.slots, slot{})
		c.free = append(c.free, uint32(len(c.slots)-1))
	}
	index := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	s := &c.slots[index]
	*s = slot{busy: true, round: s.round + 1, user: user, due: due, sent: now}
	if c.protocol.ordered() {
		c.order.push(index)
	}
	c.outstanding++
	c.out = c.protocol.appendRequest(c.out, s.round<<slotBits|index, user)
	return nil
}

// flush writes what was added. If the connection breaks, or is another one by now, the goroutine
// that reads counts what is lost.
func (c *connection) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.outTo.Write(c.out)
	c.out = c.out[:0]
	return err
}

// receive takes all complete answers that are there.
func (c *connection) receive() error {
	now := c.load.now()
	rest := c.in
	var failure error
	c.mu.Lock()
	for len(rest) > 0 && failure == nil {
		n, a, err := c.protocol.parse(rest)
		if n == 0 && err == nil {
			break
		}
		rest = rest[n:]
		if failure = err; err == nil && !a.none {
			failure = c.settle(a, now)
		}
	}
	c.mu.Unlock()
	c.sums.last = now
	c.director.add(&c.sums)
	if failure != nil {
		return failure
	}
	if len(rest) >= maxAnswer {
		return unexpected(rest)
	}
	c.in = c.buffer[:copy(c.buffer, rest)]
	return nil
}

// settle takes one answer. mu must be locked.
func (c *connection) settle(a answer, now time.Duration) error {
	index, ok := c.slotOf(a.id)
	if !ok {
		return errors.New("the director answers what was not asked")
	}
	s := &c.slots[index]
	c.release(index)
	switch {
	case a.backend == nil:
		c.sums.fail(string(a.failure), 1)
		return nil
	case a.user != nil && !c.isName(a, s.user):
		c.load.checker.misdirected(s.user, a.user, c.director.number)
	default:
		number, ok := c.number(a.backend)
		if !ok {
			c.sums.fail(fmt.Sprintf("%q is not the address of a backend", a.backend), 1)
			return nil
		}
		c.load.checker.note(s.user, number, c.director.number, s.sent, now)
	}
	c.sums.latencies = append(c.sums.latencies, now-s.due)
	return nil
}

// slotOf returns the slot of the request that was answered. mu must be locked.
func (c *connection) slotOf(id uint32) (uint32, bool) {
	if c.protocol.ordered() {
		return c.order.pop()
	}
	index := id & (maxOutstanding - 1)
	if index >= uint32(len(c.slots)) {
		return 0, false
	}
	s := c.slots[index]
	return index, s.busy && s.round<<slotBits|index == id
}

// release frees a slot. mu must be locked.
func (c *connection) release(index uint32) {
	c.slots[index].busy = false
	c.free = append(c.free, index)
	c.outstanding--
}

// isName reports whether the answer is about this user.
func (c *connection) isName(a answer, user uint32) bool {
	names := &c.load.cfg.Users.Names
	if a.json {
		c.expected = names.appendJSON(c.expected[:0], user)
	} else {
		c.expected = names.append(c.expected[:0], user)
	}
	return string(c.expected) == string(a.user)
}

// number returns the number of a backend.
func (c *connection) number(backend []byte) (uint32, bool) {
	if n, ok := c.backends[string(backend)]; ok {
		return n, true
	}
	n, ok := c.load.checker.number(backend)
	if ok {
		c.backends[string(backend)] = n
	}
	return n, ok
}

// lose ends the connection; what it has not answered has failed.
func (c *connection) lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
	lost := int64(0)
	for i := range c.slots {
		if c.slots[i].busy {
			c.release(uint32(i))
			lost++
		}
	}
	c.order = queue{}
	switch {
	case lost == 0:
	case c.load.shut.Load():
		c.director.fail("no answer in time", lost)
	default:
		c.director.fail("connection lost: "+reason(err), lost)
	}
}

// shut closes the connection; reads and writes under way fail.
func (c *connection) shut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.Close()
	}
}

// reason returns the cause in an error of the network's, which is the same for all connections.
func reason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err.Error()
}
