//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMoveDuringLogins moves a user back and forth who logs in on all directors all the time: once
// anybody has been told the new backend, nobody is told the old one.
func TestMoveDuringLogins(t *testing.T) {
	m := startMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.3", "--user-kick-delay", "50ms")
	const user = "alice@example.org"
	must(t, m.directors[0], "lookup", user)
	checkKnown(t, m, user)
	backends := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}
	from := slices.Index(backends, userStatus(t, m.directors[0], user).current)
	for round := range 10 {
		to := (from + 1 + round%2) % 3
		answers := loginsDuring(t, m, user, func() {
			must(t, m.directors[round%3], "move", "--wait", user, backends[to])
		})
		checkMove(t, answers, backends[from], backends[to])
		from = to
	}
}

// checkKnown waits until all directors have a user's mapping.
func checkKnown(t *testing.T, m *mesh, user string) {
	t.Helper()
	within(t, 5*time.Second, func() error {
		for _, d := range m.directors {
			if s := userStatus(t, d, user); !strings.HasPrefix(s.note, "(expires") {
				return fmt.Errorf("%s does not know %s: %+v", d.name, user, s)
			}
		}
		return nil
	})
}

// loginsDuring lets a user log in on all directors, four at a time on each, from before until a
// little after f runs.
func loginsDuring(t *testing.T, m *mesh, user string, f func()) []answer {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var mu sync.Mutex
	var answers []answer
	for _, d := range m.directors {
		a := newAsker(t, d)
		for range 4 {
			all.Go(func() {
				for ctx.Err() == nil {
					got := a.lookup(user)
					mu.Lock()
					answers = append(answers, got)
					mu.Unlock()
				}
			})
		}
	}
	pause(t, 100*time.Millisecond)
	f()
	pause(t, 100*time.Millisecond)
	stop()
	all.Wait()
	return answers
}

// checkMove demands that no lookup which began after somebody had been told the new backend was
// told the old one.
func checkMove(t *testing.T, answers []answer, from, to string) {
	t.Helper()
	var first *answer
	for i, a := range answers {
		if a.err == nil && a.backend == to && (first == nil || a.answered.Before(first.answered)) {
			first = &answers[i]
		}
	}
	if first == nil {
		t.Fatalf("of %d answers none was the new backend %s", len(answers), to)
	}
	for _, a := range answers {
		switch {
		case a.err != nil:
			t.Errorf("lookup at %s during a move: %v", a.at.name, a.err)
		case a.backend != from && a.backend != to:
			t.Errorf("%s answered %s during a move from %s to %s", a.at.name, a.backend, from, to)
		case a.backend == from && a.asked.After(first.answered):
			t.Errorf(
				"%s answered the old backend to a lookup made %v after %s had answered the new one",
				a.at.name, a.asked.Sub(first.answered), first.at.name)
		}
	}
}

// TestTwoMoves lets two directors move the same user at the same moment: one of them wins
// everywhere, or has to try again.
func TestTwoMoves(t *testing.T) {
	m := startMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.3", "--user-kick-delay", "50ms")
	o := newOracle(evenly(100, "192.0.2.1", "192.0.2.2", "192.0.2.3"))
	won := make(map[string]int)
	for round := range 10 {
		user := userOn(t, o, fmt.Sprintf("contested%d-", round), "192.0.2.1")
		must(t, m.directors[2], "lookup", user)
		var one, two outcome
		together(
			func() {
				one = runCommand(t, "-a", m.directors[0].socket(), "move", "--wait", user,
					"192.0.2.2")
			},
			func() {
				two = runCommand(t, "-a", m.directors[1].socket(), "move", "--wait", user,
					"192.0.2.3")
			},
		)
		for _, got := range []outcome{one, two} {
			if got.status != 0 && (got.status != 75 || !oneLine(got.stderr)) {
				t.Errorf("a move ended with status %d: %q", got.status, got.stderr)
			}
		}
		if one.status != 0 && two.status != 0 {
			t.Errorf("neither move succeeded: %q, %q", one.stderr, two.stderr)
		}
		within(t, 5*time.Second, func() error {
			at := userStatus(t, m.directors[0], user).current
			for _, d := range m.directors[1:] {
				if got := userStatus(t, d, user).current; got != at {
					return fmt.Errorf("%s is on %s at d1 and on %s at %s", user, at, got, d.name)
				}
			}
			if at != "192.0.2.2" && at != "192.0.2.3" {
				return fmt.Errorf("%s is on %s after two moves", user, at)
			}
			return nil
		})
		won[userStatus(t, m.directors[0], user).current]++
	}
	t.Logf("who won: %v", won)
}

