package mesh

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"directormesh/directory"
	"directormesh/mesh/history"
	"directormesh/mesh/loglimit"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
)

// tickEvery is how often the core sees time pass; it wants that at least every 50 ms.
const tickEvery = 25 * time.Millisecond

// ErrClosed is returned for what is asked of a closed node.
var ErrClosed = errors.New("director is shutting down")

// Node is this director in its mesh. All methods are safe for concurrent use.
type Node struct {
	cfg       Config
	seeds     []seed
	keys      keys
	boot      atomic.Uint64 // of this life; see replica.NewLife
	started   mono.Time     // by clock
	advertise netip.AddrPort
	clock     func() mono.Time
	wall      func() time.Time
	resolve   func(ctx context.Context, host string) ([]netip.Addr, error)
	log       zerolog.Logger
	limits    loglimit.Limiter
	metrics   *metrics

	dir        *directory.Directory
	transport  *transport
	gossip     gossipQueues
	deltas     chan []byte // gossiped, to be decoded
	events     mailbox
	members    members
	memberlist *memberlist.Memberlist
	kicks      kickQueue
	hooks      chan struct{} // tokens of running hooks
	planning   chan struct{} // token of the plan that is being made
	contacts   contacts
	asks       asking
	history    *history.History
	happening  *happening // nil: nobody wants to know what happens

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	fatal  chan error

	closeOnce sync.Once
	closeErr  error

	randMu sync.Mutex
	rand   *rand.Rand

	// coreMu guards the core and all below. See input.
	coreMu  sync.Mutex
	core    *replica.Core
	last    mono.Time // of the clock; the core's time never goes back
	nextID  uint64    // of lookups and operations
	stopped bool      // Close has begun: effects have no effect any more
	leaving bool      // Leave has begun: who is not in touch by now does not come to be any more
	waits   map[uint64]chan<- replica.Answer
	admin   map[uint64]chan<- replica.AdminDone
	out     map[string]*outStream
	in      map[uint64]*inStream

	data        *dataDir // nil: there is none
	dataMu      sync.Mutex
	dataProblem error // guarded by dataMu; the last one that was reported

	linksMu sync.Mutex
	links   map[string]*link // nil after Close
}

