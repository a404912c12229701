package authrelay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/mesh/meshtest/metrictest"
	"directormesh/ring"
)

// Both handshakes pass: that of 2.3, where auth speaks unasked, and that of 2.4, where it waits for
// the client's version.
func TestHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Login})
		old := "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t11589\nCUID\t1\n" +
			"COOKIE\t22677593f93ab5c27b2e1121c853ea09\nDONE\n"
		client := f.client()
		auth := f.auth()
		auth.send(old)
		client.expect(old)
		client.send("VERSION\t1\t2\nCPID\t11492\n")
		auth.expect("VERSION\t1\t2\nCPID\t11492\n")

		client = f.client()
		auth = f.auth()
		auth.send("VERSION\t1\t4\r\n")
		client.expect("VERSION\t1\t4\r\n")
		client.send("VERSION\t1\t4\r\nCPID\t7\r\n")
		auth.expect("VERSION\t1\t4\r\nCPID\t7\r\n")
		auth.send("MECH\tPLAIN\nNEWWORD\twith\tfields\nDONE\n")
		client.expect("MECH\tPLAIN\nNEWWORD\twith\tfields\nDONE\n")
	})
}

// A login from AUTH to the completed OK; ids are opaque.
func TestLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Login, ProxyRefresh: 450 * time.Second})
		client := f.client()
		auth := f.auth()
		client.send("AUTH\t4294967295\tPLAIN\tservice=imap\tresp=AGEAYg==\n")
		auth.expect("AUTH\t4294967295\tPLAIN\tservice=imap\tresp=AGEAYg==\n")
		auth.send("CONT\t4294967295\tVXNlcm5hbWU6\n")
		client.expect("CONT\t4294967295\tVXNlcm5hbWU6\n")
		client.send("CONT\t4294967295\tcGxhaW4=\n")
		auth.expect("CONT\t4294967295\tcGxhaW4=\n")
		auth.send("OK\t4294967295\tuser=alice\tproxy\tpass=x\n")
		client.expect(
			"OK\t4294967295\tuser=alice\tproxy\tpass=x\tproxy_refresh=450\thost=192.0.2.1\n")
		if n := f.server.requests.Load(); n != 0 {
			t.Errorf("%d requests are still open", n)
		}
		// A local login passes untouched.
		auth.send("OK\tx\tuser=alice\n")
		client.expect("OK\tx\tuser=alice\n")

		client.Close()
		auth.expectEnd()
	})
}

// A user who has to wait delays neither others on the connection nor what else it carries.
func TestHeldUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Userdb})
		release := f.director.hold("slow")
		failing := f.director.hold("failing")
		client := f.client()
		auth := f.auth()
		client.send("PASS\t1\tslow\r\nPASS\t2\tfast\r\nPASS\t3\tfailing\r\n")
		auth.expect("PASS\t1\tslow\r\nPASS\t2\tfast\r\nPASS\t3\tfailing\r\n")
		auth.send("PASS\t1\tuser=slow\tproxy=y\r\nPASS\t2\tuser=fast\tproxy=y\r\n" +
			"PASS\t3\tuser=failing\tproxy=y\r\nFAIL\t9\n")
		client.expect("PASS\t2\tuser=fast\tproxy=y\thost=192.0.2.1\r\nFAIL\t9\n")
		client.expectSilence(20 * time.Second)
		release <- nil
		client.expect("PASS\t1\tuser=slow\tproxy=y\thost=192.0.2.1\r\n")
		failing <- errHeld
		client.expect("FAIL\t3\tcode=temp_fail\r\n")
		f.logged(lookupFailed)
		if log := f.log.String(); strings.Contains(log, "user=failing") ||
			!strings.Contains(log, format.Hash("failing").String()) {
			t.Errorf("the log should tell the hash, not the name:\n%s", log)
		}
		if n := f.server.requests.Load() + f.server.held.Load(); n != 0 {
			t.Errorf("%d requests are still open", n)
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(f.server.lookups)
		got := metrictest.Values(t, registry)
		if got["director_lookups_total userdb answered"] != 2 ||
			got["director_lookups_total userdb failed"] != 1 {
			t.Errorf("two users got an answer, one did not; counted %v", got)
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			h := family.GetMetric()[0].GetHistogram()
			if h != nil && (h.GetSampleSum() < 40 || h.GetSampleSum() > 41) {
				t.Errorf("two of the lookups took 20 s each, all together %g", h.GetSampleSum())
			}
		}
	})
}

