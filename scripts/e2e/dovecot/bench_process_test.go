//go:build e2e && bench

package dovecot

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// adminConn is a connection to director-admin.
type adminConn struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

// adminTime is how long an answer may take: a flush at Dovecot's pace answers late.
const adminTime = time.Minute

func (d *rivalDirector) dial() *adminConn {
	d.t.Helper()
	conn, err := net.Dial("unix", d.admin)
	if err != nil {
		d.t.Fatal(err)
	}
	c := &adminConn{conn, d.t, bufio.NewReader(conn)}
	const version = "VERSION\tdirector-doveadm\t1\t0"
	c.say(version)
	if got := c.line(); got != version {
		d.t.Fatalf("%s says %q", d.admin, got)
	}
	return c
}

func (c *adminConn) say(line string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c, line); err != nil {
		c.t.Fatal(err)
	}
}

func (c *adminConn) line() string {
	c.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(adminTime)); err != nil {
		c.t.Fatal(err)
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

// order gives an order that must be answered by OK.
func (d *rivalDirector) order(command string) {
	d.t.Helper()
	c := d.dial()
	defer c.Close()
	c.say(command)
	if got := c.line(); got != "OK" {
		d.t.Fatalf("%q is answered by %q", command, got)
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// memoryOf is what a process uses of the machine's memory, in bytes: its share of pages that
// several use, and the most that it has ever used.
func memoryOf(t *testing.T, pid int) (now, peak float64) {
	t.Helper()
	read := func(file, field string) float64 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, field+":"); ok {
				return 1024 * float64(number(t, strings.Fields(rest)[0]))
			}
		}
		t.Fatalf("%s of process %d has no %s", file, pid, field)
		return 0
	}
	return read("smaps_rollup", "Pss"), read("status", "VmHWM")
}

// processorTime is what a process has used so far. The kernel counts it in nanoseconds, and gives
// it by the clock that clock_getcpuclockid(3) names.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	const wholeProcess = 2 // CPUCLOCK_SCHED
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|wholeProcess), &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}
