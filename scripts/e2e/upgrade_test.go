//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// releaseFile has the commit of the release before this one. It changes with each release.
const releaseFile = "testdata/release-before"

// buildRelease builds the director of the release before this one from its commit.
func buildRelease(t *testing.T) (path string) {
	t.Helper()
	text, err := os.ReadFile(releaseFile)
	if err != nil {
		t.Fatal(err)
	}
	commit := strings.TrimSpace(string(text))
	run := func(dir, name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
		}
		return strings.TrimSpace(string(out))
	}
	top := run(".", "git", "rev-parse", "--show-toplevel")
	if err := exec.CommandContext(t.Context(), "git", "cat-file", "-e", commit+"^{commit}").
		Run(); err != nil {
		t.Skipf("the release before this one, %s, is not in this clone; git fetch --unshallow",
			commit)
	}
	dir := t.TempDir()
	archive := filepath.Join(dir, "source.tar")
	run(top, "git", "archive", "-o", archive, commit)
	source := filepath.Join(dir, "source")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	run(dir, "tar", "-xf", archive, "-C", source)
	path = filepath.Join(dir, "director")
	run(source, "go", "build", "-buildvcs=false", "-o", path, "./cli/director")
	return path
}

// TestUpgrade replaces five directors of the release before, one after the other, by ones of this
// release while users log in at all of them, and then back again. Halfway, both kinds change the
// table.
func TestUpgrade(t *testing.T) {
	t.Parallel() // it mostly waits
	before := buildRelease(t)
	this := program
	m := newMesh(t, 5, "--mail-servers", "192.0.2.1-192.0.2.4")
	for _, d := range m.directors {
		d.program = before
		d.start()
	}
	m.awaitSynced(20*time.Second, m.directors...)
	known := users("known", 1000)
	lookupAll(t, m.directors[0], known, newOracle(evenly(100, fourBackends...)))

	vhosts := 100
	for _, to := range []string{this, before} {
		var changed []answer // of the directors while they were replaced
		var steady []answer
		for i, d := range m.directors {
			loads := make([]*load, len(m.directors))
			for j, at := range m.directors {
				loads[j] = startLoad(t, at, 200,
					mixedUsers(known, fmt.Sprintf("new-%d-%d-", vhosts, i)))
			}
			pause(t, time.Second)
			d.leave()
			pause(t, time.Second) // one more is missing for a while
			d.program = to
			d.start()
			m.awaitSynced(20*time.Second, m.directors...)
			pause(t, time.Second)
			for j, l := range loads {
				if answers := l.end(); j == i {
					changed = append(changed, answers...)
				} else {
					steady = append(steady, answers...)
				}
			}
			if i == 2 {
				vhosts -= 10
				must(t, m.directors[0], "update", "192.0.2.4", fmt.Sprint(vhosts))
				must(t, m.directors[4], "update", "192.0.2.3", fmt.Sprint(vhosts))
			}
		}
		var errs []error
		for _, a := range steady {
			if a.err != nil {
				errs = append(errs, fmt.Errorf("%s at %s: %w", a.user, a.at.name, a.err))
			}
		}
		if len(errs) > 0 {
			t.Errorf("%d of %d lookups failed at directors that were left alone: %v",
				len(errs), len(steady), errors.Join(errs[:min(len(errs), 5)]...))
		}
		changed = slices.DeleteFunc(changed, func(a answer) bool { return a.err != nil })
		checkOneBackend(t, slices.Concat(steady, changed))
		t.Logf("%d lookups at directors that were left alone, %d at those that were replaced",
			len(steady), len(changed))
		checkSame(t, m.directors)
		for _, d := range m.directors {
			hosts := must(t, d, "status")
			for _, backend := range []string{"192.0.2.3", "192.0.2.4"} {
				if !hasVHosts(hosts, backend, vhosts) {
					t.Errorf("%s has not %d vhosts at %s:\n%s", backend, vhosts, d.name, hosts)
				}
			}
			if strings.Contains(d.log(), `"level":"error"`) {
				t.Errorf("%s has logged an error:\n%s", d.name, lastLines(d.log(), logLines))
			}
		}
	}
}

// hasVHosts reports whether a list of backends has so many vhosts for one of them.
func hasVHosts(hosts, backend string, vhosts int) bool {
	for line := range strings.Lines(hosts) {
		fields := strings.Fields(line)
		if len(fields) > 2 && fields[0] == backend && slices.Contains(fields, fmt.Sprint(vhosts)) {
			return true
		}
	}
	return false
}
