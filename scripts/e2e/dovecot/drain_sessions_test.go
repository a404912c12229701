//go:build e2e

package dovecot

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// manySessions lets Dovecots have thousands of sessions.
const manySessions = `default_client_limit = 20000
default_process_limit = 12000
mail_max_userip_connections = 100
service imap-login {
  service_count = 0
  process_min_avail = 2
  client_limit = 10000
}
service imap {
  process_limit = 12000
}
`

// mailClient is a user's mail program at one proxy: it stays logged in, and logs in again whenever
// its session ends.
type mailClient struct {
	proxy string
	user  string
	busy  bool // stores mails one after the other, else it waits for news

	ended   int           // sessions that ended by themselves
	refused int           // logins that failed
	slowest time.Duration // from the end of one to the next
	stored  int           // mails that the server has confirmed
	tried   int           // mails that were sent
	err     error         // what it saw beside ended sessions
}

// run goes on until stop is closed. in is told once, when the client is logged in or has failed.
func (c *mailClient) run(stop <-chan struct{}, in func()) {
	var since time.Time // when the last session ended
	for first := true; ; first = false {
		session, err := c.login()
		if first {
			in()
		} else {
			c.slowest = max(c.slowest, time.Since(since))
		}
		if err != nil {
			c.err = fmt.Errorf("%s cannot log in: %w", c.user, err)
			return
		}
		stopped := c.use(session, stop)
		since = time.Now()
		session.Close()
		if stopped {
			return
		}
		c.ended++
	}
}

// login logs in, as mail programs do: again after a while if that was not possible.
func (c *mailClient) login() (session *mailConn, err error) {
	for range 10 {
		if session, err = loginIMAP(c.proxy, c.user, "pass"); err == nil {
			if _, err = session.expect("b SELECT INBOX", "b OK", "b "); err == nil {
				return session, nil
			}
			session.Close()
		}
		c.refused++
		time.Sleep(time.Second)
	}
	return nil, err
}

// use uses a session until it ends or the client is stopped.
func (c *mailClient) use(session *mailConn, stop <-chan struct{}) (stopped bool) {
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-stop:
			session.Close()
		case <-over:
		}
	}()
	const mail = "Subject: busy\r\n\r\nmail\r\n"
	for {
		var err error
		if c.busy {
			c.tried++
			if _, err = session.expect(fmt.Sprintf("c APPEND INBOX {%d+}\r\n%s", len(mail), mail),
				"c OK", "c "); err == nil {
				c.stored++
			}
			time.Sleep(100 * time.Millisecond)
		} else {
			err = session.idle()
		}
		select {
		case <-stop:
			return true
		default:
		}
		if err != nil {
			return false
		}
	}
}

// idle waits for news until the session ends.
func (c *mailConn) idle() error {
	if _, err := fmt.Fprint(c, "c IDLE\r\n"); err != nil {
		return err
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, c.in)
	return cmp.Or(err, io.EOF)
}

// liveSessions is how many users are idle in TestDrainLiveSessions; a tenth as many are busy.
func liveSessions(t *testing.T) (idle, busy int, over time.Duration) {
	idle, over = 30, 10*time.Second
	if text := os.Getenv("DIRECTORMESH_SESSIONS"); text != "" {
		var err error
		if idle, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		over = 2 * time.Minute
	}
	return idle, max(idle/10, 6), over
}

