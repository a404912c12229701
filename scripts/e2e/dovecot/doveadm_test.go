//go:build e2e

package dovecot

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A step of TestParity. What differs on purpose has tests of its own below.
type step struct {
	command string
	// lines may come in any order: the mesh orders users who were moved with one flush by their
	// hash
	unordered bool
}

// TestParity runs every subcommand of "doveadm director" against Dovecot's director and against
// ours, side by side from the same state on, and wants the same output, messages and exit status.
// Three things differ; see TestRingStatus, TestExpires and TestDefects.
func TestParity(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.logIn("alice@example.org", "bob@example.org", "carol", "dave", "491234567",
		"Erin@Example.ORG")
	for _, s := range paritySteps() {
		for _, options := range []string{
			"-v director ", "-f tab director ", "-f json director ", "director ",
		} {
			if options != "-v director " && !isQuery(s.command) {
				continue // once
			}
			theirs, ours := p.both(strings.Fields(options + s.command)...)
			if s.unordered {
				sortLines(&theirs.stdout)
				sortLines(&ours.stdout)
			}
			if diff := cmp.Diff(theirs, ours, cmp.AllowUnexported(result{})); diff != "" {
				t.Errorf("%s%s (-Dovecot +ours):\n%s", options, s.command, diff)
			}
		}
	}
}

func isQuery(command string) bool {
	word, _, _ := strings.Cut(command, " ")
	return word == "status" || word == "map" || word == "dump"
}

// sortLines puts the lines of a table, or the objects of a JSON list, in an order of their own.
func sortLines(text *string) {
	lines := strings.Split(strings.ReplaceAll(strings.Trim(*text, "[]"), "},{", "}\n{"), "\n")
	slices.Sort(lines)
	*text = strings.Join(lines, "\n")
}

