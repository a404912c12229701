//go:build e2e

package dovecot

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// slowLogin serves a mail session whose login succeeds after a while.
func slowLogin(c net.Conn) {
	for lines := bufio.NewScanner(c); lines.Scan(); {
		tag, command, _ := strings.Cut(lines.Text(), " ")
		if strings.HasPrefix(strings.ToUpper(command), "LOGIN") ||
			strings.HasPrefix(strings.ToUpper(command), "AUTH") {
			time.Sleep(6 * time.Second)
		}
		fmt.Fprintf(c, "%s OK done.\r\n", tag)
	}
}

// A login that nothing can end on its way, the first of its login process, ends soon after it has
// arrived where the user is not any more.
func TestMoveSlowLogin(t *testing.T) {
	t.Parallel()
	slow := standIn(t, slowLogin)
	good := startBackends(t, 1)[0]
	s := newSite(t, dovecot23, 1, []netip.Addr{slow, good.ip}, "", "") // a process for each login
	s.kicks()
	startSites(t, s)
	user := s.director.userAt(slow)
	good.mark(user)
	logins := make(chan *mailConn, 1)
	go func() {
		defer close(logins)
		c, err := loginIMAP(s.port(143), user, "pass")
		if err != nil {
			t.Error(err) // the test is about a login that succeeds
			return
		}
		logins <- c
	}()
	if !eventually(5*time.Second, func() bool { return s.director.mapping(user).Mapped }) {
		t.Fatal("the login was not answered")
	}
	s.director.must("move", "--wait", user, good.ip.String())
	c, ok := <-logins
	if !ok {
		return
	}
	defer c.Close()
	moved, at := s.login(t, user)
	if at != good.name {
		t.Errorf("after the move the user is on %s, want %s", at, good.name)
	}
	if err := c.ended(10 * time.Second); err != nil {
		t.Errorf("the login that came late: %v", err)
	}
	if err := moved.alive(); err != nil {
		t.Errorf("the session after the move: %v", err)
	}
}
