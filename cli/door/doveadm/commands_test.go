package doveadm

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/ring"
)

var equalIP = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func pointer[T any](v T) *T { return &v }

// What each command asks of the director, and its reply when all goes well.
func TestChanges(t *testing.T) {
	alice := uint32(httpapitest.Sample().Hash("alice"))
	for _, test := range []struct {
		line string
		want api.Operation
	}{
		{"HOST-SET\t192.0.2.7", api.AddBackend{IP: ip("192.0.2.7")}},
		{"HOST-SET\t192.0.2.7@", api.AddBackend{IP: ip("192.0.2.7")}},
		{"HOST-SET\t192.0.2.7@ssd@x\t5",
			api.AddBackend{IP: ip("192.0.2.7"), Tag: pointer("ssd@x"), VHosts: pointer(5)}},
		{"HOST-SET\t192.0.2.7@a\x01tb", api.AddBackend{IP: ip("192.0.2.7"), Tag: pointer("a\tb")}},
		{"HOST-SET\t192.0.2.7\t1000\tmore",
			api.AddBackend{IP: ip("192.0.2.7"), VHosts: pointer(1000)}},
		{"HOST-SET\t192.0.2.7\t4294967295", api.AddBackend{IP: ip("192.0.2.7")}},
		{"HOST-SET\t[2001:db8::7]\t0\r", api.AddBackend{IP: ip("2001:db8::7"), VHosts: pointer(0)}},
		{"HOST-SET\t7", api.AddBackend{IP: ip("0.0.0.7")}},
		{"HOST-SET\t127.1", api.AddBackend{IP: ip("127.0.0.1")}},
		{"HOST-UPDATE\t192.0.2.1\t50", api.UpdateBackend{IP: ip("192.0.2.1"), VHosts: 50}},
		{"HOST-UPDATE\t192.0.2.51@ssd\t0",
			api.UpdateBackend{IP: ip("192.0.2.51"), Tag: pointer("ssd")}},
		{"HOST-UP\t192.0.2.1", api.BackendUp{IP: ip("192.0.2.1")}},
		{"HOST-DOWN\t192.0.2.1\tx", api.BackendDown{IP: ip("192.0.2.1")}},
		{"HOST-REMOVE\t192.0.2.1", api.RemoveBackend{IP: ip("192.0.2.1")}},
		{"HOST-FLUSH\t192.0.2.1", api.Forget{Backend: ip("192.0.2.1")}},
		{"HOST-FLUSH", api.Forget{}},
		{"HOST-FLUSH\t", api.Forget{}},
		{"HOST-RESET-USERS", api.FlushUsers{}},
		{"HOST-RESET-USERS\t192.0.2.1", api.FlushUsers{Backend: ip("192.0.2.1")}},
		{"HOST-RESET-USERS\t\t7", api.FlushUsers{MaxParallel: 7}},
		{"HOST-RESET-USERS\t192.0.2.1\t4294967295",
			api.FlushUsers{Backend: ip("192.0.2.1"), MaxParallel: 1<<31 - 1}},
		{"USER-MOVE\talice\t192.0.2.1", api.Move{UserHash: &alice, Backend: ip("192.0.2.1")}},
		{"USER-MOVE\t007\t192.0.2.1",
			api.Move{UserHash: pointer(uint32(7)), Backend: ip("192.0.2.1")}},
		{"USER-MOVE\t0\t192.0.2.1",
			api.Move{UserHash: pointer(uint32(0)), Backend: ip("192.0.2.1")}},
		{"USER-KICK\talice", api.KickUser{User: "alice"}},
		{"USER-KICK\t42", api.KickUser{User: "42"}},
		{"USER-KICK\talice\tnowait", api.KickUser{User: "alice"}},
		{"USER-KICK-ALT\tuser_mail\ta\x01nb", api.KickUser{Field: "user_mail", User: "a\nb"}},
		{"USER-KICK-ALT\tuser_mail\tx\tnowait", api.KickUser{Field: "user_mail", User: "x"}},
		{"DIRECTOR-ADD\t192.0.2.200", api.AddDirector{IP: ip("192.0.2.200")}},
		{"DIRECTOR-ADD\t192.0.2.200\t19090", api.AddDirector{IP: ip("192.0.2.200"), Port: 19090}},
		{"DIRECTOR-REMOVE\t127.0.1.3", api.RemoveDirector{IP: ip("127.0.1.3"), Port: 19090}},
		{"DIRECTOR-REMOVE\t127.0.1.3\t9", api.RemoveDirector{IP: ip("127.0.1.3"), Port: 9}},
		{"DIRECTOR-REMOVE\t192.0.2.250", api.RemoveDirector{IP: ip("192.0.2.250")}},
	} {
		d := httpapitest.Sample()
		c := greet(t, serveSample(t, d).Dial())
		if got := c.ask(test.line); got != "OK" {
			t.Errorf("%q: reply %q", test.line, got)
		}
		if diff := cmp.Diff([]api.Operation{test.want}, d.Done(), equalIP); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.line, diff)
		}
	}
}

