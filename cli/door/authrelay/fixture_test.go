package authrelay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/door/doortest"
	"directormesh/ring"
)

var (
	backend1 = netip.MustParseAddr("192.0.2.1")
	backend6 = netip.MustParseAddr("2001:db8::6")
	format   ring.HashFormat // %Lu
)

// fakeDirector answers backend1, unless a test says otherwise for a user.
type fakeDirector struct {
	mu       sync.Mutex
	backends map[ring.UserHash]netip.Addr
	held     map[ring.UserHash]chan error // the lookup waits for what comes; nil error: answered
	tags     []ring.Tag                   // of all lookups
	hashes   []ring.UserHash
	most     int // users looked up together
	waiting  int
}

func (d *fakeDirector) TryLookups(users []ring.Lookup) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range users {
		u := &users[i]
		d.tags, d.hashes = append(d.tags, u.Tag), append(d.hashes, u.Hash)
		u.Backend = netip.Addr{}
		if _, held := d.held[u.Hash]; !held {
			u.Backend = d.backendOf(u.Hash)
		}
	}
	d.most = max(d.most, len(users))
}

func (d *fakeDirector) backendOf(h ring.UserHash) netip.Addr {
	if p, ok := d.backends[h]; ok {
		return p
	}
	return backend1
}

func (d *fakeDirector) Lookup(
	ctx context.Context, _ ring.Tag, h ring.UserHash,
) (netip.Addr, error) {
	d.mu.Lock()
	answer := d.held[h]
	d.waiting++
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.waiting--
		d.mu.Unlock()
	}()
	select {
	case err := <-answer:
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.backendOf(h), err
	case <-ctx.Done():
		return netip.Addr{}, ctx.Err()
	}
}

func (d *fakeDirector) Names() map[netip.Addr]string {
	return map[netip.Addr]string{backend6: "mail6.example.org"}
}

// hold lets lookups of a user wait.
func (d *fakeDirector) hold(user string) chan error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held == nil {
		d.held = make(map[ring.UserHash]chan error)
	}
	c := make(chan error)
	d.held[format.Hash(user)] = c
	return c
}

// fixture is a door in a synctest bubble: clients and auth are pipes whose other ends the test
// holds.
type fixture struct {
	t        *testing.T
	server   *Server
	director *fakeDirector
	listener *doortest.PipeListener
	log      *bytes.Buffer
	dialed   chan net.Conn // auth's ends
}

func newFixture(t *testing.T, cfg Config) *fixture {
	t.Helper()
	f := &fixture{
		t: t, director: &fakeDirector{}, listener: doortest.NewPipeListener(),
		log: new(bytes.Buffer), dialed: make(chan net.Conn, 100),
	}
	cfg.Director = f.director
	cfg.Log = zerolog.New(zerolog.SyncWriter(f.log))
	if cfg.Dial == nil {
		cfg.Dial = f.dial
	}
	server, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.server = server
	served := make(chan error, 1)
	go func() { served <- server.Serve(f.listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return f
}

func (f *fixture) dial(context.Context) (net.Conn, error) {
	ours, auths := net.Pipe()
	f.dialed <- auths
	return ours, nil
}

// client connects.
func (f *fixture) client() *end {
	f.t.Helper()
	ours, doors := net.Pipe()
	f.t.Cleanup(func() { ours.Close() })
	f.listener.Connect(doors)
	return newEnd(f.t, "client", ours)
}

// auth is auth's end of the connection that was dialed next.
func (f *fixture) auth() *end {
	f.t.Helper()
	c := <-f.dialed
	f.t.Cleanup(func() { c.Close() })
	return newEnd(f.t, "auth", c)
}

// unserved is a link without connections.
func unserved(s *Server) *link { return newLink(s, s.loops.Adopt(nil)) }

// end is one end of a pipe, in the test's hands.
type end struct {
	t    *testing.T
	name string
	net.Conn
	in *bufio.Reader
}

func newEnd(t *testing.T, name string, c net.Conn) *end {
	return &end{t: t, name: name, Conn: c, in: bufio.NewReader(c)}
}

func (e *end) send(text string) {
	e.t.Helper()
	if _, err := io.WriteString(e.Conn, text); err != nil {
		e.t.Fatalf("%s sends %q: %v", e.name, text, err)
	}
}

// expect reads exactly this text.
func (e *end) expect(want string) {
	e.t.Helper()
	got := make([]byte, len(want))
	e.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := io.ReadFull(e.in, got)
	if diff := cmp.Diff(want, string(got[:n])); diff != "" {
		e.t.Fatalf("%s (%v), (-want +got):\n%s", e.name, err, diff)
	}
}

// expectEnd reads that the connection was closed.
func (e *end) expectEnd() {
	e.t.Helper()
	e.SetReadDeadline(time.Now().Add(time.Minute))
	if rest, err := io.ReadAll(e.in); err != nil || len(rest) > 0 {
		e.t.Fatalf("%s: %q, %v; want the end", e.name, rest, err)
	}
}

// expectSilence reads nothing for a while.
func (e *end) expectSilence(d time.Duration) {
	e.t.Helper()
	e.SetReadDeadline(time.Now().Add(d))
	if b, err := e.in.ReadByte(); err == nil {
		rest, _ := e.in.Peek(e.in.Buffered())
		e.t.Fatalf("%s: %q, want silence", e.name, append([]byte{b}, rest...))
	}
}

// logged checks that the log has a line about this trouble.
func (f *fixture) logged(c cause) {
	f.t.Helper()
	synctest.Wait()
	if !strings.Contains(f.log.String(), texts[c]) {
		f.t.Errorf("the log does not tell %q:\n%s", texts[c], f.log)
	}
}

var errHeld = errors.New("waited too long")
