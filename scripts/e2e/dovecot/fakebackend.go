//go:build e2e

package dovecot

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"directormesh/scripts/e2e/netns"
)

// fakeBackend is a mail server on a host of a network that lets everybody in by IMAP, and holds no
// mail. Its methods are safe for concurrent use.
type fakeBackend struct {
	ip    netip.Addr
	close func() // it answers nobody any more

	mu    sync.Mutex // guards users
	users []string   // who has logged in
}

func startFakeBackend(t *testing.T, host *netns.Host, ip netip.Addr) *fakeBackend {
	t.Helper()
	var l net.Listener
	if err := host.Do(func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(ip, 143).String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	b := &fakeBackend{ip: ip}
	var mu sync.Mutex // guards open
	var open []net.Conn
	var serving sync.WaitGroup
	b.close = sync.OnceFunc(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	t.Cleanup(b.close)
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			serving.Go(func() {
				defer c.Close()
				b.serve(c)
			})
		}
	})
	return b
}

// serve speaks IMAP until the client or the connection ends it.
func (b *fakeBackend) serve(c net.Conn) {
	fmt.Fprint(c, "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n")
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 2 {
			return
		}
		switch strings.ToUpper(words[1]) {
		case "LOGOUT":
			fmt.Fprintf(c, "* BYE\r\n%s OK bye\r\n", words[0])
			return
		case "LOGIN":
			b.saw(strings.Trim(words[2], `"`))
		case "AUTHENTICATE": // PLAIN, with its answer in the same line
			plain, err := base64.StdEncoding.DecodeString(words[len(words)-1])
			parts := strings.Split(string(plain), "\x00")
			if err != nil || len(parts) != 3 {
				return
			}
			b.saw(parts[1])
		}
		fmt.Fprintf(c, "%s OK [CAPABILITY IMAP4rev1] done\r\n", words[0])
	}
}

func (b *fakeBackend) saw(user string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.users = append(b.users, user)
}

// logins is how often a user has logged in.
func (b *fakeBackend) logins(user string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, u := range b.users {
		if u == user {
			n++
		}
	}
	return n
}