func paritySteps() []step {
	return []step{
		{command: "status -a SOCKET"},
		{command: "status -a SOCKET alice@example.org"},
		{command: "status -a SOCKET ALICE@example.org"},
		{command: "status -a SOCKET nobody"},
		{command: "status -a SOCKET nobody ssd"},
		{command: "status -a SOCKET nobody notag"},
		{command: "status -a SOCKET 491234567"}, // a hash, not a name
		{command: "status -a SOCKET one two three"},
		{command: "map -a SOCKET -f USERS"},
		{command: "map -a SOCKET -f /nonexistent"},
		{command: "map -a SOCKET -f USERS 127.0.2.1"},
		{command: "map -a SOCKET -f USERS 127.0.2.99"},
		{command: "map -a SOCKET -f USERS none.invalid"},
		{command: "map -a SOCKET -f USERS -u carol"},
		{command: "map -a SOCKET -f USERS -h 2845841792"},
		{command: "dump -a SOCKET"},
		{command: "add -a SOCKET 127.0.2.4"},
		{command: "add -a SOCKET 127.0.2.5 50"},
		{command: "add -a SOCKET 127.0.2.5 60"},
		{command: "add -a SOCKET 127.0.2.5"},
		{command: "add -a SOCKET -t ssd 127.0.2.52 0"},
		{command: "add -a SOCKET 127.0.2.53@new"},
		{command: "add -a SOCKET 127.0.2.53@other"},
		{command: "add -a SOCKET 127.0.2.53 5"},
		{command: "add -a SOCKET fd00::5"},
		{command: "add -a SOCKET ::198.51.100.7 1000"},
		{command: "add -a SOCKET 127.0.2.6 1001"},
		{command: "add -a SOCKET 127.0.2.6 -1"},
		{command: "add -a SOCKET 127.0.2.6 many"},
		{command: "add -a SOCKET 5"},
		{command: "add -a SOCKET none.invalid"},
		{command: "add -a SOCKET"},
		{command: "status -a SOCKET"},
		{command: "update -a SOCKET 127.0.2.4 200"},
		{command: "update -a SOCKET 127.0.2.53@new 7"},
		{command: "update -a SOCKET 127.0.2.53@other 7"},
		{command: "update -a SOCKET 127.0.2.99 7"},
		{command: "update -a SOCKET 127.0.2.4 1001"},
		{command: "update -a SOCKET 127.0.2.4"},
		{command: "remove -a SOCKET ::198.51.100.7"},
		{command: "status -a SOCKET alice@example.org"},
		{command: "status -a SOCKET nobody"},
		{command: "down -a SOCKET 127.0.2.4"},
		{command: "down -a SOCKET 127.0.2.4"},
		{command: "down -a SOCKET 127.0.2.99"},
		{command: "status -a SOCKET"},
		{command: "dump -a SOCKET"},
		{command: "up -a SOCKET 127.0.2.4"},
		{command: "up -a SOCKET 127.0.2.4"},
		{command: "up -a SOCKET 127.0.2.99"},
		{command: "up -a SOCKET one two"},
		{command: "status -a SOCKET"},
		{command: "move -a SOCKET carol 127.0.2.1"},
		{command: "move -a SOCKET carol 127.0.2.2"},
		{command: "move -a SOCKET carol 127.0.2.3"}, // is being moved
		{command: "move -a SOCKET carol 127.0.2.99"},
		{command: "move -a SOCKET newcomer 127.0.2.51"},
		{command: "move -a SOCKET newcomer"},
		{command: "status -a SOCKET newcomer"},
		{command: "status -a SOCKET newcomer ssd"},
		{command: "kick -a SOCKET alice@example.org"},
		{command: "kick -a SOCKET -f user_mail alice"},
		{command: "kick -a SOCKET"},
		{command: "down -a SOCKET 127.0.2.1"},
		{command: "status -a SOCKET alice@example.org"},
		{command: "flush -a SOCKET 127.0.2.1"},
		{command: "flush -a SOCKET --max-parallel 5 127.0.2.3"},
		{command: "map -a SOCKET -f USERS", unordered: true},
		{command: "status -a SOCKET"},
		{command: "remove -a SOCKET 127.0.2.5"},
		{command: "remove -a SOCKET 127.0.2.5"},
		{command: "remove -a SOCKET 127.0.2.2"},
		{command: "dump -a SOCKET"},
		{command: "map -a SOCKET -f USERS", unordered: true},
		{command: "flush -a SOCKET 127.0.2.99"},
		{command: "flush -a SOCKET none.invalid"},
		{command: "flush -a SOCKET"},
		{command: "flush -a SOCKET all"},
		{command: "flush -a SOCKET --max-parallel 0 all"}, // as if nothing was given
		{command: "flush -a SOCKET -F 127.0.2.99"},
		{command: "flush -a SOCKET -F 127.0.2.4"},
		{command: "map -a SOCKET -f USERS", unordered: true},
		{command: "flush -a SOCKET -F all"},
		{command: "map -a SOCKET -f USERS"},
		{command: "status -a SOCKET alice@example.org"},
		{command: "down -a SOCKET 127.0.2.51"},
		{command: "down -a SOCKET 127.0.2.52"},
		{command: "status -a SOCKET newcomer ssd"}, // no usable backend
		{command: "ring add -a SOCKET 127.0.2.200"},
		{command: "ring add -a SOCKET 127.0.2.201 19090"},
		{command: "ring add -a SOCKET 127.0.2.201 70000"},
		{command: "ring remove -a SOCKET 127.0.2.200"},
		{command: "ring remove -a SOCKET 127.0.2.201 19090"},
		{command: "ring remove -a SOCKET 127.0.2.250"},
		{command: "status -a /nonexistent"},
	}
}

