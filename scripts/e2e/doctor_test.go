//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/doctor"
	"directormesh/scripts/e2e/netns"
)

// examined is what doctor finds, asked at a director: codes, with the directors that they are
// about.
func examined(t *testing.T, at *process) (codes []string, c api.Checkup, err error) {
	t.Helper()
	got := runCommand(t, "-a", at.socket(), "doctor", "--json")
	if err := json.Unmarshal([]byte(got.stdout), &c); err != nil {
		return nil, c, fmt.Errorf("doctor: %w, %+v", err, got)
	}
	for _, f := range c.Findings {
		codes = append(codes, strings.TrimSpace(f.Code+" "+f.Director))
	}
	slices.Sort(codes)
	return slices.Compact(codes), c, nil
}

// awaitFindings waits until doctor finds just this, and returns what it says.
func awaitFindings(t *testing.T, at *process, want ...string) (c api.Checkup) {
	t.Helper()
	slices.Sort(want)
	within(t, 30*time.Second, func() error {
		got, checkup, err := examined(t, at)
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("doctor finds %q, want %q: %+v", got, want, checkup.Findings)
		}
		c = checkup
		return err
	})
	return c
}

// listening is a backend that takes connections until it is closed.
func listening(t *testing.T, ip string) (l net.Listener, port uint16) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-taken
	})
	return l, l.Addr().(*net.TCPAddr).AddrPort().Port()
}

// spoil gives a director that does not run everything that may be wrong with a host and with the
// settings of one, and returns what doctor is to find.
func (m *mesh) spoil(d *process, good []string) (want []string) {
	m.t.Helper()
	d.setWall(-3 * time.Second) // its program says that it is of another release, too
	d.prefix = []string{"prlimit", "--nofile=1000:1000"}
	bin, dovecot := filepath.Join(m.dir, "bin"), filepath.Join(m.dir, "dovecot")
	for _, dir := range []string{bin, dovecot} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
	// A Dovecot whose settings differ from this director's; its auth does not run.
	const doveconf = `#!/bin/sh
case "$*" in
*director_username_hash) echo "director_username_hash = %n" ;;
"-f protocol=lmtp auth_username_format") echo "auth_username_format = %n" ;;
auth_username_format) echo "auth_username_format = %Lu" ;;
esac
`
	if err := os.WriteFile(filepath.Join(bin, "doveconf"), []byte(doveconf), 0o755); err != nil {
		m.t.Fatal(err)
	}
	d.env = append(d.env, "PATH="+bin+":"+os.Getenv("PATH"))
	if err := syscall.Mkfifo(filepath.Join(dovecot, "proxy-notify"), 0o666); err != nil {
		m.t.Fatal(err)
	}
	d.flags = append(slices.Clone(good),
		"--mail-servers", "127.0.0.70 localhost localhost@other backends.invalid",
		"--user-kick-delay", "3s", "--kick-ipc", filepath.Join(dovecot, "ipc"),
		"--login-socket", "login.sock", "--login-socket-mode", "0600",
		"--auth-login-socket", filepath.Join(dovecot, "auth-login"),
		"--userdb-socket", "userdb.sock",
		"--auth-userdb-socket", filepath.Join(dovecot, "auth-userdb"))
	want = []string{
		"versions", "settings", "clock d2", "auth d2", "fifo d2", "hash_format d2", "lmtp_name d2",
		"descriptors d2", "name d2", "name_watched", "name_conflict",
	}
	if _, err := user.Lookup("dovenull"); err == nil {
		want = append(want, "socket d2")
	}
	small := filepath.Join(m.dir, "small")
	if err := os.Mkdir(small, 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=512k"); err != nil {
		m.t.Logf("no small disk can be had here, so the findings of disks are left out: %v", err)
		return want
	}
	m.t.Cleanup(func() { _ = syscall.Unmount(small, syscall.MNT_DETACH) })
	d.flags = append(d.flags, "--data-dir", filepath.Join(small, "data"))
	return append(want, "disk d2", "data_dir d2")
}

// fillDisk leaves no room on the small disk.
func (m *mesh) fillDisk() {
	m.t.Helper()
	f, err := os.Create(filepath.Join(m.dir, "small", "filler"))
	if err != nil {
		m.t.Fatal(err)
	}
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	f.Close()
}

