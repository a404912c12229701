package store_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"directormesh/mesh/store"
)

const (
	// killedDir is the environment variable by which this program is the director that is killed.
	killedDir  = "STORE_KILLED_DIR"
	killedRate = 60_000 // rows a second
	killedStep = 10 * time.Millisecond
)

// TestMain runs a director that is about to be killed, or the tests.
func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		fmt.Println(holdUntilKilled(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// holdUntilKilled goes on with the rows of a directory, and prints what is kept.
func holdUntilKilled(path string) error {
	d, err := store.Dir(path)
	if err != nil {
		return err
	}
	s, found, err := store.Open(store.Config{FS: d, Identity: ours, SnapshotBytes: 200 << 10})
	if err != nil {
		return err
	}
	have, err := rowsIn(found)
	if err != nil || len(found.Damaged) > 0 {
		return fmt.Errorf("found damage %v, %v", found.Damaged, err)
	}
	h := &holder{store: s, have: have}
	s.Start(h.source, func(now store.Status) {
		if now.Kept > 0 {
			fmt.Printf("kept %d\n", now.Kept)
		}
	})
	const each = uint64(killedRate * killedStep / time.Second)
	for i := 0; ; i++ {
		h.mu.Lock()
		from := h.have + 1
		h.have += each
		h.mu.Unlock()
		s.Put(from+each-1, rows(from, from+each-1))
		if i%3 == 0 {
			h.mark()
		}
		time.Sleep(killedStep) // the pace of the load
	}
}

// TestKilled kills a process with -9 at random moments while it keeps 60,000 rows a second on a
// real disk. What it had reported as kept is found each time, and a prefix of what was put, without
// damage. DIRECTORMESH_KILLS says how often.
func TestKilled(t *testing.T) {
	kills := 10
	if text := os.Getenv("DIRECTORMESH_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	if testing.Short() {
		kills = 3
	}
	dir, torn, most := t.TempDir(), 0, uint64(0)
	for i := range kills {
		if i%20 == 19 {
			dir = t.TempDir() // before it takes long to read
		}
		kept, last := killOne(t, dir)
		d, err := store.ExistingDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		c, err := store.Inspect(d)
		if err != nil {
			t.Fatal(err)
		}
		n, err := rowsIn(c)
		if err != nil || n < kept || len(c.Damaged) > 0 {
			t.Fatalf("kill %d: rows 1 to %d, %v, damage %v; 1 to %d were kept (it said %q)", i, n,
				err, c.Damaged, kept, last)
		}
		if c.Torn {
			torn++
		}
		most = max(most, n)
	}
	t.Logf("%d kills, the end torn %d times, up to %d rows", kills, torn, most)
}

// killOne runs a process for a random time, kills it, and returns up to where it said that rows
// were kept.
func killOne(t *testing.T, dir string) (kept uint64, last string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), killedDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Duration(rand.Int64N(int64(300*time.Millisecond))), func() {
		_ = cmd.Process.Kill() // it may have ended: then it says why
	})
	defer timer.Stop()
	in := bufio.NewReader(out)
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			break // a line that was cut off does not count
		}
		last = strings.TrimSpace(line)
		if n, err := strconv.ParseUint(strings.TrimPrefix(last, "kept "), 10, 64); err == nil {
			kept = n
		} else {
			t.Errorf("it says %s", last)
		}
	}
	_ = cmd.Wait() // it was killed
	return kept, last
}
