//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestPins pins users at one director while others answer logins: all directors send them there,
// whoever dies, and after a kill of all at once, from their disks. A pin to a backend that is down
// does not count until it is up again.
func TestPins(t *testing.T) {
	t.Parallel()
	const a, b, c = "192.0.2.1", "192.0.2.2", "192.0.2.3"
	m := newMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.3", "--user-kick-delay", "100ms")
	m.onDisks()
	for _, d := range m.directors {
		d.start()
	}
	m.awaitSynced(15*time.Second, m.directors...)
	d1, d2, d3 := m.directors[0], m.directors[1], m.directors[2]
	o := newOracle(map[string]int{a: 100, b: 100, c: 100})
	var known, fresh string // who hash elsewhere than c; one is mapped when the pin comes
	for _, name := range users("pinned", 100) {
		switch {
		case o.backend(name) == c:
		case known == "":
			known = name
		case fresh == "":
			fresh = name
		}
	}
	at := func(user, want string, directors ...*process) {
		t.Helper()
		for _, d := range directors {
			if got := lookupMany(t, d, []string{user})[user]; got != want {
				t.Errorf("%s sends %s to %s, want %s", d.name, user, got, want)
			}
		}
	}
	at(known, o.backend(known), d3)
	plan := must(t, d2, "pin", "--plan", known, c)
	if !strings.HasPrefix(plan, "1 users would move") {
		t.Errorf("the plan: %s", plan)
	}
	digest := strings.Fields(plan)[len(strings.Fields(plan))-1]
	must(t, d1, "pin", "--if-plan", digest, "--wait", known, c)
	must(t, d1, "pin", fresh, c)
	at(known, c, m.directors...)
	at(fresh, c, m.directors...)

	d1.kill()
	at(known, c, d2, d3)
	must(t, d2, "flush", "all") // leaves them where they are
	at(known, c, d2, d3)
	d2.kill()
	d3.kill()
	for _, d := range m.directors {
		d.start()
	}
	m.awaitSynced(15*time.Second, m.directors...)
	at(known, c, m.directors...)
	at(fresh, c, m.directors...)

	must(t, d2, "down", c)
	must(t, d2, "flush", c)
	at(known, newOracle(map[string]int{a: 100, b: 100}).backend(known), m.directors...)
	if pins := must(t, d3, "pins"); strings.Count(pins, " no ") != 2 {
		t.Errorf("pins while their backend is down:\n%s", pins)
	}
	must(t, d3, "up", c)
	within(t, 5*time.Second, func() error { // the pinned users are moved back
		if s := must(t, d1, "status", known); !strings.HasPrefix(s, "Current: "+c+" ") {
			return fmt.Errorf("%s: %s", known, s)
		}
		return nil
	})
	must(t, d1, "unpin", known)
	within(t, 5*time.Second, func() error { // a flush leaves a user alone who is still being moved
		must(t, d1, "flush", "all")
		s := must(t, d1, "status", known)
		if !strings.HasPrefix(s, "Current: "+o.backend(known)+" ") {
			return fmt.Errorf("%s: %s", known, s)
		}
		return nil
	})
	at(known, o.backend(known), m.directors...)
	at(fresh, c, m.directors...)
	checkSame(t, m.directors)
}
