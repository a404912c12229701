package replica

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// world is a few cores joined by perfect streams, unless they are cut: the simplest place to try
// the protocol step by step. Loss, delay, reordering and crashes are the business of the
// simulation.
type world struct {
	t         *testing.T
	now       mono.Time
	directors []*director
	cut       map[[2]string]bool
	chunks    int // snapshot chunks delivered per tick, so that transfers take time; 0: no limit
	chunkRows int
	trace     bool
	noGossip  bool
	guards    Guards                                        // of all directors that start
	gossiped  []*wire.Delta                                 // all that was, in order
	filter    func(to *director, m wire.Message) bool       // which messages get through; nil: all
	lose      func(from, to *director, m wire.Message) bool // which do not; nil: none
	seen      func(d *director, e Effect)                   // told of each effect; nil: nobody
}

type director struct {
	w        *world
	name     string
	core     *Core
	dir      *directory.Directory
	boot     uint64
	stopped  bool
	sessions map[string]uint64 // by dialler
	inbox    []mail
	answers  map[uint64]Answer
	done     map[uint64]AdminDone
	kicked   []Kick
	logs     []Log
	lastID   uint64
	chunks   int // snapshot chunks taken in this delivery

	hook    func(RunHook) (answers bool, err error) // nil: answers at once
	hooked  []RunHook
	asked   []AskVacant
	kicker  func(Kick) (count int, known, answers bool)
	kickErr error                                // what the kicker fails with
	left    int                                  // sessions that the kicker cannot end
	blind   bool                                 // there is no kicker
	wall    func(now mono.Time) directory.Micros // nil: the wall clock is read at the start only
	// how its release writes messages; nil: as this one
	dialect func(encoded []byte) []byte
	disk    *testDisk // its data directory; nil: it has none
}

type mail struct {
	session uint64
	msg     wire.Message
}

const testExpire = 60 * time.Second

// worldStart is the moment at which worlds and fleets begin.
const worldStart = mono.Time(time.Hour)

func newWorld(t *testing.T) *world {
	return &world{t: t, now: worldStart, cut: make(map[[2]string]bool)}
}

func testBackends(n int) []ring.Backend {
	var backends []ring.Backend
	for i := range n {
		backends = append(backends, ring.Backend{
			Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), VHosts: ring.DefaultVHosts,
		})
	}
	return backends
}

func testBackend(i int) netip.Addr { return testBackends(i)[i-1].Addr }

// start adds a director that founds a mesh if it is the first, else joins.
func (w *world) start(name string, change ...func(*Config)) *director {
	d := &director{w: w, name: name, kicker: func(Kick) (int, bool, bool) { return 0, true, true }}
	w.directors = append(w.directors, d)
	d.boots(len(w.directors) == 1, change...)
	return d
}

func (d *director) boots(founder bool, change ...func(*Config)) {
	d.boot++
	d.dir = directory.New(testExpire)
	d.sessions = make(map[string]uint64)
	d.answers = make(map[uint64]Answer)
	d.done = make(map[uint64]AdminDone)
	d.inbox, d.stopped = nil, false
	n := slices.Index(d.w.directors, d) + 1
	cfg := Config{
		Name: d.name, Boot: d.boot<<8 | uint64(n), Mesh: "test", HashFormat: "%Lu",
		Addr:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(n)}), 9090),
		Expire: testExpire, KickDelay: 2 * time.Second, ChunkRows: d.w.chunkRows,
		Backends: testBackends(4), Founder: founder,
		Wall: trueTime(d.w.now),
		Rand: rand.New(rand.NewPCG(d.boot, uint64(n))), Directory: d.dir, Guards: d.w.guards,
	}
	for _, f := range change {
		f(&cfg)
	}
	if d.disk != nil {
		cfg.Keeps, cfg.Disk = true, d.disk.found()
	}
	d.core = New(cfg, d.w.now)
	if cfg.Disk != nil && !d.disk.slow {
		d.disk.load(d)
	}
}

// trueTime is what a right wall clock shows.
func trueTime(now mono.Time) directory.Micros {
	return directory.Time(1_795_445_000_000).Micros().Add(now.Sub(0))
}

