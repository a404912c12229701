package replica_test

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"runtime"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	fuzzExpire = 30 * time.Second
	// fuzzSteps is how many inputs a run may have; a longer one would only take longer.
	fuzzSteps = 150
	// effectsAtOnce is how many effects may follow from one input, and what follows from those.
	effectsAtOnce = 5000
	// tooLong is when a run is given up that takes some hundredths of a second usually.
	tooLong = time.Minute
	// allocatedMost is what all of a run may allocate, in bytes: many times what one without the
	// inputs does.
	allocatedMost = 1 << 30
)

// FuzzCore gives one of three directors of a mesh inputs of any content that a stream, memberlist,
// an operator or a user may bring: messages that are valid, and say anything. The core must not
// panic, send what cannot be encoded, answer one input with thousands of effects, or take memory
// without end. When it is over, and the mesh has been left alone for a while, every lookup ends.
func FuzzCore(f *testing.F) {
	for seed := range uint64(24) {
		f.Add(someBytes(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		late := time.AfterFunc(tooLong, func() { panic("the run does not end") })
		defer late.Stop()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m := newTrio(t)
		s := &source{data: data}
		for range fuzzSteps {
			if s.empty() {
				break
			}
			m.step(s)
			m.deliver()
		}
		m.calm()
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > allocatedMost {
			t.Errorf("%d MB were allocated", grown>>20)
		}
	})
}

// The fuzz test gives each operation that there is.
func TestFuzzedOperations(t *testing.T) {
	missing := make(map[reflect.Type]bool)
	for _, op := range replica.Operations() {
		missing[reflect.TypeOf(op)] = true
	}
	m := newTrio(t)
	for b := range 256 {
		s := &source{data: bytes.Repeat([]byte{byte(b)}, 10), m: m}
		delete(missing, reflect.TypeOf(s.operation()))
	}
	for op := range missing {
		t.Errorf("no input orders %v", op)
	}
}

// someBytes draws a corpus entry.
func someBytes(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0x66757a7a))
	data := make([]byte, 200+r.IntN(1500))
	for i := range data {
		data[i] = byte(r.Uint32() >> r.IntN(24)) // small ones more often
	}
	return data
}

// trio is a mesh of three, whose first director gets the inputs.
type trio struct {
	t     *testing.T
	now   mono.Time
	nodes []*node
	work  int // effects carried out since the last input
	ids   uint64
}

type node struct {
	m        *trio
	name     string
	boot     uint64
	core     *replica.Core
	dir      *directory.Directory
	sessions map[string]uint64 // by dialler
	out      map[string]bool
	inbox    []letter
	waiting  map[uint64]mono.Time // lookups not answered, since when
}

type letter struct {
	session uint64
	m       wire.Message
}

func newTrio(t *testing.T) *trio {
	m := &trio{t: t, now: mono.Time(time.Hour)}
	for i := range 3 {
		n := &node{
			m: m, name: []string{"d1", "d2", "d3"}[i], boot: uint64(i + 1),
			dir:      directory.New(fuzzExpire),
			sessions: make(map[string]uint64), out: make(map[string]bool),
			waiting: make(map[uint64]mono.Time),
		}
		n.core = replica.New(replica.Config{
			Name: n.name, Boot: n.boot, Addr: fuzzAddr(i), Mesh: "fuzz", HashFormat: "%Lu",
			Expire: fuzzExpire, KickDelay: time.Second, Backends: []ring.Backend{
				{Addr: fuzzBackend(0), VHosts: 5}, {Addr: fuzzBackend(1), VHosts: 5},
			},
			Founder: i == 0, Wall: fuzzWall(m.now), Rand: rand.New(rand.NewPCG(1, uint64(i))),
			Directory: n.dir,
		}, m.now)
		m.nodes = append(m.nodes, n)
	}
	for i := 0; i < 200 && !m.synced(); i++ {
		m.tick(50 * time.Millisecond)
	}
	if !m.synced() {
		t.Fatal("a mesh that nothing disturbs is not synced")
	}
	for h := range uint32(8) {
		m.lookup(m.nodes[h%3], "", ring.UserHash(h*fuzzHashStep))
	}
	return m
}

func fuzzAddr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)}), 9090)
}
func fuzzBackend(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}) }
func fuzzWall(now mono.Time) directory.Micros {
	return directory.Time(1_795_445_000_000).Micros().Add(now.Sub(0))
}

// fuzzHashStep is what the hashes of the few users are multiples of.
const fuzzHashStep = 0x2000_0001

func (m *trio) synced() bool {
	for _, n := range m.nodes {
		if !n.core.Self(m.now).Synced {
			return false
		}
	}
	return true
}

