//go:build e2e

package dovecot

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startTime   = 20 * time.Second // until an instance accepts connections
	stopTime    = 10 * time.Second // until one that was asked to end is gone
	doveadmTime = 120 * time.Second
	logLines    = 100 // of each instance, printed when a test fails
)

// instance is a Dovecot of its own: configuration, base_dir, log and processes. Its methods are for
// the test's goroutine unless they say otherwise.
type instance struct {
	t       *testing.T
	name    string
	release release
	root    string   // of the file system that its processes see, "" for the machine's own
	dir     string   // of its own, as its processes see it
	host    []string // stands before commands that run on a host of its own; nil: the machine
	cmd     *exec.Cmd
	done    chan struct{} // closed when cmd has ended; cmd is nil if it does not run
	// patience is how long it may take to end when it is asked to. It waits for clients that have
	// not logged in, until these have heard of it.
	patience time.Duration
}

// newInstance writes the configuration of a Dovecot of the machine; start runs it. What is common
// to all is added to the configuration.
func newInstance(t *testing.T, name, config string) *instance {
	t.Helper()
	return newInstanceOf(t, dovecot23, name, config)
}

// newInstanceOf is newInstance for a release of Dovecot. Where there is none of that release the
// test is skipped.
func newInstanceOf(t *testing.T, r release, name, config string) *instance {
	t.Helper()
	root := r.root(t)
	// t.TempDir can be too long for a socket
	dir, err := os.MkdirTemp(filepath.Join(root, "/tmp"), "dv-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{
		t: t, name: name, release: r, root: root, dir: strings.TrimPrefix(dir, root),
		patience: stopTime,
	}
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
	common := fmt.Sprintf(`%s
base_dir = %s
state_dir = %s/state
log_path = %s/log
ssl = no
auth_failure_delay = 0
instance_name = %s
`, i.release.common(), i.seen(""), i.dir, i.dir, i.name)
	if err := os.WriteFile(i.root+i.configPath(), []byte(common+config), 0o644); err != nil {
		i.t.Fatal(err)
	}
}

// configPath is where its processes see the configuration.
func (i *instance) configPath() string { return filepath.Join(i.dir, "dovecot.conf") }

// path is where a file of base_dir is, seen where its processes see it.
func (i *instance) path(name string) string { return i.root + i.seen(name) }
func (i *instance) seen(name string) string { return filepath.Join(i.dir, "base", name) }

// log is all that the instance has logged. It may be called from any goroutine.
func (i *instance) log() string { return readLog(i.root + i.dir) }

// readLog reads the log in a directory.
func readLog(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// command is how a program of the release is run.
func (i *instance) command(args ...string) []string {
	if i.root == "" {
		return slices.Concat(i.host, args)
	}
	return append([]string{"chroot", i.root}, args...)
}

// start runs the instance and waits until one can connect to each address: "unix:PATH" in base_dir,
// or IP:PORT.
func (i *instance) start(addresses ...string) {
	i.t.Helper()
	if i.cmd != nil {
		i.t.Fatalf("%s runs already", i.name)
	}
	var stderr bytes.Buffer
	args := i.command("dovecot", "-F", "-c", i.configPath())
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = &stderr
	i.done = begin(i.t, cmd)
	i.cmd = cmd
	for _, address := range addresses {
		i.awaitAddress(address, &stderr)
	}
}

// begin starts a process that the test ends, and closes done when it has ended. A test run that is
// killed takes it with it.
func begin(t *testing.T, cmd *exec.Cmd) (done chan struct{}) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done = make(chan struct{})
	go func() {
		_ = cmd.Wait() // its log says why
		close(done)
	}()
	return done
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
	case <-time.After(i.patience):
		i.t.Errorf("%s has not ended after %v", i.name, i.patience)
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
	command := i.command(append([]string{"doveadm", "-c", i.configPath()}, args...)...)
	return runProgram(i.t, "", command[0], command[1:]...)
}

// runProgram runs a program with this standard input. Dates are in UTC and messages in English.
func runProgram(t *testing.T, stdin, program string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	// it also serves cleanups, so it does not end with the test's context
	cmd := exec.Command(program, args...)
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

// lastLines returns the last n lines of a text.
func lastLines(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
