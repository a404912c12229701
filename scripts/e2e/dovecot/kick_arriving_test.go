//go:build e2e

package dovecot

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

// standIn is the address of a mail server that greets and then does what serve does. It stands in
// for one that is in trouble, as Dovecot never is when one wants it to be.
func standIn(t *testing.T, serve func(net.Conn)) netip.Addr {
	t.Helper()
	return listen(t, 143, func(c net.Conn) {
		fmt.Fprint(c, "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready.\r\n")
		serve(c)
	})
}

// listen returns an address at whose port each connection is served by a goroutine of its own.
// Connections end with the test.
func listen(t *testing.T, port uint16, serve func(net.Conn)) netip.Addr {
	t.Helper()
	ip := newAddress(t)
	l, err := net.Listen("tcp", netip.AddrPortFrom(ip, port).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go serve(c)
		}
	}()
	return ip
}

// userAt returns a user whose backend is the one at ip.
func (d *director) userAt(ip netip.Addr) string {
	d.t.Helper()
	for i := range 1000 {
		user := fmt.Sprintf("arriving%d", i)
		var m struct{ Hashed string }
		d.statusOf(user, &m)
		if m.Hashed == ip.String() {
			return user
		}
	}
	d.t.Fatalf("no user has the backend %s", ip)
	return ""
}

// moveArriving moves a user whose login hangs on the way to a backend, and expects that it ends and
// that the next one works.
func moveArriving(t *testing.T, d *director, proxy string, silent netip.Addr, good *backend) {
	t.Helper()
	user := d.userAt(silent)
	good.mark(user, "warm")
	d.must("move", "--wait", "warm", good.ip.String())
	for range 4 { // Dovecot 2.3 knows a login process only after its first login
		warm, _ := openIMAP(t, proxy, "warm")
		warm.Close()
	}
	c, err := dialMail(proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.expect("", "* OK", "* "); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "a LOGIN %s pass\r\n", user); err != nil {
		t.Fatal(err)
	}
	if !eventually(5*time.Second, func() bool { return d.mapping(user).Mapped }) {
		t.Fatal("the login was not answered")
	}
	began := time.Now()
	d.must("move", "--wait", user, good.ip.String())
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the move took %v", took)
	}
	if err := c.ended(5 * time.Second); err != nil {
		t.Errorf("the login on its way to the old backend: %v", err)
	}
	if _, at := openIMAP(t, proxy, user); at != good.name {
		t.Errorf("after the move the user is on %s, want %s", at, good.name)
	}
}

// A login that is on its way to a backend that says nothing is ended by a move.
func TestMoveArriving(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, r release) {
		silent := standIn(t, func(net.Conn) {})
		good := startBackends(t, 1)[0]
		more := ""
		if r == dovecot23 {
			more = "service imap-login {\n  service_count = 0\n  process_limit = 1\n}\n"
		}
		s := newSite(t, r, 1, []netip.Addr{silent, good.ip}, "", more).kicks()
		startSites(t, s)
		moveArriving(t, s.director, s.port(143), silent, good)
	})
}
