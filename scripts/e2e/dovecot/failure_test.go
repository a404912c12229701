//go:build e2e

package dovecot

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"directormesh/ring"
)

const (
	// atOnce is how long a login may take that does not wait for a director: it starts processes on
	// a machine that is busy.
	atOnce = 4 * time.Second
	// hang is for how long a director is stopped.
	hang = 60 * time.Second
	// failover is how long a login may wait while a hung director is being excluded, on top of
	// atOnce.
	failover = 6 * time.Second
)

// A director is killed under logins: proxies on other nodes see no failure, its own go on as soon
// as it is back.
func TestKillUnderLogins(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 2)
	sites := threeSites(t, dovecot23, backends)
	var loads []*loginLoad
	for i, s := range sites {
		loads = append(loads, startLogins(t, s, fmt.Sprintf("load%d-", i)))
	}
	begun := func(after time.Time) {
		t.Helper()
		for i, l := range loads {
			if !eventually(startTime, func() bool { return l.succeeded(after) }) {
				t.Fatalf("no login through %s", sites[i].proxy.name)
			}
		}
	}
	begun(time.Time{})
	for range 2 {
		old := sites[0].director.pid()
		sites[0].director.signal(syscall.SIGKILL)
		if !eventually(startTime, func() bool {
			pid := sites[0].director.pid()
			return pid != old
		}) {
			t.Fatal("the director was not started again")
		}
		sites[0].director.awaitMesh(3)
		begun(time.Now())
	}
	for i, l := range loads[1:] {
		for _, a := range l.stop() {
			if a.err != nil {
				t.Errorf("%s through %s after %v: %v", a.user, sites[i+1].proxy.name, a.took, a.err)
			}
		}
	}
}

// A director hangs for a minute under logins. Nobody on the others waits, and nobody is refused.
func TestHangUnderLogins(t *testing.T) {
	t.Parallel()
	hangUnderLogins(t, false)
}

// With an admin change while a director hangs only users whose place it changes wait, for a short
// while.
func TestChangeWhileHung(t *testing.T) {
	t.Parallel()
	hangUnderLogins(t, true)
}

func hangUnderLogins(t *testing.T, change bool) {
	t.Helper()
	backends := startBackends(t, 3)
	sites := threeSites(t, dovecot23, backends)
	var loads []*loginLoad
	for i, s := range sites[:2] {
		loads = append(loads, startLogins(t, s, fmt.Sprintf("hang%d-", i)))
	}
	// A director of its own, beside the mesh, tells how long logins take on this machine with all
	// that goes on there.
	apart := newSite(t, dovecot23, 4, addresses(backends), "", "")
	startSites(t, apart)
	control := startLogins(t, apart, "control-")
	hung := sites[2].director
	hung.signal(syscall.SIGSTOP)
	stopped := time.Now()
	changed := stopped.Add(hang) // nothing before that
	if change {
		time.Sleep(500 * time.Millisecond)
		changed = time.Now()
		var got result
		// on a machine so busy that a director thinks it has slept, it may say "try again"
		if !eventually(2*failover, func() bool {
			got = sites[0].director.ask("update", backends[0].ip.String(), "50")
			return got.status == 0
		}) {
			t.Errorf("update while a director hangs: %+v", got)
		}
		t.Logf("the update took %v", time.Since(changed).Round(time.Millisecond))
	}
	time.Sleep(hang - time.Since(stopped))
	control.stop()
	usual := max(atOnce, 2*control.slowest())
	logins := 0
	waited := 0
	moves := moved(backends, 50)
	for i, l := range loads {
		for _, a := range l.stop() {
			if a.began.Add(a.took).Before(stopped) {
				continue
			}
			logins++
			limit := usual
			if a.began.Add(a.took).After(changed) && moves(a.user) {
				limit += failover
			}
			if a.took > time.Second {
				waited++
			}
			if a.err != nil || a.took > limit {
				t.Errorf("%s through %s took %v, at most %v: %v",
					a.user, sites[i].proxy.name, a.took, limit, a.err)
			}
		}
	}
	t.Logf("%d logins, %d of them took over a second; beside the mesh the slowest took %v",
		logins, waited, control.slowest())
	if logins < 50 {
		t.Errorf("only %d logins: the load was too small to tell anything", logins)
	}
	hung.signal(syscall.SIGCONT)
	for _, s := range sites {
		s.director.awaitMesh(3)
	}
	dump := func(d *director) string {
		return strings.ReplaceAll(d.must("dump"), d.socket(), "SOCKET")
	}
	want := dump(sites[0].director)
	if got := dump(hung); got != want {
		t.Errorf("after waking up the table is %q, on the others %q", got, want)
	}
	c, err := loginIMAP(sites[2].port(143), "after@example.org", "pass")
	if err != nil {
		t.Fatalf("through the proxy of the director that hung: %v", err)
	}
	c.Close()
}

