//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// onDisks gives each director of a mesh a data directory.
func (m *mesh) onDisks() {
	for _, d := range m.directors {
		d.flags = append(d.flags[:len(d.flags):len(d.flags)],
			"--data-dir", filepath.Join(m.dir, "data-"+d.name))
	}
}

// commands gives a command every 300 ms, at one director after the other, until it is stopped. Each
// sets the vhost count of one backend.
type commands struct {
	acknowledged map[string]string // by backend
	underWay     [2]string         // backend and count that may or may not hold
}

func (c *commands) run(t *testing.T, m *mesh, round int, until time.Time) {
	for i := 0; time.Now().Before(until); i++ {
		backend, count := fourBackends[i%4], fmt.Sprint(100+10*round+i)
		c.underWay = [2]string{backend, count}
		at := m.directors[i%len(m.directors)]
		if runCommand(t, "-a", at.socket(), "update", backend, count).status == 0 {
			c.acknowledged[backend] = count
		}
		pause(t, 300*time.Millisecond)
	}
}

// holds checks that the table has what was acknowledged.
func (c *commands) holds(t *testing.T, d *process, round int) {
	t.Helper()
	for line := range strings.Lines(must(t, d, "status")) {
		fields := strings.Fields(line)
		want, ok := c.acknowledged[fields[0]]
		if !ok {
			continue
		}
		got := fields[1]
		if got != want && c.underWay != [2]string{fields[0], got} {
			t.Errorf("round %d: %s has %s vhosts for %s, %s was acknowledged", round, d.name, got,
				fields[0], want)
		}
	}
}

// allKilledRounds is how often all are killed; the environment variable DIRECTORMESH_ROUNDS sets
// another number.
const allKilledRounds = 4

// TestAllKilledUnderLoad kills all directors at one moment, again and again, while logins and
// commands come in. Every change that was acknowledged holds afterwards, and every user who was
// mapped more than two seconds before is on the same backend. At some starts the wall clock of a
// director is an hour off.
func TestAllKilledUnderLoad(t *testing.T) {
	rounds := allKilledRounds
	if text := os.Getenv("DIRECTORMESH_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	m := newMesh(t, 5, "--mail-servers", "192.0.2.1-192.0.2.4")
	m.onDisks()
	start := func(round int) {
		for i, d := range m.directors {
			off := time.Duration(0)
			if round > 0 && i == round%len(m.directors) {
				off = []time.Duration{time.Hour, 0, -time.Hour}[round%3]
			}
			d.setWall(off)
			d.start()
		}
		began := time.Now()
		m.awaitSynced(15*time.Second, m.directors...)
		t.Logf("synced after %v", time.Since(began).Round(10*time.Millisecond))
	}
	start(0)
	given := commands{acknowledged: make(map[string]string)}
	known := users("known", 500)
	for round := range rounds {
		loads := make([]*load, len(m.directors))
		for i, d := range m.directors {
			loads[i] = startLoad(t, d, 400,
				mixedUsers(known, fmt.Sprintf("new-%d-at-%s-", round, d.name)))
		}
		given.run(t, m, round, time.Now().Add(5*time.Second))
		killed := time.Now()
		for _, d := range m.directors {
			d.signal(syscall.SIGKILL)
		}
		for _, d := range m.directors {
			d.await(endTime)
		}
		was := make(map[string]string)
		for _, l := range loads {
			for _, a := range l.end() {
				if a.err == nil && a.answered.Before(killed.Add(-2*time.Second)) {
					was[a.user] = a.backend
				}
			}
		}
		start(round + 1)
		var names []string
		for user := range was {
			names = append(names, user)
		}
		wrong := fewErrors{t: t}
		for _, d := range m.directors {
			given.holds(t, d, round)
		}
		d := m.directors[round%len(m.directors)]
		for user, backend := range lookupMany(t, d, names) {
			if backend != was[user] {
				wrong.errorf("round %d: %s is on %s at %s, was on %s", round, user, backend,
					d.name, was[user])
			}
		}
		t.Logf("round %d: %d users are where they were", round, len(was))
	}
	checkSame(t, m.directors)
}

// TestFullDisk fills the disk of a data directory: lookups and commands go on, and the director
// says that it keeps nothing. With room again it keeps all.
func TestFullDisk(t *testing.T) {
	m := newMesh(t, 1, "--mail-servers", "192.0.2.1-192.0.2.4")
	small := filepath.Join(m.dir, "small")
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("no small disk can be had here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(small, syscall.MNT_DETACH) })
	d := m.directors[0]
	d.flags = append(d.flags, "--data-dir", filepath.Join(small, "data"))
	d.start()
	m.awaitSynced(10*time.Second, d)
	pause(t, 2*time.Second)
	must(t, d, "update", "192.0.2.1", "50")

	filler := filepath.Join(small, "filler")
	fill, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); err == nil; {
		_, err = fill.Write(block)
	}
	fill.Close()
	began := time.Now()
	lookupMany(t, d, users("full", 20_000))
	t.Logf("20,000 lookups on a full disk took %v", time.Since(began).Round(time.Millisecond))
	got := runCommand(t, "-a", d.socket(), "update", "192.0.2.1", "60")
	if got.status != 75 || !strings.Contains(got.stderr, "no director has it on its disk") {
		t.Errorf("update: %+v", got)
	}
	if got := runCommand(t, "-a", d.socket(), "ring", "status"); !strings.Contains(got.stderr,
		"the data directory keeps nothing: no space left on device") {
		t.Errorf("ring status says %q", got.stderr)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	within(t, time.Minute, func() error {
		got := runCommand(t, "-a", d.socket(), "update", "192.0.2.1", "70")
		if got.status != 0 || got.stderr != "" {
			return fmt.Errorf("update with room again: %+v", got)
		}
		return nil
	})
	d.kill()
	d.start()
	m.awaitSynced(10*time.Second, d)
	if table := must(t, d, "status"); !strings.Contains(table, " 70 ") {
		t.Errorf("after the start:\n%s", table)
	}
	user := users("full", 1)[0]
	if got := must(t, d, "status", user); !strings.Contains(got, "expires") {
		t.Errorf("a user of before: %s", got)
	}
}