// crash stops a director for good, or until boots.
func (d *director) crash() {
	d.stopped = true
	for _, other := range d.w.directors {
		if other != d && !other.stopped {
			other.core.OutClosed(d.w.now, d.name, nil)
			other.core.InClosed(d.w.now, other.sessions[d.name], nil)
		}
	}
}

func (w *world) open(a, b *director) bool {
	return !a.stopped && !b.stopped && !w.cut[[2]string{a.name, b.name}]
}

// split cuts all streams between the two groups.
func (w *world) split(left, right []*director) {
	for _, a := range left {
		for _, b := range right {
			w.cut[[2]string{a.name, b.name}], w.cut[[2]string{b.name, a.name}] = true, true
		}
	}
	for _, a := range w.directors {
		for _, b := range w.directors {
			if a != b && !w.open(a, b) {
				a.core.OutClosed(w.now, b.name, nil)
				b.core.InClosed(w.now, b.sessions[a.name], nil)
			}
		}
	}
}

func (w *world) heal() { clear(w.cut) }

// run lets time pass in ticks of 25 ms.
func (w *world) run(d time.Duration) {
	for end := w.now.Add(d); w.now < end; {
		w.now = w.now.Add(25 * time.Millisecond)
		w.step()
	}
}

// until runs until the condition holds, and fails the test if it does not within the limit.
func (w *world) until(what string, limit time.Duration, cond func() bool) {
	w.t.Helper()
	for end := w.now.Add(limit); !cond(); {
		if w.now >= end {
			for _, d := range w.directors {
				w.t.Logf("%s: %+v", d.name, d.core.Self(w.now))
				for _, p := range d.core.peers.all {
					w.t.Logf("   %+v", *p)
				}
			}
			w.t.Fatalf("not within %v: %s", limit, what)
		}
		w.now = w.now.Add(25 * time.Millisecond)
		w.step()
	}
}

func (w *world) step() {
	w.dial()
	for _, d := range w.directors {
		if !d.stopped {
			if d.wall != nil {
				d.core.ReadWall(w.now, d.wall(w.now))
			}
			d.core.Tick(w.now)
		}
	}
	if w.now.Sub(0)%(2*time.Second) == 0 {
		w.pushPull()
	}
	w.deliver()
}

// pushPull lets each director exchange states with the next one, as memberlist does from time to
// time.
func (w *world) pushPull() {
	for i, a := range w.directors {
		b := w.directors[(i+1)%len(w.directors)]
		if a == b || !w.open(a, b) || !w.open(b, a) {
			continue
		}
		theirs := b.says(b.core.PushPull(w.now)).(*wire.PushPull)
		ours := a.says(a.core.PushPull(w.now)).(*wire.PushPull)
		_ = b.core.MergePushPull(w.now, ours) // refusals are among what the tests try
		_ = a.core.MergePushPull(w.now, theirs)
	}
}

// dial brings up every stream that can be and is not.
func (w *world) dial() {
	for _, a := range w.directors {
		for _, b := range w.directors {
			if a == b || !w.open(a, b) || a.parted(b) ||
				a.core.peers.get(b.name) != nil && a.core.peers.get(b.name).out {
				continue
			}
			to := Dial{Name: b.name, Addr: b.core.cfg.Addr}
			reply, session, err := b.core.Accept(w.now,
				a.says(a.core.Hello(w.now, to)).(*wire.Hello))
			if err != nil {
				a.core.Refused(w.now, b.core.Refusal(w.now, err))
				continue
			}
			b.sessions[a.name] = session
			b.inbox = slices.DeleteFunc(b.inbox, func(m mail) bool {
				return b.core.sessions[m.session] == nil
			})
			if err := a.core.Opened(w.now, to, b.says(reply).(*wire.Hello)); err != nil {
				w.t.Logf("%s: %v", a.name, err)
			}
		}
	}
}

// parted reports whether a director knows that it, or the other one, was removed from the mesh, so
// that it does not dial that.
func (d *director) parted(other *director) bool {
	return d.core.table.Removed(other.core.cfg.Addr) ||
		d.core.admission.removed && !d.core.Wanted(other.name)
}

