package daemon

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/cli/door/webauth/webauthtest"
	"directormesh/cli/handover"
)

// ended is a visitor that knows whether its connection was closed.
type ended struct {
	visitor
	closed bool
}

func (e *ended) Close() error {
	e.closed = true
	return nil
}

// strangers enter one crowd, where clients prove who they are.
type strangers struct {
	t     *testing.T
	crowd *crowd
}

func newStrangers(t *testing.T, most int) strangers {
	t.Helper()
	metrics, err := newCrowdMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return strangers{t, newCrowd("http", most, zerolog.Nop(), metrics)}
}

// arrive accepts a connection from an address; it is nil if it was closed at once.
func (s strangers) arrive(from string) (*crowdConn, *ended) {
	inner := &ended{visitor: visitor{from: from}}
	l := crowdListener{&oneListener{conn: inner}, s.crowd, true}
	conn, err := l.Accept()
	if err != nil {
		return nil, inner
	}
	return conn.(*crowdConn), inner
}

// oneListener has one connection.
type oneListener struct {
	net.Listener
	conn net.Conn
}

func (l *oneListener) Accept() (net.Conn, error) {
	if l.conn == nil {
		return nil, net.ErrClosed
	}
	conn := l.conn
	l.conn = nil
	return conn, nil
}

// TestCrowdedHTTPS fills the door for HTTPS of a director that may have few descriptors, with
// connections that say nothing. director.sock answers, and so does HTTPS for a right user, at the
// address of the strangers too.
func TestCrowdedHTTPS(t *testing.T) {
	dir := socketDir(t)
	files := webauthtest.NewFiles(t, dir, accessHost)
	files.Configure(nil, map[string]string{"bob": "bobs"})
	options, log, end := startCrowded(t, dir)
	at := options.Doors[handover.HTTP].TCP
	leave := fill(t, at)
	for range 20 {
		if status, body := askHTTPS(t, at, files, http.MethodGet, "bob:bobs"); status != 200 {
			t.Errorf("%d %s", status, body)
		}
		if _, err := client(t, options.SocketPath()).Self(t.Context()); err != nil {
			t.Error(err)
		}
	}
	leave()
	end()
	if !strings.Contains(log.String(), "too many connections at a door") {
		t.Errorf("the door was never full:\n%s", log)
	}
}

// TestStrangersYield fills a door from more addresses than it takes connections. Each newcomer gets
// in, the oldest that has proved nothing goes, and who has proved a name stays.
func TestStrangersYield(t *testing.T) {
	const most = 16
	s := newStrangers(t, most)
	conn, right := s.arrive("192.0.2.1")
	if !conn.Proved("user:alice") {
		t.Fatal("the first connection of a name is one too many")
	}
	var waiting []*ended
	for i := range 10 * most {
		conn, inner := s.arrive(fmt.Sprintf("198.51.100.%d", i))
		if conn == nil {
			t.Fatalf("number %d does not get in", i)
		}
		waiting = append(waiting, inner)
	}
	if right.closed {
		t.Error("strangers have closed the connection of a known user")
	}
	for i, inner := range waiting {
		if gone := i < len(waiting)-(most-1); inner.closed != gone {
			t.Errorf("number %d: closed %v", i, inner.closed)
		}
	}
	conn.Close()
	if s.crowd.all != most-1 || s.crowd.strangers.Len() != most-1 {
		t.Errorf("%d connections, %d of strangers", s.crowd.all, s.crowd.strangers.Len())
	}
}

// TestStrangersOfFewAddresses fills a door from fewer addresses than it takes connections. The
// connection of somebody who opens one and has not proved anything yet stays.
func TestStrangersOfFewAddresses(t *testing.T) {
	const most, hosts = 16, 10
	s := newStrangers(t, most)
	slow, inner := s.arrive("192.0.2.1")
	for i := range 100 * most {
		if conn, _ := s.arrive(fmt.Sprintf("198.51.100.%d", i%hosts)); conn == nil {
			t.Fatalf("number %d does not get in", i)
		}
	}
	if inner.closed {
		t.Error("a single connection had to yield to one of many")
	}
	if !slow.Proved("user:alice") || len(s.crowd.unproved) != hosts {
		t.Errorf("unproved: %v", s.crowd.unproved)
	}
	for s.crowd.strangers.Len() > 0 {
		s.crowd.strangers.Front().Value.(*crowdConn).Close()
	}
	if len(s.crowd.unproved) > 0 || s.crowd.all != 1 {
		t.Errorf("unproved: %v of %d connections", s.crowd.unproved, s.crowd.all)
	}
}

// TestStrangersOfOneAddress fills the share of one address: strangers there yield to each other and
// to known users, and known users to nobody.
func TestStrangersOfOneAddress(t *testing.T) {
	const most, share = 16, 4
	s := newStrangers(t, most)
	other, inner := s.arrive("192.0.2.2")
	for range 100 {
		if conn, _ := s.arrive("192.0.2.1"); conn == nil {
			t.Fatal("a newcomer does not get in")
		}
	}
	if inner.closed {
		t.Error("strangers at another address have closed this one")
	}
	for i := range share {
		conn, _ := s.arrive("192.0.2.1")
		if conn == nil || !conn.Proved(fmt.Sprintf("user:%d", i)) {
			t.Fatalf("user %d does not get in", i)
		}
	}
	if conn, _ := s.arrive("192.0.2.1"); conn != nil {
		t.Error("an address has more than its share")
	}
	other.Close()
	if s.crowd.all != share || s.crowd.strangers.Len() != 0 {
		t.Errorf("%d connections, %d of strangers", s.crowd.all, s.crowd.strangers.Len())
	}
}

// TestOneNameOfMany gives one name no more than three quarters of a door, from however many
// addresses.
func TestOneNameOfMany(t *testing.T) {
	const most = 16
	s := newStrangers(t, most)
	var last *crowdConn
	for i := range most {
		conn, _ := s.arrive(fmt.Sprintf("198.51.100.%d", i))
		if conn == nil {
			t.Fatalf("number %d does not get in", i)
		}
		if got, want := conn.Proved("user:alice"), i < 3*most/4; got != want {
			t.Errorf("connection %d: %v", i, got)
		}
		if i == 0 {
			last = conn
		}
	}
	if !last.Proved("user:alice") {
		t.Error("a connection that counts is refused when its client asks again")
	}
	last.Close()
	if conn, _ := s.arrive("203.0.113.1"); !conn.Proved("user:alice") {
		t.Error("a connection that has ended still counts")
	}
	if s.crowd.all > most {
		t.Errorf("%d connections", s.crowd.all)
	}
}