// A director that never answers is given up.
func TestLookupEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Login})
		f.director.hold("slow")
		client := f.client()
		auth := f.auth()
		auth.send("OK\t1\tuser=slow\tproxy\n")
		client.expectSilence(lookupTime - time.Second)
		client.expect("FAIL\t1\tcode=temp_fail\n")
	})
}

// When the door closes, everything that is open fails for now; what was answered or given up does
// not.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Login})
		f.director.hold("slow")
		client := f.client()
		auth := f.auth()
		for _, id := range []string{"1", "2", "3", "4"} {
			client.send("AUTH\t" + id + "\tPLAIN\n")
			auth.expect("AUTH\t" + id + "\tPLAIN\n")
		}
		auth.send("OK\t1\tuser=slow\tproxy\nFAIL\t2\nCONT\t3\t\n")
		client.expect("FAIL\t2\nCONT\t3\t\n")
		client.send("CANCEL\t4\nAUTH\t5\tPLAIN\n")
		auth.expect("CANCEL\t4\nAUTH\t5\tPLAIN\n")
		dumb := f.client() // never reads, has something open
		dumbAuth := f.auth()
		dumb.send("AUTH\t1\tPLAIN\n")
		dumbAuth.expect("AUTH\t1\tPLAIN\n")

		began := time.Now()
		closed := make(chan error)
		go func() { closed <- f.server.Close() }()
		var got []string
		for range 3 {
			line, err := client.in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, line)
		}
		slices.Sort(got)
		want := []string{
			"FAIL\t1\tcode=temp_fail\n", "FAIL\t3\tcode=temp_fail\n", "FAIL\t5\tcode=temp_fail\n",
		}
		if !slices.Equal(got, want) {
			t.Errorf("failures %q, want %q", got, want)
		}
		client.expectEnd()
		auth.expectEnd()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*closeTime {
			t.Errorf("closing took %v", took)
		}
		if f.director.waiting != 0 {
			t.Errorf("%d lookups still wait", f.director.waiting)
		}
		if err := f.server.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
	})
}

// A list of users fails in its own way.
func TestCloseWhileListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Userdb})
		client := f.client()
		auth := f.auth()
		client.send("LIST\t3\tservice=doveadm\nUSER\t4\tbob\n")
		auth.expect("LIST\t3\tservice=doveadm\nUSER\t4\tbob\n")
		auth.send("LIST\t3\tamy\nUSER\t4\tbob\tuid=1\n")
		client.expect("LIST\t3\tamy\nUSER\t4\tbob\tuid=1\n")
		go f.server.Close()
		client.expect("DONE\t3\tfail\n")
		client.expectEnd()
	})
}

// An auth that goes away fails what is open; a connection that just closed would look like a wrong
// password.
func TestAuthGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Login})
		client := f.client()
		auth := f.auth()
		client.send("AUTH\t1\tPLAIN\n")
		auth.expect("AUTH\t1\tPLAIN\n")
		auth.Close()
		client.expect("FAIL\t1\tcode=temp_fail\n")
		client.expectEnd()
		f.logged(authClosed)
	})
}

