//go:build e2e

package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestStartAndJoin starts three directors together, then a fourth through each one of them in turn.
func TestStartAndJoin(t *testing.T) {
	m := newMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.4")
	for _, d := range m.directors {
		d.start()
	}
	m.awaitSynced(syncTime, m.directors...)
	founders := m.directors
	for _, at := range founders {
		rows, err := ringStatus(t, at)
		if err != nil {
			t.Fatal(err)
		}
		diff := cmp.Diff(wantRing(founders, at), rows, cmp.AllowUnexported(ringRow{}))
		if diff != "" {
			t.Errorf("ring status at %s (-want +got):\n%s", at.name, diff)
		}
	}
	known := users("known", 1000)
	o := newOracle(evenly(100, fourBackends...))
	lookupAll(t, founders[0], known, o)
	must(t, founders[0], "update", "192.0.2.3", "300")

	for _, through := range founders {
		fourth := m.describe()
		// It is given a table of its own, which must not get into the mesh.
		fourth.flags = []string{"--join", through.addr.String(), "--mail-servers", "192.0.2.99"}
		began := time.Now()
		fourth.start()
		all := append(founders[:3:3], fourth)
		m.awaitSynced(syncTime, all...)
		t.Logf("%s joined through %s in %v",
			fourth.name, through.name, time.Since(began).Round(time.Millisecond))
		checkSame(t, all)
		lookupAll(t, fourth, known, o)
		fourth.leave()
		for _, at := range founders {
			within(t, syncTime, func() error { return m.forgotten(at, fourth) })
		}
	}
}

// wantRing is the ring status of a mesh in which nothing has ever failed.
func wantRing(directors []*process, at *process) []ringRow {
	var rows []ringRow
	for _, d := range directors {
		kind := "peer"
		if d == at {
			kind = "self"
		}
		rows = append(rows, ringRow{
			d.addr.Addr().String(), fmt.Sprint(d.addr.Port()), kind, "never", "synced",
		})
	}
	return rows
}

// forgotten demands that a director which has left in good order is no longer listed, or at least
// was never failed.
func (m *mesh) forgotten(at, left *process) error {
	m.t.Helper()
	rows, err := ringStatus(m.t, at)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.ip == left.addr.Addr().String() && (r.lastFailed != "never" || r.status == "synced") {
			return fmt.Errorf("%s shows %s, which has left, as %+v", at.name, left.name, r)
		}
	}
	return nil
}

// TestStartAlone starts a director whose peers are not there: it must serve within three seconds
// and say that it is alone.
func TestStartAlone(t *testing.T) {
	m := newMesh(t, 2, "--mail-servers", "192.0.2.1-192.0.2.4")
	d1, d2 := m.directors[0], m.directors[1]
	began := time.Now()
	d1.start()
	within(t, 5*time.Second, func() error {
		if got := runCommand(t, "-a", d1.socket(), "lookup", "alice@example.org"); got.status != 0 {
			return fmt.Errorf("lookup: %s", got.stderr)
		}
		return nil
	})
	t.Logf("the first lookup was answered after %v", time.Since(began).Round(time.Millisecond))
	within(t, 5*time.Second, func() error {
		got := runCommand(t, "-a", d1.socket(), "ring", "status")
		if !strings.Contains(got.stderr, "alone") {
			return fmt.Errorf("ring status says nothing of being alone: %q", got.stderr)
		}
		return nil
	})
	d2.start()
	m.awaitSynced(20*time.Second, d1, d2)
	checkSame(t, m.directors)
}

// TestRollingRestart restarts all directors of a mesh one after the other; the changed table and
// all users stay.
func TestRollingRestart(t *testing.T) {
	m := startMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.4")
	known := users("known", 3000)
	before := newOracle(evenly(100, fourBackends...))
	lookupAll(t, m.directors[0], known, before)
	must(t, m.directors[1], "update", "192.0.2.1", "0")
	want := table(t, m.directors[0])
	for _, d := range m.directors {
		d.leave()
		d.start()
		m.awaitSynced(15*time.Second, m.directors...)
		if diff := cmp.Diff(want, table(t, d)); diff != "" {
			t.Errorf("table of %s after its restart (-want +got):\n%s", d.name, diff)
		}
		lookupAll(t, d, known, before)
	}
	checkSame(t, m.directors)
}

