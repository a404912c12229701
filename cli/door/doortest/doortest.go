// Package doortest has what tests and benchmarks of several doors need.
//
// Benchmarks measure a door over a unix socket: a process of its own serves it, so that its
// processor time is not mixed with the client's. Tests connect to a door by pipes.
package doortest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"directormesh/cli/door/rawconn"
	"directormesh/cli/load"
)

// socketVariable tells a child process where to serve.
const socketVariable = "DOORTEST_SOCKET"

// Main is the TestMain of a package with such benchmarks; in a child process it serves instead of
// testing. What happens before serve is there is not measured.
func Main(m *testing.M, prepare func() (serve func(l net.Listener) error, err error)) int {
	path, ok := os.LookupEnv(socketVariable)
	if !ok {
		return m.Run()
	}
	if err := child(path, prepare); err != nil {
		fmt.Fprintln(os.Stderr, "serving for a benchmark:", err)
		return 1
	}
	return 0
}

// child serves until stdin ends, and answers each line there with the processor time used so far.
func child(path string, prepare func() (func(l net.Listener) error, error)) error {
	serve, err := prepare()
	if err != nil {
		return err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- serve(rawconn.Listener{Listener: l}) }()
	go func() {
		fmt.Println("serving")
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			var usage unix.Rusage
			if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
				failed <- err
				return
			}
			fmt.Println(usage.Utime.Nano() + usage.Stime.Nano())
		}
		failed <- nil
	}()
	return <-failed
}

// process is a child process.
type process struct {
	b      *testing.B
	socket string
	stdin  io.Writer
	stdout *bufio.Reader
}

// start starts a child process that uses this many processors; it ends with the benchmark.
func start(b *testing.B, processors int) *process {
	b.Helper()
	dir, err := os.MkdirTemp("", "d") // b.TempDir can be too long for a socket
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	p := &process{b: b, socket: filepath.Join(dir, "door")}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), socketVariable+"="+p.socket,
		"GOMAXPROCS="+strconv.Itoa(processors))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	p.stdin, p.stdout = stdin, bufio.NewReader(stdout)
	p.line()
	return p
}

func (p *process) line() string {
	p.b.Helper()
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		p.b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// cpu is the processor time that the child has used.
func (p *process) cpu() time.Duration {
	p.b.Helper()
	fmt.Fprintln(p.stdin)
	ns, err := strconv.ParseInt(p.line(), 10, 64)
	if err != nil {
		p.b.Fatal(err)
	}
	return time.Duration(ns)
}

// Lookups is a benchmark of lookups through a door: over one and many connections, one by one and
// many at a time, on one processor and on two. It reports the processor time of server and client
// for each lookup, and percentiles of the latency.
func Lookups(b *testing.B, door load.Door, depths ...int) {
	names, err := load.ParseNames("user%d@example.org")
	if err != nil {
		b.Fatal(err)
	}
	for _, processors := range []int{1, 2} {
		for _, connections := range []int{1, 64} {
			for _, depth := range depths {
				b.Run(fmt.Sprintf("procs=%d/connections=%d/depth=%d",
					processors, connections, depth), func(b *testing.B) {
					p := start(b, processors)
					cfg := load.Config{
						Directors: []load.Target{
							{Name: "child", Network: "unix", Address: p.socket},
						},
						Door: door, Connections: connections, Depth: depth,
						Users:    load.Users{Names: names, Count: b.N, Each: true},
						Duration: time.Hour, Patience: time.Minute,
					}
					before := p.cpu()
					b.ResetTimer()
					result, err := load.Run(b.Context(), cfg)
					b.StopTimer()
					if err != nil {
						b.Fatal(err)
					}
					report(b, result, p.cpu()-before)
				})
			}
		}
	}
}

func report(b *testing.B, r *load.Result, server time.Duration) {
	b.Helper()
	if failed, reasons := r.Failed(); failed > 0 || r.Wrong > 0 {
		b.Fatalf("failed: %v, wrong: %v", reasons, r.Examples)
	}
	latency := r.Latency()
	b.ReportMetric(float64(server)/float64(b.N), "server-ns/op")
	b.ReportMetric(float64(r.CPU)/float64(b.N), "client-ns/op")
	for _, p := range []float64{50, 99, 99.9} {
		b.ReportMetric(float64(latency.ValueAtPercentile(p))/1000, fmt.Sprintf("p%v-µs", p))
	}
}