// TestExpires compares when users expire. A user who logs in for the first time expires at the same
// time in both. One who does so again soon does not in the mesh: activity is recorded every ten
// seconds or more (half the share), and mappings live on for the share after the time that is
// shown, so that nobody is forgotten early.
func TestExpires(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.logIn("alice@example.org", "bob@example.org")
	for _, command := range [][]string{
		{"director", "status", "alice@example.org"}, {"director", "map", "-f", p.users},
	} {
		theirs := p.dates(p.ring[0].adminSocket(), command...)
		ours := p.dates(p.adminSocket(), command...)
		if len(theirs) == 0 || len(theirs) != len(ours) {
			t.Fatalf("%v: dates %v and %v", command, theirs, ours)
		}
		for i := range theirs {
			if d := theirs[i].Sub(ours[i]).Abs(); d > time.Second {
				t.Errorf("%v: %v and %v are %v apart", command, theirs[i], ours[i], d)
			}
		}
	}
	for _, host := range []string{"down", "up"} {
		theirs, ours := p.both("director", host, "127.0.2.1", "-a", "SOCKET")
		if theirs != ours || ours.status != 0 {
			t.Errorf("%s: %+v and %+v", host, theirs, ours)
		}
	}
	theirs, ours := p.dates(p.ring[0].adminSocket(), "director", "status"),
		p.dates(p.adminSocket(), "director", "status")
	if len(theirs) != 1 || len(ours) != 1 || theirs[0].Sub(ours[0]).Abs() > time.Second {
		t.Errorf("state changed at %v and %v", theirs, ours)
	}
}

