package store

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"directormesh/mesh/wire"
)

// Config is what a store needs to know. Zero limits mean what their comments say.
type Config struct {
	FS       FS
	Identity Identity
	// QueueBytes bounds what waits to be written, about; 0: 16 MB.
	QueueBytes int
	// SnapshotBytes is how much is appended before a new snapshot is written, at least; it is as
	// much as the last snapshot had if that is more. 0: 32 MB.
	SnapshotBytes int64
}

const (
	defaultQueueBytes    = 16 << 20
	defaultSnapshotBytes = 32 << 20
)

// Source gives all that the director holds at a moment after the call, for a snapshot: the table
// before rows. What was put before the call is in it. It is called on a goroutine of the store.
type Source func() iter.Seq[wire.Message]

// Status is how a store is doing.
type Status struct {
	Kept    uint64 // the number up to which what was put is kept
	Problem error  // why nothing is kept at present; nil: it is, or will be in a moment
	Bytes   int64  // of the files in use
	Dropped uint64 // messages that found no room, or could not be written
	Gaps    uint64
}

// Store is a data directory that is in use. It is safe for concurrent use.
type Store struct {
	fs   FS
	lock io.Closer
	want Identity
	most int

	mu     sync.Mutex
	queue  []item
	bytes  int // of queue, about
	last   uint64
	gap    bool // what is put is dropped until a new segment is begun
	counts Status
	ended  bool // Close has begun

	wake    chan struct{} // of capacity 1
	w       *writer
	changed func(Status)
	started bool
	running sync.WaitGroup
}

// item is a message that was put, or the place of those that were not taken (nil), and why.
type item struct {
	n   uint64
	m   wire.Message
	why error
}

// Open locks a directory and looks what is in it. Nothing is written before Start. The error is
// ErrLocked, an *IdentityError for the directory of another mesh, or that of the disk.
func Open(cfg Config) (*Store, *Contents, error) {
	held, err := cfg.FS.Lock()
	if err != nil {
		return nil, nil, err
	}
	found, err := Inspect(cfg.FS)
	if err == nil && found.Identity.Mesh != "" && found.Identity.Mesh != cfg.Identity.Mesh {
		err = &IdentityError{Found: found.Identity, Want: cfg.Identity}
	}
	if err != nil {
		return nil, nil, errors.Join(err, held.Close())
	}
	s := &Store{
		fs: cfg.FS, lock: held, want: cfg.Identity, most: cfg.QueueBytes,
		wake: make(chan struct{}, 1),
	}
	if s.most == 0 {
		s.most = defaultQueueBytes
	}
	least := cfg.SnapshotBytes
	if least == 0 {
		least = defaultSnapshotBytes
	}
	s.w = newWriter(s, found, least)
	return s, found, nil
}

// Start begins to write. Changed is called whenever the status changes, on a goroutine of the
// store, which waits for it. What Open found must not be read any more.
func (s *Store) Start(source Source, changed func(Status)) {
	s.w.source, s.changed, s.started = source, changed, true
	s.running.Go(s.w.run)
}

// Put puts a message under a number that is not lower than that of the one before. It does not
// wait. A *wire.Mark has what was put before it synced. Without a message nothing counts as kept
// until there is a snapshot of what the director holds now. The message must not be changed any
// more.
func (s *Store) Put(n uint64, m wire.Message) {
	size := sizeOf(m)
	_, mark := m.(*wire.Mark)
	s.mu.Lock()
	s.last = n
	switch {
	case s.ended:
	case mark:
		s.queue = append(s.queue, item{n: n, m: m}) // the disk is tried again at a mark
	case m == nil:
		s.stopTaking(n, errAnew)
	case s.gap:
		s.counts.Dropped++
	case s.bytes+size > s.most:
		s.counts.Dropped++
		s.stopTaking(n, errBehind)
	default:
		s.queue = append(s.queue, item{n: n, m: m})
		s.bytes += size
	}
	s.mu.Unlock()
	s.signal()
}

// stopTaking opens a gap behind what is queued. The caller has locked mu.
func (s *Store) stopTaking(n uint64, why error) {
	if !s.gap {
		s.gap = true
		s.counts.Gaps++
		s.queue = append(s.queue, item{n: n, why: why})
	}
}

func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Status returns how the store is doing.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Close writes what was put, syncs it if a segment is open, and gives the directory free. It waits
// for the disk, but not for a snapshot. The error says that the disk did not take all.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.ended
	s.ended = true
	s.mu.Unlock()
	if again {
		return nil
	}
	s.signal()
	s.running.Wait()
	var err error
	if problem := s.Status().Problem; s.started && problem != nil {
		err = fmt.Errorf("data directory: %w", problem)
	}
	return errors.Join(err, s.lock.Close())
}

// take empties the queue.
func (s *Store) take() (queue []item, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue, s.queue, s.bytes = s.queue, nil, 0
	return queue, s.ended
}

// openGap notes that what is put cannot be written.
func (s *Store) openGap() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.gap {
		s.gap = true
		s.counts.Gaps++
	}
}

// closeGap notes that a new segment was begun. A snapshot that is begun now has all up to the
// number that it returns.
func (s *Store) closeGap() (covered uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gap = false
	return s.last
}

// drop counts messages that could not be written.
func (s *Store) drop(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Dropped += n
}

// note changes the status and reports it.
func (s *Store) note(change func(*Status)) {
	s.mu.Lock()
	before := s.counts
	change(&s.counts)
	after := s.counts
	s.mu.Unlock()
	if before.Kept != after.Kept || before.Problem != after.Problem || before.Gaps != after.Gaps {
		s.changed(after)
	}
}

const (
	bytesPerItem     = 96
	bytesPerRow      = 16
	bytesPerTableRow = 256
)

// sizeOf is about what a message takes in memory.
func sizeOf(m wire.Message) int {
	size := bytesPerItem
	switch m := m.(type) {
	case *wire.Rows:
		for _, b := range m.Blocks {
			size += bytesPerRow * b.Len()
		}
	case *wire.Table:
		size += bytesPerTableRow * m.Change.Rows()
	}
	return size
}