// Lines that make no sense end the connection without a reply, and nothing is changed.
func TestMalformed(t *testing.T) {
	for _, line := range []string{
		"", " ", "host-list", "HOST", greeting, "\x01", "HOST-LIST ", "HOST-SET", "HOST-SET\t",
		"HOST-SET\tb1.example.org", "HOST-SET\t@ssd",
		"HOST-SET\t192.0.2.1\t", "HOST-SET\t192.0.2.1\tx", "HOST-SET\t192.0.2.1\t-1",
		"HOST-SET\t192.0.2.1\t+5", "HOST-SET\t192.0.2.1\t4294967296",
		"HOST-SET\t[192.0.2.1]", "HOST-SET\tfe80::1%lo", "HOST-UPDATE\t192.0.2.1",
		"HOST-UPDATE\t192.0.2.1\tx", "HOST-UPDATE\tx\t5",
		"HOST-UP", "HOST-DOWN\t", "HOST-REMOVE\t192.0.2.x", "HOST-FLUSH\tall",
		"HOST-RESET-USERS\tx", "HOST-RESET-USERS\t192.0.2.1\t0", "HOST-RESET-USERS\t192.0.2.1\t",
		"HOST-RESET-USERS\t\tx",
		"USER-MOVE", "USER-MOVE\ta", "USER-MOVE\ta\tx", "USER-LIST\tx", "USER-KICK",
		"USER-KICK-ALT", "USER-KICK-ALT\tuser_mail",
		"DIRECTOR-ADD", "DIRECTOR-ADD\tx", "DIRECTOR-ADD\t192.0.2.200\t",
		"DIRECTOR-ADD\t192.0.2.200\t0", "DIRECTOR-ADD\t192.0.2.200\t65536",
		"DIRECTOR-REMOVE", "DIRECTOR-REMOVE\t192.0.2.200\tx", strings.Repeat("x", maxLine-1),
		strings.Repeat("x", maxLine),
	} {
		d := httpapitest.Sample()
		c := greet(t, serveSample(t, d).Dial())
		// may fail: the end comes in the middle of a long one
		go func() { _, _ = c.conn.Write([]byte(line + "\n")) }()
		c.gone()
		if done := d.Done(); len(done) > 0 {
			t.Errorf("%q: %v", line, done)
		}
	}
}

func TestGreeting(t *testing.T) {
	for line, want := range map[string]bool{
		greeting:                                    true,
		"VERSION\tdirector-doveadm\t1\t7":           true,
		"VERSION\tdirector-doveadm\t01\t00":         true,
		"VERSION\tdirector-doveadm\t1\t0\r":         true,
		"VERSION\tdirector-doveadm\t1":              false,
		"VERSION\tdirector-doveadm\t1\t":            false,
		"VERSION\tdirector-doveadm\t1\tx":           false,
		"VERSION\tdirector-doveadm\t1\t0\t0":        false,
		"VERSION\tdirector-doveadm\t1\t99999999999": false,
		"VERSION\tdirector-doveadm\t2\t0":           false,
		"VERSION\tdirector\t1\t0":                   false,
		"version\tdirector-doveadm\t1\t0":           false,
		"HOST-LIST":                                 false,
		"":                                          false,
		"GET / HTTP/1.1\r":                          false,
	} {
		c := &client{t: t, conn: serveSample(t, httpapitest.Sample()).Dial()}
		c.in = newReader(c.conn)
		if got := c.read(); got != greeting {
			t.Fatalf("greeted with %q", got)
		}
		c.send(line)
		if !want {
			c.gone()
			continue
		}
		if got := c.ask("HOST-LIST-REMOVED"); got != "192.0.2.9" {
			t.Errorf("%q: %q", line, got)
		}
		c.conn.Close()
	}
}

