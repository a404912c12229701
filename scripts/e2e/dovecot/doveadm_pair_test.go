//go:build e2e

package dovecot

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// pair is one of Dovecot's directors and one of ours that are brought into the same state, each
// with a peer.
type pair struct {
	t     *testing.T
	ring  []*instance
	mesh  []*director
	users string // file of names
}

var parityBackends = []string{"127.0.2.1-127.0.2.3", "127.0.2.51@ssd"}

func newPair(t *testing.T) *pair {
	p := &pair{t: t, ring: startRing(t, 2, parityBackends, "")}
	for n := range 2 {
		p.mesh = append(p.mesh, newDirector(t, fmt.Sprintf("d%d", n+1), newAddress(t),
			"--mail-servers", strings.Join(parityBackends, " ")))
	}
	startMesh(t, p.mesh...)
	p.users = filepath.Join(p.ring[0].dir, "users")
	return p
}

// logIn makes users known to both, one after the other: lists show the longest unused first.
func (p *pair) logIn(users ...string) {
	p.t.Helper()
	if err := os.WriteFile(p.users, []byte(strings.Join(users, "\n")+"\n"), 0o644); err != nil {
		p.t.Fatal(err)
	}
	replies := newReplies(p.t, p.ring[0].path("director-authreply"))
	for _, user := range users {
		replies.logIn(user, "")
		p.mesh[0].must("lookup", user)
		time.Sleep(300 * time.Millisecond) // the mesh records quarters of a second
	}
}

// replies is a connection to a director-authreply socket.
type replies struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func newReplies(t *testing.T, socket string) *replies {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r := &replies{t: t, conn: conn, in: bufio.NewReader(conn)}
	fmt.Fprintf(conn, "VERSION\tdirector-authreply-client\t1\t0\n")
	if line, err := r.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "VERSION\t") {
		t.Fatalf("%s greets with %q, %v", socket, line, err)
	}
	return r
}

// logIn logs a user in and returns the backend.
func (r *replies) logIn(user, tag string) string {
	r.t.Helper()
	fmt.Fprintf(r.conn, "OK\t1\tuser=%s\tproxy%s\n", user, tagField(tag))
	return r.backend(user)
}

func tagField(tag string) string {
	if tag == "" {
		return ""
	}
	return "\tdirector_tag=" + tag
}

// backend reads the next reply.
func (r *replies) backend(user string) string {
	r.t.Helper()
	line, err := r.in.ReadString('\n')
	if err != nil {
		r.t.Fatalf("login of %s: %v", user, err)
	}
	_, host, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\thost=")
	if !ok {
		r.t.Fatalf("login of %s: %q", user, line)
	}
	return host
}

var datePattern = regexp.MustCompile(`20\d\d-\d\d-\d\d \d\d:\d\d:\d\d`)

// both runs doveadm against Dovecot's director and ours. SOCKET stands for the socket in arguments
// and output, DATE for dates, USERS in arguments for the file of names.
func (p *pair) both(args ...string) (theirs, ours result) {
	p.t.Helper()
	run := func(socket string) result {
		command := make([]string, len(args))
		for i, a := range args {
			command[i] = strings.ReplaceAll(strings.ReplaceAll(a, "SOCKET", socket),
				"USERS", p.users)
		}
		r := p.ring[0].doveadm(command...)
		for _, s := range []*string{&r.stdout, &r.stderr} {
			*s = datePattern.ReplaceAllString(strings.ReplaceAll(*s, socket, "SOCKET"), "DATE")
		}
		return r
	}
	return run(p.ring[0].adminSocket()), run(p.adminSocket())
}

func (p *pair) adminSocket() string { return filepath.Join(p.mesh[0].runDir, "director-admin") }

// dates returns the dates that doveadm prints.
func (p *pair) dates(socket string, args ...string) []time.Time {
	p.t.Helper()
	var dates []time.Time
	got := p.ring[0].doveadm(append(args, "-a", socket)...)
	for _, text := range datePattern.FindAllString(got.stdout, -1) {
		at, err := time.Parse(time.DateTime, text)
		if err != nil {
			p.t.Fatal(err)
		}
		dates = append(dates, at)
	}
	return dates
}
