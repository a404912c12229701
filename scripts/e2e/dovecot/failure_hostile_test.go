//go:build e2e

package dovecot

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// idle is how many connections do nothing.
	idle = 3000
	// maxMemory is what a director may need with them, in MiB.
	maxMemory = 250
)

// Clients that do nothing, never read, send garbage or lines without end neither disturb others nor
// fill memory or log.
func TestHostileClients(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 1)
	s := newSite(t, dovecot23, 1, addresses(backends), "", `service auth {
  client_limit = 10000
}
`)
	startSites(t, s)
	socket := s.proxy.path("login/x/director")
	dial := func() net.Conn {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	login := func() {
		t.Helper()
		began := time.Now()
		c, err := loginIMAP(s.port(143), "alice@example.org", "pass")
		if err != nil {
			t.Fatalf("a login among hostile clients: %v", err)
		}
		c.Close()
		if took := time.Since(began); took > atOnce {
			t.Errorf("a login took %v", took)
		}
	}
	for _, hello := range []string{
		strings.Repeat("x", 1<<20),                                     // a line without end
		"VERSION\t1\t2\nCPID\t4000001\nAUTH\t1\tPLA",                   // half a line
		"VERSION\t99\t0\nCPID\t4000002\n",                              // another version
		"VERSION\t1\t2\nCPID\t4000003\nAUTH\t\x01\tPLAIN\tresp=\x01\n", // bad escapes
		"\x00\xff\xfe\n\n\n\t\t\t\n",
		"GET / HTTP/1.0\r\n\r\n",
	} {
		c := dial()
		_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(c, hello) // it may be cut off
	}
	login()
	// Requests without end whose answers nobody reads.
	greedy := dial()
	_, _ = io.WriteString(greedy, "VERSION\t1\t2\nCPID\t4000004\n")
	var requests bytes.Buffer
	for i := range 200_000 {
		fmt.Fprintf(&requests, "AUTH\t%d\tPLAIN\tservice=imap\tsecured\tresp=AGFsaWNlAHBhc3M=\n",
			i+1)
	}
	_ = greedy.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, _ = greedy.Write(requests.Bytes())
	login()
	for range idle { // more than one process may have: those beyond its share are closed at once
		dial()
	}
	login()

	if rss := s.director.memory(); rss > maxMemory {
		t.Errorf("the director needs %d MiB, at most %d", rss, maxMemory)
	} else {
		t.Logf("the director needs %d MiB with %d idle connections", rss, idle)
	}
	if lines := strings.Count(s.director.log(), "\n"); lines > 100 {
		t.Errorf("%d lines in the director's log", lines)
	}
	for _, told := range []string{"line that is too long", "process_has_too_many"} {
		if !strings.Contains(s.director.log(), told) {
			t.Errorf("the log does not have %q:\n%s", told, s.director.log())
		}
	}
}

// memory is what the process needs, in MiB.
func (d *director) memory() int {
	d.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.pid()))
	if err != nil {
		d.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		d.t.Fatal(err)
	}
	return kb >> 10
}

// A login waits for an auth that hangs, and one whose auth dies fails for now; the next one works.
func TestAuthSlowAndGone(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 1)
	// One login process for all, so that the connection to auth is there before the login.
	s := newSite(t, dovecot23, 1, addresses(backends), "", `service imap-login {
  service_count = 0
  process_limit = 1
}
`)
	startSites(t, s)
	c, err := loginIMAP(s.port(143), "alice@example.org", "pass")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	auth := s.proxy.process("auth")
	signal := func(sig syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(auth, sig); err != nil {
			t.Fatal(err)
		}
	}
	pending := func() <-chan string {
		answer := make(chan string, 1)
		c, err := dialMail(s.port(143))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.expect("", "* OK", "* "); err != nil {
			t.Fatal(err)
		}
		go func() {
			defer c.Close()
			got, err := c.say("a LOGIN alice@example.org pass", "a ", "* BYE")
			answer <- fmt.Sprint(got, err)
		}()
		if !eventually(startTime, func() bool {
			return s.director.metric(`director_auth_open_requests{door="login"}`) == 1
		}) {
			signal(syscall.SIGCONT) // it could not be ended
			t.Fatal("the login does not wait")
		}
		return answer
	}
	signal(syscall.SIGSTOP)
	answer := pending()
	signal(syscall.SIGCONT)
	if got := <-answer; !strings.Contains(got, "a OK") {
		t.Errorf("auth was slow: %q", got)
	}
	signal(syscall.SIGSTOP)
	answer = pending()
	signal(syscall.SIGKILL)
	if got := <-answer; !strings.Contains(got, "NO [UNAVAILABLE]") {
		t.Errorf("auth has died: %q", got)
	}
	if !eventually(startTime, func() bool {
		c, err := loginIMAP(s.port(143), "alice@example.org", "pass")
		if err != nil {
			return false
		}
		c.Close()
		return true
	}) {
		t.Error("nobody can log in any more")
	}
}

// process returns the id of one of the instance's processes, by the name of its program.
func (i *instance) process(name string) int {
	i.t.Helper()
	pid := i.findProcess(name)
	if pid == 0 {
		i.t.Fatalf("%s has no process %s", i.name, name)
	}
	return pid
}

// findProcess is process, 0 if there is none.
func (i *instance) findProcess(name string) int {
	i.t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		i.t.Fatal(err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent …
		before, after, _ := strings.Cut(string(text), ") ")
		pid, program, _ := strings.Cut(before, " (")
		fields := strings.Fields(after)
		if program == name && len(fields) > 1 && fields[1] == strconv.Itoa(i.cmd.Process.Pid) {
			n, err := strconv.Atoi(pid)
			if err != nil {
				i.t.Fatal(err)
			}
			return n
		}
	}
	return 0
}