// TestConcurrentChanges takes a backend down on one director and updates it on another at the same
// instant: both hold.
func TestConcurrentChanges(t *testing.T) {
	m := startMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.3")
	for round := range 5 {
		vhosts := strconv.Itoa(20 + round)
		together(
			func() { must(t, m.directors[round%3], "down", "192.0.2.1") },
			func() { must(t, m.directors[(round+1)%3], "update", "192.0.2.1", vhosts) },
			func() { must(t, m.directors[(round+2)%3], "add", "192.0.2.7", vhosts) },
		)
		want := "192.0.2.1 tag=\"\" vhosts=" + vhosts + " down\n" +
			"192.0.2.2 tag=\"\" vhosts=100 up\n192.0.2.3 tag=\"\" vhosts=100 up\n" +
			"192.0.2.7 tag=\"\" vhosts=" + vhosts + " up\n"
		// All three were acknowledged, so every director has them now.
		for _, d := range m.directors {
			if got := table(t, d); got != want {
				t.Errorf("table of %s:\n%swant:\n%s", d.name, got, want)
			}
		}
		together(
			func() { must(t, m.directors[0], "up", "192.0.2.1") },
			func() { must(t, m.directors[1], "remove", "192.0.2.7") },
		)
	}
}

// TestKickCommand flushes with a slow kick command: no more users are in flight than --max-parallel
// says, every director kicks every user that moves, and flush -F kicks nobody.
func TestKickCommand(t *testing.T) {
	const parallel = 3
	m := newMesh(t, 2, "--mail-servers", "192.0.2.1-192.0.2.2", "--user-kick-delay", "50ms")
	record := filepath.Join(m.dir, "kicks")
	for _, d := range m.directors {
		d.flags = append(d.flags, "--kick-command", kickScript(t, m, d, record))
		d.start()
	}
	m.awaitSynced(10*time.Second, m.directors...)
	d1, d2 := m.directors[0], m.directors[1]
	o := newOracle(evenly(100, "192.0.2.1", "192.0.2.2"))
	names := users("kicked", 40)
	lookupAll(t, d1, names, o)
	checkSame(t, m.directors)
	must(t, d2, "update", "192.0.2.1", "0")
	must(t, d1, "flush", "--max-parallel", strconv.Itoa(parallel), "192.0.2.1")
	checkAll(t, m, names, newOracle(evenly(100, "192.0.2.2")))

	kicked, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	begun := make(map[string]bool)  // director, hash, kept backend
	running := make(map[string]int) // kicks of a user on all directors
	most := 0
	for line := range strings.Lines(string(kicked)) {
		words := strings.Fields(line)
		what, director, hash, keep := words[0], words[1], words[2], words[3]
		if what == "begin" {
			begun[director+" "+hash+" "+keep] = true
			running[hash]++
		} else if running[hash]--; running[hash] == 0 {
			delete(running, hash)
		}
		most = max(most, len(running))
	}
	t.Logf("%d kicks, of at most %d users at a time", len(begun), most)
	if most > parallel {
		t.Errorf("%d users were in flight at once, --max-parallel says %d", most, parallel)
	}
	want := make(map[string]bool)
	for _, name := range names {
		if o.backend(name) == "192.0.2.1" {
			for _, d := range m.directors {
				want[fmt.Sprintf("%s %d 192.0.2.2", d.name, userHash(name))] = true
			}
		}
	}
	if diff := cmp.Diff(want, begun); diff != "" {
		t.Errorf("kicks: director, user hash and kept backend (-want +got):\n%s", diff)
	}

	must(t, d1, "update", "192.0.2.1", "100")
	must(t, d2, "flush", "-F", "all")
	lookupAll(t, d1, names, o)
	lookupAll(t, d2, names, o)
	checkSame(t, m.directors)
	after, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != len(kicked) {
		t.Errorf("flush -F kicked somebody: %s", after[len(kicked):])
	}
}

// kickScript writes a slow kick command of a director that notes when each kick begins and ends. A
// kick command is given tag, user hash and the backend to keep, and prints how many sessions it has
// ended.
func kickScript(t *testing.T, m *mesh, d *process, record string) string {
	t.Helper()
	path := filepath.Join(m.dir, "kick-"+d.name)
	text := fmt.Sprintf("#!/bin/sh\necho begin %[1]s $2 $3 >>%[2]s\nsleep 0.3\n"+
		"echo end %[1]s $2 $3 >>%[2]s\necho 1\n", d.name, record)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// oneLine reports whether a text is exactly one line.
func oneLine(text string) bool {
	return strings.Count(text, "\n") == 1 && strings.HasSuffix(text, "\n") && len(text) > 1
}
