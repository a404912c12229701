package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hold goes on with its command when nobody reads what it remarks: neither a full pipe nor a closed
// one keeps it from starting the command again.
func TestHoldWithoutReader(t *testing.T) {
	for _, closed := range []bool{false, true} {
		dir, err := os.MkdirTemp("", "d") // a socket's path must be short
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Close() })
		if closed {
			r.Close()
		} else {
			t.Cleanup(func() { r.Close() })
			fill(t, w)
		}
		signals := make(chan os.Signal, 1)
		ended := make(chan int, 1)
		starts := filepath.Join(dir, "starts")
		go func() {
			command := []string{"sh", "-c", `echo >>"$0"; exit 3`, starts}
			args := []string{"director", "hold", "--socket", "api=" + filepath.Join(dir, "s"), "--"}
			ended <- Main(t.Context(), append(args, command...), IO{
				Stdin: strings.NewReader(""), Stdout: new(bytes.Buffer), Stderr: w,
				Signals:   signals,
				LookupEnv: func(string) (string, bool) { return "", false },
			})
		}()
		for deadline := time.Now().Add(20 * time.Second); ; <-time.After(pollInterval) {
			if text, err := os.ReadFile(starts); err == nil && len(text) >= 2 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("closed %v: the command is not started again", closed)
			}
		}
		signals <- syscall.SIGTERM
		if status := <-ended; status != 3 {
			t.Errorf("closed %v: exit status %d", closed, status)
		}
	}
}

// fill writes to a pipe as much as it takes.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	chunk := make([]byte, 4<<10)
	for {
		if err := w.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(chunk); err != nil {
			break
		}
	}
	if err := w.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}