// moved returns which users have another place when the first backend gets this vhost count.
func moved(backends []*backend, vhosts int) func(user string) bool {
	var before, after []ring.Backend
	for i, b := range backends {
		before = append(before, ring.Backend{Addr: b.ip, VHosts: ring.DefaultVHosts})
		after = append(after, before[i])
	}
	after[0].VHosts = vhosts
	old, changed := ring.Build(before, nil), ring.Build(after, nil)
	var format ring.HashFormat
	return func(user string) bool {
		was, _ := old.Lookup("", format.Hash(user))
		is, _ := changed.Lookup("", format.Hash(user))
		return was != is
	}
}

// Logins that wait when the director is told to end get a temporary failure, not a wrong password.
// So does mail.
func TestTermFailsForNow(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 2)
	s := newSite(t, dovecot23, 1, addresses(backends), "", "", "--user-kick-delay", "15s")
	s.director.keptOpen = nil // it is to stay away
	s.director.flags = append(s.director.flags, "--login-socket", s.proxy.path("login/x/director"),
		"--userdb-socket", s.proxy.path("director-userdb"))
	startSites(t, s)
	c, err := loginIMAP(s.port(143), "alice@example.org", "pass")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	home := lookup(t, s.director, "alice@example.org")
	target := backends[0].ip
	if home == target {
		target = backends[1].ip
	}
	s.director.must("move", "alice@example.org", target.String())

	type answer struct{ what, got string }
	answers := make(chan answer)
	started := make(chan struct{}, 3)
	go func() {
		c, err := dialMail(s.port(143))
		if err != nil {
			answers <- answer{"IMAP", err.Error()}
			return
		}
		defer c.Close()
		c.say("", "* ")
		started <- struct{}{}
		got, _ := c.say("a LOGIN alice@example.org pass", "a ", "* BYE")
		answers <- answer{"IMAP", got}
	}()
	go func() {
		c, err := dialMail(s.port(110))
		if err != nil {
			answers <- answer{"POP3", err.Error()}
			return
		}
		defer c.Close()
		c.say("", "+OK")
		c.say("USER alice@example.org", "+OK")
		started <- struct{}{}
		got, _ := c.say("PASS pass", "+OK", "-ERR")
		answers <- answer{"POP3", got}
	}()
	go func() {
		started <- struct{}{}
		replies, err := deliver(s.port(24), "x", "alice@example.org")
		answers <- answer{"LMTP", fmt.Sprint(replies, err)}
	}()
	for range 3 {
		<-started
	}
	// All three wait at the director.
	if !eventually(startTime, func() bool {
		return strings.Contains(s.director.must("status", "alice@example.org"), "Current") &&
			heldReplies(t, s) == 3
	}) {
		t.Fatal("the logins do not wait at the director")
	}
	s.director.signal(syscall.SIGTERM)
	want := map[string]string{
		"IMAP": "NO [UNAVAILABLE]", "POP3": "-ERR [SYS/TEMP]", "LMTP": "451 4.3.0",
	}
	for range 3 {
		if a := <-answers; !strings.Contains(a.got, want[a.what]) {
			t.Errorf("%s: %q, want %q", a.what, a.got, want[a.what])
		}
	}
}

// lookup is where a proxy would be sent.
func lookup(t *testing.T, d *director, user string) netip.Addr {
	t.Helper()
	words := strings.Fields(d.must("lookup", user))
	addr, err := netip.ParseAddr(words[len(words)-1])
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// heldReplies is how many logins and lookups wait at a director, by its metrics.
func heldReplies(t *testing.T, s *site) int {
	t.Helper()
	held := 0
	for _, door := range []string{"login", "userdb"} {
		held += s.director.metric(`director_auth_held_replies{door="` + door + `"}`)
	}
	return held
}
