//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/api"
)

// historyAt returns what a director tells of the admin changes: where each was asked for, by which
// door and who, what and how it went.
func historyAt(t *testing.T, d *process) (lines []string, directors string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	h, err := client(t, d).History(ctx, api.HistoryQuery{Limit: 100})
	if err != nil {
		t.Fatalf("history at %s: %v", d.name, err)
	}
	for _, c := range h.Changes {
		who, _, _ := strings.Cut(c.Who, " pid ")
		line := fmt.Sprint(c.Director, " ", c.Door, " ", who, " ", c.Action)
		for _, detail := range c.Details {
			if detail.Name != "user_hash" {
				line += " " + detail.Value
			}
		}
		if c.Error != "" {
			line += " failed"
		}
		lines = append(lines, line)
	}
	return lines, answered(h.Directors)
}

// answered says which directors told what they know, and which did not.
func answered(all []api.HistoryDirector) string {
	var words []string
	for _, d := range all {
		word := d.Name
		if d.Error != "" {
			word += " silent"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// userHistoryAt returns what a director tells of a user, and where the user was at a moment.
func userHistoryAt(
	t *testing.T, d *process, user string, at time.Time,
) (lines []string, stay string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	h, err := client(t, d).UserHistory(ctx, user, at, api.HistoryQuery{})
	if err != nil {
		t.Fatalf("history of %s at %s: %v", user, d.name, err)
	}
	for _, c := range h.Changes {
		line := fmt.Sprint(c.From, ">", c.To, " ", c.Reason, " at ", c.By)
		if c.Asked != nil {
			line += " asked at " + c.Asked.Director
		}
		lines = append(lines, line)
	}
	for _, s := range h.Stays {
		stay += fmt.Sprint(s.Certainty, " ", s.Backend)
	}
	return lines, stay
}

// TestHistory asks each of three directors who changed what, and where a user was. All say the
// same; one that was killed is named; with data directories all of it is there after a restart of
// all, and no name of a user is in the files.
func TestHistory(t *testing.T) {
	m := newMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.3", "--user-kick-delay", "50ms")
	m.onDisks()
	for _, d := range m.directors {
		d.start()
	}
	m.awaitSynced(10*time.Second, m.directors...)
	d1, d2, d3 := m.directors[0], m.directors[1], m.directors[2]
	const user = "alice@example.org"
	lookup := func(d *process) string {
		return strings.Fields(must(t, d, "lookup", user))[1]
	}
	first := lookup(d2)
	checkKnown(t, m, user)
	var others []string
	for _, b := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		if b != first {
			others = append(others, b)
		}
	}
	pause(t, time.Second)
	mapped := time.Now()
	pause(t, time.Second)
	must(t, d1, "move", "--wait", user, others[0])
	pause(t, time.Second)
	moved := time.Now()
	must(t, d2, "update", others[1], "50")
	if runCommand(t, "-a", d3.socket(), "down", "198.51.100.1").status == 0 {
		t.Fatal("a backend that is not there is down")
	}
	must(t, d3, "update", others[0], "0")
	must(t, d3, "flush", others[0])
	must(t, d1, "flush", "-F", "all")
	pause(t, 2*time.Second)
	forgotten := time.Now()
	pause(t, time.Second)
	last := lookup(d1)
	pause(t, 2*time.Second)

	uid := fmt.Sprint("uid ", os.Getuid(), " ")
	changes := []string{
		"d1 director.sock " + uid + "move " + others[0],
		"d2 director.sock " + uid + "update " + others[1] + " 50",
		"d3 director.sock " + uid + "down 198.51.100.1 failed",
		"d3 director.sock " + uid + "update " + others[0] + " 0",
		"d3 director.sock " + uid + "flush " + others[0] + " 0",
		"d1 director.sock " + uid + "forget all",
	}
	lines, _ := userHistoryAt(t, d1, user, time.Time{})
	if len(lines) < 5 {
		t.Fatalf("of the user: %q", lines)
	}
	_, to, _ := strings.Cut(strings.Fields(lines[2])[0], ">") // where the flush moved the user
	ways := []string{
		">" + first + " login at d2",
		first + ">" + others[0] + " move at d1 asked at d1",
		others[0] + ">" + to + " flush at d3 asked at d3",
		to + "> forgotten at  asked at d1",
	}
	if last == to {
		ways = append(ways, ">"+last+" login at d1")
	} else {
		ways = append(ways, to+">"+last+" forgotten at d1 asked at d1")
	}
	check := func(when, directors string, changes, ways []string, asked ...*process) {
		t.Helper()
		for _, d := range asked {
			lines, told := historyAt(t, d)
			if diff := cmp.Diff(changes, lines); diff != "" {
				t.Errorf("%s, at %s (-want +got):\n%s", when, d.name, diff)
			}
			if told != directors {
				t.Errorf("%s, at %s: %s answer, want %s", when, d.name, told, directors)
			}
			for at, want := range map[time.Time]string{
				mapped: "there " + first, moved: "there " + others[0], forgotten: "nowhere ",
				time.Now(): "there " + last,
			} {
				lines, stay := userHistoryAt(t, d, user, at)
				if diff := cmp.Diff(ways, lines); diff != "" {
					t.Errorf("%s, of the user at %s (-want +got):\n%s", when, d.name, diff)
				}
				if stay != want {
					t.Errorf("%s, at %s: %s, want %s", when, d.name, stay, want)
				}
			}
		}
	}
	check("all run", "d1, d2, d3", changes, ways, d1, d2, d3)

	d3.kill()
	within(t, 20*time.Second, func() error {
		if _, told := historyAt(t, d1); told != "d1, d2, d3 silent" {
			return fmt.Errorf("%s answer", told)
		}
		return nil
	})
	// Without d3 nobody knows who asked there; what it changed the others have seen.
	unknown := []string{changes[0], changes[1], "d3   update " + others[0] + " 0", changes[5]}
	without := append([]string(nil), ways...)
	without[2] = others[0] + ">" + to + " other at "
	check("d3 is dead", "d1, d2, d3 silent", unknown, without, d1, d2)

	d1.leave()
	d2.kill()
	for _, d := range m.directors {
		d.start()
	}
	m.awaitSynced(20*time.Second, m.directors...)
	check("all were restarted", "d1, d2, d3", changes, ways, d1, d2, d3)
	said := runCommand(t, "-a", d1.socket(), "history", user)
	for _, want := range []string{"d1 did not run from", "d2 crashed", "d3 crashed"} {
		if !strings.Contains(said.stderr, want) {
			t.Errorf("not said: %s\n%s", want, said.stderr)
		}
	}
	for _, d := range m.directors {
		d.leave()
	}
	files, err := filepath.Glob(filepath.Join(m.dir, "data-*", "*-*"))
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "alice") {
			t.Errorf("%s has the name of a user", file)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}

// TestHistoryWhileOneHangs asks while a director answers nothing: after five seconds it is named.
func TestHistoryWhileOneHangs(t *testing.T) {
	m := startMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.3")
	d1, d2 := m.directors[0], m.directors[1]
	must(t, d1, "update", "192.0.2.1", "50")
	d2.signal(syscall.SIGSTOP)
	defer d2.signal(syscall.SIGCONT)
	began := time.Now()
	lines, told := historyAt(t, d1)
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("took %v", took)
	}
	if told != "d1, d2 silent, d3" || len(lines) != 1 {
		t.Errorf("%s answer: %q", told, lines)
	}
}