// TestKeys runs a mesh with a key; directors with another key or none stay out, and both sides say
// why.
func TestKeys(t *testing.T) {
	m := newMesh(t, 2, "--mail-servers", "192.0.2.1-192.0.2.4")
	right := m.keyFile("right", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	wrong := m.keyFile("wrong", "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=")
	for _, d := range m.directors {
		d.flags = append(d.flags, "--encrypt-key-file", right)
		d.start()
	}
	m.awaitSynced(10*time.Second, m.directors...)
	members := m.directors[:2:2]
	lookupAll(t, members[0], users("known", 200), newOracle(evenly(100, fourBackends...)))
	checkSame(t, members)

	for i, c := range []struct {
		name  string
		flags []string
		// What the logs of the stranger and of the members must say.
		stranger, member string
	}{
		{"another key", []string{"--encrypt-key-file", wrong}, "peer uses another encryption key",
			"peer uses another encryption key"},
		{"no key", nil, "peer uses an encryption key and this director has none",
			"peer uses no encryption key and this director does"},
		{"another mesh", []string{"--encrypt-key-file", right, "--mesh-name", "other"},
			"peer belongs to another mesh", "peer belongs to another mesh"},
		{"another hash format", []string{"--encrypt-key-file", right, "--username-hash", "%Ln"},
			"%Lu", "%Ln"},
		{"another expire time", []string{"--encrypt-key-file", right, "--user-expire", "20m"},
			"15m", "20m"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newProcess(t, m.dir, fmt.Sprintf("s%d", i+1), netip.MustParseAddr("127.0.0.120"))
			s.flags = append([]string{
				"--join", members[0].addr.String(), "--mail-servers", "192.0.2.66",
			}, c.flags...)
			seen := []int{len(members[0].log()), len(members[1].log())}
			s.start()
			within(t, 10*time.Second, func() error {
				if !strings.Contains(s.log(), c.stranger) {
					return fmt.Errorf("the stranger's log does not say %q", c.stranger)
				}
				if said := members[0].log()[seen[0]:]; !strings.Contains(said, c.member) {
					return fmt.Errorf("the member's log does not say %q: %s", c.member, said)
				}
				return nil
			})
			for i, d := range members {
				if lines := strings.Count(d.log()[seen[i]:], "\n"); lines > 20 {
					t.Errorf("%s wrote %d lines about one stranger", d.name, lines)
				}
				rows, err := ringStatus(t, d)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range rows {
					if r.status == "synced" && r.ip == s.addr.Addr().String() {
						t.Errorf("%s lists the stranger as synced", d.name)
					}
				}
				if strings.Contains(table(t, d), "192.0.2.66") {
					t.Errorf("%s has the stranger's backend", d.name)
				}
			}
			// It serves nobody beside the mesh, however long it waits; a moment after 3 s it did.
			if i == 0 {
				pause(t, 4*time.Second)
			}
			if strings.Contains(s.log(), "serving alone") {
				t.Error("the stranger serves alone")
			}
			s.stopNow()
			m.awaitSynced(10*time.Second, members...)
		})
	}
}

// TestSameName starts a director under the name of another one: the later one must end and say why,
// the mesh goes on.
func TestSameName(t *testing.T) {
	m := startMesh(t, 2, "--mail-servers", "192.0.2.1-192.0.2.4")
	twin := newProcess(t, m.dir, "twin", netip.MustParseAddr("127.0.0.120"))
	twin.flags = []string{"--join", m.directors[0].addr.String(), "--node-name", "d2"}
	twin.start()
	if err := twin.await(15 * time.Second); err == nil {
		t.Error("the later director of the same name ended with status 0")
	}
	if !strings.Contains(twin.log(), "d2") {
		t.Errorf("its log does not name the name that is taken")
	}
	m.awaitSynced(10*time.Second, m.directors...)
}
