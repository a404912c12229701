package history

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"directormesh/directory"
	"directormesh/mesh/store"
	"directormesh/mesh/wire"
)

// Limits of the settings.
const (
	DefaultBytes = 256 << 20
	MinBytes     = 1 << 20
	DefaultAge   = 30 * 24 * time.Hour
	MinAge       = time.Hour
)

// defaultMemory is how many bytes of notes wait in memory to be written, about.
const defaultMemory = 12 << 20

// How often the goroutine that writes does what, at most.
const (
	writeEvery = 100 * time.Millisecond
	syncEvery  = time.Second
	pulseEvery = 30 * time.Second
	maxBackoff = 32 * time.Second
)

// Config is what a history needs to know. Zero means what the comment says.
type Config struct {
	FS    store.FS      // the data directory, which the caller has locked; nil: memory alone
	Bytes int64         // of all files; 0: DefaultBytes
	Age   time.Duration // notes that are older may be dropped; 0: DefaultAge
	// Memory is how many bytes of notes may wait to be written, about; 0: 12 MB. An eighth of it is
	// used while none waits, and half of it without FS.
	Memory int
	// Now returns mesh time and wall clock. It is called on the goroutine of the history, and by
	// Add.
	Now func() (mesh, wall directory.Time)
	// Changed is told why nothing can be written, and nil when that is over. It is called on the
	// goroutine of the history; nil: nobody wants to know.
	Changed func(problem error)
}

// Status is how a history does.
type Status struct {
	OnDisk  bool  // it is written to files
	Problem error // why nothing is written at present; nil: it is, or will be in a moment
	Bytes   int64 // of the files
	Lost    uint64
}

// History is the notes of one director.
type History struct {
	fs      store.FS
	now     func() (mesh, wall directory.Time)
	changed func(error)
	age     time.Duration

	changes, users, logins *log
	begun                  directory.Time // when the first note was written

	mu      sync.Mutex
	problem error // guarded by mu

	wake    chan struct{} // of capacity 1
	quit    chan struct{}
	closing sync.Once
	running sync.WaitGroup
}

// Open opens the history of a data directory, and reads where it ended. Nothing is written before
// Start. The error is that of the disk; then the history is there, and is in memory alone.
func Open(cfg Config) (*History, error) {
	if cfg.Bytes == 0 {
		cfg.Bytes = DefaultBytes
	}
	if cfg.Age == 0 {
		cfg.Age = DefaultAge
	}
	if cfg.Memory == 0 {
		cfg.Memory = defaultMemory
	}
	h := &History{
		fs: cfg.FS, now: cfg.Now, changed: cfg.Changed, age: cfg.Age,
		wake: make(chan struct{}, 1), quit: make(chan struct{}),
	}
	share := func(prefix string, eighths int64) *log {
		return newLog(cfg.FS, prefix, cfg.Bytes/8*eighths, cfg.Memory/8*int(eighths), cfg.Age)
	}
	h.changes, h.users, h.logins = share("changes-", 1), share("users-", 3), share("logins-", 4)
	if h.fs == nil {
		return h, nil
	}
	var errs []error
	for _, l := range h.logs() {
		errs = append(errs, l.find())
	}
	if err := errors.Join(errs...); err != nil {
		// Written on from an end that is not known, files would be overwritten.
		memory := cfg
		memory.FS = nil
		h, _ = Open(memory)
		h.problem = fmt.Errorf("the history cannot be read, and is in memory until the next "+
			"start: %w", err)
		return h, h.problem
	}
	return h, nil
}

func (h *History) logs() []*log { return []*log{h.changes, h.users, h.logins} }

// Start notes that the director has begun, and begins to write. From then on Now is called.
func (h *History) Start() {
	h.begun, _ = h.now()
	if files := h.changes.files; len(files) > 0 {
		h.begun = files[0].begun
	}
	h.Add(h.beginning())
	if h.fs != nil {
		h.running.Go(h.run)
	}
}

// beginning says what may be missing since the last note on disk.
func (h *History) beginning() *wire.LapseNote {
	note := &wire.LapseNote{Why: wire.LapseBegun}
	last := h.changes.lastFound
	if last == nil {
		return note
	}
	note.Why, note.Since = wire.LapseCrashed, last.Head().At
	if end, ok := last.(*wire.LapseNote); ok && end.Why == wire.LapseStopped &&
		end.Since == end.At {
		note.Why = wire.LapseStopped
	}
	return note
}

// Add adds a note, gives it its number, and the present time if it has none. It does not wait. The
// note must not be changed any more.
func (h *History) Add(n wire.Note) {
	head := n.Head()
	now, wall := h.now()
	if head.At == 0 {
		head.At, head.Wall = now, wall
	}
	l := h.changes
	switch n.(type) {
	case *wire.UserNote:
		l = h.users
	case *wire.LoginsNote:
		l = h.logins
	}
	l.add(n, now)
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Status returns how the history does.
func (h *History) Status() Status {
	s := Status{OnDisk: h.fs != nil}
	h.mu.Lock()
	s.Problem = h.problem
	h.mu.Unlock()
	for _, l := range h.logs() {
		bytes, lost := l.status()
		s.Bytes += bytes
		s.Lost += lost
	}
	return s
}

// Close notes that the director stops, writes what is not written yet, and waits for the disk. The
// error says that the disk did not take all.
func (h *History) Close() error {
	h.closing.Do(func() {
		if h.fs == nil {
			return
		}
		now, _ := h.now()
		h.Add(&wire.LapseNote{Since: now, Why: wire.LapseStopped})
		close(h.quit)
	})
	h.running.Wait()
	return h.Status().Problem
}

// run writes what is added, until the history is closed.
func (h *History) run() {
	defer func() {
		for _, l := range h.logs() {
			l.closeFile()
		}
	}()
	pulse, retry := time.NewTicker(pulseEvery), time.NewTicker(syncEvery)
	defer pulse.Stop()
	defer retry.Stop()
	var tryAt time.Time // while the disk fails
	var backoff time.Duration
	for ended := false; !ended; {
		select {
		case <-h.wake:
		case <-retry.C: // syncs what was written last, or tries again
		case <-pulse.C:
			h.beat()
		case <-h.quit:
			ended = true
		}
		if time.Now().Before(tryAt) && !ended {
			continue
		}
		err := h.write(ended)
		h.report(err)
		if err != nil {
			backoff = min(max(time.Second, 2*backoff), maxBackoff)
			tryAt = time.Now().Add(backoff)
			continue
		}
		backoff, tryAt = 0, time.Time{}
		select {
		case <-time.After(writeEvery):
		case <-h.quit:
		}
	}
}

// beat notes that the director ran until now, unless it has just noted something anyway.
func (h *History) beat() {
	now, _ := h.now()
	if now.Sub(h.changes.newest()) >= pulseEvery/2 {
		h.Add(&wire.LapseNote{Since: now, Why: wire.LapseNone})
	}
	for _, l := range h.logs() {
		l.prune(now)
	}
}

// write writes and syncs the logs; a failure of one does not keep the others from being written.
func (h *History) write(sync bool) error {
	now, _ := h.now()
	var errs []error
	for _, l := range h.logs() {
		errs = append(errs, l.write(now, sync))
	}
	return errors.Join(errs...)
}

func (h *History) report(err error) {
	h.mu.Lock()
	was := h.problem
	h.problem = err
	h.mu.Unlock()
	if h.changed != nil && (was == nil) != (err == nil) {
		h.changed(err)
	}
}