// tick lets time pass for all.
func (m *trio) tick(d time.Duration) {
	m.now = m.now.Add(d)
	m.dial()
	for _, n := range m.nodes {
		n.core.ReadWall(m.now, fuzzWall(m.now))
		n.core.Tick(m.now)
	}
	m.deliver()
}

// dial opens the streams that are not up.
func (m *trio) dial() {
	for _, a := range m.nodes {
		for j, b := range m.nodes {
			if a == b || a.out[b.name] {
				continue
			}
			to := replica.Dial{Name: b.name, Addr: fuzzAddr(j)}
			hello := a.core.Hello(m.now, to)
			reply, session, err := b.core.Accept(m.now, hello)
			if err != nil {
				a.core.Refused(m.now, b.core.Refusal(m.now, err))
				continue
			}
			b.sessions[a.name] = session
			if a.core.Opened(m.now, to, reply) == nil {
				a.out[b.name] = true
			}
		}
	}
}

// deliver carries out effects until there are none left.
func (m *trio) deliver() {
	m.work = 0
	for busy := true; busy; {
		busy = false
		for _, n := range m.nodes {
			for len(n.inbox) > 0 {
				l := n.inbox[0]
				n.inbox = n.inbox[1:]
				n.core.Receive(m.now, l.session, l.m)
				busy = true
			}
			for _, e := range n.core.Take() {
				busy = true
				if m.work++; m.work > effectsAtOnce {
					m.t.Fatalf("one input led to more than %d effects, the last one %T",
						effectsAtOnce, e)
				}
				n.carryOut(e)
			}
		}
	}
}

func (n *node) carryOut(e replica.Effect) {
	m := n.m
	switch e := e.(type) {
	case replica.Send:
		for _, name := range e.To {
			if to := m.named(name); to != nil && n.out[name] {
				to.inbox = append(to.inbox, letter{to.sessions[n.name], m.travelled(e.Message)})
			}
		}
	case replica.Gossip:
		for _, to := range m.nodes {
			if to != n {
				to.core.Gossip(m.now, m.travelled(e.Delta).(*wire.Delta))
			}
		}
	case replica.Answer:
		delete(n.waiting, e.ID)
	case replica.Kick:
		n.core.KickDone(m.now, e.ID, replica.KickResult{Known: true}, nil)
	case replica.RunHook:
		n.core.HookDone(m.now, e.ID, true, nil)
	case replica.NewLife:
		n.boot = e.Boot
	case replica.CloseStream:
		if other := m.named(e.Peer); other != nil {
			n.part(other)
			other.part(n)
		}
	}
}

// part ends the stream to another director.
func (n *node) part(other *node) {
	n.out[other.name] = false
	n.core.OutClosed(n.m.now, other.name, nil)
	other.core.InClosed(n.m.now, other.sessions[n.name], nil)
}

// travelled is what arrives of a message.
func (m *trio) travelled(message wire.Message) wire.Message {
	encoded, err := wire.Encode(message)
	if err != nil {
		m.t.Fatalf("sends what cannot be encoded: %v: %+v", err, message)
	}
	got, err := wire.Decode(encoded)
	if err != nil {
		m.t.Fatalf("sends what cannot be decoded: %v: %+v", err, message)
	}
	return got
}

func (m *trio) named(name string) *node {
	for _, n := range m.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

func (m *trio) id() uint64 { m.ids++; return m.ids }

func (m *trio) lookup(n *node, tag ring.Tag, h ring.UserHash) {
	if _, ok := n.core.TryLookup(m.now, tag, h); ok {
		return
	}
	id := m.id()
	n.waiting[id] = m.now
	if _, ok := n.core.Lookup(m.now, id, tag, h); ok {
		delete(n.waiting, id)
	}
}

// calm leaves the mesh alone for a while. Then lookups are asked of all, and those and all before
// must end.
func (m *trio) calm() {
	const alone, limit, step = 20 * time.Second, 31 * time.Second, 100 * time.Millisecond
	for end := m.now.Add(alone); m.now < end; {
		m.tick(step)
	}
	for _, n := range m.nodes {
		for h := range uint32(8) {
			m.lookup(n, "", ring.UserHash(h*fuzzHashStep))
		}
	}
	for end := m.now.Add(limit); m.now < end; {
		m.tick(step)
	}
	for _, n := range m.nodes {
		for id, since := range n.waiting {
			m.t.Errorf("%s has not ended lookup %d after %v: %+v",
				n.name, id, m.now.Sub(since), n.core.Self(m.now))
		}
		if self := n.core.Self(m.now); !self.Synced {
			m.t.Errorf("%s does not answer by itself: %s", n.name, self.Reason)
		}
	}
}