// deliver carries effects and messages until there are none left.
func (w *world) deliver() {
	for _, d := range w.directors {
		d.chunks = 0
	}
	for busy := true; busy; {
		busy = false
		for _, d := range w.directors {
			for !d.stopped && len(d.inbox) > 0 {
				if _, ok := d.inbox[0].msg.(*wire.SnapshotChunk); ok {
					if d.chunks++; w.chunks > 0 && d.chunks > w.chunks {
						break
					}
				}
				m := d.inbox[0]
				d.inbox = d.inbox[1:]
				d.core.Receive(w.now, m.session, m.msg)
				busy = busy || w.chunks == 0
			}
			busy = d.carryOut() || busy
		}
	}
}

func (d *director) carryOut() bool {
	effects := d.core.Take()
	for _, e := range effects {
		if d.w.seen != nil {
			d.w.seen(d, e)
		}
		switch e := e.(type) {
		case Send:
			for _, name := range e.To {
				to := d.w.named(name)
				if d.w.open(d, to) && (d.w.filter == nil || d.w.filter(to, e.Message)) &&
					(d.w.lose == nil || !d.w.lose(d, to, e.Message)) {
					to.inbox = append(to.inbox, mail{to.sessions[d.name], d.says(e.Message)})
				}
			}
		case Gossip:
			d.w.gossiped = append(d.w.gossiped, e.Delta)
			for _, to := range d.w.directors {
				if to != d && d.w.open(d, to) && !d.w.noGossip {
					to.core.Gossip(d.w.now, e.Delta)
				}
			}
		case Answer:
			if _, again := d.answers[e.ID]; again {
				d.w.t.Errorf("%s answers lookup %d again: %+v", d.name, e.ID, e)
			}
			d.answers[e.ID] = e
		case AdminDone:
			if _, again := d.done[e.ID]; again {
				d.w.t.Errorf("%s ends operation %d again: %+v", d.name, e.ID, e)
			}
			d.done[e.ID] = e
		case Kick:
			d.kicked = append(d.kicked, e)
			if count, known, answers := d.kicker(e); answers {
				r := KickResult{Count: count, Known: known, Left: d.left, Blind: d.blind}
				d.core.KickDone(d.w.now, e.ID, r, d.kickErr)
			}
		case CloseStream:
			other := d.w.named(e.Peer)
			ours, theirs := e.Only != TheirStream, e.Only != OurStream
			if ours {
				d.core.OutClosed(d.w.now, e.Peer, nil)
			}
			if theirs {
				d.core.InClosed(d.w.now, d.sessions[e.Peer], nil)
				other.core.OutClosed(d.w.now, d.name, nil)
			}
			if ours {
				other.core.InClosed(d.w.now, other.sessions[d.name], nil)
			}
		case RunHook:
			d.hooked = append(d.hooked, e)
			answers, err := true, error(nil)
			if d.hook != nil {
				answers, err = d.hook(e)
			}
			if answers {
				d.core.HookDone(d.w.now, e.ID, err == nil, err)
			}
		case AskVacant:
			d.asked = append(d.asked, e)
		case Keep:
			d.disk.keep(d, e)
		case Log:
			d.logs = append(d.logs, e)
			if d.w.trace {
				d.w.t.Logf("%8.3f %s: %s %v", d.w.now.Sub(0).Seconds(), d.name, e.Text, e.Fields)
			}
		}
	}
	return len(effects) > 0
}

// says passes a message of this director through the codec, as the network does.
func (d *director) says(m wire.Message) wire.Message {
	if d.dialect == nil {
		return reread(d.w.t, m)
	}
	return reread(d.w.t, m, d.dialect)
}

// reread passes a message through the codec, and its encoding through what changes it on the way.
func reread(t *testing.T, m wire.Message, changes ...func(encoded []byte) []byte) wire.Message {
	b, err := wire.Encode(m)
	if err != nil {
		t.Fatalf("encode %T: %v", m, err)
	}
	for _, change := range changes {
		b = change(b)
	}
	m, err = wire.Decode(b)
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	return m
}

func (w *world) named(name string) *director {
	i := slices.IndexFunc(w.directors, func(d *director) bool { return d.name == name })
	return w.directors[i]
}

// delta is one that the director gossips in this life.
func (d *director) delta(change directory.Change, rows ...directory.Mapping) *wire.Delta {
	delta := &wire.Delta{Origin: d.name, Boot: d.core.boot, N: 1<<40 + d.id(), Change: change}
	if len(rows) > 0 {
		delta.Blocks = []wire.Block{wire.Pack("", rows)}
	}
	return delta
}

