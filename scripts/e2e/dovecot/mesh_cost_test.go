//go:build e2e

package dovecot

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// clockTick is the unit of processor time in /proc: USER_HZ is 100 on all Linux platforms of today.
const clockTick = 1e7 // ns

// benchUsers is how many users log in again and again.
const benchUsers = 100_000

// TestAuthreplyCost measures the processor time of a director for each lookup through director-authreply, pipelined: ours and
// Dovecot's. It tells and does not judge. The client, which is this process, does not count.
func TestAuthreplyCost(t *testing.T) {
	d := newDirector(t, "d1", newAddress(t), "--mail-servers", "192.0.2.1-192.0.2.9")
	d.start()
	d.awaitMesh(1)
	ring := startRing(t, 1, []string{"192.0.2.1-192.0.2.9"}, "")[0]
	if got := ring.doveadm("director", "status"); got.status != 0 { // starts it
		t.Fatalf("doveadm director status: %+v", got)
	}
	for _, c := range []struct {
		name, socket string
		pid          int
	}{
		{"mesh", filepath.Join(d.runDir, "director-authreply"), d.pid()},
		{"Dovecot", ring.path("director-authreply"), ring.process("director")},
	} {
		lookups(t, c.socket, benchUsers) // the first time all users are new
		before := processorTime(t, c.pid)
		const rounds = 5
		for range rounds {
			lookups(t, c.socket, benchUsers)
		}
		t.Logf("%s: %.2f µs of processor time a lookup", c.name, (processorTime(t, c.pid)-before)/(rounds*benchUsers)/1000)
	}
}

// lookups asks for n users, without waiting for one answer before the next question.
func lookups(t *testing.T, socket string, n int) {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		out := bufio.NewWriterSize(c, 64<<10)
		fmt.Fprint(out, "VERSION\tdirector-authreply-client\t1\t0\n")
		for i := range n {
			fmt.Fprintf(out, "OK\t%d\tuser=user%d@example.org\tproxy\tpass=secret\n", i, i)
		}
		_ = out.Flush() // the reader notices
	}()
	answers := 0
	in := bufio.NewReaderSize(c, 64<<10)
	for answers < n {
		line, err := in.ReadSlice('\n')
		if err != nil {
			t.Fatalf("after %d answers: %v", answers, err)
		}
		if line[0] == 'O' {
			answers++
		}
	}
}

// processorTime is what a process has used so far, in nanoseconds.
func processorTime(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	total := 0
	for _, field := range strings.Fields(rest)[11:13] { // utime and stime
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return float64(total) * clockTick
}
