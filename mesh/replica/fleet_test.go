package replica

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
)

// fleet is many cores on links that are alike, in virtual time: what happens when, and how many
// bytes it takes, depends on the seed alone. Messages pass through the codec, as on a network; the
// encryption of the streams, which the shell adds, is counted by its overhead.
type fleet struct {
	b        testing.TB
	now      mono.Time
	delay    time.Duration // of a link, and up to half as much more for each message
	expire   time.Duration
	backends int
	rand     *rand.Rand
	members  []*member
	byName   map[string]*member
	events   eventQueue
	planned  uint64
	// told of each message that a core has taken; may be nil
	delivered func(to *member, m wire.Message)
	latency   func() time.Duration        // of a message, in place of delay; may be nil
	lost      func(from, to *member) bool // whether what is due does not arrive; may be nil
	guards    Guards
}

type member struct {
	f        *fleet
	index    int // of members
	stopped  bool
	asleep   bool
	backlog  []func() // what came meanwhile
	name     string
	core     *Core
	dir      *directory.Directory
	sessions map[*member]uint64    // of the streams dialled to it
	lastAt   map[*member]mono.Time // when what was sent last on each stream arrives
	done     map[uint64]AdminDone
	lastID   uint64

	beforeTick func(*member) // may be nil

	sent, received, messages int            // bytes sent and received, messages sent
	rows                     int            // written into the log
	kinds                    map[string]int // bytes sent, by kind of message
}

// streamOverhead is what frame and record add to a message that is written by itself: 4 bytes of
// length; 2 of length and a tag of 16.
const streamOverhead = 4 + 2 + 16

const fleetTick = 25 * time.Millisecond

// newFleet starts directors that share a mesh, and waits until all are synced.
func newFleet(b testing.TB, directors, backends int, delay, expire time.Duration,
	change ...func(*fleet)) *fleet {
	b.Helper()
	f := &fleet{
		b: b, now: worldStart, delay: delay, expire: expire, backends: backends,
		rand:   rand.New(rand.NewPCG(4, uint64(directors))),
		byName: make(map[string]*member),
	}
	for _, do := range change {
		do(f)
	}
	for range directors {
		f.add()
	}
	f.until("all are synced", time.Minute, func() bool { return f.allSynced() })
	return f
}

// add starts one more director; the first founds the mesh.
func (f *fleet) add() *member {
	i := len(f.members)
	m := &member{f: f, index: i, name: fmt.Sprintf("d%03d", i+1),
		lastAt: make(map[*member]mono.Time), done: make(map[uint64]AdminDone),
		kinds: make(map[string]int)}
	m.boots(uint64(i + 1))
	f.members = append(f.members, m)
	f.byName[m.name] = m
	for _, other := range f.members[:i] {
		if other.stopped {
			continue
		}
		m.dial(other)
		other.dial(m)
	}
	f.at(f.now.Add(fleetTick*time.Duration(i%25)/25), m.tick)
	return m
}

// boots begins a life.
func (m *member) boots(boot uint64) {
	f, i := m.f, m.index
	m.dir, m.sessions, m.stopped = directory.New(f.expire), make(map[*member]uint64), false
	m.core = New(Config{
		Name: m.name, Boot: boot, Mesh: "fleet", HashFormat: "%Lu",
		Addr:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 9090),
		Expire: f.expire, KickDelay: 2 * time.Second,
		Backends: testBackends(f.backends), Founder: i == 0 && boot == 1,
		Wall: trueTime(f.now.Add(-time.Hour)),
		Rand: rand.New(rand.NewPCG(1, uint64(i))), Directory: m.dir,
		Guards: f.guards, Notes: true,
	}, f.now)
}

func (m *member) dial(to *member) {
	address := Dial{Name: to.name, Addr: to.core.cfg.Addr}
	reply, session, err := to.core.Accept(m.f.now, m.core.Hello(m.f.now, address))
	if err == nil {
		to.sessions[m] = session
		err = m.core.Opened(m.f.now, address, reply)
	}
	if err != nil {
		m.f.b.Fatalf("%s dials %s: %v", m.name, to.name, err)
	}
	to.carryOut()
	m.carryOut()
}

func (m *member) tick() {
	m.f.at(m.f.now.Add(fleetTick), m.tick)
	if m.stopped || m.asleep {
		return
	}
	if m.beforeTick != nil {
		m.beforeTick(m)
	}
	m.core.Tick(m.f.now)
	m.carryOut()
}

