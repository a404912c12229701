package store

import (
	"errors"
	"fmt"

	"directormesh/mesh/wire"
)

// writer is what the goroutine that writes owns.
type writer struct {
	*Store
	found  *Contents
	source Source
	least  int64 // bytes of segments between two snapshots

	settled bool             // what was found is put in order
	next    uint64           // number of the next file
	tail    head             // of the next segment: what it follows
	open    *segment         // nil: none, because of a problem or before the first message
	closed  map[uint64]int64 // bytes of the segments before the open one that are in use
	epoch   int              // counts the gaps
	sure    bool             // marks of the open segment count: it follows a snapshot without a gap
	marked  uint64           // number of the last mark that was written in this epoch
	useless []uint64         // segments that follow nothing, and whose snapshot was not completed

	snapshot *snapshotRun // nil: none runs
	named    uint64       // the last snapshot that may have its name
	size     int64        // of the last snapshot that is complete
	wanted   bool         // a snapshot is to be written at the next mark
	waits    int          // marks to let pass before the disk is tried again
	backoff  int          // how many the last failure let pass
}

// maxBackoff bounds the marks that pass before the disk is tried again: after one, then two, four
// and so on.
const maxBackoff = 32

// Why nothing is kept although the disk works.
var (
	errBehind = errors.New("the disk does not keep up")
	errAnew   = errors.New("all that is held has to be written anew")
)

func newWriter(s *Store, found *Contents, least int64) *writer {
	return &writer{
		Store: s, found: found, least: least, next: found.last + 1, wanted: true,
		closed: map[uint64]int64{},
	}
}

// run writes what is put, until the store is closed.
func (w *writer) run() {
	if err := w.settle(); err != nil {
		w.abandon(err)
	} else if err := w.begin(); err != nil {
		w.abandon(err)
	}
	for {
		var done <-chan snapshotResult
		if w.snapshot != nil {
			done = w.snapshot.done
		}
		select {
		case r := <-done:
			w.snapshotDone(r)
			continue
		case <-w.wake:
		}
		queue, ended := w.take()
		w.write(queue)
		if ended {
			w.end()
			return
		}
	}
}

// end ends what is open.
func (w *writer) end() {
	if w.snapshot != nil {
		w.snapshot.stop()
		w.snapshotDone(<-w.snapshot.done)
	}
	if w.open == nil {
		return
	}
	if err := errors.Join(w.open.sync(), w.open.file.Close()); err != nil {
		w.note(func(s *Status) { s.Problem = err })
	}
}

// begin begins a new segment.
func (w *writer) begin() error {
	h := w.tail
	h.format = Format
	number := w.next
	w.next++ // also if this fails: half of it may be there
	s, err := create(w.fs, segmentName(number), number, h)
	if err != nil {
		_ = w.fs.Remove(segmentName(number))
		return err
	}
	w.open = s
	return nil
}

// write writes what was put. Of several marks only the last one is worth a sync.
func (w *writer) write(queue []item) {
	last := -1
	for i, it := range queue {
		if _, ok := it.m.(*wire.Mark); ok {
			last = i
		}
	}
	dropped := uint64(0)
	for i, it := range queue {
		m, ok := it.m.(*wire.Mark)
		switch {
		case ok && i == last:
			w.mark(it.n, m)
		case ok:
		case w.open == nil:
			dropped++
		case it.m == nil:
			w.abandon(it.why)
		default:
			if err := w.open.message(it.m); err != nil {
				w.abandon(err)
			}
		}
	}
	if w.open != nil {
		if err := w.open.flush(); err != nil {
			w.abandon(err)
		}
	}
	w.drop(dropped)
}

// mark syncs what was put before a mark, and begins a snapshot if it is time for one.
func (w *writer) mark(n uint64, m *wire.Mark) {
	due := w.waits == 0
	if !due {
		w.waits--
	}
	if w.open == nil && (!due || !w.tryAgain()) {
		return
	}
	if err := w.open.mark(m); err != nil {
		w.abandon(err)
		return
	}
	w.marked = n
	w.note(func(s *Status) {
		if w.sure {
			s.Kept = max(s.Kept, n)
		}
		s.Bytes = w.used()
	})
	if w.snapshot != nil || !due {
		return
	}
	if w.wanted {
		w.beginSnapshot(n)
	} else if w.appended() > max(w.least, w.size) && w.rotate() {
		w.beginSnapshot(n)
	}
}

// tryAgain begins anew after a problem: with a segment, and a snapshot of all that the director
// holds.
func (w *writer) tryAgain() bool {
	if w.snapshot != nil {
		return false // it was stopped, and has not ended yet
	}
	if !w.settled {
		if err := w.settle(); err != nil {
			w.abandon(err)
			return false
		}
	}
	w.removeUseless()
	w.tail = head{}
	if err := w.begin(); err != nil {
		w.abandon(err)
		return false
	}
	w.beginSnapshot(w.closeGap())
	return true
}

// removeUseless removes segments that count for nothing, and may take the room that is missing. One
// stays whose snapshot may be there.
func (w *writer) removeUseless() {
	for _, n := range w.useless {
		if n != w.named && w.fs.Remove(segmentName(n)) == nil {
			delete(w.closed, n)
		}
	}
	w.useless = nil
}

// rotate begins another segment, so that the one that is open can be removed when the snapshot is
// complete.
func (w *writer) rotate() bool {
	was := w.open
	w.tail = head{follows: true, after: was.number, upTo: was.at}
	if err := was.sync(); err != nil {
		w.abandon(err)
		return false
	}
	if err := w.begin(); err != nil {
		w.abandon(err) // what there is of the next one may say that this one ends here
		return false
	}
	w.closed[was.number] = was.at
	_ = was.file.Close() // all of it is on the disk
	return true
}

// appended is how much the segments have since the last snapshot.
func (w *writer) appended() (bytes int64) {
	for _, size := range w.closed {
		bytes += size
	}
	if w.open != nil {
		bytes += w.open.at
	}
	return bytes
}

// used is how much the files in use have.
func (w *writer) used() int64 { return w.size + w.appended() }

// postpone notes that something has to be tried again, after some marks have passed.
func (w *writer) postpone(err error) {
	w.backoff = min(max(1, 2*w.backoff), maxBackoff)
	w.waits = w.backoff
	if w.sure {
		return // what is put is kept all the same
	}
	w.note(func(s *Status) {
		if s.Problem == nil || s.Problem.Error() != err.Error() {
			s.Problem = err
		}
	})
}

// abandon gives the open segment up, because of an error. What its marks say stays.
func (w *writer) abandon(err error) {
	w.openGap()
	if w.open != nil {
		w.closed[w.open.number] = w.open.at
		err = errors.Join(err, w.open.file.Close())
		if !w.sure && !w.follows() {
			w.useless = append(w.useless, w.open.number)
		}
		w.open = nil
	}
	w.epoch++
	w.sure, w.wanted, w.marked = false, true, 0
	if w.snapshot != nil {
		w.snapshot.stop()
	}
	w.postpone(fmt.Errorf("nothing is kept: %w", err))
}
