//go:build e2e

package dovecot

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// importUsers is how many users TestImport imports; DIRECTORMESH_IMPORT sets another number.
const importUsers = 1_000_000

// logInAll logs many users in at one of Dovecot's directors, without waiting for one before the
// next.
func (r *replies) logInAll(prefix, tag string, n int) {
	r.t.Helper()
	go func() {
		out := bufio.NewWriterSize(r.conn, 64<<10)
		for i := range n {
			fmt.Fprintf(out, "OK\t%d\tuser=%s%d\tproxy%s\n", i, prefix, i, tagField(tag))
		}
		_ = out.Flush() // the reader notices
	}()
	for i := range n {
		r.backend(prefix + strconv.Itoa(i))
	}
}

// mappedTo is where a user is, and until when, in Unix seconds.
type mappedTo struct {
	host    string
	expires int64
}

// userList reads all users of a director, Dovecot's or ours, by hash. Users of several tags may
// have one hash, so it goes with the host. It shares no code with the import.
func userList(t *testing.T, socket string) map[string]mappedTo {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "VERSION\tdirector-doveadm\t1\t0\nUSER-LIST\n")
	users := make(map[string]mappedTo)
	for scanner := bufio.NewScanner(conn); scanner.Scan() && scanner.Text() != ""; {
		fields := strings.Split(scanner.Text(), "\t")
		if fields[0] == "VERSION" {
			continue
		}
		expires, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			t.Fatalf("%s lists %q", socket, scanner.Text())
		}
		users[fields[0]+" "+fields[2]] = mappedTo{fields[2], expires}
	}
	return users
}

// compareUsers reports what differs: all users of want must be in got, on the same backend, until
// the same second or the next.
func compareUsers(t *testing.T, want, got map[string]mappedTo) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%d users, want %d", len(got), len(want))
	}
	wrong := 0
	for user, w := range want {
		g, ok := got[user]
		if d := g.expires - w.expires; !ok || d < -1 || d > 1 {
			if wrong++; wrong < 10 {
				t.Errorf("%s is %+v, want %+v", user, g, w)
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d users are wrong", wrong, len(want))
	}
}

// A ring of Dovecot's directors with users, tags, uneven weights and a backend that is down is
// taken over: the table is the same, and every user has the same backend until the same time, on
// every director of the mesh. Then what changes there is followed, until an interrupt.
//
// It keeps the machine busy, so it runs before the tests that run at the same time.
func TestImport(t *testing.T) {
	n := importUsers
	if text := os.Getenv("DIRECTORMESH_IMPORT"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	ring := startRing(t, 2, []string{"127.0.2.1-127.0.2.4", "127.0.2.51-127.0.2.52@ssd"},
		"director_user_expire = 1 hour\n")
	source := ring[0].adminSocket()
	there := func(args ...string) {
		t.Helper()
		got := ring[0].doveadm(append([]string{"director"}, append(args, "-a", source)...)...)
		if got.status != 0 {
			t.Fatalf("%v: %+v", args, got)
		}
	}
	logins := newReplies(t, ring[0].path("director-authreply"))
	began := time.Now()
	logins.logInAll("a", "", n/2)
	there("update", "127.0.2.2", "250")
	there("down", "127.0.2.3")
	there("add", "127.0.2.9", "10")
	logins.logInAll("b", "", n-n/2-n/10)
	logins.logInAll("c", "ssd", n/10)
	for i := range 20 {
		there("move", fmt.Sprintf("a%d", i), "127.0.2.9")
	}
	t.Logf("%d logins at Dovecot's director took %v", n, time.Since(began))

	var mesh []*director
	for i := range 3 {
		mesh = append(mesh, newDirector(t, fmt.Sprintf("d%d", i+1), newAddress(t), "--mail-servers",
			"127.0.2.1-127.0.2.4", "--user-expire", "1h"))
	}
	startMesh(t, mesh...)

	began = time.Now()
	imported := mesh[0].ask("import", "--from", source)
	took := time.Since(began)
	if imported.status != 0 {
		t.Fatalf("import: %+v", imported)
	}
	t.Logf("import of %d users took %v: %s", n, took, imported.stderr)
	want := userList(t, source)
	for _, d := range mesh {
		if !eventually(10*time.Second, func() bool { return d.users() == len(want) }) {
			t.Errorf("%s has %d users, want %d", d.name, d.users(), len(want))
		}
		compareUsers(t, want, userList(t, d.runDir+"/director-admin"))
		compareTables(t, ring[0], d)
	}

	follow := exec.Command(program, "import", "--from", source, "--follow", "-a", mesh[1].socket())
	var told bytes.Buffer
	follow.Stderr = &told
	follow.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	logins.logInAll("later", "", 1000)
	there("up", "127.0.2.3")
	there("remove", "127.0.2.9")
	there("move", "a5", "127.0.2.1")
	logins.logInAll("last", "ssd", 1000)
	if !eventually(30*time.Second, func() bool {
		want, got := userList(t, source), userList(t, mesh[2].runDir+"/director-admin")
		for user := range want {
			if _, ok := got[user]; !ok {
				return false
			}
		}
		return len(want) == len(got) && sameTable(ring[0], mesh[2]) == ""
	}) {
		t.Errorf("the mesh does not follow")
	}
	compareUsers(t, userList(t, source), userList(t, mesh[2].runDir+"/director-admin"))
	compareTables(t, ring[0], mesh[0])
	if err := follow.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	if err := follow.Wait(); err != nil ||
		!strings.Contains(told.String(), "following until interrupted") ||
		!strings.Contains(told.String(), "removed 127.0.2.9") {
		t.Errorf("follow ended with %v and said: %s", err, &told)
	}
}

// users is how many mappings the director counts.
func (d *director) users() int {
	d.t.Helper()
	_, text, _ := strings.Cut(d.must("ring", "status", "--json"), `"self"`)
	_, text, _ = strings.Cut(text, `"users": `)
	n, _ := strconv.Atoi(text[:strings.IndexAny(text+",", ",\n")])
	return n
}

var noDates = cmp.Transformer("dates", func(s string) string {
	return datePattern.ReplaceAllString(s, "-")
})

// compareTables compares the backends, users of each included, but not since when their state is
// what it is.
func compareTables(t *testing.T, theirs *instance, ours *director) {
	t.Helper()
	if diff := sameTable(theirs, ours); diff != "" {
		t.Errorf("%s: backends (-Dovecot +ours):\n%s", ours.name, diff)
	}
}

func sameTable(theirs *instance, ours *director) string {
	table := func(socket string) []string {
		got := theirs.doveadm("-f", "tab", "director", "status", "-a", socket)
		return strings.Split(got.stdout, "\n")
	}
	return cmp.Diff(table(theirs.adminSocket()), table(ours.runDir+"/director-admin"), noDates)
}
