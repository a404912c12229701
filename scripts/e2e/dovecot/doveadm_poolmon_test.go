//go:build e2e

package dovecot

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// poolmon is the health checker of many installations: it reads the table, and takes backends down
// and up.
type poolmon struct {
	t      *testing.T
	socket string
}

func (m poolmon) connect() (net.Conn, *bufio.Reader) {
	m.t.Helper()
	conn, err := net.Dial("unix", m.socket)
	if err != nil {
		m.t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	const version = "VERSION\tdirector-doveadm\t1\t0\n"
	if line, err := in.ReadString('\n'); line != version || err != nil {
		m.t.Fatalf("greeting %q, %v", line, err)
	}
	fmt.Fprint(conn, version)
	return conn, in
}

// states reads the table: which backends are up ("U") and down ("D").
func (m poolmon) states() map[string]string { return m.column(4) }

// vhosts reads the table: how many vhosts each backend has.
func (m poolmon) vhosts() map[string]string { return m.column(1) }

// column reads one column of the table.
func (m poolmon) column(n int) map[string]string {
	m.t.Helper()
	conn, in := m.connect()
	defer conn.Close()
	fmt.Fprint(conn, "HOST-LIST\n")
	values := make(map[string]string)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			m.t.Fatal(err)
		}
		if line == "\n" {
			return values
		}
		fields := strings.Split(line, "\t")
		values[fields[0]] = fields[n]
	}
}

// tell writes commands one by one and hangs up.
func (m poolmon) tell(commands ...string) {
	m.t.Helper()
	conn, _ := m.connect()
	defer conn.Close()
	for _, c := range commands {
		fmt.Fprintf(conn, "%s\n", c)
	}
}

// TestPoolmon takes a backend through its way down and up, with a user on it.
func TestPoolmon(t *testing.T) {
	t.Parallel()
	d := newDirector(t, "d1", newAddress(t), "--mail-servers", "127.0.2.1-127.0.2.2")
	d.start()
	d.awaitMesh(1)
	m := poolmon{t, filepath.Join(d.runDir, "director-admin")}
	_, host, _ := strings.Cut(strings.TrimSpace(d.must("lookup", "alice@example.org")), "\t")
	other := map[string]string{"127.0.2.1": "127.0.2.2", "127.0.2.2": "127.0.2.1"}[host]
	if got := m.states(); got[host] != "U" || got[other] != "U" || len(got) != 2 {
		t.Fatalf("at first: %v", got)
	}
	m.tell("HOST-DOWN\t"+host, "HOST-FLUSH\t"+host)
	if !eventually(5*time.Second, func() bool { return m.states()[host] == "D" }) {
		t.Errorf("not taken down: %v", m.states())
	}
	if !eventually(5*time.Second, func() bool {
		return strings.HasPrefix(d.must("status", "alice@example.org"),
			"Current: "+other+" (not mapped)\n")
	}) {
		t.Errorf("not flushed: %s", d.must("status", "alice@example.org"))
	}
	m.tell("HOST-UP\t" + host)
	if !eventually(5*time.Second, func() bool { return m.states()[host] == "U" }) {
		t.Errorf("not taken up: %v", m.states())
	}
}
