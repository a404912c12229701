//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// dataFiles are the files of a data directory whose names begin like this, the newest last.
func dataFiles(t *testing.T, dir, prefix string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, prefix+"-*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// edit changes a file of a data directory.
func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// copyDir replaces one directory by a copy of another.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// TestOddDisks starts a director on data directories that are not what it left: beside the others
// nothing of them counts that the mesh has changed since, and the log says what is odd.
func TestOddDisks(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.4")
	m.onDisks()
	for _, d := range m.directors {
		d.start()
	}
	m.awaitSynced(15*time.Second, m.directors...)
	d1, d2, d3 := m.directors[0], m.directors[1], m.directors[2]
	disk := func(d *process) string { return filepath.Join(m.dir, "data-"+d.name) }
	known := users("odd", 400)
	lookupMany(t, d1, known)
	must(t, d1, "down", "192.0.2.2")
	pause(t, 2500*time.Millisecond)
	d3.kill()
	old := filepath.Join(m.dir, "old")
	copyDir(t, disk(d3), old)
	d3.start()
	m.awaitSynced(15*time.Second, m.directors...)

	must(t, d1, "remove", "192.0.2.4")
	must(t, d2, "flush", "-F", "192.0.2.3")
	must(t, d1, "up", "192.0.2.2")
	must(t, d2, "update", "192.0.2.1", "30")
	must(t, d1, "move", known[0], "192.0.2.2")
	lookupMany(t, d2, known[:50]) // some get another backend now
	checkSame(t, m.directors)
	pause(t, 2500*time.Millisecond)
	wantTable, wantUsers := table(t, d1), mappings(t, d1)

	for _, test := range []struct {
		name   string
		change func(dir string)
		says   string // in the log
	}{
		{"an old copy", func(dir string) { copyDir(t, old, dir) }, ""},
		{"that of another director", func(dir string) {
			copyDir(t, disk(d1), dir)
			_ = os.Remove(filepath.Join(dir, "lock"))
		}, "the data directory was that of another director"},
		{"the last record is torn", func(dir string) {
			segments := dataFiles(t, dir, "segment")
			edit(t, segments[len(segments)-1], func(b []byte) []byte { return b[:len(b)-7] })
		}, "was not written whole, as after a crash"},
		{"a bit is flipped in a snapshot", func(dir string) {
			snapshots := dataFiles(t, dir, "snapshot")
			edit(t, snapshots[len(snapshots)-1], func(b []byte) []byte {
				b[len(b)/2] ^= 8
				return b
			})
		}, "the data directory is damaged, something that was kept is lost"},
		{"a bit is flipped in a segment", func(dir string) {
			segments := dataFiles(t, dir, "segment")
			edit(t, segments[0], func(b []byte) []byte {
				b[len(b)/3] ^= 8
				return b
			})
		}, "the data directory is damaged, something that was kept is lost"},
		{"an empty segment", func(dir string) {
			edit(t, dataFiles(t, dir, "segment")[0], func([]byte) []byte { return nil })
		}, "the data directory is damaged, something that was kept is lost"},
		{"an empty snapshot", func(dir string) {
			edit(t, dataFiles(t, dir, "snapshot")[0], func([]byte) []byte { return nil })
		}, "the data directory is damaged, something that was kept is lost"},
		{"of a later format", func(dir string) {
			edit(t, filepath.Join(dir, "identity"), func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"format": 1`), []byte(`"format": 2`), 1)
			})
		}, "the data directory is of a later release"},
	} {
		pause(t, 1500*time.Millisecond) // a snapshot of this start is there
		d3.kill()
		before := len(d3.log())
		test.change(disk(d3))
		d3.start()
		m.awaitSynced(15*time.Second, m.directors...)
		said := d3.log()[before:]
		if !strings.Contains(said, test.says) || strings.Contains(said, "panic") {
			t.Errorf("%s: the log says\n%s", test.name, lastLines(said, 20))
		}
		if strings.Contains(said, `"level":"error"`) != (strings.Contains(test.says, "lost") ||
			strings.Contains(test.says, "later")) {
			t.Errorf("%s: errors in the log:\n%s", test.name, lastLines(said, 20))
		}
		for _, d := range m.directors {
			if got := table(t, d); got != wantTable {
				t.Errorf("%s: the table of %s is\n%swas\n%s", test.name, d.name, got, wantTable)
			}
			wrong := fewErrors{t: t}
			got := mappings(t, d)
			for user, backend := range wantUsers {
				if got[user] != backend {
					wrong.errorf("%s: %s has %s on %q, was on %s", test.name, d.name, user,
						got[user], backend)
				}
			}
			if len(got) != len(wantUsers) {
				t.Errorf("%s: %s has %d users, there were %d", test.name, d.name, len(got),
					len(wantUsers))
			}
		}
	}

	// That of another mesh is refused, and says what to do.
	d3.kill()
	edit(t, filepath.Join(disk(d3), "identity"), func(b []byte) []byte {
		return bytes.Replace(b, []byte(`"mesh": "`), []byte(`"mesh": "x`), 1)
	})
	d3.start()
	if err := d3.await(endTime); err == nil || !strings.Contains(err.Error(), "78") {
		t.Errorf("on a directory of another mesh it ended with %v", err)
	}
	if !strings.Contains(lastLines(d3.log(), 5), "belongs to mesh \"xdirector\"") {
		t.Errorf("it says\n%s", lastLines(d3.log(), 5))
	}
}
