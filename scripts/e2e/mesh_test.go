//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"directormesh/cli/api"
)

// syncTime is within what directors that start together must be synced.
const syncTime = 5 * time.Second

// mesh is some directors that belong together.
type mesh struct {
	t         *testing.T
	dir       string
	flags     []string // that all directors have
	directors []*process
}

// newMesh describes a mesh of n directors, none of which runs. Each has an address of its own and
// joins all the others.
func newMesh(t *testing.T, n int, flags ...string) *mesh {
	t.Helper()
	// t.TempDir names are too long for the path of a socket.
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m := &mesh{t: t, dir: dir, flags: flags}
	var join []string
	for range n {
		d := m.describe()
		join = append(join, d.addr.String())
	}
	if n > 1 { // one alone has nobody to wait for
		for _, d := range m.directors {
			d.flags = append([]string{"--join", strings.Join(join, ",")}, flags...)
		}
	}
	return m
}

// startMesh starts a mesh and waits until all its directors are synced.
func startMesh(t *testing.T, n int, flags ...string) *mesh {
	t.Helper()
	m := newMesh(t, n, flags...)
	for _, d := range m.directors {
		d.start()
	}
	m.awaitSynced(10*time.Second, m.directors...)
	return m
}

// describe adds a director that does not run and joins nobody.
func (m *mesh) describe() *process {
	m.t.Helper()
	number := len(m.directors) + 1
	ip := netip.AddrFrom4([4]byte{127, 0, 0, byte(100 + number)})
	d := newProcess(m.t, m.dir, fmt.Sprintf("d%d", number), ip)
	d.flags = m.flags
	m.directors = append(m.directors, d)
	return d
}

// ringRow is one line of "ring status".
type ringRow struct {
	ip, port, kind, lastFailed, status string
}

var ringLine = regexp.MustCompile(`^(\S+) +(\d+) +(self|peer|removed) +` +
	`(never|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) +` +
	`(synced|syncing|handshaking(?: - \d+ USERs (?:received|sent))?) `)

// ringStatus asks a director for the mesh by its command.
func ringStatus(t *testing.T, d *process) ([]ringRow, error) {
	t.Helper()
	got := runCommand(t, "-a", d.socket(), "ring", "status")
	if got.status != 0 {
		return nil, fmt.Errorf("ring status at %s: exit status %d: %s",
			d.name, got.status, got.stderr)
	}
	var rows []ringRow
	for line := range strings.Lines(got.stdout) {
		if strings.HasPrefix(line, "director ip") {
			continue
		}
		match := ringLine.FindStringSubmatch(line)
		if match == nil {
			return nil, fmt.Errorf("ring status at %s has a line that is not understood: %q",
				d.name, line)
		}
		rows = append(rows, ringRow{match[1], match[2], match[3], match[4], match[5]})
	}
	return rows, nil
}

// row finds a director in the ring status of another.
func (m *mesh) row(at, of *process) (ringRow, error) {
	m.t.Helper()
	rows, err := ringStatus(m.t, at)
	if err != nil {
		return ringRow{}, err
	}
	for _, r := range rows {
		if r.ip == of.addr.Addr().String() && r.port == fmt.Sprint(of.addr.Port()) {
			return r, nil
		}
	}
	return ringRow{}, fmt.Errorf("%s does not list %s: %v", at.name, of.name, rows)
}

// awaitSynced waits until each of these directors lists exactly these directors as synced.
func (m *mesh) awaitSynced(d time.Duration, directors ...*process) {
	m.t.Helper()
	within(m.t, d, func() error {
		for _, at := range directors {
			for _, of := range directors {
				r, err := m.row(at, of)
				if err != nil {
					return err
				}
				if r.status != "synced" {
					return fmt.Errorf("%s is %q for %s", of.name, r.status, at.name)
				}
			}
		}
		return nil
	})
}

// must runs a command that has to succeed at one director and returns what it prints.
func must(t *testing.T, at *process, args ...string) string {
	t.Helper()
	got := runCommand(t, append([]string{"-a", at.socket()}, args...)...)
	if got.status != 0 {
		t.Fatalf("director %s at %s: exit status %d: %s",
			strings.Join(args, " "), at.name, got.status, got.stderr)
	}
	return got.stdout
}

// client returns a client of a director for queries; it is closed with the test.
func client(t *testing.T, d *process) *api.Client {
	t.Helper()
	c, err := api.NewClient(d.socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// mappings returns all mappings of a director, tag and hash to backend.
func mappings(t *testing.T, d *process) map[string]string {
	t.Helper()
	all := make(map[string]string)
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	err := client(t, d).Mappings(ctx, api.MappingFilter{}, func(m api.Mapping) error {
		all[fmt.Sprintf("%08x@%s", m.UserHash, m.Tag)] = m.Backend.String()
		return nil
	})
	if err != nil {
		t.Fatalf("mappings of %s: %v", d.name, err)
	}
	return all
}

// table returns the backends of a director as its command prints them, without the users and the
// time of the last change.
func table(t *testing.T, d *process) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	backends, err := client(t, d).Backends(ctx)
	if err != nil {
		t.Fatalf("table of %s: %v", d.name, err)
	}
	var b strings.Builder
	for _, row := range backends.Backends {
		fmt.Fprintf(&b, "%v tag=%q vhosts=%d %s\n", row.IP, row.Tag, row.VHosts, row.State)
	}
	return b.String()
}

// within polls until check returns nil, and fails the test with its last error when time is up.
func within(t *testing.T, d time.Duration, check func() error) {
	t.Helper()
	deadline := time.After(d)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("still not after %v: %v", d, err)
		}
	}
}

// pause lets time pass while something goes on that the test does not control.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// together runs functions at the same moment and waits for all.
func together(functions ...func()) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for _, f := range functions {
		all.Go(func() {
			<-start
			f()
		})
	}
	close(start)
	all.Wait()
}

// stranger is a user who may not use a director's socket.
func stranger() *syscall.Credential {
	return &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}
}

// keyFile writes a key file and returns its path.
func (m *mesh) keyFile(name, key string) string {
	m.t.Helper()
	path := filepath.Join(m.dir, name+".key")
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		m.t.Fatal(err)
	}
	return path
}
