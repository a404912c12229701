//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"directormesh/cli/api"
)

const (
	oldKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	newKey = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
)

// keysOf asks a director for the keys of the mesh.
func keysOf(t *testing.T, d *process) (keys api.Keys) {
	t.Helper()
	if err := json.Unmarshal([]byte(must(t, d, "keys", "list", "--json")), &keys); err != nil {
		t.Fatal(err)
	}
	return keys
}

// awaitOneKey waits until all these directors have one key and no other, and returns its id.
func awaitOneKey(t *testing.T, directors []*process) (id string) {
	t.Helper()
	within(t, 20*time.Second, func() error {
		id = ""
		for _, d := range directors {
			keys := keysOf(t, d)
			switch {
			case keys.Rotation != nil || len(keys.Keys) != 1 ||
				len(keys.Keys[0].Directors) != len(directors):
				return fmt.Errorf("%s: %+v", d.name, keys)
			case id != "" && id != keys.Keys[0].ID:
				return fmt.Errorf("%s has key %s, another director %s", d.name, keys.Keys[0].ID, id)
			}
			id = keys.Keys[0].ID
		}
		return nil
	})
	return id
}

// TestRotateKeys rotates the keys of a mesh under load: at one director and at two at once, by
// files, with a director away, and with the rotating one killed. No lookup fails at a director that
// runs; all restart with the files from before.
func TestRotateKeys(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.4")
	files := make(map[*process]string)
	for _, d := range m.directors {
		files[d] = m.keyFile(d.name, oldKey)
		d.flags = append(d.flags, "--encrypt-key-file", files[d],
			"--data-dir", filepath.Join(m.dir, d.name+".data"))
		d.start()
	}
	m.awaitSynced(10*time.Second, m.directors...)
	d1, d2, d3 := m.directors[0], m.directors[1], m.directors[2]
	known := users("known", 1000)
	lookupAll(t, d1, known, newOracle(evenly(100, fourBackends...)))
	must(t, d1, "update", "192.0.2.1", "0")
	first := awaitOneKey(t, m.directors)
	loads := []*load{
		startLoad(t, d1, 2500, mixedUsers(known, "new-at-d1-")),
		startLoad(t, d2, 2500, mixedUsers(known, "new-at-d2-")),
	}

	for _, d := range m.directors {
		must(t, d, "keys", "rotate")
	}
	second := awaitOneKey(t, m.directors)

	// Two at once: one of them at least goes through, and what is refused says so.
	var done sync.WaitGroup
	results := make([]outcome, 2)
	for i, d := range []*process{d1, d2} {
		done.Go(func() { results[i] = runCommand(t, "-a", d.socket(), "keys", "rotate") })
	}
	done.Wait()
	if results[0].status != 0 && results[1].status != 0 {
		t.Errorf("two rotations at once: %+v and %+v", results[0], results[1])
	}
	third := awaitOneKey(t, m.directors)

	// From files, which have the old key still: it was removed, and does not count.
	for _, d := range m.directors {
		if err := os.WriteFile(files[d], []byte(newKey+"\n"+oldKey+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must(t, d3, "keys", "rotate", "--from-file")
	fourth := awaitOneKey(t, m.directors)
	seen := map[string]bool{first: true, second: true, third: true, fourth: true}
	if len(seen) != 4 {
		t.Errorf("keys %s, %s, %s and %s", first, second, third, fourth)
	}

	// The one that was asked is killed in the middle, over and over.
	for i := range 3 {
		done.Go(func() { runCommand(t, "-a", d3.socket(), "keys", "rotate") })
		pause(t, time.Duration(i)*25*time.Millisecond)
		d3.kill()
		done.Wait()
		got := runCommand(t, "-a", d1.socket(), "keys", "rotate")
		if got.status == 0 || !strings.Contains(got.stderr, "d3 is not in touch") &&
			!strings.Contains(got.stderr, "under way") {
			t.Errorf("a rotation with d3 away: %+v", got)
		}
		d3.start()
		m.awaitSynced(20*time.Second, m.directors...)
		awaitOneKey(t, m.directors)
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
	t.Logf("%d lookups while the keys were rotated", len(answers))

	for _, d := range m.directors {
		d.kill()
	}
	for _, d := range m.directors {
		d.start() // with the file of before
	}
	m.awaitSynced(20*time.Second, m.directors...)
	awaitOneKey(t, m.directors)
	must(t, d2, "update", "192.0.2.1", "50")
	checkSame(t, m.directors)
	for _, d := range m.directors {
		for _, key := range []string{oldKey, newKey} {
			if strings.Contains(d.log(), key) {
				t.Errorf("the log of %s has a key", d.name)
			}
		}
	}
}
