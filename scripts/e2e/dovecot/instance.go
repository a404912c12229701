//go:build e2e

package dovecot

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startTime   = 20 * time.Second // until an instance accepts connections
	stopTime    = 10 * time.Second // until one that was told to end is gone
	doveadmTime = 120 * time.Second
	logLines    = 100 // of each instance, printed when a test fails
)

// instance is a Dovecot of its own: configuration, base_dir, log and processes. Its methods are for the test's goroutine
// unless they say otherwise.
type instance struct {
	t    *testing.T
	name string
	dir  string
	cmd  *exec.Cmd // nil if it does not run
	done chan struct{}
}

// newInstance writes the configuration of a Dovecot; start runs it. What is common to all is added to the configuration.
func newInstance(t *testing.T, name, config string) *instance {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("Dovecot changes users: run these tests as root")
	}
	if _, err := exec.LookPath("dovecot"); err != nil {
		t.Fatalf("%v; apt-get install dovecot-imapd dovecot-pop3d dovecot-lmtpd", err)
	}
	dir, err := os.MkdirTemp("", "dv-"+name+"-") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{t: t, name: name, dir: dir}
	t.Cleanup(func() {
		i.stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, lastLines(i.log(), logLines))
		}
		os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o755); err != nil { // its processes run as several users
		t.Fatal(err)
	}
	i.configure(config)
	return i
}

// configure replaces the configuration; the next start, or a reload, takes it.
func (i *instance) configure(config string) {
	i.t.Helper()
	common := fmt.Sprintf(`base_dir = %s
state_dir = %s/state
log_path = %s
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
instance_name = %s
default_vsz_limit = 1G
`, i.path(""), i.dir, i.logPath(), i.name)
	if err := os.WriteFile(i.configPath(), []byte(common+config), 0o644); err != nil {
		i.t.Fatal(err)
	}
}

func (i *instance) configPath() string { return filepath.Join(i.dir, "dovecot.conf") }
func (i *instance) logPath() string    { return filepath.Join(i.dir, "log") }

// path is where a file of base_dir is.
func (i *instance) path(name string) string { return filepath.Join(i.dir, "base", name) }

// log is all that the instance has logged. It may be called from any goroutine.
func (i *instance) log() string {
	text, err := os.ReadFile(i.logPath())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// start runs the instance and waits until one can connect to each address: "unix:PATH" in base_dir, or IP:PORT.
func (i *instance) start(addresses ...string) {
	i.t.Helper()
	if i.cmd != nil {
		i.t.Fatalf("%s runs already", i.name)
	}
	var stderr bytes.Buffer
	cmd := exec.Command("dovecot", "-F", "-c", i.configPath())
	cmd.Stderr = &stderr
	// A test run that is killed takes its Dovecots with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	done := make(chan struct{})
	i.cmd, i.done = cmd, done
	go func() {
		_ = cmd.Wait() // the log says why
		close(done)
	}()
	for _, address := range addresses {
		i.awaitAddress(address, &stderr)
	}
}

func (i *instance) awaitAddress(address string, stderr *bytes.Buffer) {
	i.t.Helper()
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", i.path(path)
	}
	for deadline := time.Now().Add(startTime); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.DialTimeout(network, address, time.Second)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-i.done:
			i.t.Fatalf("%s has ended at once: %s%s", i.name, stderr, i.log())
		default:
		}
		if time.Now().After(deadline) {
			i.t.Fatalf("%s does not listen at %s: %v", i.name, address, err)
		}
	}
}

// stop ends the instance in good order; it is fine if it does not run.
func (i *instance) stop() {
	if i.cmd == nil {
		return
	}
	_ = i.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-i.done:
	case <-time.After(stopTime):
		i.t.Errorf("%s has not ended after %v", i.name, stopTime)
		_ = i.cmd.Process.Kill()
		<-i.done
	}
	i.cmd = nil
}

// result is how a run of a program ended.
type result struct {
	stdout, stderr string
	status         int
}

// doveadm runs doveadm with this instance's configuration. It may be called from any goroutine.
func (i *instance) doveadm(args ...string) result {
	return runProgram(i.t, "", "doveadm", append([]string{"-c", i.configPath()}, args...)...)
}

// runProgram runs a program with this standard input. Dates are in UTC and messages in English.
func runProgram(t *testing.T, stdin, program string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Errorf("%s %s: %v", program, strings.Join(args, " "), err)
		return result{status: -1}
	}
	timer := time.AfterFunc(doveadmTime, func() {
		t.Errorf("%s %s: killed after %v", program, strings.Join(args, " "), doveadmTime)
		_ = cmd.Process.Kill()
	})
	defer timer.Stop()
	_ = cmd.Wait() // the exit status says it all
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// loopback returns address n (1 to 250) of this test process: in 127.64.0.0/10, so that test processes that run at the same
// time do not get in each other's way.
func loopback(n int) netip.Addr {
	pid := os.Getpid()
	return netip.AddrFrom4([4]byte{127, byte(64 | pid>>8&0x3f), byte(pid), byte(n)})
}

// lastLines returns the last n lines of a text.
func lastLines(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