// TestRingStatus: the columns are the same, and so are the states. But a mesh has no left and
// right, so a director is a peer; and it counts no bytes for each of its streams, so the last six
// columns have dashes.
func TestRingStatus(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	got := p.ring[0].doveadm("-f", "tab", "director", "ring", "status", "-a", p.adminSocket())
	want := "director ip\tport\ttype\tlast failed\tstatus\tping " +
		"ms\tinput\toutput\tbuffered\tbuffered peak\tlast read\tlast write\n" +
		fmt.Sprintf("%s\t9090\tself\tnever\tring synced\t0\t-\t-\t-\t-\t-\t-\n", p.mesh[0].ip) +
		fmt.Sprintf("%s\t9090\tpeer\tnever\tsynced\tPING\t-\t-\t-\t-\t-\t-\n", p.mesh[1].ip)
	got.stdout = regexp.MustCompile(`synced\t\d+\t-\t-\t-\t-\t-\t-\n$`).ReplaceAllString(got.stdout,
		"synced\tPING\t-\t-\t-\t-\t-\t-\n")
	if diff := cmp.Diff(result{stdout: want}, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	theirs := p.ring[0].doveadm("-f", "tab", "director", "ring", "status", "-a",
		p.ring[0].adminSocket())
	if title, _, _ := strings.Cut(want, "\n"); !strings.HasPrefix(theirs.stdout, title+"\n") {
		t.Errorf("Dovecot's columns are others: %s", theirs.stdout)
	}
	// One that is gone has neither type nor state, in both. Dovecot's may not know when that was.
	p.mesh[1].kill()
	p.ring[1].stop()
	for name, c := range map[string]struct{ socket, at string }{
		"Dovecot": {p.ring[0].adminSocket(), `(20\d\d[^\t]+|never)`},
		"ours":    {p.adminSocket(), `20\d\d[^\t]+`},
	} {
		gone := regexp.MustCompile(`(?m)\t9090\t\t` + c.at + `\t\t`)
		var got result
		if !eventually(syncTime, func() bool {
			got = p.ring[0].doveadm("-f", "tab", "director", "ring", "status", "-a", c.socket)
			return gone.MatchString(got.stdout)
		}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestDefects shows where Dovecot's director goes wrong and ours must not: commands behind one that
// waits, and hash 0.
func TestDefects(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.logIn("alice@example.org")
	m := poolmon{t, p.adminSocket()}
	for try := range 20 {
		host := fmt.Sprintf("127.0.2.%d", try%3+1)
		m.tell("HOST-DOWN\t"+host, "HOST-FLUSH\t"+host)
		if !eventually(5*time.Second, func() bool {
			return strings.Count(p.mesh[0].log(), `"action":"forget"`) == try+1
		}) {
			t.Fatalf("try %d: the second command was lost", try)
		}
		if got := m.states()[host]; got != "D" {
			t.Errorf("try %d: %s is %q", try, host, got)
		}
		m.tell("HOST-UP\t" + host)
	}
	if got := p.ring[0].doveadm("director", "status", "0", "-a", p.adminSocket()); got.status != 0 {
		t.Errorf("hash 0: %+v", got)
	}
	conn, err := net.Dial("unix", p.adminSocket())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(
		conn, "VERSION\tdirector-doveadm\t1\t0\nUSER-MOVE\t0\t127.0.2.1\nHOST-LIST-REMOVED\n")
	in := bufio.NewReader(conn)
	for _, want := range []string{"VERSION\tdirector-doveadm\t1\t0\n", "OK\n", "\n"} {
		if got, err := in.ReadString('\n'); got != want {
			t.Errorf("hash 0: %q, %v, want %q", got, err, want)
		}
	}
}

// TestFlushReply: HOST-RESET-USERS is answered when the last move has begun, so with eleven users,
// five at a time and a kick delay of two seconds it takes twice that delay, in both. Ours looks at
// its flush now and then, and may take half a second more.
func TestFlushReply(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	there := newReplies(t, p.ring[0].path("director-authreply"))
	users := []string{}
	for n := 0; len(users) < 11; n++ {
		user := fmt.Sprintf("user%d", n)
		if there.logIn(user, "") == "127.0.2.1" {
			users = append(users, user)
			p.mesh[0].must("lookup", user)
		}
	}
	for _, command := range []string{"down", "flush --max-parallel 5"} {
		args := append(append([]string{"director"}, strings.Fields(command)...), "127.0.2.1", "-a")
		for name, socket := range map[string]string{
			"Dovecot": p.ring[0].adminSocket(), "ours": p.adminSocket(),
		} {
			began := time.Now()
			if got := p.ring[0].doveadm(append(args, socket)...); got != (result{}) {
				t.Errorf("%s: %v: %+v", name, args, got)
			}
			took := time.Since(began)
			if command != "down" && (took < 3900*time.Millisecond || took > 6*time.Second) {
				t.Errorf("%s: answered after %v", name, took)
			}
		}
	}
	theirs, ours := p.both("director", "map", "-a", "SOCKET", "-f", p.users, "127.0.2.1")
	if theirs != ours {
		t.Errorf("users left behind:\n%s%s", theirs.stdout, ours.stdout)
	}
}

// TestHungDirector: with one of three directors stopped, Dovecot's admin waits for half a minute
// and reads "Ring sync timed out", without knowing whether the change was made. Ours leaves the
// hung one out after five seconds and says OK; it has the change once it is back.
func TestHungDirector(t *testing.T) {
	t.Parallel()
	var mesh []*director
	for n := range 3 {
		mesh = append(mesh, newDirector(t, fmt.Sprintf("d%d", n+1), newAddress(t), "--mail-servers",
			"127.0.2.1-127.0.2.2"))
	}
	startMesh(t, mesh...)
	config := newInstance(t, "doveadm", "protocols =\n") // for doveadm only, it does not run
	mesh[2].signal(syscall.SIGSTOP)
	began := time.Now()
	got := config.doveadm("-v", "director", "down", "127.0.2.1", "-a",
		filepath.Join(mesh[0].runDir, "director-admin"))
	diff := cmp.Diff(result{stderr: "Info: 127.0.2.1: down\n"}, got, cmp.AllowUnexported(result{}))
	if diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("took %v", took)
	}
	mesh[2].signal(syscall.SIGCONT)
	var table result
	if !eventually(syncTime, func() bool {
		table = config.doveadm("-f", "tab", "director", "status", "-a",
			filepath.Join(mesh[2].runDir, "director-admin"))
		return strings.Contains(table.stdout, "127.0.2.1\t\t100\tdown\t")
	}) {
		t.Errorf("the director that hung has no change: %+v", table)
	}
}