func (d *director) id() uint64 { d.lastID++; return d.lastID }

// ask looks a user up and returns the answer, or nothing yet and the id to wait for.
func (d *director) ask(h ring.UserHash) (backend netip.Addr, id uint64) {
	if backend, ok := d.core.TryLookup(d.w.now, "", h); ok {
		return backend, 0
	}
	id = d.id()
	backend, ok := d.core.Lookup(d.w.now, id, "", h)
	if ok {
		return backend, 0
	}
	return netip.Addr{}, id
}

// must looks a user up and wants the answer at once.
func (d *director) must(h ring.UserHash) netip.Addr {
	d.w.t.Helper()
	backend, id := d.ask(h)
	if id != 0 {
		d.w.t.Fatalf("%s: lookup of %v waits", d.name, h)
	}
	return backend
}

// do carries out an operation, letting time pass until it is done.
func (d *director) do(op Operation) (Outcome, error) {
	d.w.t.Helper()
	id := d.begin(op)
	d.w.deliver()
	d.w.until(fmt.Sprintf("%T done", op), time.Minute,
		func() bool { _, ok := d.done[id]; return ok })
	return d.done[id].Outcome, d.done[id].Err
}

// hears lets a director take a message of a peer, as if it came by the peer's stream.
func (d *director) hears(from *director, m wire.Message) {
	d.core.Receive(d.w.now, d.sessions[from.name], from.says(m))
}

// breakStream ends the stream from one director to another; it is dialled again at the next step.
func (w *world) breakStream(from, to *director) {
	from.core.OutClosed(w.now, to.name, nil)
	to.core.InClosed(w.now, to.sessions[from.name], nil)
}

// losing loses all messages of a kind from one director to another.
func losing[M wire.Message](from, to *director) func(from, to *director, m wire.Message) bool {
	return func(f, t *director, m wire.Message) bool {
		_, ok := m.(M)
		return ok && f == from && t == to
	}
}

// wantRest checks that nothing is kept of what has ended, at directors that are idle.
func (w *world) wantRest() {
	w.t.Helper()
	for _, d := range w.directors {
		c := d.core
		if d.stopped {
			continue
		}
		for what, n := range map[string]int{
			"operations": len(c.ops), "kicks": c.kicks.Len(), "held users": c.moves.Held.Len(),
			"reports of kicks": c.kicks.Reports(),
			"moves":            c.moves.Len(),
			"batches of moves": c.moves.Batches(), "flushes": len(c.flushes.Own()),
			"lookups":  c.waiters.Len(),
			"barriers": c.barrier.Len(), "old rings": len(c.barrier.Rings()) - 1,
			"snapshots": c.donations.Len(),
		} {
			if n != 0 {
				w.t.Errorf("%s at rest has %d %s", d.name, n, what)
			}
		}
		if c.receiver.Current() != nil {
			w.t.Errorf("%s at rest takes a snapshot", d.name)
		}
	}
}

// another is a backend other than this one.
func another(backend netip.Addr) netip.Addr {
	if backend == testBackend(1) {
		return testBackend(2)
	}
	return testBackend(1)
}

func (d *director) begin(op Operation) (id uint64) {
	id = d.id()
	d.core.Do(d.w.now, id, op)
	return id
}

func (w *world) allSynced() bool {
	for _, d := range w.directors {
		if d.stopped {
			continue
		}
		for _, p := range d.core.Peers(w.now) {
			if p.Name == "" || !w.named(p.Name).stopped && p.State != Synced {
				return false
			}
		}
		if len(d.core.Peers(w.now)) < len(w.directors) {
			return false
		}
	}
	return true
}

func started(t *testing.T, n int, change ...func(*Config)) *world {
	t.Helper()
	w := newWorld(t)
	for i := range n {
		w.start(fmt.Sprintf("d%d", i+1), change...)
	}
	w.until("all synced", 10*time.Second, w.allSynced)
	return w
}

// long leaves a test out of short runs, which are those with the race detector: it takes seconds,
// there many more, and all of them in one goroutine.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long, and has one goroutine")
	}
}
