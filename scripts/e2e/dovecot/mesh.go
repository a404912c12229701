//go:build e2e

package dovecot

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	meshPort = 9090
	syncTime = 20 * time.Second // until directors have found each other
	endTime  = 20 * time.Second // until a director that was asked to end is gone
)

// program is the director under test; TestMain sets it before any test runs.
var program string

// director is one of ours. Its methods are for the test's goroutine unless they say otherwise.
type director struct {
	t        *testing.T
	name     string
	ip       netip.Addr
	runDir   string
	flags    []string
	prefix   []string // of the command that serves, for example to change its user
	keptOpen []string // sockets that "director hold" keeps open around it; none: it runs by itself

	cmd  *exec.Cmd // of serve or hold; nil if it does not run
	done chan struct{}
}

// newDirector describes a director that does not run yet.
func newDirector(t *testing.T, name string, ip netip.Addr, flags ...string) *director {
	t.Helper()
	dir, err := os.MkdirTemp("", "dv-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d := &director{t: t, name: name, ip: ip, runDir: dir, flags: flags}
	t.Cleanup(func() {
		d.stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, lastLines(d.log(), logLines))
		}
		os.RemoveAll(dir)
	})
	return d
}

// socket is where commands ask this director.
func (d *director) socket() string { return filepath.Join(d.runDir, "director.sock") }

// log is all that the director has logged, over all its lives. It may be called from any goroutine.
func (d *director) log() string { return readLog(d.runDir) }

// start runs the director.
func (d *director) start() {
	d.t.Helper()
	if d.cmd != nil {
		d.t.Fatalf("%s runs already", d.name)
	}
	out, err := os.OpenFile(filepath.Join(d.runDir, "log"),
		os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		d.t.Fatal(err)
	}
	defer out.Close() // the process has its own copy
	args := slices.Concat([]string{
		"serve", "--node-name", d.name, "--bind", netip.AddrPortFrom(d.ip, meshPort).String(),
		"--run-dir", d.runDir,
	}, d.flags)
	command := slices.Concat(d.prefix, []string{program}, args)
	if d.keptOpen != nil {
		hold := []string{program, "hold"}
		for _, s := range d.keptOpen {
			hold = append(hold, "--socket", s)
		}
		command = slices.Concat(hold, []string{"--"}, command)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	d.done = begin(d.t, cmd) // hold passes a signal on
	d.cmd = cmd
}

// pid is the process that serves.
func (d *director) pid() int {
	d.t.Helper()
	pid := d.cmd.Process.Pid
	if d.keptOpen == nil {
		return pid
	}
	child := 0
	if !eventually(startTime, func() bool {
		child = childOf(pid)
		return child != 0
	}) {
		d.t.Fatalf("%s: hold has no child", d.name)
	}
	return child
}

// childOf is the child of a process, 0 if it has none. The guard of "director hold" does not count.
func childOf(pid int) int {
	// each thread lists its own children
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for _, field := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(field)
			command, readErr := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", n))
			if err == nil && readErr == nil && !bytes.Contains(command, []byte("director-guard")) {
				return n
			}
		}
	}
	return 0
}

// signal sends a signal to the process that serves.
func (d *director) signal(s syscall.Signal) {
	d.t.Helper()
	if err := syscall.Kill(d.pid(), s); err != nil {
		d.t.Fatalf("signal %v to %s: %v", s, d.name, err)
	}
}

// kill ends a director without "director hold" with SIGKILL.
func (d *director) kill() {
	d.t.Helper()
	d.signal(syscall.SIGKILL)
	d.await()
}

// stop ends the director in good order; it is fine if it does not run.
func (d *director) stop() {
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	_ = syscall.Kill(d.pidOrZero(), syscall.SIGCONT)
	d.await()
}

// pidOrZero is for a process that may be gone; 0 would be our own group, so a pid that cannot exist
// stands for it.
func (d *director) pidOrZero() int {
	if d.keptOpen != nil {
		return 1 << 30
	}
	return d.cmd.Process.Pid
}

func (d *director) await() {
	select {
	case <-d.done:
	case <-time.After(endTime):
		d.t.Errorf("%s has not ended after %v", d.name, endTime)
		_ = d.cmd.Process.Kill()
		<-d.done
	}
	d.cmd = nil
}

// ask runs one of our commands against this director. It may be called from any goroutine.
func (d *director) ask(args ...string) result {
	return runProgram(d.t, "", program, append(args, "-a", d.socket())...)
}

// must runs one of our commands and fails the test if it fails.
func (d *director) must(args ...string) string {
	d.t.Helper()
	got := d.ask(args...)
	if got.status != 0 {
		d.t.Fatalf("director %s at %s: status %d: %s",
			strings.Join(args, " "), d.name, got.status, got.stderr)
	}
	return got.stdout
}

// awaitMesh waits until n directors are synced with each other, as this one sees it.
func (d *director) awaitMesh(n int) {
	d.t.Helper()
	var got result
	if !eventually(syncTime, func() bool {
		got = d.ask("ring", "status", "--json")
		var status struct {
			Directors []struct{ Type, State string }
		}
		if got.status != 0 || json.Unmarshal([]byte(got.stdout), &status) != nil {
			return false
		}
		synced := 0
		for _, p := range status.Directors {
			if p.State == "synced" {
				synced++
			}
		}
		return synced == n
	}) {
		d.t.Fatalf("%s does not see %d synced directors: %s%s", d.name, n, got.stdout, got.stderr)
	}
}

// startMesh starts directors that know each other, and waits until they are synced.
func startMesh(t *testing.T, directors ...*director) {
	t.Helper()
	var join []string
	for _, d := range directors {
		join = append(join, netip.AddrPortFrom(d.ip, meshPort).String())
	}
	for _, d := range directors {
		d.flags = append(d.flags, "--join", strings.Join(join, ","))
		d.start()
	}
	for _, d := range directors {
		d.awaitMesh(len(directors))
	}
}

// metric returns the value of one of the director's metrics, with its labels as /metrics shows
// them.
func (d *director) metric(name string) int {
	d.t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", d.socket())
		},
	}}
	resp, err := client.Get("http://director/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				d.t.Fatal(err)
			}
			return int(value)
		}
	}
	d.t.Fatalf("%s has no metric %s", d.name, name)
	return 0
}