// The replies to changes that fail, and to changes that never reach the director.
func TestReplies(t *testing.T) {
	for _, test := range []struct {
		line string
		do   func(api.Operation) (api.Outcome, error)
		want string
	}{
		{"HOST-UP\t192.0.2.9", failing(api.CodeNotFound, "doesn't exist"), "NOTFOUND"},
		{"USER-MOVE\talice\t192.0.2.1", failing(api.CodeTryAgain, "user is already being moved"),
			"TRYAGAIN"},
		{"HOST-SET\t192.0.2.1@x", failing(api.CodeTagDiffers, "it is y"),
			"host tag can't be changed"},
		{"HOST-SET\t192.0.2.1\t1001", failing(api.CodeInternal, "must not be asked"),
			"vhost count too large"},
		{"HOST-UPDATE\t192.0.2.9\t1001", failing(api.CodeInternal, "must not be asked"),
			"vhost count too large"},
		{"HOST-SET\t192.0.2.1\t9", failing(api.CodeVHosts, "vhost count too large: 9"),
			"vhost count too large"},
		{"HOST-DOWN\t192.0.2.1", failing(api.CodeTimeout, "not every director"),
			"Ring sync timed out"},
		{"USER-KICK\talice",
			failing(api.CodeInternal, "director d2 could not kick: no\nsocket\x1b[m"),
			"director d2 could not kick: no; socket\\x1b[m"},
		{"USER-KICK\talice", failing(api.CodeInternal, ""), "failed: "},
		{"USER-KICK\talice", failing(api.CodeInternal, "OK then"), "failed: OK then"},
		{"HOST-RESET-USERS\t192.0.2.9", failing(api.CodeNotFound, "doesn't exist"), "NOTFOUND"},
		{"HOST-UPDATE\t192.0.2.1\t4294967295",
			failing(api.CodeInternal, "must not be asked"), "OK"},
		{"HOST-UPDATE\t192.0.2.51@ssd\t4294967295",
			failing(api.CodeInternal, "must not be asked"), "OK"},
		{"HOST-UPDATE\t192.0.2.1@ssd\t4294967295", failing(api.CodeInternal, "must not be asked"),
			"host tag can't be changed"},
		{"HOST-UPDATE\t192.0.2.9\t4294967295", failing(api.CodeInternal, "must not be asked"),
			"NOTFOUND"},
		{"USER-KICK\talice", func(api.Operation) (api.Outcome, error) {
			return api.Outcome{}, context.DeadlineExceeded
		}, "Ring sync timed out"},
	} {
		d := httpapitest.Sample()
		d.OutcomeIs = test.do
		if got := greet(t, serveSample(t, d).Dial()).ask(test.line); got != test.want {
			t.Errorf("%q: %q, want %q", test.line, got, test.want)
		}
	}
}

func TestLists(t *testing.T) {
	at := time.Date(2018, 2, 8, 10, 20, 35, 0, time.UTC).Unix() // the time of the sample
	if at != 1518085235 {
		t.Fatal(at)
	}
	d := httpapitest.Sample()
	d.BackendsIs.Backends[2].Tag = "a\tb"
	d.MappingsIs = append(d.MappingsIs, api.Mapping{
		Tag: "ssd", UserHash: 6, Backend: ip("192.0.2.51"), ExpiresAt: d.MappingsIs[2].ExpiresAt,
	})
	for _, test := range []struct {
		line string
		want []string
	}{
		{"HOST-LIST", []string{
			"192.0.2.1\t100\t2\t\tU\t0", "192.0.2.51\t50\t1\tssd\tD\t1518085235",
			"::198.51.100.7\t0\t0\ta\x01tb\tU\t0",
		}},
		{"HOST-LIST-REMOVED\tx", []string{"192.0.2.9"}},
		{"DIRECTOR-LIST", []string{
			"127.0.1.1\t9090\tself\t0\tring synced\t0",
			"127.0.1.2\t9090\tpeer\t1518085235\tsynced\t1",
			"127.0.1.3\t19090\tpeer\t0\thandshaking - 5000 USERs received\t",
			"127.0.1.4\t9090\t\t0\t",
			"2001:db8::5\t9090\tremoved\t0\t",
		}},
		// The longest unused first within a tag, then by hash.
		{"USER-LIST", []string{
			"100\t1518085235\t192.0.2.1", "3045693125\t1518085236\t192.0.2.1",
			"6\t1518085236\t192.0.2.51", "7\t1518085236\t192.0.2.51",
		}},
		{"USER-LIST\t", []string{
			"100\t1518085235\t192.0.2.1", "3045693125\t1518085236\t192.0.2.1",
			"6\t1518085236\t192.0.2.51", "7\t1518085236\t192.0.2.51",
		}},
		{"USER-LIST\t192.0.2.51",
			[]string{"6\t1518085236\t192.0.2.51", "7\t1518085236\t192.0.2.51"}},
		{"USER-LIST\t192.0.2.99", []string{}},
	} {
		diff := cmp.Diff(test.want, greet(t, serveSample(t, d).Dial()).list(test.line))
		if diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.line, diff)
		}
	}
}

