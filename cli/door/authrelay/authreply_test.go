package authrelay

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/ring"
)

// talk starts an authreply conversation.
func (f *fixture) talk() *end {
	f.t.Helper()
	c := f.client()
	c.expect(greeting)
	c.send("VERSION\tdirector-authreply-client\t1\t5\n")
	return c
}

// What becomes of reply lines, by the rules of Dovecot's director.
func TestReplies(t *testing.T) {
	const refresh = "\tproxy_refresh=450"
	tests := []struct{ name, line, appended string }{
		{"proxy", "OK\t1\tuser=a\tproxy", refresh + "\thost=192.0.2.1"},
		{"proxy with a value", "OK\t1\tuser=a\tproxy=n", refresh + "\thost=192.0.2.1"},
		{"order does not matter", "OK\t1\tproxy=y\tresp=x\tuser=a", refresh + "\thost=192.0.2.1"},
		{"backend with a name", "OK\t1\tuser=six\tproxy",
			refresh + "\thost=mail6.example.org\thostip=2001:db8::6"},
		{"destuser", "OK\t1\tdestuser=six\tuser=a\tproxy",
			refresh + "\thost=mail6.example.org\thostip=2001:db8::6"},
		{"last destuser", "OK\t1\tuser=a\tdestuser=b\tdestuser=six\tproxy",
			refresh + "\thost=mail6.example.org\thostip=2001:db8::6"},
		{"first user", "OK\t1\tuser=six\tuser=a\tproxy",
			refresh + "\thost=mail6.example.org\thostip=2001:db8::6"},
		{"only a destuser", "OK\t1\tdestuser=six\tproxy",
			refresh + "\thost=mail6.example.org\thostip=2001:db8::6"},
		{"user of no bytes", "OK\t1\tuser=\tproxy", refresh + "\thost=192.0.2.1"},
		{"escaped user", "OK\t1\tuser=s\x01ix\tproxy",
			refresh + "\thost=mail6.example.org\thostip=2001:db8::6"},
		{"escape at the end", "OK\t1\tuser=six\x01\tproxy",
			refresh + "\thost=mail6.example.org\thostip=2001:db8::6"},
		{"escaped key", "OK\t1\tuser=a\t\x01proxy", refresh + "\thost=192.0.2.1"},
		{"master user", "OK\t1\tuser=six*master*x\tproxy",
			refresh + "\thost=mail6.example.org\thostip=2001:db8::6"},
		{"maybe", "OK\t1\tuser=a\tdirector_proxy_maybe", refresh + "\thost=192.0.2.1"},
		{"maybe, here", "OK\t1\tuser=a\tdirector_proxy_maybe\tlip=192.0.2.1", ""},
		{"maybe, here, with a value",
			"OK\t1\tuser=a\tdirector_proxy_maybe=y\tlip=192.0.2.1\tlport=143", ""},
		{"maybe, same port",
			"OK\t1\tuser=a\tdirector_proxy_maybe\tlip=192.0.2.1\tlport=143\tport=143", ""},
		{"maybe, other port",
			"OK\t1\tuser=a\tdirector_proxy_maybe\tlip=192.0.2.1\tlport=143\tport=144",
			refresh + "\thost=192.0.2.1"},
		{"maybe, elsewhere", "OK\t1\tuser=a\tdirector_proxy_maybe\tlip=192.0.2.2",
			refresh + "\thost=192.0.2.1"},
		{"maybe, bad address", "OK\t1\tuser=a\tdirector_proxy_maybe\tlip=here",
			refresh + "\thost=192.0.2.1"},
		{"maybe, bad port",
			"OK\t1\tuser=a\tdirector_proxy_maybe\tlip=192.0.2.1\tlport=143\tport=66000", ""},
		{"proxy and maybe", "OK\t1\tuser=a\tproxy\tdirector_proxy_maybe\tlip=192.0.2.1", ""},
		{"proxy, here", "OK\t1\tuser=a\tproxy\tlip=192.0.2.1", refresh + "\thost=192.0.2.1"},
		{"has a host", "OK\t1\tuser=a\tproxy\thost=192.0.2.9", ""},
		{"has an empty host", "OK\t1\tuser=a\tproxy\thost=", ""},
		{"host without a value", "OK\t1\tuser=a\tproxy\thost", refresh + "\thost=192.0.2.1"},
		{"no wish", "OK\t1\tuser=a", ""},
		{"other wishes", "OK\t1\tuser=a\tproxy_maybe\tproxymaybe", ""},
		{"no name", "OK\t1\tproxy", ""},
		{"name without a value", "OK\t1\tuser\tproxy", ""},
		{"no fields", "OK\t1", ""},
		{"no id", "OK", ""},
		{"empty fields", "OK\t\t\tuser=a\t\tproxy", refresh + "\thost=192.0.2.1"},
		{"lower case", "ok\t1\tuser=a\tproxy", ""},
		{"another verb", "PASS\t1\tuser=a\tproxy", ""},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, Config{
					Protocol: Authreply, Separator: '*', ProxyRefresh: 450 * time.Second,
				})
				f.director.backends = map[ring.UserHash]netip.Addr{format.Hash("six"): backend6}
				c := f.talk()
				for _, ending := range []string{"\n", "\r\n"} {
					c.send(tt.line + ending)
					c.expect(tt.line + tt.appended + ending)
				}
				synctest.Wait()
				bad := strings.HasPrefix(tt.name, "maybe, bad")
				if bad != strings.Contains(f.log.String(), texts[badField]) {
					t.Errorf("log: %s", f.log)
				}
			})
		})
	}
}

