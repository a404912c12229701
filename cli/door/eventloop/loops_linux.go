package eventloop

import (
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxEvents is how many connections one look at them can report.
	maxEvents = 128
	// busyRounds is after how many looks, each of which has found something to do, a loop lets
	// other goroutines run, and gives connections away.
	busyRounds = 32
)

// Loops watch connections: one loop, and others, up to one for each processor, as soon as the ones
// that there are have no rest. They are safe for concurrent use.
type Loops struct {
	running sync.WaitGroup // of loops, and of the calls of ready outside of them
	ids     atomic.Uint64

	mu     sync.Mutex // guards what follows
	all    []*loop    // none before the first connection is watched
	closed bool
}

// loop is one goroutine and the connections that it watches.
type loop struct {
	all  *Loops
	epfd int      // used only while file is open
	file *os.File // the same descriptor, in Go's poller
	busy atomic.Bool

	mu    sync.Mutex // guards what follows; locked after that of a connection
	conns map[uint64]*conn
	over  bool // the descriptor may be closed
}

// New returns loops. They use nothing of the system before the first connection is watched.
func New() *Loops { return &Loops{} }

// Close ends the loops, and waits until no function given to Watch runs any more. Connections are
// to be closed before; what is watched nevertheless is watched no more.
func (l *Loops) Close() error {
	l.mu.Lock()
	l.closed = true
	all := l.all
	l.mu.Unlock()
	var errs []error
	for _, lp := range all {
		lp.mu.Lock()
		over := lp.over
		lp.over = true
		lp.mu.Unlock()
		if !over {
			errs = append(errs, lp.file.Close())
		}
	}
	l.running.Wait()
	return errors.Join(errs...)
}

// pick returns the loop for a connection, nil if there is none. But may not be it.
func (l *Loops) pick(but *loop) *loop {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	for _, lp := range l.all {
		if lp != but && !lp.busy.Load() {
			return lp
		}
	}
	if len(l.all) < runtime.GOMAXPROCS(0) {
		if lp, err := newLoop(l); err == nil { // else those that there are must do
			l.all = append(l.all, lp)
			l.running.Go(lp.run)
			return lp
		}
	}
	if but != nil || len(l.all) == 0 {
		return nil
	}
	return l.all[rand.IntN(len(l.all))]
}

func newLoop(all *Loops) (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // else Go's poller does not take it
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &loop{
		all: all, epfd: fd, file: os.NewFile(uintptr(fd), "epoll"), conns: make(map[uint64]*conn),
	}, nil
}

// run looks at the connections until the loop is closed. It waits for them in Go's poller.
func (lp *loop) run() {
	raw, err := lp.file.SyscallConn()
	if err != nil {
		return // closed already
	}
	events := make([]unix.EpollEvent, maxEvents)
	_ = raw.Read(func(uintptr) bool { // returns an error when the file is closed
		for round := 1; ; round++ {
			n := lp.look(events)
			if n == 0 {
				lp.busy.Store(false)
				return false
			}
			for i := range events[:n] {
				lp.serve(idOf(&events[i]))
			}
			if round%busyRounds == 0 {
				lp.busy.Store(true)
				lp.giveAway(events[:n])
				runtime.Gosched()
			}
		}
	})
}

// look returns how many connections have something to read. It does not wait, so the scheduler need
// not hear of it.
func (lp *loop) look(events []unix.EpollEvent) int {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(lp.epfd),
			uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
		switch errno {
		case 0:
			return int(n)
		case syscall.EINTR:
		default:
			return 0
		}
	}
}

// serve calls what a connection's owner wants to be called.
func (lp *loop) serve(id uint64) {
	lp.mu.Lock()
	c := lp.conns[id]
	lp.mu.Unlock()
	if c == nil {
		return // closed, or given away, after the look
	}
	c.mu.Lock()
	ready := c.ready
	c.ready = nil
	if ready == nil { // its owner does not want to know
		c.leaveLoop()
	}
	c.mu.Unlock()
	if ready != nil {
		ready(true)
	}
}

// giveAway gives every other one of these connections to a loop that has rest. What is left to the
// single one would only have to move.
func (lp *loop) giveAway(events []unix.EpollEvent) {
	if len(events) < 2 {
		return
	}
	to := lp.all.pick(lp)
	if to == nil {
		return
	}
	for i := 1; i < len(events); i += 2 {
		lp.mu.Lock()
		c := lp.conns[idOf(&events[i])]
		lp.mu.Unlock()
		if c == nil {
			continue
		}
		c.mu.Lock()
		if c.loop == lp && c.ready != nil {
			c.leaveLoop()
			if !c.join(to) {
				c.wake()
			}
		}
		c.mu.Unlock()
	}
}

// add watches a connection, whose mu must be locked.
func (lp *loop) add(c *conn) bool {
	lp.mu.Lock()
	defer lp.mu.Unlock()
	if lp.over {
		return false
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN}
	setID(&event, c.id)
	if unix.EpollCtl(lp.epfd, unix.EPOLL_CTL_ADD, c.fd, &event) != nil {
		return false
	}
	lp.conns[c.id] = c
	return true
}

// remove ends that.
func (lp *loop) remove(c *conn) {
	lp.mu.Lock()
	defer lp.mu.Unlock()
	delete(lp.conns, c.id)
	if !lp.over {
		_ = unix.EpollCtl(lp.epfd, unix.EPOLL_CTL_DEL, c.fd, nil)
	}
}

// An event carries the number of its connection, which no other ever has: descriptors are used
// again at once.

func setID(e *unix.EpollEvent, id uint64) { e.Fd, e.Pad = int32(uint32(id)), int32(id>>32) }

func idOf(e *unix.EpollEvent) uint64 { return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32 }
