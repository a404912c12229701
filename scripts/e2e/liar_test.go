//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/mesh/wire/wiretest"
)

// liarTime bounds the time in which lookups may be held because of what a liar says: as long as any
// lookup may wait, and a second.
const liarTime = 31 * time.Second

// TestLiar has a program in a mesh that has the key, and lies: it sends messages of every kind to
// two directors, and in each field of each in turn something that cannot be, or should not. Neither
// may crash, grow, lose the other, or leave a lookup unanswered.
func TestLiar(t *testing.T) {
	m := startKeyed(t)
	d1, d2 := m.directors[0], m.directors[1]
	lookupAll(t, d1, users("known", 500), newOracle(evenly(100, fourBackends...)))
	checkSame(t, m.directors)
	before := []metrics{metricsOf(t, d1), metricsOf(t, d2)}
	loads := []*load{
		startLoad(t, d1, 50, mixedUsers(users("known", 500), "new-at-d1-")),
		startLoad(t, d2, 50, mixedUsers(users("known", 500), "new-at-d2-")),
	}
	l := newLiar(t)
	told := make(map[string]int)
	for number := range wiretest.Samples() {
		for _, d := range m.directors {
			kind, lies := l.tellAll(d, number)
			told[kind] += lies
		}
	}
	l.end()
	t.Logf("lies told by kind: %v", told)
	for kind, lies := range told {
		if lies == 0 {
			t.Errorf("nothing was told in a %s", kind)
		}
	}
	pause(t, 5*time.Second)
	var answers []answer
	for _, running := range loads {
		answers = append(answers, running.end()...)
	}
	for _, a := range answers {
		if a.err != nil || a.took() > liarTime {
			t.Errorf("%s at %s: %v after %v", a.user, a.at.name, a.err, a.took())
		}
	}
	checkWaits(t, answers)
	m.awaitSynced(30*time.Second, d1, d2)
	checkSame(t, m.directors)
	for i, d := range m.directors {
		grown := metricsOf(t, d).since(before[i])
		t.Logf("%s took up to %d MB; %v", d.name, d.peakMemory()>>20, grown.refusals())
		if d.peakMemory() > maxPeak {
			t.Errorf("%s took more than %d MB of memory", d.name, maxPeak>>20)
		}
		for _, name := range []string{
			`director_mesh_handshake_failures_total{reason="not_allowed"}`,
			`director_mesh_messages_ignored_total{reason="unexpected"}`,
			`director_mesh_values_dropped_total{reason="ahead_of_time"}`,
			`director_mesh_values_dropped_total{reason="unknown_backend"}`,
			`director_mesh_peers_excluded_total`,
		} {
			if grown[name] == 0 {
				t.Errorf("%s has not grown at %s", name, d.name)
			}
		}
		for _, of := range m.directors {
			if row, err := m.row(d, of); err != nil || row.lastFailed != "never" {
				t.Errorf("%s sees %s as %+v %v", d.name, of.name, row, err)
			}
		}
	}
}

// refusals are those of the values that count what a director did not take.
func (m metrics) refusals() metrics {
	of := make(metrics)
	for name, value := range m {
		for _, word := range []string{"dropped", "ignored", "failures", "refus", "excluded"} {
			if strings.HasPrefix(name, "director_mesh_") && strings.Contains(name, word) {
				of[name] = value
			}
		}
	}
	return of
}

// liar is a peer of all directors: it dials them, takes their streams, and beats, so that they
// count it. All that it says beside that is lies.
type liar struct {
	t    *testing.T
	addr netip.AddrPort
	l    net.Listener
	done sync.WaitGroup

	mu    sync.Mutex
	boot  uint64               // of its present life
	conns map[net.Conn]bool    // incoming; nil at the end
	heard map[string]heardBeat // the last beat of each director
	talks map[string]*talk     // by director, the last

	answers map[string][]byte // to questions, by topic; does not change
}

type heardBeat struct {
	wire.Beat
	at time.Time
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	ip := netip.MustParseAddr("127.0.0.66")
	l := &liar{t: t, conns: make(map[net.Conn]bool), heard: make(map[string]heardBeat),
		talks: make(map[string]*talk)}
	l.addr = netip.AddrPortFrom(ip, freePort(t, ip))
	var err error
	if l.l, err = net.Listen("tcp", l.addr.String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.end)
	l.done.Go(func() {
		for {
			conn, err := l.l.Accept()
			if err != nil {
				return // closed
			}
			l.mu.Lock()
			if l.conns == nil {
				conn.Close()
			} else {
				l.conns[conn] = true
				l.done.Go(func() { l.listen(conn) })
			}
			l.mu.Unlock()
		}
	})
	return l
}

// end ends all streams; it may be called twice.
func (l *liar) end() {
	l.l.Close()
	l.mu.Lock()
	for conn := range l.conns {
		conn.Close()
	}
	l.conns = nil
	l.mu.Unlock()
	l.done.Wait()
}

// hello is what it says first: the truth.
func (l *liar) hello(mesh wire.MeshRank) *wire.Hello {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &wire.Hello{
		Settings: wire.Settings{
			Protocol: replica.ProtocolVersion, Mesh: "director", HashFormat: "%Lu",
			Expire: (15 * time.Minute).Milliseconds(),
		},
		From: wire.Peer{Name: "liar", Boot: l.boot, Addr: l.addr}, Mesh: mesh,
		MeshTime: meshTime(), Up: 60_000,
	}
}

// meshTime is what it takes for mesh time: this machine's clock, as its directors do.
func meshTime() directory.Micros { return directory.Micros(time.Now().UnixMicro()) }

