//go:build e2e

package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Host is a network namespace with an interface eth0 on the switch, and files of its own in /etc
// where a test gives it some. All else is the machine's: files, process ids, users. Its methods are
// for the test's goroutine, but for Do.
type Host struct {
	n       *Network
	name    string
	filters int // numbers given to filters so far
}

func (h *Host) namespace() string { return h.n.inside(h.name) }

// etc is the folder whose files stand in for those of /etc.
func (h *Host) etc() string { return filepath.Join("/etc/netns", h.namespace()) }

// Prefix stands before a command and its arguments to run it on the host, as the same process.
func (h *Host) Prefix() []string { return []string{"ip", "netns", "exec", h.namespace()} }

// Run runs a command on the host; it has to succeed.
func (h *Host) Run(argv ...string) {
	h.n.t.Helper()
	h.n.run(append(h.Prefix(), argv...)...)
}

// Etc gives programs that start on the host from now on another file in place of /etc/NAME, which
// has to exist on this machine.
func (h *Host) Etc(name, content string) {
	h.n.t.Helper()
	if err := os.MkdirAll(h.etc(), 0o755); err != nil {
		h.n.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.etc(), name), []byte(content), 0o644); err != nil {
		h.n.t.Fatal(err)
	}
}

// Do runs f on the host: sockets that f itself opens, not in goroutines that it starts, belong to
// the host for as long as they live. It is safe for concurrent use.
func (h *Host) Do(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		// The thread must go back to where it was: if it ended with this goroutine, so would the
		// processes that it once started and that are to die with it (Pdeathsig).
		here, err := os.Open("/proc/thread-self/ns/net")
		if err == nil {
			defer here.Close()
			err = h.enter(f)
			if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
				err = errors.Join(err, fmt.Errorf("setns back: %w", back))
			} else {
				runtime.UnlockOSThread()
			}
		}
		done <- err
	}()
	return <-done
}

// enter moves this thread to the host and runs f.
func (h *Host) enter(f func() error) error {
	there, err := os.Open(filepath.Join("/run/netns", h.namespace()))
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	return f()
}

// Narrow has the switch send to the host at so many bits a second, with packets that wait for up to
// a time; those that would wait longer are dropped. It lasts until the function that it returns is
// called.
func (h *Host) Narrow(bits int, wait time.Duration) (undo func()) {
	h.n.t.Helper()
	h.n.run(h.n.onSwitch("tc", "qdisc", "add", "dev", h.name, "root", "tbf",
		"rate", fmt.Sprint(bits), "burst", "10kb", "latency", fmt.Sprintf("%dms",
			wait.Milliseconds()))...)
	return func() {
		h.n.t.Helper()
		h.n.run(h.n.onSwitch("tc", "qdisc", "del", "dev", h.name, "root")...)
	}
}

// Drop lets the switch drop packets before they get to the host, until the function that it returns
// is called.
func (h *Host) Drop(p Packets) (undo func()) {
	h.n.t.Helper()
	h.filters++
	number := h.filters
	h.n.run(h.n.onSwitch(filter(h.name, number, p)...)...)
	return func() {
		h.n.t.Helper()
		h.n.run(h.n.onSwitch("tc", "filter", "del", "dev", h.name, "egress",
			"pref", fmt.Sprint(number))...)
	}
}
