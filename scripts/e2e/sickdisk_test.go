//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
)

// sickDisk is a directory whose syncs take long or fail, in a file system that this process serves.
type sickDisk struct {
	slowest atomic.Int64 // time.Duration; each takes from a fifth of it up to it
	fails   atomic.Bool
}

// sickNode is a file or directory of it.
type sickNode struct {
	*fs.LoopbackNode
	disk *sickDisk
}

// WrapChild implements fs.NodeWrapChilder.
func (n *sickNode) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	return &sickNode{ops.(*fs.LoopbackNode), n.disk}
}

// Fsync implements fs.NodeFsyncer.
func (n *sickNode) Fsync(ctx context.Context, f fs.FileHandle, flags uint32) syscall.Errno {
	if slowest := n.disk.slowest.Load(); slowest > 0 {
		select {
		case <-time.After(time.Duration(slowest/5 + rand.Int64N(slowest*4/5))):
		case <-ctx.Done():
			return syscall.EINTR
		}
	}
	if n.disk.fails.Load() {
		return syscall.EIO
	}
	if file, ok := f.(fs.FileFsyncer); ok {
		return file.Fsync(ctx, flags)
	}
	return 0
}

// mountSick mounts a sick disk, which works at first.
func mountSick(t *testing.T, path string) *sickDisk {
	t.Helper()
	below := path + "-below"
	for _, dir := range []string{path, below} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root, err := fs.NewLoopbackRoot(below)
	if err != nil {
		t.Fatal(err)
	}
	disk := &sickDisk{}
	options := &fs.Options{}
	options.DirectMount = true
	server, err := fs.Mount(path, &sickNode{root.(*fs.LoopbackNode), disk}, options)
	if err != nil {
		t.Skipf("no file system of our own can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		disk.slowest.Store(0)
		if err := server.Unmount(); err != nil {
			_ = syscall.Unmount(path, syscall.MNT_DETACH)
		}
	})
	return disk
}

// benched is what "director bench --json" says, as far as tests need it.
type benched struct {
	Lookups int64
	Failed  int64
	Wrong   int64
	Latency struct {
		P99  float64 `json:"p99"`
		P999 float64 `json:"p99_9"`
		Max  float64 `json:"max"`
	} `json:"latency_us"`
}

func (b benched) String() string {
	return fmt.Sprintf("%d lookups, p99 %.1f ms, p99.9 %.1f ms, max %.1f ms", b.Lookups,
		b.Latency.P99/1e3, b.Latency.P999/1e3, b.Latency.Max/1e3)
}

// bench has 10,000 lookups a second made at all directors.
func (m *mesh) bench(d time.Duration) benched {
	m.t.Helper()
	var at []string
	for _, d := range m.directors {
		at = append(at, d.socket())
	}
	got := runCommand(m.t, "bench", "-a", strings.Join(at, ","), "--rate", "10000", "--duration",
		d.String(), "--users", "20000", "--json")
	var b benched
	if err := json.Unmarshal([]byte(got.stdout), &b); err != nil || got.status != 0 {
		m.t.Errorf("bench: %v, %+v", err, got)
	}
	return b
}

// TestSickDisk has one director's disk take 2 to 10 s for each sync, and then fail. Lookups do not
// wait, nobody is excluded, commands are answered and name the director. All are killed then, and
// what was acknowledged holds.
func TestSickDisk(t *testing.T) {
	m := newMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.4")
	m.onDisks()
	d1, d2 := m.directors[0], m.directors[1]
	disk := mountSick(t, filepath.Join(m.dir, "data-"+d2.name))
	for _, d := range m.directors {
		d.start()
	}
	m.awaitSynced(15*time.Second, m.directors...)
	pause(t, 2*time.Second)
	must(t, d1, "update", "192.0.2.1", "90")
	t.Logf("with a disk that works: %v", m.bench(3*time.Second))

	update := func(value, says string) {
		t.Helper()
		began := time.Now()
		got := runCommand(t, "-a", d1.socket(), "update", "192.0.2.1", value)
		took := time.Since(began)
		t.Logf("update took %v: %s", took.Round(time.Millisecond), strings.TrimSpace(got.stderr))
		if got.status != 0 || !strings.Contains(got.stderr, says) {
			t.Errorf("update: %+v, want %q", got, says)
		}
		if took > 10*time.Second {
			t.Errorf("update took %v", took)
		}
	}
	const named = "not yet on the disk of d2"
	trouble := func(what string, begin func()) {
		t.Helper()
		logged := make([]int, len(m.directors))
		for i, d := range m.directors {
			logged[i] = len(d.log())
		}
		begin()
		pause(t, 1500*time.Millisecond)
		together(
			func() { t.Logf("%s: %v", what, m.bench(4*time.Second)) },
			func() { update("80", named) })
		update("70", named)
		m.awaitSynced(10*time.Second, m.directors...)
		for i, d := range m.directors {
			if said := d.log()[logged[i]:]; strings.Contains(said, "not synced") ||
				strings.Contains(said, "exclud") {
				t.Errorf("%s: %s says\n%s", what, d.name, lastLines(said, 10))
			}
		}
	}
	trouble("a disk that takes 2 to 10 s for a sync", func() {
		disk.slowest.Store(int64(10 * time.Second))
	})
	disk.slowest.Store(0)
	within(t, time.Minute, func() error {
		if got := runCommand(t, "-a", d1.socket(), "update", "192.0.2.1", "75"); got.stderr != "" {
			return fmt.Errorf("once it works again: %+v", got)
		}
		return nil
	})
	trouble("a disk that fails each sync", func() { disk.fails.Store(true) })

	// A good sync behind a failed one keeps nothing of before.
	update("60", named)
	disk.fails.Store(false)
	for _, d := range m.directors {
		d.signal(syscall.SIGKILL)
	}
	for _, d := range m.directors {
		d.await(endTime)
	}
	for _, d := range m.directors {
		d.start()
	}
	m.awaitSynced(20*time.Second, m.directors...)
	for _, d := range m.directors {
		if got := table(t, d); !strings.Contains(got, "vhosts=60") {
			t.Errorf("after the start %s has\n%s", d.name, got)
		}
	}
	checkSame(t, m.directors)
}