// An auth that is not there is waited for as long as a restart takes.
func TestAuthAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := make(chan net.Conn)
		f := newFixture(t, Config{Protocol: Login, Dial: func(context.Context) (net.Conn, error) {
			select {
			case c := <-back:
				return c, nil
			default:
				return nil, errors.New("connection refused")
			}
		}})
		client := f.client()
		began := time.Now()
		client.expectEnd()
		if took := time.Since(began); took < dialTime || took > dialTime+time.Second {
			t.Errorf("given up after %v", took)
		}
		f.logged(authUnreachable)

		client = f.client()
		time.Sleep(time.Second)
		ours, auths := net.Pipe()
		defer auths.Close()
		go func() { back <- ours }()
		auth := newEnd(t, "auth", auths)
		auth.send("VERSION\t1\t2\n")
		client.expect("VERSION\t1\t2\n")
	})
}

// An auth that hangs, and a client that does not read, hold up nobody else. They lose their
// connections, and what waits for such an auth fails for now.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Login})
		f.client() // it does not read
		stuckAuth := f.auth()
		waiting := f.client()
		f.auth()                         // it hangs
		waiting.send("AUTH\t1\tPLAIN\n") // nobody reads it
		other := f.client()
		otherAuth := f.auth()
		check := func() {
			t.Helper()
			other.send("AUTH\t7\tPLAIN\n")
			otherAuth.expect("AUTH\t7\tPLAIN\n")
			otherAuth.send("OK\t7\tuser=a\tproxy\n")
			other.expect("OK\t7\tuser=a\tproxy\thost=192.0.2.1\n")
		}
		check()
		stuckAuth.send("FAIL\t1\n") // stuck does not read it
		check()
		waiting.expect("FAIL\t1\tcode=temp_fail\n")
		time.Sleep(2 * time.Second)
		check()
		stuckAuth.expectEnd()
		waiting.expectEnd()
		f.logged(clientStuck)
		f.logged(authStuck)
	})
}

// A line is passed on when it is complete, not before; one without end costs the connection.
func TestLongAndHalfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Login})
		client := f.client()
		auth := f.auth()
		client.send("AUTH\t1\t")
		auth.expectSilence(time.Minute)
		client.send("PLAIN\nAUTH\t2\t")
		auth.expect("AUTH\t1\tPLAIN\n")
		longest := strings.Repeat("x", maxLine-1) + "\n"
		client.send(longest[7:])
		auth.expect("AUTH\t2\t" + longest[7:])
		auth.send(longest)
		client.expect(longest)
		go client.Write(make([]byte, 1<<20)) // cut off before its end
		for range 2 {
			line, err := client.in.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "FAIL\t") {
				t.Errorf("%q, %v; want the failure of an open request", line, err)
			}
		}
		auth.expectEnd()
		f.logged(clientLine)

		client = f.client()
		auth = f.auth()
		client.send("AUTH\t1\tPLAIN\n")
		auth.expect("AUTH\t1\tPLAIN\n")
		go auth.Write(make([]byte, 1<<20))
		client.expect("FAIL\t1\tcode=temp_fail\n")
		client.expectEnd()
		f.logged(authLine)
	})
}

// One request too many is refused by itself: the client keeps its connection, and the requests that
// are open, and those behind go on as soon as there is room.
func TestTooManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Login})
		f.server.requests.Store(maxRequests - 1)
		client := f.client()
		auth := f.auth()
		client.send("AUTH\t1\tPLAIN\n")
		auth.expect("AUTH\t1\tPLAIN\n")
		client.send("AUTH\t1\tPLAIN\n") // the same again is no other
		auth.expect("AUTH\t1\tPLAIN\n")
		client.send("AUTH\t2\tPLAIN\r\nCONT\t1\tx\nAUTH\t3\tPLAIN\nCONT\t1\ty\n")
		client.expect("FAIL\t2\tcode=temp_fail\r\nFAIL\t3\tcode=temp_fail\n")
		auth.expect("CONT\t1\tx\nCONT\t1\ty\n")
		auth.send("OK\t1\tuser=a\n")
		client.expect("OK\t1\tuser=a\n")
		client.send("AUTH\t4\tPLAIN\nAUTH\t" + strings.Repeat("5", maxID+1) + "\tPLAIN\n")
		client.expect("FAIL\t" + strings.Repeat("5", maxID+1) + "\tcode=temp_fail\n")
		auth.expect("AUTH\t4\tPLAIN\n")
		f.logged(tooManyRequests)
		client.Close()

		f.director.hold("slow")
		f.server.requests.Store(0)
		f.server.held.Store(maxHeld)
		client = f.client()
		auth = f.auth()
		auth.send("OK\t1\tuser=slow\tproxy\n")
		client.expect("FAIL\t1\tcode=temp_fail\n")
		f.logged(tooManyHeld)
		f.server.held.Store(0)
	})
}

