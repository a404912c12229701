package store

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// snapshotRun is a snapshot that is being written, by a goroutine of its own. That goroutine sends
// one result, for which there is room, and ends.
type snapshotRun struct {
	number  uint64 // of the segment that was open when it began
	covered uint64 // the number up to which it has what was put
	epoch   int    // of the writer when it began
	stopped atomic.Bool
	done    chan snapshotResult
}

type snapshotResult struct {
	size  int64
	named bool // it may have its name, even with an error
	err   error
}

var errStopped = errors.New("stopped")

func (r *snapshotRun) stop() { r.stopped.Store(true) }

// beginSnapshot begins a snapshot that has what was put up to a number. The segment that is open
// stays: what it has is in the snapshot too, and counts once.
func (w *writer) beginSnapshot(covered uint64) {
	run := &snapshotRun{
		number: w.open.number, covered: covered, epoch: w.epoch, done: make(chan snapshotResult, 1),
	}
	w.snapshot, w.wanted = run, false
	w.running.Go(func() { run.done <- run.write(w.fs, w.source) })
}

// write writes the snapshot, and gives it its name when it is on the disk.
func (r *snapshotRun) write(d FS, source Source) snapshotResult {
	name := snapshotName(r.number)
	s, err := create(d, name+newSuffix, r.number, head{format: Format})
	if err != nil {
		return snapshotResult{err: err}
	}
	err = r.fill(s, source)
	if err == nil {
		err = s.sync()
	}
	if err = errors.Join(err, s.file.Close()); err != nil {
		_ = d.Remove(name + newSuffix) // else the next one overwrites it
		return snapshotResult{err: err}
	}
	if err = d.Rename(name+newSuffix, name); err == nil {
		err = d.SyncDir()
	}
	return snapshotResult{s.at, true, err}
}

// fill writes what the source has.
func (r *snapshotRun) fill(s *segment, source Source) error {
	for m := range source() {
		if r.stopped.Load() {
			return errStopped
		}
		if err := s.message(m); err != nil {
			return err
		}
	}
	return s.add(endRecord, func(b []byte) ([]byte, error) { return b, nil })
}

// snapshotDone follows the end of a snapshot.
func (w *writer) snapshotDone(r snapshotResult) {
	run := w.snapshot
	w.snapshot = nil
	if r.named {
		w.named = run.number
	}
	if r.err != nil {
		w.wanted = true
		if !errors.Is(r.err, errStopped) {
			w.postpone(fmt.Errorf("snapshot: %w", r.err))
		}
		return
	}
	w.backoff = 0
	w.size = r.size
	kept := run.covered
	if run.epoch == w.epoch {
		w.sure, kept = true, max(kept, w.marked)
	}
	w.cleanUp(run.number)
	w.note(func(s *Status) {
		s.Kept = max(s.Kept, kept)
		if w.sure {
			s.Problem = nil
		}
		s.Bytes = w.used()
	})
}

// cleanUp removes what a snapshot has made superfluous. What cannot be removed stays until the next
// one.
func (w *writer) cleanUp(number uint64) {
	for n := range w.closed {
		if n < number {
			delete(w.closed, n)
		}
	}
	names, err := w.fs.Names()
	if err != nil {
		return
	}
	for _, name := range names {
		n, isSegment := numberIn(name, segmentPrefix)
		m, isSnapshot := numberIn(name, snapshotPrefix)
		if isSegment && n < number || isSnapshot && m < number {
			_ = w.fs.Remove(name)
		}
	}
}
