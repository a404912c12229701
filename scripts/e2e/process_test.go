//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	endTime  = 20 * time.Second // until a director that was asked to end is gone
	logLines = 120              // of each director, printed when a test fails
)

// process is a director: where it listens and, if it runs, its process. Its methods are for the
// test's goroutine.
type process struct {
	t      *testing.T
	name   string
	addr   netip.AddrPort // of the mesh
	runDir string
	// program is what runs; "": the one under test
	program string
	flags   []string
	env     []string
	prefix  []string // before the program, if it runs on a host of its own
	out     *os.File // where it logs to; nil: a file in its run directory

	cmd   *exec.Cmd // nil if it does not run
	ended chan struct{}
	err   error // why it has ended; read after ended is closed
}

// newProcess describes a director that does not run yet. Its run directory is short enough for a
// socket's path.
func newProcess(t *testing.T, dir, name string, ip netip.Addr) *process {
	t.Helper()
	return newProcessAt(t, dir, name, netip.AddrPortFrom(ip, freePort(t, ip)))
}

// newProcessAt is newProcess for an address that need not be this machine's.
func newProcessAt(t *testing.T, dir, name string, addr netip.AddrPort) *process {
	t.Helper()
	p := &process{t: t, name: name, addr: addr, runDir: filepath.Join(dir, name)}
	if err := os.MkdirAll(p.runDir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stopNow()
		if t.Failed() {
			t.Logf("log of %s:\n%s", p.name, lastLines(p.log(), logLines))
		}
	})
	return p
}

// socket is where commands ask this director.
func (p *process) socket() string { return filepath.Join(p.runDir, "director.sock") }

func (p *process) logPath() string { return filepath.Join(p.runDir, "log") }

// log is all that the director has logged, over all its lives.
func (p *process) log() string {
	text, err := os.ReadFile(p.logPath())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// start runs the director with its flags and extra ones for this life.
func (p *process) start(extra ...string) {
	p.t.Helper()
	if p.cmd != nil {
		p.t.Fatalf("%s runs already", p.name)
	}
	args := []string{
		"serve", "--node-name", p.name, "--bind", p.addr.String(), "--run-dir", p.runDir,
	}
	argv := slices.Concat(p.prefix, []string{cmp.Or(p.program, program)}, args, p.flags, extra)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	p.run(cmd)
}

// run runs the director by a command.
func (p *process) run(cmd *exec.Cmd) {
	p.t.Helper()
	out := p.out
	if out == nil {
		var err error
		const flags = os.O_CREATE | os.O_APPEND | os.O_WRONLY
		if out, err = os.OpenFile(p.logPath(), flags, 0o644); err != nil {
			p.t.Fatal(err)
		}
		defer out.Close() // the process has its own copy
	}
	cmd.Stdout, cmd.Stderr = out, out
	// A test run that is killed takes its directors with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended = cmd, ended
	go func() {
		p.err = cmd.Wait()
		close(ended)
	}()
}

// signal sends a signal to the running director.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if p.cmd == nil {
		p.t.Fatalf("%s does not run", p.name)
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal %v to %s: %v", s, p.name, err)
	}
}

// kill ends the director with SIGKILL.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.await(endTime)
}

// leave ends the director in good order.
func (p *process) leave() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if err := p.await(endTime); err != nil {
		p.t.Errorf("%s ended with %v after SIGTERM", p.name, err)
	}
}

// await waits until the director has ended by itself and returns how.
func (p *process) await(d time.Duration) error {
	p.t.Helper()
	select {
	case <-p.ended:
		p.cmd = nil
		return p.err
	case <-time.After(d):
		p.t.Fatalf("%s has not ended after %v", p.name, d)
		return nil
	}
}

// stopNow makes sure that nothing runs; it is fine if nothing does.
func (p *process) stopNow() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill() // it may have ended by itself
		<-p.ended
		p.cmd = nil
	}
}

// peakMemory is the largest resident set of the running director so far, in bytes.
func (p *process) peakMemory() uint64 {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kilobytes uint64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10
		}
	}
	p.t.Fatal("no VmHWM in /proc")
	return 0
}

// firstPort and endPort bound the ports that freePort hands out. They lie below those that Linux
// gives by itself, to connections too: /proc/sys/net/ipv4/ip_local_port_range begins at 32768.
const (
	firstPort = 10_000
	endPort   = 32_768
)

// handedOut counts the ports that freePort has tried.
var handedOut atomic.Uint32

// freePort finds a port that is free for TCP and UDP at an address of this machine. It gives no
// port twice, and none that the kernel hands out: so it stays free until its test listens there.
func freePort(t *testing.T, ip netip.Addr) uint16 {
	t.Helper()
	for range 100 {
		// Beginning at the process id, two runs on one machine seldom try the same.
		nth := uint32(os.Getpid()) + handedOut.Add(1)
		port := uint16(firstPort + nth%(endPort-firstPort))
		addr := netip.AddrPortFrom(ip, port).String()
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		l.Close()
		p, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		p.Close()
		return port
	}
	t.Fatalf("no port is free at %v", ip)
	return 0
}

// lastLines returns the last n lines of a text.
func lastLines(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

// outcome is how a run of the program ended.
type outcome struct {
	stdout, stderr string
	status         int
}

// commandTime bounds one run of a command.
const commandTime = 60 * time.Second

// runCommand runs the program with these arguments, as the test's own user.
func runCommand(t *testing.T, args ...string) outcome {
	t.Helper()
	return runAs(t, nil, args...)
}

// runAs runs the program as another user if credential is not nil. It may be called from any
// goroutine.
func runAs(t *testing.T, credential *syscall.Credential, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: credential}
	if err := cmd.Start(); err != nil {
		t.Errorf("director %s: %v", strings.Join(args, " "), err)
		return outcome{status: -1}
	}
	timer := time.AfterFunc(commandTime, func() {
		t.Errorf("director %s: killed after %v", strings.Join(args, " "), commandTime)
		_ = cmd.Process.Kill()
	})
	defer timer.Stop()
	_ = cmd.Wait() // the exit status says it all
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}