// Without a FIFO that is held open, no reply asks login processes to write to it.
func TestNoRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Authreply})
		c := f.talk()
		c.send("OK\t1\tuser=a\tproxy\tdirector_tag=old\tdirector_tag=s\x01tsd\n")
		c.expect("OK\t1\tuser=a\tproxy\tdirector_tag=old\tdirector_tag=s\x01tsd\thost=192.0.2.1\n")
		if diff := cmp.Diff([]ring.Tag{"s\tsd"}, f.director.tags); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
	})
}

// Lines that came in before the client hung up are answered, also if they wait.
func TestHangUp(t *testing.T) {
	f := newFixture(t, Config{Protocol: Authreply})
	release := f.director.hold("slow")
	conn := f.socket()
	c := newEnd(t, "client", conn)
	c.expect(greeting)
	c.send(
		"VERSION\tdirector-authreply-client\t1\t0\nOK\t1\tuser=slow\tproxy\nOK\t2\tuser=a\tproxy\n")
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.expect("OK\t2\tuser=a\tproxy\thost=192.0.2.1\n")
	release <- nil
	c.expect("OK\t1\tuser=slow\tproxy\thost=192.0.2.1\n")
	c.expectEnd()
}

func TestWrongVersion(t *testing.T) {
	for _, line := range []string{
		"VERSION\tdirector-authreply-server\t1\t0", "VERSION\tdirector-authreply-client\t2\t0",
		"VERSION\t1\t2", "", "OK\t1\tuser=a\tproxy",
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, Config{Protocol: Authreply})
			c := f.client()
			c.expect(greeting)
			c.send(line + "\n")
			c.expectEnd()
			f.logged(clientVersion)
		})
	}
}

// A pipelining client gets all its answers in order, however its bytes are cut.
func TestPipelining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Authreply})
		c := f.talk()
		const line, answer = "OK\t12\tuser=somebody@example.org\tproxy\n",
			"OK\t12\tuser=somebody@example.org\tproxy\thost=192.0.2.1\n"
		const n = 5000
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			all := strings.Repeat(line, n)
			for size := 1; len(all) > 0; size = size*3%40007 + 1 {
				size = min(size, len(all))
				c.Write([]byte(all[:size]))
				all = all[size:]
			}
		}()
		c.expect(strings.Repeat(answer, n))
		<-sent
	})
}

// Lines that come together are looked up together. Those whose users wait stay behind, be they the
// same user's; all others keep their order.
func TestLookedUpTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Authreply})
		release := f.director.hold("slow")
		c := f.talk()
		var lines, want, late strings.Builder
		for i := range 3 * batchSize {
			user, to := "user", &want
			switch {
			case i%11 == 3:
				user = "six"
			case i == 5, i == 7, i == batchSize+1: // two in one batch
				user, to = "slow", &late
			case i%13 == 4: // not looked up
				line := fmt.Sprintf("FAIL\t%d\tuser=user\n", i)
				lines.WriteString(line)
				want.WriteString(line)
				continue
			}
			line := fmt.Sprintf("OK\t%d\tuser=%s\tproxy", i, user)
			lines.WriteString(line + "\n")
			if user == "six" {
				line += "\thost=mail6.example.org\thostip=2001:db8::6\n"
			} else {
				line += "\thost=192.0.2.1\n"
			}
			to.WriteString(line)
		}
		f.director.backends = map[ring.UserHash]netip.Addr{format.Hash("six"): backend6}
		sent := make(chan struct{})
		go func() { // the pipe has no room, so the door cannot read on before its answers are read
			defer close(sent)
			c.Write([]byte(lines.String()))
		}()
		c.expect(want.String())
		<-sent
		c.expectSilence(time.Second)
		c.SetReadDeadline(time.Time{})
		var got []string
		for range strings.Count(late.String(), "\n") {
			release <- nil
			line, err := c.in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, line)
		}
		slices.Sort(got) // they may come in any order
		if diff := cmp.Diff(slices.Sorted(strings.Lines(late.String())), got); diff != "" {
			t.Errorf("held replies (-want +got):\n%s", diff)
		}
		if f.director.most < batchSize/2 || f.director.most > batchSize {
			t.Errorf("at most %d users were looked up together, want nearly %d",
				f.director.most, batchSize)
		}
	})
}

func TestBadConfig(t *testing.T) {
	_, err := New(Config{Protocol: Login, Director: &fakeDirector{}})
	if err == nil || !strings.Contains(err.Error(), "no auth socket") {
		t.Errorf("error %v", err)
	}
}

// socket connects by a real socket.
func (f *fixture) socket() *net.UnixConn {
	f.t.Helper()
	dir, err := os.MkdirTemp("", "d")
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { os.RemoveAll(dir) })
	addr := &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"}
	l, err := net.ListenUnix("unix", addr)
	if err != nil {
		f.t.Fatal(err)
	}
	go f.server.Serve(l)
	c, err := net.DialUnix("unix", nil, addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	return c
}

// TestHostNamesAreEscaped checks that the name of a backend cannot add fields or lines to a reply,
// wherever it came from.
func TestHostNamesAreEscaped(t *testing.T) {
	c := newCompleter(Config{})
	at := assignment{backend: netip.MustParseAddr("192.0.2.1"), name: "evil\tnologin\nOK\t2"}
	got, err := c.append(nil, []byte("OK\t1\tuser=bob\tproxy"), []byte("\n"), &reply{}, at)
	want := "OK\t1\tuser=bob\tproxy\thost=evil\x01tnologin\x01nOK\x01t2\thostip=192.0.2.1\n"
	if err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