// A change that is not confirmed yet shows at this director, as does the number of users sent to a
// peer.
func TestDirectorStates(t *testing.T) {
	d := httpapitest.Sample()
	d.SelfIs.Changing = true
	d.DirectorsIs.Directors[3].Reachable = true
	got := greet(t, serveSample(t, d).Dial()).list("DIRECTOR-LIST")
	if got[0] != "127.0.1.1\t9090\tself\t0\tring syncing\t0" ||
		got[3] != "127.0.1.4\t9090\tpeer\t0\thandshaking - 7 USERs sent\t" {
		t.Errorf("%q", got)
	}
}

func TestUserLookup(t *testing.T) {
	sample := httpapitest.Sample()
	sampleUser := sample.UserIs
	for _, test := range []struct {
		line string
		tag  ring.Tag
		hash ring.UserHash
	}{
		{"USER-LOOKUP\talice\t", "", sample.Hash("alice")},
		{"USER-LOOKUP\tALICE", "", sample.Hash("alice")},
		{"USER-LOOKUP\talice\tssd\tmore", "ssd", sample.Hash("alice")},
		{"USER-LOOKUP\talice\ta\x01tb", "a\tb", sample.Hash("alice")},
		{"USER-LOOKUP", "", sample.Hash("")},
		{"USER-LOOKUP\t", "", sample.Hash("")},
		{"USER-LOOKUP\t007", "", 7},
		{"USER-LOOKUP\t4294967295", "", 4294967295},
		{"USER-LOOKUP\t4294967296", "", sample.Hash("4294967296")},
		{"USER-LOOKUP\t-1", "", sample.Hash("-1")},
		{"USER-LOOKUP\t0x10", "", sample.Hash("0x10")},
		{"USER-LOOKUP\t 5", "", sample.Hash(" 5")},
	} {
		asked := 0
		sample.UserIs = func(tag ring.Tag, h ring.UserHash) api.User {
			asked++
			if tag != test.tag || h != test.hash {
				t.Errorf("%q asks for %q %d, want %q %d", test.line, tag, h, test.tag, test.hash)
			}
			return sampleUser(tag, h)
		}
		got := greet(t, serveSample(t, sample).Dial()).ask(test.line)
		if got != "192.0.2.1\t1518085235\t192.0.2.2\t192.0.2.3" || asked != 1 {
			t.Errorf("%q: %q, asked %d times", test.line, got, asked)
		}
	}
	// Who is not mapped has no host; who has no backend has none at all.
	sample.UserIs = func(ring.Tag, ring.UserHash) api.User {
		return api.User{Current: ip("192.0.2.1"), Hashed: ip("192.0.2.1")}
	}
	conn := greet(t, serveSample(t, sample).Dial())
	if got := conn.ask("USER-LOOKUP\talice"); got != "\t0\t192.0.2.1\t" {
		t.Errorf("not mapped: %q", got)
	}
}

// HOST-LIST has the operator's vhost count, whatever the directors make of it to even out load:
// who sets again what it lists would make a factor the count otherwise.
func TestHostListLeavesFactorsOut(t *testing.T) {
	d := httpapitest.Sample()
	d.BackendsIs.Backends = d.BackendsIs.Backends[:1]
	d.BackendsIs.Backends[0].Factor = 75
	c := &client{t: t, conn: serveSample(t, d).Dial()}
	c.in = newReader(c.conn)
	if got := c.read(); got != greeting {
		t.Fatalf("greeted with %q", got)
	}
	c.send("VERSION\tdirector-doveadm\t1\t0")
	if got := c.ask("HOST-LIST"); got != "192.0.2.1\t100\t2\t\tU\t0" {
		t.Errorf("%q", got)
	}
	c.conn.Close()
}