// New starts a director: it checks the whole configuration and reports every problem, opens the
// sockets, and begins to look for its peers. It does not wait for them; see WaitSynced. Close ends
// it.
func New(cfg Config) (*Node, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	n, err := prepare(cfg)
	if err != nil {
		return nil, err
	}
	if err := n.open(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	n.run()
	return n, nil
}

// prepare makes a node that owns nothing yet but its memory.
func prepare(cfg Config) (*Node, error) {
	n := &Node{
		cfg: cfg, clock: cfg.Clock, wall: cfg.Wall, resolve: cfg.Resolve, log: cfg.Log,
		deltas: make(chan []byte, maxDeltas),
		hooks:  make(chan struct{}, maxHooks),

		planning: make(chan struct{}, 1),

		fatal: make(chan error, 1),
		waits: make(map[uint64]chan<- replica.Answer),
		admin: make(map[uint64]chan<- replica.AdminDone),
		out:   make(map[string]*outStream),
		in:    make(map[uint64]*inStream),
		links: make(map[string]*link),
	}
	for _, s := range cfg.Join {
		seed, err := parseSeed(s, cfg.joinPort())
		if err != nil {
			return nil, fmt.Errorf("join: %w", err)
		}
		n.seeds = append(n.seeds, seed)
	}
	if n.clock == nil {
		n.clock = newSuspendClock().Now
	}
	if n.wall == nil {
		n.wall = time.Now
	}
	if n.resolve == nil {
		n.resolve = systemResolve
	}
	if n.cfg.Network == nil {
		n.cfg.Network = sockets{}
	}
	if err := n.keys.init(n); err != nil {
		return nil, err
	}
	n.rand = newRand(cfg.Seed)
	n.boot.Store(max(n.rand.Uint64(), 1))
	n.started = n.clock()
	n.contacts.init(n)
	n.events.init()
	n.kicks.init(n)
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n, nil
}

// newRand returns a generator of its own for each node; seed 0 asks the system.
func newRand(seed uint64) *rand.Rand {
	if seed != 0 {
		return rand.New(rand.NewPCG(seed, seed))
	}
	var b [32]byte
	crand.Read(b[:]) // never fails
	return rand.New(rand.NewChaCha8(b))
}

// open opens the sockets, makes the core and starts memberlist on it.
func (n *Node) open() error {
	if err := n.openData(); err != nil {
		return err
	}
	if err := n.keys.load(); err != nil {
		return err
	}
	l, p, err := n.cfg.Network.Listen(n.cfg.Bind)
	if err != nil {
		return err
	}
	bound, err := netip.ParseAddrPort(l.Addr().String())
	if err == nil {
		listening := netip.AddrPortFrom(n.cfg.Bind.Addr(), bound.Port())
		var peers []netip.Addr
		if !n.cfg.Advertise.IsValid() && listening.Addr().IsUnspecified() {
			peers = n.knownPeers()
		}
		n.advertise, err = advertised(n.cfg.Advertise, listening, peers, thisHost{})
	}
	if err != nil {
		return errors.Join(err, l.Close(), p.Close())
	}
	from := source(n.cfg.Bind, n.advertise)
	p = sendFrom(p, from.Addr())
	n.transport = newTransport(n.cfg.Network, l, p, n.advertise, from, n.gate(), transportEvents{
		evicted: func() { n.metrics.drop(dropEvicted) },
		tooMuch: func() { n.metrics.drop(dropTooMuch) },
		refused: n.noteRefusal,
		packet:  func(direction, bytes int) { n.metrics.packet(direction, bytes) },
	}, n.serveStream)
	if n.metrics, err = newMetrics(n.cfg.Registerer, n); err != nil {
		return errors.Join(err, n.transport.Shutdown())
	}
	n.dir = directory.New(n.cfg.Expire)
	n.openHistory()
	n.openEvents()
	n.last = n.clock()
	n.core = replica.New(replica.Config{
		Name: n.cfg.Name, Boot: n.boot.Load(), Addr: n.advertise, Mesh: n.cfg.Mesh,
		HashFormat: n.cfg.HashFormat,
		Expire:     n.cfg.Expire, KickDelay: n.cfg.KickDelay,
		MaxParallelMoves: n.cfg.MaxParallelMoves,
		Backends:         n.cfg.Backends, Founder: len(n.seeds) == 0,
		ServeAlone: n.cfg.ServeAlone, Hook: n.cfg.Hook != nil, Watches: n.cfg.Watches,
		Balance:      n.cfg.Balance,
		SlowStart:    n.cfg.SlowStart,
		Names:        n.cfg.Names,
		AsksBackends: n.cfg.Vacancy != nil,
		Wall:         directory.Micros(n.wall().UnixMicro()), Rand: newRand(n.rand.Uint64()),
		Directory: n.dir, Keeps: n.data != nil, Disk: n.diskFound(),
		Notes: true,
	}, n.last)
	n.history.Start()
	n.input(func(*replica.Core, mono.Time) {}) // carries out what the start asks for
	cfg, err := n.memberlistConfig()
	if err != nil {
		return err
	}
	n.transport.start()
	return n.startMemberlist(cfg)
}

func (n *Node) startMemberlist(cfg *memberlist.Config) (err error) {
	if n.memberlist, err = memberlist.Create(cfg); err != nil {
		return fmt.Errorf("start memberlist: %w", err)
	}
	return nil
}

// run starts the goroutines that last until Close.
func (n *Node) run() {
	n.wg.Go(n.tick)
	n.wg.Go(n.handleEvents)
	n.wg.Go(n.handleDeltas)
	n.wg.Go(n.heal)
	n.wg.Go(n.housekeep)
	if len(n.cfg.Keys) > 0 {
		n.wg.Go(n.keys.run)
	}
	if n.data != nil {
		n.wg.Go(n.load)
	}
	if n.happening != nil {
		n.wg.Go(n.happening.run)
	}
}

func (n *Node) tick() {
	n.every(tickEvery, func() {
		wall := directory.Micros(n.wall().UnixMicro())
		n.input(func(c *replica.Core, now mono.Time) {
			c.ReadWall(now, wall)
			c.Tick(now)
		})
	})
}

// every calls f at each interval until Close.
func (n *Node) every(interval time.Duration, f func()) {
	ticks := time.Tick(interval)
	for {
		select {
		case <-ticks:
			f()
		case <-n.ctx.Done():
			return
		}
	}
}

// housekeep does each second what nothing else triggers.
func (n *Node) housekeep() {
	n.every(time.Second, func() {
		n.reviewLinks()
		n.metrics.pruned(n.gossip.prune())
		n.limits.Forget(time.Now())
	})
}

// Fatal delivers the reason why this director must not go on, such as another one of the same name.
// The caller closes the node.
func (n *Node) Fatal() <-chan error { return n.fatal }

func (n *Node) fail(err error) {
	select {
	case n.fatal <- err:
	default: // one reason is enough
	}
}

// Close stops at once, without a word to the peers, and waits for every goroutine of this node. It
// returns the same when called again.
func (n *Node) Close() error {
	n.closeOnce.Do(func() {
		if n.data != nil && n.core != nil {
			n.input(func(c *replica.Core, now mono.Time) { c.KeepNow(now) })
		}
		n.cancel()
		n.coreMu.Lock()
		n.stopped = true
		n.coreMu.Unlock()
		n.linksMu.Lock()
		n.links = nil
		n.linksMu.Unlock()
		n.events.close()
		// memberlist shuts the transport down first; where it was not started, or failed to, that
		// is left to us.
		if n.memberlist != nil {
			n.closeErr = n.memberlist.Shutdown()
		}
		if n.transport != nil {
			n.closeErr = errors.Join(n.closeErr, n.transport.Shutdown())
		}
		n.kicks.wait()
		n.wg.Wait()
		n.closeHistory()
		n.closeData()
		n.metrics.unregister()
	})
	return n.closeErr
}

// jitter spreads a pause over ±20 %.
func (n *Node) jitter(d time.Duration) time.Duration {
	n.randMu.Lock()
	defer n.randMu.Unlock()
	return d*4/5 + time.Duration(n.rand.Int64N(int64(d)*2/5+1))
}
