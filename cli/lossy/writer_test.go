package lossy

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// stuck is an output that takes nothing until it is let, and then fails for as long as it is
// broken.
type stuck struct {
	let chan struct{}

	mu     sync.Mutex
	broken bool
	text   strings.Builder
}

func (s *stuck) Write(line []byte) (int, error) {
	<-s.let
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return 0, errors.New("no space left")
	}
	return s.text.Write(line)
}

func note(lost uint64) []byte { return fmt.Appendf(nil, "%d lost\n", lost) }

func TestWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{let: make(chan struct{})}
		w := New(out, note)
		began := time.Now()
		line := []byte(strings.Repeat("x", 1023) + "\n")
		const kept = maxWaiting / 1024
		for range kept + 500 {
			if n, err := w.Write(line); n != len(line) || err != nil {
				t.Fatal(n, err)
			}
		}
		if time.Since(began) > 0 {
			t.Errorf("writing took %s", time.Since(began))
		}
		// The line that is being written does not wait any more, or still does.
		if lost := w.Lost(); lost < 499 || lost > 500 {
			t.Errorf("%d lines lost, want 500 or one less", lost)
		}
		close(out.let)
		synctest.Wait()
		out.mu.Lock()
		got := out.text.String()
		out.broken = true
		out.mu.Unlock()
		// The writer may note losses more than once; the notes add up.
		var noted, lines uint64
		for line := range strings.Lines(got) {
			var lost uint64
			if _, err := fmt.Sscanf(line, "%d lost\n", &lost); err == nil {
				noted += lost
			} else {
				lines++
			}
		}
		if noted != w.Lost() || lines+noted != kept+500 {
			t.Errorf("%d lines written, %d noted as lost, %d lost", lines, noted, w.Lost())
		}
		before := w.Lost()
		w.Write(line)
		synctest.Wait()
		if w.Lost() != before+1 {
			t.Errorf("a line that failed is not counted: %d, %d before", w.Lost(), before)
		}
		w.Close()
		w.Close()
		w.Write(line)
		if w.Lost() != before+2 {
			t.Error("a line after the end is not counted")
		}
	})
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{let: make(chan struct{})}
		w := New(out, note)
		w.Write([]byte("x\n"))
		began := time.Now()
		w.Close()
		if took := time.Since(began); took != closeTime {
			t.Errorf("closing took %s, want %s", took, closeTime)
		}
		close(out.let)
	})
}

// TestClosedPipe writes to a pipe whose reader is gone.
func TestClosedPipe(t *testing.T) {
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer out.Close()
	w := New(out, note)
	w.Write([]byte("x\n"))
	w.Close()
	if w.Lost() != 1 {
		t.Errorf("%d lines lost, want 1", w.Lost())
	}
}
