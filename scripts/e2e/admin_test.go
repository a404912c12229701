//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDump replays the dump of a changed mesh on a fresh one: the tables must be the same
// afterwards, down states included.
func TestDump(t *testing.T) {
	const servers = "192.0.2.1-192.0.2.3 192.0.2.51@ssd"
	changed := startMesh(t, 2, "--mail-servers", servers)
	d1, d2 := changed.directors[0], changed.directors[1]
	must(t, d1, "update", "192.0.2.1", "33")
	must(t, d2, "down", "192.0.2.2")
	must(t, d1, "remove", "192.0.2.3")
	must(t, d2, "add", "-t", "ssd", "192.0.2.52", "7")
	must(t, d1, "down", "192.0.2.52")
	dump := must(t, d2, "dump")

	fresh := startMesh(t, 1, "--mail-servers", servers)
	for line := range strings.Lines(dump) {
		// Like doveadm's, the commands name the director if the one that asked for the dump did so.
		words := strings.Fields(strings.Replace(line, " -a "+d2.socket(), "", 1))
		if words[0] != "director" {
			t.Fatalf("dump has a line that is no command: %q", line)
		}
		must(t, fresh.directors[0], words[1:]...)
	}
	if diff := cmp.Diff(table(t, d1), table(t, fresh.directors[0])); diff != "" {
		t.Errorf("table after replaying the dump (-want +got):\n%s\n%s", diff, dump)
	}
}

// TestRingRemove removes a live director: the mesh refuses it until it is added again, then it has
// all that it missed.
func TestRingRemove(t *testing.T) {
	m := startMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.4")
	d1, d2, d3 := m.directors[0], m.directors[1], m.directors[2]
	port := fmt.Sprint(d3.addr.Port())
	must(t, d1, "ring", "remove", d3.addr.Addr().String(), port)
	removed := func() error {
		for _, at := range []*process{d1, d2} {
			if r, err := m.row(at, d3); err != nil || r.kind != "removed" || r.status == "synced" {
				return fmt.Errorf("d3 at %s: %+v %v", at.name, r, err)
			}
		}
		return nil
	}
	within(t, 5*time.Second, removed)
	must(t, d2, "update", "192.0.2.1", "10")
	lookupAll(t, d2, users("meanwhile", 500), newOracle(map[string]int{
		"192.0.2.1": 10, "192.0.2.2": 100, "192.0.2.3": 100, "192.0.2.4": 100,
	}))
	// It tries to come back, by itself and by a restart, and stays out.
	d3.kill()
	d3.start()
	pause(t, 2*time.Second)
	if err := removed(); err != nil {
		t.Errorf("after its restart: %v", err)
	}
	must(t, d2, "ring", "add", d3.addr.Addr().String(), port)
	m.awaitSynced(20*time.Second, m.directors...)
	checkSame(t, m.directors)
}

// TestChangeKey changes the key of a mesh as the README says, one director after the other, without
// a gap.
func TestChangeKey(t *testing.T) {
	t.Parallel()
	const old, next = oldKey, newKey
	m := newMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.4")
	files := make(map[*process]string)
	for _, d := range m.directors {
		files[d] = m.keyFile(d.name, old)
		d.flags = append(d.flags, "--encrypt-key-file", files[d])
		d.start()
	}
	m.awaitSynced(10*time.Second, m.directors...)
	known := users("known", 1000)
	o := newOracle(evenly(100, fourBackends...))
	lookupAll(t, m.directors[0], known, o)
	must(t, m.directors[0], "update", "192.0.2.1", "0")
	loads := make([]*load, len(m.directors))
	for i, d := range m.directors {
		loads[i] = startLoad(t, d, 200, mixedUsers(known, fmt.Sprintf("new-at-%s-", d.name)))
	}
	for _, keys := range []string{old + "\n" + next, next + "\n" + old, next} {
		for _, d := range m.directors {
			if err := os.WriteFile(files[d], []byte(keys+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			reloads := strings.Count(d.log(), "settings reloaded")
			d.signal(syscall.SIGHUP)
			within(t, 10*time.Second, func() error {
				if strings.Count(d.log(), "settings reloaded") == reloads {
					return fmt.Errorf("%s has not read its keys", d.name)
				}
				return nil
			})
			pause(t, time.Second)
			m.awaitSynced(15*time.Second, m.directors...)
		}
	}
	var answers []answer
	for _, l := range loads {
		answers = append(answers, l.end()...)
	}
	for _, a := range answers {
		if a.err != nil {
			t.Errorf("%s at %s: %v", a.user, a.at.name, a.err)
		}
	}
	checkOneBackend(t, answers)
	t.Logf("%d lookups while the key changed", len(answers))
	for _, d := range m.directors {
		got := must(t, d, "keys", "list")
		if !regexp.MustCompile(`\n[0-9a-f]{8} encrypts +3 +4 +0 *\n$`).MatchString(got) {
			t.Errorf("keys of %s:\n%s", d.name, got)
		}
		for _, key := range []string{old, next} {
			if strings.Contains(d.log(), key) {
				t.Errorf("the log of %s has a key", d.name)
			}
		}
	}
	// A director that starts with the old key alone is kept out, and one with the new one joins.
	late := m.describe()
	late.flags = append(slices.Clone(m.directors[0].flags), "--encrypt-key-file",
		m.keyFile(late.name, old))
	late.start()
	within(t, 10*time.Second, func() error {
		if !strings.Contains(late.log(), "peer uses another encryption key") {
			return errors.New("it does not say that its key is another one")
		}
		return nil
	})
	late.kill()
	late.start("--encrypt-key-file", m.keyFile(late.name, next))
	m.awaitSynced(15*time.Second, m.directors...)
	checkSame(t, m.directors)
}
