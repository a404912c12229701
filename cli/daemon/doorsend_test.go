package daemon

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"directormesh/cli/door/authrelay"
	"directormesh/cli/handover"
)

// silentAuth is a socket like Dovecot's auth, which accepts and says nothing.
func silentAuth(t *testing.T) string {
	t.Helper()
	path := filepath.Join(socketDir(t), "auth")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			if _, err := l.Accept(); err != nil {
				return
			}
		}
	}()
	return path
}

// TestDoorsEnd stops a director that has all doors, each with an idle client: the client sees the
// end of its connection, and nobody can connect any more. Each server ends in good order: it has
// Shutdown or, as the auth doors, a Close that answers first.
func TestDoorsEnd(t *testing.T) {
	auth := silentAuth(t)
	r := start(t, testOptions(t, map[string]string{
		"http": "127.0.0.1:0", "metrics": "127.0.0.1:0", "admin-tcp": "127.0.0.1:0",
		"auth-login-socket": auth, "auth-userdb-socket": auth,
	}), nil)
	r.state(t, "READY=1")
	for _, o := range r.doors {
		switch o.server.(type) {
		case drainer, *authrelay.Server:
		default:
			t.Errorf("%T cuts its clients off: it has no Shutdown", o.server)
		}
	}
	const request = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
	clients := make(map[handover.Kind]net.Conn)
	addrs := make(map[handover.Kind]net.Addr)
	for _, s := range r.sockets {
		if s.listener == nil {
			continue
		}
		a := s.listener.Addr()
		c, err := net.Dial(a.Network(), a.String())
		if err != nil {
			t.Fatalf("%s: %v", s.kind, err)
		}
		defer c.Close()
		switch s.kind {
		case handover.API, handover.HTTP, handover.Metrics:
			// net/http gives a connection without any request five seconds to make one.
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatalf("%s: %v", s.kind, err)
			}
		}
		clients[s.kind], addrs[s.kind] = c, a
	}
	for _, row := range doorTable() {
		if listens := row.unix != nil || row.tcp != nil; listens && clients[row.kind] == nil {
			t.Errorf("%s was not opened", row.kind)
		}
	}
	r.signals <- syscall.SIGTERM
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	for kind, c := range clients {
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		// Some doors greet their clients.
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: its client is still connected", kind)
		}
		if c, err := net.Dial(addrs[kind].Network(), addrs[kind].String()); err == nil {
			c.Close()
			t.Errorf("%s: it still accepts", kind)
		}
	}
}
