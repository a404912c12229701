//go:build e2e

package dovecot

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"directormesh/scripts/e2e/netns"
)

// bootScript makes a machine out of a root file system, $2, and ends as its process 1: systemd,
// with namespaces of its own for processes, mounts and control groups. What it writes goes to a
// layer over the root file system and is gone with it. $1 is an empty directory. $3 is its name, if
// it is to have another one than the root file system; $4 is an address that its loopback interface
// gets.
const bootScript = `
set -e
mount --make-rprivate /
[ -z "$4" ] || { ip link set lo up; ip address add "$4/24" dev lo; }
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
[ -z "$3" ] || echo "$3" >etc/hostname
mount --rbind /dev dev
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
# Nothing of the machine starts but what the test asks for.
rm -rf etc/systemd/system/* lib/systemd/system/*.wants lib/systemd/system/*.requires
printf '[Unit]\nDescription=nothing but what is asked for\nRequires=basic.target\nAfter=basic.target\n' >etc/systemd/system/e2e.target
mkdir old
pivot_root . old
umount -l /old
export container=unshare
exec /lib/systemd/systemd --system --unit=e2e.target --log-target=console --log-level=notice --show-status=0 --default-standard-output=null
`

// machine is a systemd that runs as process 1 of its own namespaces.
type machine struct {
	t   *testing.T
	pid int // of its process 1, as it is seen from here
}

// bootMachine starts one that has all that this one has.
func bootMachine(t *testing.T) *machine {
	t.Helper()
	return bootRoot(t, "/")
}

// bootRoot starts one with a root file system. Its network is this machine's where the root is,
// else one of its own with an address that hosts have.
func bootRoot(t *testing.T, root string) *machine {
	t.Helper()
	if root == "/" {
		return boot(t, nil, root, "", "")
	}
	return boot(t, []string{"unshare", "--net"}, root, "", "192.168.90.5")
}

// bootHost starts one with a root file system on a host of a network, and gives it the name.
func bootHost(t *testing.T, h *netns.Host, root, name string) *machine {
	t.Helper()
	return boot(t, h.Prefix(), root, name, "")
}

// boot starts one by a command that the prefix runs as the same process. Name and loopback address
// are as in bootScript. Where it cannot be started the test is skipped.
func boot(t *testing.T, prefix []string, root, name, loopback string) *machine {
	t.Helper()
	for _, program := range []string{
		"unshare", "nsenter", "pivot_root", "ip", filepath.Join(root, "lib/systemd/systemd"),
	} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the units are not tried with a real systemd: %v; "+
				"apt-get install systemd util-linux iproute2", err)
		}
	}
	group := newControlGroup(t)
	var console bytes.Buffer
	argv := append(slices.Clone(prefix), "unshare",
		"--fork", "--kill-child", "--pid", "--mount", "--cgroup", "--uts", "--ipc",
		"sh", "-c", bootScript, "sh", t.TempDir(), root, name, loopback)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &console, &console
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL, UseCgroupFD: true, CgroupFD: int(group.Fd()),
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("the units are not tried with a real systemd: namespaces of its own: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the console says why
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // process 1 dies with it, and all others with that
		<-ended
	})
	m := &machine{t: t}
	booted := eventually(startTime, func() bool {
		select {
		case <-ended:
			return true
		default:
		}
		m.pid = childOf(cmd.Process.Pid)
		return m.pid != 0 && m.run("systemctl", "is-active", "e2e.target").status == 0
	})
	select {
	case <-ended:
		t.Skipf("the units are not tried with a real systemd: it does not start: %s",
			lastLines(console.String(), 5))
	default:
	}
	if !booted {
		t.Skipf("the units are not tried with a real systemd: it has not started after %v: %s",
			startTime, m.run("systemctl", "list-jobs").stdout)
	}
	return m
}

// newControlGroup returns a control group that is the root of a machine's. It ends with the test.
func newControlGroup(t *testing.T) *os.File {
	t.Helper()
	// beside version 1, or alone
	for _, root := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil {
			continue
		}
		path, err := os.MkdirTemp(root, "directormesh-e2e-")
		if err != nil {
			t.Skipf("the units are not tried with a real systemd: %v", err)
		}
		t.Cleanup(func() { removeControlGroup(t, path) })
		group, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { group.Close() })
		return group
	}
	t.Skip(
		"the units are not tried with a real systemd: control groups of version 2 are not mounted")
	return nil
}

// removeControlGroup removes a control group with all below it, as soon as nothing runs there any
// more.
func removeControlGroup(t *testing.T, path string) {
	if !eventually(stopTime, func() bool {
		var dirs []string
		_ = filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, p)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0; i-- { // the deepest first
			_ = os.Remove(dirs[i]) // it is asked again
		}
		_, err := os.Stat(path)
		return err != nil
	}) {
		t.Errorf("%s cannot be removed", path)
	}
}

// path is where a file of the machine can be reached from here.
func (m *machine) path(name string) string {
	return fmt.Sprintf("/proc/%d/root%s", m.pid, name)
}

// write writes a file of the machine.
func (m *machine) write(name, content string, mode os.FileMode) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.path(name), []byte(content), mode); err != nil {
		m.t.Fatal(err)
	}
}

// run runs a program on the machine.
func (m *machine) run(args ...string) result {
	return runProgram(m.t, "", "nsenter", append([]string{
		"-t", fmt.Sprint(m.pid), "--pid", "--mount", "--cgroup", "--uts", "--ipc", "--net", "--",
	}, args...)...)
}

// must is run for what has to succeed.
func (m *machine) must(args ...string) string {
	m.t.Helper()
	got := m.run(args...)
	if got.status != 0 {
		m.t.Fatalf("%s: status %d: %s%s",
			strings.Join(args, " "), got.status, got.stdout, got.stderr)
	}
	return got.stdout
}

// mainPID is the process of a service, in the numbers of the machine.
func (m *machine) mainPID(service string) string {
	m.t.Helper()
	return strings.TrimSpace(
		m.must("systemctl", "show", "--property", "MainPID", "--value", service))
}

// hasReader reports whether somebody has a FIFO open for reading; err tells of one that is not
// there.
func (m *machine) hasReader(fifo string) (bool, error) {
	f, err := os.OpenFile(m.path(fifo), os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err == nil {
		f.Close()
		return true, nil
	}
	if pathErr, ok := err.(*os.PathError); ok && pathErr.Err == syscall.ENXIO {
		return false, nil
	}
	return false, err
}
