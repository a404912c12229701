//go:build e2e

package dovecot

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// A backend accepts sessions, and what is appended can be fetched.
func TestBackend(t *testing.T) {
	t.Parallel()
	ip := newAddress(t)
	startBackend(t, "b1", ip, mailDir(t), "")
	conn, err := net.Dial("tcp", netip.AddrPortFrom(ip, 143).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, step := range []struct{ send, want string }{
		{"", "* OK"},
		{"a LOGIN alice@example.org pass", "a OK"},
		{"b APPEND INBOX {5+}\r\nhello", "b OK"},
		{"c SELECT INBOX", "c OK"},
		{"d FETCH 1 RFC822.SIZE", "RFC822.SIZE 5"},
	} {
		if step.send != "" {
			fmt.Fprintf(conn, "%s\r\n", step.send)
		}
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatalf("after %q: %v", step.send, err)
			}
			if strings.Contains(line, step.want) {
				break
			}
		}
	}
}

// Dovecot's own directors form a ring here.
func TestRing(t *testing.T) {
	t.Parallel()
	for _, d := range startRing(t, 2, []string{"127.0.2.1", "127.0.2.2"}, "") {
		got := d.doveadm("director", "status", "-a", d.adminSocket())
		if got.status != 0 || !strings.Contains(got.stdout, "127.0.2.2") {
			t.Errorf("%s: %+v", d.name, got)
		}
	}
}
