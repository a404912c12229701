//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lostLine is in the line that stands in a log for lines that were lost.
const lostLine = "log lines were lost"

// chatter makes a director write so many lines into its log, of 150 bytes and more each: it opens
// streams and closes them before the hello, which is worth a line where details are wanted.
func chatter(t *testing.T, d *process, lines int) {
	t.Helper()
	var all sync.WaitGroup
	const talkers = 4
	for range talkers {
		all.Go(func() {
			for range lines / talkers {
				c, err := net.DialTimeout("tcp", d.addr.String(), 10*time.Second)
				if err != nil {
					t.Errorf("%s takes no connection: %v", d.name, err)
					return
				}
				_, _ = c.Write(opening())
				_ = c.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, c) // until the director has seen the end
				c.Close()
			}
		})
	}
	all.Wait()
}

// startLogging starts a director alone that writes details into out.
func startLogging(t *testing.T, out *os.File, flags ...string) *process {
	t.Helper()
	m := newMesh(t, 1,
		append(flags, "--mail-servers", "192.0.2.1-192.0.2.4", "--log-level", "debug")...)
	d := m.directors[0]
	d.out = out
	d.start()
	m.awaitSynced(15*time.Second, d)
	return d
}

// checkServes demands that a director answers at once although lines of its log are lost, of about
// so many that were written, and that it counts these.
func checkServes(t *testing.T, d *process, written int) {
	t.Helper()
	l := startLoad(t, d, 200, mixedUsers(users("known", 100), "new"))
	pause(t, time.Second)
	answers := l.end()
	checkLoad(t, answers, newOracle(evenly(100, fourBackends...)),
		newOracle(evenly(100, fourBackends...)))
	lost := metricsOf(t, d)["director_log_lines_dropped_total"]
	if lost == 0 || lost > float64(written) {
		t.Errorf("%v lines are counted as lost, of some %d that were written", lost, written)
	}
	pause(t, time.Second)
	if more := metricsOf(t, d)["director_log_lines_dropped_total"] - lost; more > 100 {
		t.Errorf("%v lines more were lost in a quiet second", more)
	}
}

// TestLogPipeFull gives a director a pipe for its log that nobody reads, for longer than it
// buffers. When somebody reads again, the log says how much is missing.
func TestLogPipeFull(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	d := startLogging(t, w)
	w.Close()
	chatter(t, d, 10_000)
	checkServes(t, d, 10_100)
	var mu sync.Mutex
	var text bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		chunk := make([]byte, 64<<10)
		for {
			n, err := r.Read(chunk)
			mu.Lock()
			text.Write(chunk[:n])
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	within(t, 20*time.Second, func() error {
		chatter(t, d, 4)
		mu.Lock()
		defer mu.Unlock()
		if !strings.Contains(text.String(), lostLine) {
			return fmt.Errorf("of %d bytes of log none tell of lost lines", text.Len())
		}
		return nil
	})
	d.leave()
	<-done
}

// TestLogPipeClosed closes the pipe that a director logs to, as when the program that collects logs
// has died. It must end neither the director nor one that hold keeps sockets for.
func TestLogPipeClosed(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"serve", "hold"} {
		t.Run(word, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			m := newMesh(t, 1, "--mail-servers", "192.0.2.1-192.0.2.4", "--log-level", "debug")
			d := m.directors[0]
			d.out = w
			if word == "hold" {
				d.prefix = []string{program, "hold", "--socket", "api=" + d.socket(), "--"}
			}
			go func() { _, _ = io.Copy(io.Discard, r) }()
			d.start()
			w.Close()
			m.awaitSynced(15*time.Second, d)
			r.Close()
			chatter(t, d, 100)
			checkServes(t, d, 200)
			d.leave()
		})
	}
}

// TestLogDiskFull lets a director log to a disk that gets full, and has room again.
func TestLogDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Skipf("no small disk can be mounted here: %v; that needs root", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(dir, "log")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	d := startLogging(t, file)
	file.Close()
	chatter(t, d, 2000)
	checkServes(t, d, 2100)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, func() error {
		chatter(t, d, 4)
		text, err := os.ReadFile(path)
		if err == nil && !strings.Contains(string(text), lostLine) {
			err = fmt.Errorf("the log does not tell of lost lines: %s", text)
		}
		return err
	})
	d.leave()
}