// listen takes a director's stream and hears its beats. memberlist's streams end at once.
func (l *liar) listen(conn net.Conn) {
	defer func() {
		conn.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, conn)
	}()
	_ = conn.SetDeadline(time.Now().Add(openingTime))
	s, err := acceptStream(conn)
	if err != nil {
		return
	}
	first, err := s.Receive()
	hello, ok := first.(*wire.Hello)
	if err != nil || !ok {
		return
	}
	reply := l.hello(hello.Mesh)
	reply.Answers = hello.From.Boot
	if s.Send(reply) != nil {
		return
	}
	_ = conn.SetDeadline(time.Time{})
	for {
		message, err := s.Receive()
		if err != nil {
			return
		}
		l.mu.Lock()
		talk := l.talks[hello.From.Name]
		if beat, ok := message.(*wire.Beat); ok {
			l.heard[hello.From.Name] = heardBeat{*beat, time.Now()}
		}
		l.mu.Unlock()
		if q, ok := message.(*wire.Question); ok && talk != nil && l.answers[q.Topic] != nil {
			_ = talk.say(&wire.AnswerPart{ID: q.ID, Last: true, Body: l.answers[q.Topic]})
		}
	}
}

// A talk is a stream to a director on which beats go by themselves.
type talk struct {
	*wireStream
	mu   sync.Mutex // of what is sent
	with string
	mesh wire.MeshRank
	stop chan struct{}
	done sync.WaitGroup
}

// Send may be called from several goroutines.
func (k *talk) say(m wire.Message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.Send(m)
}

func (k *talk) end() {
	close(k.stop)
	k.Close()
	k.done.Wait()
}

// talkTo begins a new life and a stream to a director, and waits until the director counts it, if
// it does.
func (l *liar) talkTo(d *process) *talk {
	l.t.Helper()
	l.mu.Lock()
	l.boot = uint64(time.Now().UnixNano())
	delete(l.heard, d.name)
	l.mu.Unlock()
	s, mesh, err := l.open(d, l.hello(wire.MeshRank{}))
	if err != nil {
		l.t.Fatalf("%s takes no stream any more: %v", d.name, err)
	}
	k := &talk{wireStream: s, with: d.name, mesh: mesh, stop: make(chan struct{})}
	l.mu.Lock()
	l.talks[d.name] = k
	l.mu.Unlock()
	k.done.Go(func() { l.beat(k) })
	within(l.t, 10*time.Second, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.heard[d.name].Echo == 0 {
			return fmt.Errorf("%s does not answer a beat", d.name)
		}
		return nil
	})
	_ = k.say(&wire.AdmitRequest{Nonce: 1, Stopped: true, Member: true})
	return k
}

// open dials a director and says a hello.
func (l *liar) open(d *process, hello *wire.Hello) (*wireStream, wire.MeshRank, error) {
	dialer := net.Dialer{Timeout: openingTime, LocalAddr: &net.TCPAddr{IP: l.addr.Addr().AsSlice()}}
	conn, err := dialer.Dial("tcp", d.addr.String())
	if err != nil {
		return nil, wire.MeshRank{}, err
	}
	_ = conn.SetDeadline(time.Now().Add(openingTime))
	s, err := dialStream(conn)
	if err == nil {
		err = s.Send(hello)
	}
	var reply wire.Message
	if err == nil {
		reply, err = s.Receive()
	}
	answer, ok := reply.(*wire.Hello)
	if err == nil && !ok {
		err = fmt.Errorf("the director answers %+v", reply)
	}
	if err != nil {
		return nil, wire.MeshRank{}, errors.Join(err, conn.Close())
	}
	return s, answer.Mesh, conn.SetDeadline(time.Time{})
}

// beat keeps the liar alive in a director's eyes.
func (l *liar) beat(k *talk) {
	each := time.NewTicker(50 * time.Millisecond)
	defer each.Stop()
	began := time.Now()
	for {
		select {
		case <-k.stop:
			return
		case <-each.C:
		}
		l.mu.Lock()
		last := l.heard[k.with]
		l.mu.Unlock()
		m := &wire.Beat{SentAt: int64(time.Since(began)), Echo: last.SentAt, MeshTime: meshTime(),
			Wall: meshTime(), Counted: true, Mesh: k.mesh}
		if last.SentAt != 0 {
			m.EchoDelay = int64(time.Since(last.at))
		}
		if k.say(m) != nil {
			return
		}
	}
}

// tellAll sends a director the message of a kind with a lie in each field in turn, and returns how
// many lies there were.
func (l *liar) tellAll(d *process, number int) (kind string, lies int) {
	l.t.Helper()
	kind = wiretest.Samples()[number].Kind().String()
	k := l.talkTo(d)
	truth := l.hello(k.mesh)
	for _, message := range liesIn(number, truth) {
		if hello, ok := message.(*wire.Hello); ok {
			if s, _, err := l.open(d, hello); err == nil {
				s.Close()
			}
			lies++
			continue
		}
		if k == nil {
			k = l.talkTo(d)
		}
		encoded, err := wire.Encode(message)
		if err != nil {
			continue // there is no such message
		}
		switch message.(type) {
		case *wire.Delta:
			_ = gossipTo(d, encoded) // some are too large for a packet
		case *wire.PushPull:
			_ = exchangeWith(d, encoded) // of some the director has seen enough
		default:
			k.mu.Lock()
			err = k.sendFrame(encoded)
			k.mu.Unlock()
		}
		lies++
		if err != nil { // the director has had enough
			k.end()
			k = nil
		}
	}
	if k != nil {
		k.end()
	}
	return kind, lies
}
