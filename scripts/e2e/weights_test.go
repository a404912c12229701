//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestWeights spreads 70,000 users over vhost counts of 50, 100 and 200, then changes the counts
// and flushes. The kick delay is short so that a flush of thousands does not take minutes.
func TestWeights(t *testing.T) {
	const a, b, c = "192.0.2.1", "192.0.2.2", "192.0.2.3"
	m := startMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.3", "--user-kick-delay", "100ms",
		"--max-parallel-moves", "5000")
	d1, d2, d3 := m.directors[0], m.directors[1], m.directors[2]
	must(t, d1, "update", a, "50")
	must(t, d2, "update", c, "200")
	names := users("spread", 70_000)
	o := newOracle(map[string]int{a: 50, b: 100, c: 200})
	answers := lookupMany(t, d1, names)
	count := make(map[string]int)
	for _, user := range names {
		if want := o.backend(user); answers[user] != want {
			t.Fatalf("%s: %s, the ring gives %s", user, answers[user], want)
		}
		count[answers[user]]++
	}
	for backend, percent := range map[string]float64{a: 14, b: 29, c: 57} {
		got := 100 * float64(count[backend]) / float64(len(names))
		t.Logf("%s has %.1f %% of the users", backend, got)
		if math.Abs(got-percent) > 5 {
			t.Errorf("%s has %.1f %% of the users, not within 5 points of %v",
				backend, got, percent)
		}
	}
	for _, d := range []*process{d2, d3} {
		if got := lookupMany(t, d, names); !maps.Equal(got, answers) {
			t.Fatalf("%s answers otherwise than d1", d.name)
		}
	}
	checkSame(t, m.directors)

	// An update changes Hashed at once and Current not at all.
	must(t, d3, "update", c, "10")
	o2 := newOracle(map[string]int{a: 50, b: 100, c: 10})
	user := ""
	for _, name := range names {
		if o2.backend(name) != o.backend(name) {
			user = name
			break
		}
	}
	for _, d := range m.directors {
		s := userStatus(t, d, user)
		if s.current != o.backend(user) || s.hashed != o2.backend(user) {
			t.Errorf("%s at %s after the update: %+v, want Current %s and Hashed %s",
				user, d.name, s, o.backend(user), o2.backend(user))
		}
	}

	// A flush moves everybody to where they hash now.
	began := time.Now()
	must(t, d2, "flush", "all")
	moves := 0
	for _, name := range names {
		if o2.backend(name) != o.backend(name) {
			moves++
		}
	}
	t.Logf("a flush that moves %d users of %d took %v",
		moves, len(names), time.Since(began).Round(10*time.Millisecond))
	checkAll(t, m, names, o2)

	// flush -F reassigns at once: nobody is held, no delay.
	must(t, d1, "update", b, "20")
	o3 := newOracle(map[string]int{a: 50, b: 20, c: 10})
	began = time.Now()
	must(t, d1, "flush", "-F", "all")
	for _, d := range m.directors {
		if n := len(mappings(t, d)); n != 0 {
			t.Errorf("%s has %d mappings after flush -F", d.name, n)
		}
	}
	t.Logf("flush -F took %v", time.Since(began).Round(time.Millisecond))
	for _, d := range m.directors {
		lookupAll(t, d, names, o3)
	}
	checkSame(t, m.directors)
}

// checkAll demands that every director comes to have every user where the oracle says.
func checkAll(t *testing.T, m *mesh, names []string, o oracle) {
	t.Helper()
	want := make(map[string]string)
	for _, name := range names {
		want[fmt.Sprintf("%08x@", userHash(name))] = o.backend(name)
	}
	within(t, 10*time.Second, func() error {
		for _, d := range m.directors {
			got := mappings(t, d)
			if !maps.Equal(got, want) {
				wrong := 0
				for k, backend := range want {
					if got[k] != backend {
						wrong++
					}
				}
				return fmt.Errorf(
					"%s has %d mappings (%d wanted), %d of those wanted are wrong or missing",
					d.name, len(got), len(want), wrong)
			}
		}
		return nil
	})
}

// userRow is what "status USER" prints.
type userRow struct{ current, note, hashed, initial string }

var expiryDate = regexp.MustCompile(`^\(expires \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\)$`)