// carryOut sends what the core wants sent. Gossip is left out: it only reaches whom no stream does.
func (m *member) carryOut() {
	for effects := m.core.Take(); len(effects) > 0; effects = m.core.Take() {
		for _, e := range effects {
			switch e := e.(type) {
			case Send:
				m.send(e)
			case Kick:
				m.core.KickDone(m.f.now, e.ID, KickResult{Known: true}, nil)
			case AdminDone:
				m.done[e.ID] = e
			}
		}
	}
}

func (m *member) send(e Send) {
	encoded, err := wire.Encode(e.Message)
	if err != nil {
		m.f.b.Fatal(err)
	}
	size := len(encoded) + streamOverhead
	kind := e.Message.Kind().String()
	if rows, ok := e.Message.(*wire.Rows); ok {
		m.rows += rowset.Count(rows.Blocks)
	}
	for _, name := range e.To {
		m.sent += size
		m.messages++
		m.kinds[kind] += size
		to := m.f.byName[name]
		m.lastAt[to] = max(m.lastAt[to], m.f.now.Add(m.f.takes()))
		session := to.sessions[m]
		m.f.at(m.lastAt[to], func() {
			if m.f.lost == nil || !m.f.lost(m, to) {
				to.receive(session, encoded)
			}
		})
	}
}

// takes draws how long a message is under way.
func (f *fleet) takes() time.Duration {
	if f.latency != nil {
		return f.latency()
	}
	return f.delay + time.Duration(f.rand.Int64N(int64(f.delay/2)))
}

func (m *member) receive(session uint64, encoded []byte) {
	if m.asleep {
		m.backlog = append(m.backlog, func() { m.receive(session, encoded) })
		return
	}
	m.received += len(encoded) + streamOverhead
	message, err := wire.Decode(encoded)
	if err != nil {
		m.f.b.Fatal(err)
	}
	m.core.Receive(m.f.now, session, message)
	m.carryOut()
	if m.f.delivered != nil {
		m.f.delivered(m, message)
	}
}

// do begins an operation; its end is in done.
func (m *member) do(op Operation) (id uint64) {
	m.lastID++
	m.core.Do(m.f.now, m.lastID, op)
	m.carryOut()
	return m.lastID
}

// pushPull lets two directors exchange states, as memberlist does from time to time.
func (f *fleet) pushPull(a, b *member) {
	for _, pair := range [][2]*member{{a, b}, {b, a}} {
		encoded, err := wire.Encode(pair[0].core.PushPull(f.now))
		if err != nil {
			f.b.Fatal(err)
		}
		state, err := wire.Decode(encoded)
		if err == nil {
			err = pair[1].core.MergePushPull(f.now, state.(*wire.PushPull))
		}
		if err != nil {
			f.b.Fatal(err)
		}
		pair[1].carryOut()
		pair[0].sent += len(encoded)
		pair[1].received += len(encoded)
		pair[0].kinds["state"] += len(encoded)
	}
}

func (f *fleet) allSynced() bool {
	return !slices.ContainsFunc(f.members, func(m *member) bool {
		return !m.core.synced() || m.core.peers.all.live() < len(f.members)-1
	})
}

// meter forgets what was counted so far.
func (f *fleet) meter() {
	for _, m := range f.members {
		m.sent, m.received, m.messages, m.rows = 0, 0, 0, 0
		clear(m.kinds)
	}
}

func (f *fleet) run(d time.Duration) { f.runTo(f.now.Add(d)) }

func (f *fleet) runTo(end mono.Time) {
	for len(f.events) > 0 && f.events[0].at <= end {
		f.step()
	}
	f.now = end
}

func (f *fleet) until(what string, limit time.Duration, cond func() bool) {
	f.b.Helper()
	for end := f.now.Add(limit); !cond(); {
		if f.now > end {
			f.b.Fatalf("not within %v: %s", limit, what)
		}
		f.runTo(f.now.Add(fleetTick))
	}
}

func (f *fleet) step() {
	e := heap.Pop(&f.events).(event)
	f.now = e.at
	e.do()
}

func (f *fleet) at(t mono.Time, do func()) {
	f.planned++
	heap.Push(&f.events, event{t, f.planned, do})
}

// event is something planned; those of the same time happen in the order in which they were
// planned.
type event struct {
	at    mono.Time
	order uint64
	do    func()
}

type eventQueue []event

func (q eventQueue) Len() int      { return len(q) }
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q eventQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q *eventQueue) Push(e any) { *q = append(*q, e.(event)) }
func (q *eventQueue) Pop() any {
	last := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = event{}
	*q = (*q)[:len(*q)-1]
	return last
}

// percentile of durations, in milliseconds; it sorts them.
func percentile(of []time.Duration, p float64) float64 {
	slices.Sort(of)
	return of[min(len(of)-1, int(p*float64(len(of))))].Seconds() * 1000
}
