//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	loadRate = 1000 // lookups a second at each director
	// failureWait is how long a lookup may wait for a director that is gone: failure detection and
	// a second.
	failureWait = 6500 * time.Millisecond
	// noWait is what a lookup that need not wait may take on a machine that is busy with this very
	// test.
	noWait = time.Second
)

var fourBackends = []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}

// TestKillUnderLoad kills a director while all are asked 1,000 times a second, and changes the
// table at the same moment.
func TestKillUnderLoad(t *testing.T) {
	m := startMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.4")
	d1, d2, d3 := m.directors[0], m.directors[1], m.directors[2]
	before := newOracle(evenly(100, fourBackends...))
	table100 := evenly(100, fourBackends...)
	table100["192.0.2.2"] = 40
	after := newOracle(table100)

	known := users("known", 4000)
	lookupAll(t, d1, known, before)

	loads := make([]*load, 3)
	for i, d := range m.directors {
		loads[i] = startLoad(t, d, loadRate, mixedUsers(known, fmt.Sprintf("new-at-%s-", d.name)))
	}
	pause(t, 2*time.Second)
	killed := time.Now()
	d3.signal(syscall.SIGKILL)
	updated := time.Now()
	must(t, d1, "update", "192.0.2.2", "40")
	t.Logf("the update came %v after the kill and took %v",
		updated.Sub(killed).Round(time.Millisecond), time.Since(updated).Round(time.Millisecond))
	if gap := updated.Sub(killed); gap > 100*time.Millisecond {
		t.Errorf("the update came %v after the kill; the test is about less than 100ms", gap)
	}
	d3.await(endTime)
	for _, survivor := range []*process{d1, d2} {
		within(t, 10*time.Second, func() error {
			r, err := m.row(survivor, d3)
			if err == nil && (r.lastFailed == "never" || r.status == "synced") {
				err = fmt.Errorf("%s shows d3 as %q, last failed %s",
					survivor.name, r.status, r.lastFailed)
			}
			return err
		})
	}
	pause(t, 2*time.Second)

	dead := loads[2].end()
	dead = slices.DeleteFunc(dead, func(a answer) bool {
		return a.answered.After(killed) ||
			a.err != nil && a.answered.After(killed.Add(-50*time.Millisecond))
	})
	live := append(loads[0].end(), loads[1].end()...)
	checkLoad(t, live, before, after)
	// What the dead one answered long before it died the others know.
	early := slices.DeleteFunc(slices.Clone(dead), func(a answer) bool {
		return a.answered.After(killed.Add(-time.Second))
	})
	checkOneBackend(t, slices.Concat(live, early))
	t.Logf("%d lookups at the survivors, %d at the dead one before it died", len(live), len(dead))

	d3.start()
	m.awaitSynced(15*time.Second, m.directors...)
	checkSame(t, m.directors)
	if r, err := m.row(d3, d1); err != nil || r.lastFailed != "never" {
		t.Errorf("d1 as the restarted d3 sees it: %v %v; a restart must reset last failed", r, err)
	}
	// Users known since before the kill are answered by the restarted one as by the others.
	answers := lookupMany(t, d3, known)
	for _, user := range known {
		if want := before.backend(user); answers[user] != want {
			t.Errorf("%s at the restarted d3: %s, it was on %s all the time",
				user, answers[user], want)
		}
	}
}