// userStatus asks by command; every line must have the form of the administrator's manual.
func userStatus(t *testing.T, d *process, args ...string) userRow {
	t.Helper()
	out := must(t, d, append([]string{"status"}, args...)...)
	lines := strings.Split(out, "\n")
	if len(lines) != 4 || lines[3] != "" {
		t.Fatalf("status %s at %s does not have three lines:\n%s",
			strings.Join(args, " "), d.name, out)
	}
	var row userRow
	for i, part := range []struct {
		prefix string
		into   *string
	}{{"Current: ", &row.current}, {"Hashed: ", &row.hashed}, {"Initial config: ", &row.initial}} {
		value, ok := strings.CutPrefix(lines[i], part.prefix)
		if !ok {
			t.Fatalf("status %s at %s: line %d is %q, it should begin with %q",
				strings.Join(args, " "), d.name, i+1, lines[i], part.prefix)
		}
		*part.into = value
	}
	row.current, row.note, _ = strings.Cut(row.current, " ")
	return row
}

// TestUserStatus shows the three lines for all kinds of users, on every director.
func TestUserStatus(t *testing.T) {
	m := startMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.3 192.0.2.51@ssd 192.0.2.71@tape")
	d1, d2, d3 := m.directors[0], m.directors[1], m.directors[2]
	o := newOracle(evenly(100, "192.0.2.1", "192.0.2.2", "192.0.2.3"))
	moved := userOn(t, o, "moved", "192.0.2.1")
	must(t, d1, "lookup", moved)
	must(t, d2, "move", "--wait", moved, "192.0.2.3")
	must(t, d3, "lookup", "tagged@example.org", "ssd")
	must(t, d1, "down", "192.0.2.71")
	must(t, d1, "add", "192.0.2.4") // not in the initial configuration
	now := newOracle(evenly(100, "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"))
	newcomer := userOn(t, now, "newcomer", "192.0.2.4")

	const expires = "(expires DATE)"
	for _, c := range []struct {
		what string
		args []string
		want userRow
	}{
		{"moved", []string{moved}, userRow{"192.0.2.3", expires, now.backend(moved), "192.0.2.1"}},
		{"tagged", []string{"tagged@example.org", "ssd"},
			userRow{"192.0.2.51", expires, "192.0.2.51", "192.0.2.51"}},
		{"never seen", []string{newcomer},
			userRow{"192.0.2.4", "(not mapped)", "192.0.2.4", o.backend(newcomer)}},
		{"no usable backend", []string{"archive@example.org", "tape"},
			userRow{"n/a", "(no usable backend)", "", "192.0.2.71"}},
		{"unknown tag", []string{"archive@example.org", "none"},
			userRow{"n/a", "(no usable backend)", "", ""}},
	} {
		for _, d := range m.directors {
			within(t, 5*time.Second, func() error {
				got := userStatus(t, d, c.args...)
				got.note = expiryDate.ReplaceAllString(got.note, expires)
				if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(userRow{})); diff != "" {
					return fmt.Errorf("%s user at %s (-want +got):\n%s", c.what, d.name, diff)
				}
				return nil
			})
		}
	}
}

// A table of two thousand backends is changed again and again while users log in: making its rings
// anew must not stop lookups, nor cost much memory.
func TestLargeTable(t *testing.T) {
	var backends []string
	for i := range 2000 {
		backends = append(backends, fmt.Sprintf("10.0.%d.%d", i/250, i%250+1))
	}
	m := startMesh(t, 2, "--mail-servers", strings.Join(backends, " "))
	d1, d2 := m.directors[0], m.directors[1]
	known := users("known", 500)
	lookupMany(t, d1, known)
	loads := []*load{
		startLoad(t, d1, 100, mixedUsers(known, "new-at-d1-")),
		startLoad(t, d2, 100, mixedUsers(known, "new-at-d2-")),
	}
	for i := range 8 {
		must(t, d2, "update", backends[i*200], "50")
	}
	var answers []answer
	for _, l := range loads {
		answers = append(answers, l.end()...)
	}
	for _, a := range answers {
		if a.err != nil {
			t.Errorf("%s at %s: %v after %v", a.user, a.at.name, a.err, a.took())
		}
	}
	checkWaits(t, answers)
	for _, d := range m.directors {
		peak := d.peakMemory()
		t.Logf("%s took up to %d MB of memory", d.name, peak>>20)
		if peak > maxPeak {
			t.Errorf("%s took up to %d MB of memory, at most %d", d.name, peak>>20, maxPeak>>20)
		}
	}
}
