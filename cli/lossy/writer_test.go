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

// disk is an output with room for so many bytes. It takes a part of what does not fit, as a file
// does.
type disk struct {
	room, writes int
	text         strings.Builder
}

func (d *disk) Write(line []byte) (int, error) {
	d.writes++
	n := min(d.room, len(line))
	d.room -= n
	d.text.Write(line[:n])
	if n < len(line) {
		return n, errors.New("no space left")
	}
	return n, nil
}

// TestFullDisk writes to a disk that gets full and has room again: each line costs one attempt, is
// counted once, and no line is torn in two by another.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &disk{room: 10}
		w := New(out, note)
		write := func(lines ...string) {
			for _, line := range lines {
				w.Write([]byte(line + "\n"))
			}
			synctest.Wait()
		}
		write("first", "second", "third", "fourth")
		if w.Lost() != 3 || out.writes != 4 {
			t.Errorf("%d lines lost by %d attempts, want 3 by 4", w.Lost(), out.writes)
		}
		out.room = 1000
		write("fifth", "sixth")
		if got, want := out.text.String(), "first\nseco\n3 lost\nfifth\nsixth\n"; got != want {
			t.Errorf("the log is %q, want %q", got, want)
		}
		if w.Lost() != 3 {
			t.Errorf("%d lines lost, want 3 still", w.Lost())
		}
		w.Close()
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