// TestPauseUnderLoad stops a director's process for 30 seconds, as a hypervisor does, moves its
// users meanwhile, and asks it at the very moment it wakes up.
func TestPauseUnderLoad(t *testing.T) {
	m := startMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.4", "--user-kick-delay", "100ms")
	d1, d2, d3 := m.directors[0], m.directors[1], m.directors[2]
	before := newOracle(evenly(100, fourBackends...))
	vhosts := evenly(100, fourBackends...)
	vhosts["192.0.2.2"] = 40
	after := newOracle(vhosts)

	known := users("known", 2000)
	moved := users("moved", 20)
	lookupAll(t, d3, slices.Concat(known, moved), before)

	loads := []*load{
		startLoad(t, d1, loadRate, mixedUsers(known, "new-at-d1-")),
		startLoad(t, d2, loadRate, mixedUsers(known, "new-at-d2-")),
	}
	pause(t, time.Second)
	d3.signal(syscall.SIGSTOP)
	stopped := time.Now()
	must(t, d2, "update", "192.0.2.2", "40")
	newBackend := make(map[string]string)
	for i, user := range moved {
		to := fourBackends[(slices.Index(fourBackends, before.backend(user))+1+i%3)%4]
		newBackend[user] = to
		must(t, m.directors[i%2], "move", "--wait", user, to)
	}
	t.Logf("an update and %d moves took %v while d3 was stopped",
		len(moved), time.Since(stopped).Round(time.Millisecond))

	// Proxies beside the stopped director have asked already when it wakes up.
	asker3 := newAsker(t, d3)
	var early sync.WaitGroup
	var earlyMu sync.Mutex
	var woken []answer
	ask := func(user string) {
		early.Go(func() {
			a := asker3.lookup(user)
			earlyMu.Lock()
			defer earlyMu.Unlock()
			woken = append(woken, a)
		})
	}
	pause(t, time.Until(stopped.Add(29*time.Second)))
	for _, user := range moved {
		ask(user)
	}
	pause(t, time.Until(stopped.Add(30*time.Second)))
	d3.signal(syscall.SIGCONT)
	continued := time.Now()
	for time.Since(continued) < 3*time.Second {
		for _, user := range moved {
			ask(user)
		}
		pause(t, 20*time.Millisecond)
	}
	early.Wait()
	m.awaitSynced(15*time.Second, m.directors...)

	slowest := time.Duration(0)
	for _, a := range woken {
		if a.err != nil {
			t.Errorf("%s at d3, asked %v after it woke up: %v",
				a.user, a.asked.Sub(continued), a.err)
			continue
		}
		if a.backend != newBackend[a.user] {
			t.Errorf("%s at d3, told %v after it woke up: %s, but it was moved to %s",
				a.user, a.answered.Sub(continued), a.backend, newBackend[a.user])
		}
		slowest = max(slowest, a.answered.Sub(continued)-max(0, a.asked.Sub(continued)))
	}
	t.Logf("%d lookups at d3 around its waking up, the slowest took %v",
		len(woken), slowest.Round(time.Millisecond))
	live := append(loads[0].end(), loads[1].end()...)
	checkLoad(t, live, before, after)
	checkOneBackend(t, live)
	checkSame(t, m.directors)
	if r, err := m.row(d1, d3); err != nil || r.lastFailed == "never" {
		t.Errorf("d3 as d1 sees it: %v %v; it must have a time in last failed", r, err)
	}
}

// checkLoad demands that no lookup failed, that every answer is right by one of the two rings, and
// that only users whose place differs between them had to wait, and not for longer than a failure
// takes to be noticed.
func checkLoad(t *testing.T, answers []answer, before, after oracle) {
	t.Helper()
	wrong := fewErrors{t: t}
	var waited, slowest time.Duration
	count := 0
	for _, a := range answers {
		changed := before.backend(a.user) != after.backend(a.user)
		limit := noWait
		if changed {
			limit = failureWait
		}
		switch {
		case a.err != nil:
			wrong.errorf("%s at %s: %v after %v", a.user, a.at.name, a.err, a.took())
		case a.backend != before.backend(a.user) && a.backend != after.backend(a.user):
			wrong.errorf("%s at %s: %s, neither ring gives that", a.user, a.at.name, a.backend)
		case a.took() > limit:
			wrong.errorf("%s at %s waited %v, at most %v allowed (place changed: %v)",
				a.user, a.at.name, a.took(), limit, changed)
		}
		if changed {
			waited = max(waited, a.took())
			if a.took() > noWait {
				count++
			}
		} else {
			slowest = max(slowest, a.took())
		}
	}
	t.Logf("%d lookups; %d of users whose place changed waited, up to %v; "+
		"the slowest of all others took %v",
		len(answers), count, waited.Round(time.Millisecond), slowest.Round(time.Millisecond))
}

// checkOneBackend demands that no user was told two backends, whoever was asked.
func checkOneBackend(t *testing.T, answers []answer) {
	t.Helper()
	wrong := fewErrors{t: t}
	first := make(map[string]answer)
	for _, a := range answers {
		if a.err != nil {
			continue
		}
		f, ok := first[a.user]
		if !ok {
			first[a.user] = a
		} else if f.backend != a.backend {
			wrong.errorf("%s was told %s by %s and %s by %s",
				a.user, f.backend, f.at.name, a.backend, a.at.name)
		}
	}
}

// fewErrors reports the first errors of a kind: one fault of a director may have thousands of
// effects on its users.
type fewErrors struct {
	t     *testing.T
	count int
}

func (f *fewErrors) errorf(format string, args ...any) {
	f.t.Helper()
	const few = 10
	switch f.count++; {
	case f.count <= few:
		f.t.Errorf(format, args...)
	case f.count == few+1:
		f.t.Error("and more like these")
	}
}

// checkSame demands that all directors come to hold the same table and the same mappings.
func checkSame(t *testing.T, directors []*process) {
	t.Helper()
	within(t, 15*time.Second, func() error {
		wantTable, want := table(t, directors[0]), mappings(t, directors[0])
		for _, d := range directors[1:] {
			if got := table(t, d); got != wantTable {
				return fmt.Errorf("table of %s:\n%sof %s:\n%s",
					directors[0].name, wantTable, d.name, got)
			}
			got := mappings(t, d)
			if len(got) != len(want) {
				return fmt.Errorf("%s has %d mappings, %s has %d",
					directors[0].name, len(want), d.name, len(got))
			}
			for user, backend := range want {
				if got[user] != backend {
					return fmt.Errorf("user %s: %s at %s, %s at %s",
						user, backend, directors[0].name, got[user], d.name)
				}
			}
		}
		return nil
	})
}