// Seen gets each user who logs in. A user whose login name has another hash than the one that was
// looked up gets a mark, by which kickers find the sessions.
func TestSeenAndMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type sight struct {
			hash    ring.UserHash
			login   string
			backend netip.Addr
		}
		var seen []sight
		f := newFixture(t, Config{
			Protocol:  Login,
			Separator: '*',
			Seen: func(h ring.UserHash, login []byte, backend netip.Addr) {
				seen = append(seen, sight{h, string(login), backend})
			},
			Mark: func(h ring.UserHash, backend netip.Addr, own bool) string {
				if own {
					return ""
				}
				return "user_mark=" + h.String() + "-" + backend.String()
			},
		})
		client := f.client()
		auth := f.auth()
		mark := "\tuser_mark=" + format.Hash("bob").String() + "-192.0.2.1"
		for _, tt := range []struct{ line, appended string }{
			{"OK\t1\tuser=alice\tproxy", "\thost=192.0.2.1"},
			{"OK\t2\tuser=alice\tdestuser=bob\tproxy\tdirector_tag=ssd", "\thost=192.0.2.1" + mark},
			{"OK\t3\tuser=alice*master\tproxy", "\thost=192.0.2.1"},
			{"OK\t4\tuser=Alice\tdestuser=alice\tproxy", "\thost=192.0.2.1"},
			{"OK\t5\tuser=alice\tdestuser=bob", ""}, // not proxied
			{"OK\t6\tdestuser=bob\tproxy", "\thost=192.0.2.1" + mark},
		} {
			auth.send(tt.line + "\n")
			client.expect(tt.line + tt.appended + "\n")
		}
		at := netip.MustParseAddr("192.0.2.1")
		want := []sight{
			{format.Hash("alice"), "alice", at}, {format.Hash("bob"), "alice", at},
			{format.Hash("alice"), "alice*master", at}, {format.Hash("alice"), "Alice", at},
		}
		if !slices.Equal(seen, want) {
			t.Errorf("seen %v, want %v", seen, want)
		}
	})
}

// TestOneClientLeavesRoom checks that one connection cannot take all open requests, nor all that
// wait.
func TestOneClientLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Login})
		greedy, modest := unserved(f.server), unserved(f.server)
		for i := range 2 * maxOwn {
			if got, want := greedy.remember(fmt.Append(nil, i), plain), i < maxOwn; got != want {
				t.Fatalf("request %d: %v", i, got)
			}
		}
		if !modest.remember([]byte("1"), plain) || maxOwn*5 > maxRequests {
			t.Error("one client leaves no room for another")
		}
		greedy.waits.Store(maxOwnHeld)
		line := pending{
			line: []byte("OK\t1\tuser=slow\tproxy\n"), id: []byte("1"), ending: []byte("\n"),
		}
		var counts tally
		out := greedy.hold(nil, &line, &counts)
		if counts.failed != 1 || !strings.HasPrefix(string(out), "FAIL\t1") {
			t.Errorf("%q, %+v", out, counts)
		}
		f.logged(tooManyHeld)
		for id := range greedy.open {
			greedy.forget([]byte(id))
		}
		modest.forget([]byte("1"))
	})
}