// TestDoctor makes the findings of doctor happen to real directors. Of a healthy mesh it says
// nothing, before and after.
func TestDoctor(t *testing.T) {
	t.Parallel()
	backend, port := listening(t, "127.0.0.70")
	m := newMesh(t, 3, "--mail-servers", "127.0.0.70",
		"--health-check", fmt.Sprintf("tcp:%d", port))
	one := m.keyFile("one", oldKey)
	two := m.keyFile("two", oldKey+"\n"+newKey)
	good := make(map[*process][]string)
	kicks := []string{"--kick-command", "/bin/true"}
	for _, d := range m.directors {
		good[d] = append(d.flags, "--encrypt-key-file", one)
		d.flags = append(slices.Clone(good[d]), kicks...)
		d.start()
	}
	m.awaitSynced(10*time.Second, m.directors...)
	d1, d2, d3 := m.directors[0], m.directors[1], m.directors[2]
	awaitFindings(t, d1)
	if got := runCommand(t, "-a", d1.socket(), "doctor"); got.status != 0 ||
		!strings.HasPrefix(got.stdout, "healthy") {
		t.Errorf("of a healthy mesh doctor says %+v", got)
	}
	d2.leave()
	want := append(m.spoil(d2, good[d2]), "keys", "no_kicker d3", "backend")
	d2.start()
	d1.leave()
	d1.start("--encrypt-key-file", two)
	d3.leave()
	d3.flags = append(slices.Clone(good[d3]), "--encrypt-key-file", two)
	d3.start()
	m.awaitSynced(20*time.Second, d1, d2, d3)
	if slices.Contains(want, "disk d2") {
		m.fillDisk()
	}
	backend.Close()
	must(t, d2, "update", "127.0.0.70", "50") // it notices that nothing is kept
	checkup := awaitFindings(t, d1, want...)
	for _, f := range checkup.Findings {
		t.Logf("%s: %s %s: %s", f.Severity, f.Code, f.Director, f.Found)
	}
	if got := runCommand(t, "-a", d1.socket(), "doctor"); got.status != 2 {
		t.Errorf("doctor: %+v", got)
	}

	d2.leave()
	d3.signal(syscall.SIGSTOP)
	awaitFindings(t, d1, "unreachable d3", "backend")
	d3.signal(syscall.SIGCONT)
	awaitFindings(t, d1, "no_kicker d3", "backend")
	// A host whose settings were copied.
	m.describe().start("--join", d3.addr.String(), "--advertise", d1.addr.String(),
		"--encrypt-key-file", two)
	awaitFindings(t, d1, "own_address d1", "no_kicker d3", "backend")
}

// TestDoctorAlone asks directors that are by themselves.
func TestDoctorAlone(t *testing.T) {
	t.Parallel()
	m := startMesh(t, 1, "--mail-servers", "192.0.2.1", "--kick-command", "/bin/true")
	alone, refused := m.describe(), m.describe()
	alone.start("--join", "127.0.0.99:1")
	refused.start("--join", m.directors[0].addr.String(), "--mesh-name", "another")
	awaitFindings(t, alone, "alone "+alone.name)
	awaitFindings(t, refused, "not_synced "+refused.name)
}

// TestDoctorSplit cuts two directors off from each other.
func TestDoctorSplit(t *testing.T) {
	t.Parallel()
	n := startNetwork(t, 3, "--mail-servers", "192.0.2.1", "--kick-command", "/bin/true")
	d1, d2, d3 := n.directors[0], n.directors[1], n.directors[2]
	n.cut(d1, netns.Packets{From: d3.addr.Addr()})
	awaitFindings(t, d2, "split d1", "split d3")
}

// TestDoctorTables has a peer of a director report another table.
func TestDoctorTables(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 1, "--mail-servers", "192.0.2.1", "--kick-command", "/bin/true")
	m.directors[0].start("--encrypt-key-file", m.keyFile("mesh", testKey))
	m.awaitSynced(10*time.Second, m.directors...)
	l := newLiar(t)
	report, err := json.Marshal(doctor.Report{Name: "liar", Synced: true, Table: "5ac0ffee"})
	if err != nil {
		t.Fatal(err)
	}
	l.answers = map[string][]byte{doctor.Topic: report}
	defer l.talkTo(m.directors[0]).end()
	awaitFindings(t, m.directors[0], "tables", "versions", "keys")
}
