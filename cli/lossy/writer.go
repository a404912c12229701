// Package lossy writes a log that may find no reader: lines that cannot be written are lost and
// counted, and nobody ever waits for one. A full pipe, a disk without room or a reader that is gone
// must cost a director log lines, never lookups.
package lossy

import (
	"io"
	"sync"
	"time"
)

const (
	// maxWaiting bounds what waits to be written, in bytes.
	maxWaiting = 1 << 20
	// closeTime is how long Close waits for lines to be written.
	closeTime = time.Second
)

// Writer is a log of lines. It is safe for concurrent use.
type Writer struct {
	out  io.Writer
	note func(lost uint64) []byte
	torn bool // what was written last is a part of a line; of run

	mu      sync.Mutex
	lines   [][]byte // that wait
	waiting int      // their bytes, and those of what is being written
	lost    uint64   // all
	noted   uint64   // of them
	closed  bool
	wake    chan struct{} // something waits, or the end has come
	ended   chan struct{} // closed when all that could be has been written
}

// New returns a writer to out. note makes the line that stands in the log in place of lines that
// were lost. Close ends it.
func New(out io.Writer, note func(lost uint64) []byte) *Writer {
	w := &Writer{out: out, note: note, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go w.run()
	return w
}

// Write takes one line. It never waits, and never fails: what is not written is counted.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.waiting+len(line) > maxWaiting {
		w.lost++
		return len(line), nil
	}
	w.lines = append(w.lines, append([]byte(nil), line...))
	w.waiting += len(line)
	w.signal()
	return len(line), nil
}

// Lost returns how many lines were lost so far.
func (w *Writer) Lost() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// Close waits until what was written so far has been, a second at most. It may be called twice.
func (w *Writer) Close() {
	w.mu.Lock()
	w.closed = true
	w.signal()
	w.mu.Unlock()
	timer := time.NewTimer(closeTime)
	defer timer.Stop()
	select {
	case <-w.ended:
	case <-timer.C: // nobody reads; the process goes without it
	}
}

// signal wakes run. mu must be locked.
func (w *Writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *Writer) run() {
	defer close(w.ended)
	for range w.wake {
		for {
			line, lost, end := w.next()
			if end {
				return
			}
			if line == nil {
				break
			}
			// Where the note about lost lines finds no room, the line behind it is not tried: each
			// costs one attempt, however long the trouble lasts.
			if lost > 0 && !w.put(w.note(lost)) {
				w.written(0, false)
				continue
			}
			w.written(lost, w.put(line))
		}
	}
}

// next returns the next line to be written, or nil, and how many lost lines are to be noted before
// it.
func (w *Writer) next() (line []byte, lost uint64, end bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lines) == 0 {
		w.waiting = 0
		return nil, 0, w.closed
	}
	line, w.lines[0] = w.lines[0], nil
	w.lines = w.lines[1:]
	w.waiting -= len(line)
	return line, w.lost - w.noted, false
}

// written takes note of what became of a line, and of lost ones that were noted before it.
func (w *Writer) written(noted uint64, line bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted += noted
	if !line {
		w.lost++
	}
}

// put writes a line and reports whether it could. One of which only a part found room ends where
// the next one begins.
func (w *Writer) put(line []byte) bool {
	if w.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := w.out.Write(line)
	if n > 0 {
		w.torn = err != nil && line[n-1] != '\n'
	}
	return err == nil
}