// TestDrainLiveSessions drains a backend whose users are logged in through two proxies. Each client
// on it sees its session end once and logs in again at once, those on other backends see nothing,
// no mail that was confirmed is lost, and no user is on two backends.
func TestDrainLiveSessions(t *testing.T) {
	t.Parallel()
	idle, busy, over := liveSessions(t)
	shared := mailDir(t)
	var backends []*backend
	for i := range 3 {
		b := &backend{ip: newAddress(t), mail: shared}
		b.instance = startBackend(t, fmt.Sprintf("b%d", i+1), b.ip, shared, manySessions)
		backends = append(backends, b)
	}
	var sites []*site
	for i := range 2 {
		sites = append(sites,
			newSite(t, dovecot23, i+1, addresses(backends), "", manySessions).kicks())
	}
	startSites(t, sites...)
	old := backends[0]

	var clients []*mailClient
	for i := range idle + busy {
		clients = append(clients, &mailClient{
			proxy: sites[i%len(sites)].port(143), user: fmt.Sprintf("u%d", i), busy: i >= idle,
		})
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	var in atomic.Int64
	logins := make(chan struct{}, 20) // at a time
	began := time.Now()
	for _, c := range clients {
		logins <- struct{}{}
		running.Go(func() {
			c.run(stop, func() { in.Add(1); <-logins })
		})
	}
	if !eventually(time.Minute, func() bool { return int(in.Load()) == len(clients) }) {
		t.Errorf("only %d of %d clients are logged in", in.Load(), len(clients))
	}
	was := usersOn(t, backends)
	t.Logf("%d clients logged in within %.1f s; %d, %d and %d users on the backends",
		len(clients), time.Since(began).Seconds(), len(was[0]), len(was[1]), len(was[2]))

	began = time.Now()
	drained := make(chan result, 1)
	go func() {
		drained <- sites[1].director.ask("drain", "--over", over.String(), "--max-parallel",
			"500", "--wait", old.ip.String())
	}()
	looks := 0
	for done := false; !done; {
		select {
		case got := <-drained:
			if got.status != 0 {
				t.Errorf("drain: %+v", got)
			}
			done = true
		case <-time.After(time.Second):
		}
		onOne(t, usersOn(t, backends))
		looks++
	}
	took := time.Since(began)
	if !eventually(10*time.Second, func() bool { return len(usersOn(t, backends)[0]) == 0 }) {
		t.Errorf("left on the drained backend: %v", usersOn(t, backends)[0])
	}
	time.Sleep(3 * time.Second) // the last ones log in again
	close(stop)
	running.Wait()
	t.Logf("drained in %.1f s, looked %d times", took.Seconds(), looks)
	checkClients(t, clients, was[0], shared)
}

// usersOn are the users with sessions on each backend, as it lists them itself. The first one, from
// which users are moved away, is asked last: who is there then and was elsewhere before is on two.
func usersOn(t *testing.T, backends []*backend) (on []map[string]int) {
	t.Helper()
	on = make([]map[string]int, len(backends))
	for i, b := range slices.Backward(backends) {
		got := b.doveadm("-f", "tab", "who", "-1")
		if got.status != 0 {
			t.Fatalf("who: %+v", got)
		}
		users := make(map[string]int)
		for line := range strings.Lines(got.stdout) {
			if user, rest, ok := strings.Cut(line, "\t"); ok && strings.Contains(rest, "imap") {
				users[user]++
			}
		}
		on[i] = users
	}
	return on
}

// onOne checks that no user is on two backends.
func onOne(t *testing.T, on []map[string]int) {
	t.Helper()
	for i, users := range on {
		for user := range users {
			for _, others := range on[i+1:] {
				if others[user] > 0 {
					t.Errorf("%s is on two backends", user)
				}
			}
		}
	}
}

func checkClients(t *testing.T, clients []*mailClient, moved map[string]int, mail string) {
	t.Helper()
	var slowest time.Duration
	ended, stored, refused := 0, 0, 0
	for _, c := range clients {
		want := 0
		if moved[c.user] > 0 {
			want = 1
		}
		if c.err != nil || c.ended != want {
			t.Errorf("%s (busy: %v): %d sessions ended, want %d: %v", c.user, c.busy, c.ended,
				want, c.err)
		}
		ended += c.ended
		refused += c.refused
		slowest = max(slowest, c.slowest)
		if !c.busy {
			continue
		}
		stored += c.stored
		if n := mails(t, mail, c.user); n < c.stored || n > c.tried {
			t.Errorf("%s has %d mails, %d were confirmed of %d", c.user, n, c.stored, c.tried)
		}
	}
	t.Logf("%d sessions ended, %d logins were refused, the slowest client was in again after %v; "+
		"%d mails stored", ended, refused, slowest.Round(time.Millisecond), stored)
	if refused > len(clients)/100 { // a backend may end a session during its login
		t.Errorf("%d logins of %d clients were refused", refused, len(clients))
	}
}

// mails counts the mails in a user's mailbox.
func mails(t *testing.T, dir, user string) (n int) {
	t.Helper()
	for _, part := range []string{"new", "cur"} {
		files, err := os.ReadDir(dir + "/" + user + "/Maildir/" + part)
		if err != nil {
			t.Fatal(err)
		}
		n += len(files)
	}
	return n
}
