package eventloop

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	idleClients = 10_000
	busyClients = 1_000
	busyLines   = 50 // of each busy client, one after the other
	// crowdSocket is the variable by which the process of the clients gets the path of the socket.
	crowdSocket = "EVENTLOOP_CROWD"
)

// Ten thousand idle connections cost no goroutine, and a thousand busy ones beside them get all
// their answers. The clients are a process of their own: two ends of each connection would be too
// many descriptors for one.
func TestCrowd(t *testing.T) {
	if path := os.Getenv(crowdSocket); path != "" {
		beCrowd(t, path)
		return
	}
	needDescriptors(t)
	loops := newLoops(t)
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	before := runtime.NumGoroutine()
	var accepting, echoes sync.WaitGroup
	var accepted atomic.Int64
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			e := &echo{c: loops.Adopt(c), buf: make([]byte, 16), over: echoes.Done}
			echoes.Add(1)
			e.run()
			accepted.Add(1)
		}
	})
	clients := exec.Command(os.Args[0], "-test.run=^TestCrowd$")
	clients.Env = append(os.Environ(), crowdSocket+"="+path)
	said, err := clients.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	end, err := clients.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	clients.Stderr = os.Stderr
	if err := clients.Start(); err != nil {
		t.Fatal(err)
	}
	// A byte says that all lines have been answered; then the clients wait.
	if _, err := io.ReadFull(said, make([]byte, 1)); err != nil {
		t.Errorf("the clients: %v", err)
	}
	if n := accepted.Load(); n != idleClients+busyClients {
		t.Errorf("%d connections, want %d", n, idleClients+busyClients)
	}
	if more := runtime.NumGoroutine() - before; more > 50 {
		t.Errorf("%d goroutines for connections on which nothing happens", more)
	}
	end.Close()
	if _, err := io.Copy(io.Discard, said); err != nil {
		t.Error(err)
	}
	if err := clients.Wait(); err != nil {
		t.Errorf("the clients: %v", err)
	}
	l.Close()
	accepting.Wait()
	echoes.Wait() // all have noticed that the clients are gone
}

// needDescriptors skips a test where a process may not have as many as it needs.
func needDescriptors(t *testing.T) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < idleClients+busyClients+100 {
		t.Skipf("a process may have %d descriptors only", limit.Cur)
	}
}

// beCrowd is what the clients do.
func beCrowd(t *testing.T, path string) {
	dial := func() net.Conn {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var idle []net.Conn
	for range idleClients {
		idle = append(idle, dial())
	}
	var busy []net.Conn
	for range busyClients {
		busy = append(busy, dial())
	}
	var talking sync.WaitGroup
	for i, c := range busy {
		talking.Go(func() {
			for n := range busyLines {
				line := fmt.Sprintf("%d %d\n", i, n)
				got := make([]byte, len(line))
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				_, err := io.WriteString(c, line)
				if err == nil {
					_, err = io.ReadFull(c, got)
				}
				if err != nil || string(got) != line {
					t.Errorf("%q is answered by %q, %v", line, got, err)
					return
				}
			}
		})
	}
	talking.Wait()
	for i, c := range idle { // the last hundred say something after all
		if i >= len(idle)-100 {
			if _, err := io.WriteString(c, "\n"); err != nil {
				t.Error(err)
			}
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
	}
	if t.Failed() {
		return
	}
	fmt.Print(".")
	_, _ = io.Copy(io.Discard, os.Stdin)
}
