package load

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxExamples bounds the wrong answers that are shown.
const maxExamples = 10

// checker compares all answers. A user may have one backend only; with moves one after the other,
// but none twice, because then two directors may be answering two backends in turn. Safe for
// concurrent use.
type checker struct {
	moves     bool
	names     *Names
	directors []Target
	// the last answer to each: its backend's number and, above that, the director's
	users []atomic.Uint32

	mu       sync.Mutex // guards what follows
	numbers  map[string]uint32
	backends []string           // by number; 0 is none
	changed  map[uint32]history // of users that had several
	moved    int64
	wrong    int64
	examples []string
}

// The parts of an answer as it is kept.
const (
	backendBits = 24
	backendMask = 1<<backendBits - 1
)

func newChecker(c *Config) *checker {
	return &checker{
		moves: c.Moves, names: &c.Users.Names, directors: c.Directors,
		users:    make([]atomic.Uint32, c.Users.Count),
		numbers:  make(map[string]uint32),
		backends: []string{""},
		changed:  make(map[uint32]history),
	}
}

// number returns the number of a backend, which is not 0; false if it is not an address.
func (c *checker) number(backend []byte) (uint32, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, ok := c.numbers[string(backend)]; ok {
		return n, true
	}
	if _, err := netip.ParseAddr(string(backend)); err != nil || len(c.backends) > backendMask {
		return 0, false
	}
	n := uint32(len(c.backends))
	c.backends = append(c.backends, string(backend))
	c.numbers[string(backend)] = n
	return n, true
}

// note takes an answer to a request that was sent at one moment and answered at the other, both
// since the start.
func (c *checker) note(user, backend uint32, director int, sent, received time.Duration) {
	last := &c.users[user]
	answer := uint32(director)<<backendBits | backend
	for {
		old := last.Load()
		if old&backendMask == backend {
			return
		}
		if old != 0 {
			break
		}
		if last.CompareAndSwap(0, answer) {
			return
		}
	}
	c.change(user, answer, sent, received)
}

// history is what backends a user had, and since when the last one is known.
type history struct {
	earlier []uint32
	since   time.Duration
}

// change takes an answer that differs from the last one.
func (c *checker) change(user, answer uint32, sent, received time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.users[user].Load() // only changed with mu locked once it is set
	backend := answer & backendMask
	h := c.changed[user]
	switch {
	case old&backendMask == backend:
		return
	case !c.moves:
		c.differ(user, old, answer)
	case !slices.Contains(h.earlier, backend):
		c.moved++
		c.changed[user] = history{append(h.earlier, old&backendMask), received}
	case sent <= h.since:
		return // it was on its way when the user was moved
	default:
		c.differ(user, old, answer)
	}
	c.users[user].Store(answer)
}

// differ counts two answers that cannot both be right. mu must be locked.
func (c *checker) differ(user, old, answer uint32) {
	c.complain("%s: %s by %s, before %s by %s", c.names.append(nil, user),
		c.backends[answer&backendMask], c.directors[answer>>backendBits].Name,
		c.backends[old&backendMask], c.directors[old>>backendBits].Name)
}

// misdirected counts an answer about another user than was asked for.
func (c *checker) misdirected(user uint32, answer []byte, director int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complain("%s: %s answered about %q",
		c.names.append(nil, user), c.directors[director].Name, answer)
}

// complain counts a wrong answer. mu must be locked.
func (c *checker) complain(format string, args ...any) {
	if c.wrong++; len(c.examples) < maxExamples {
		c.examples = append(c.examples, fmt.Sprintf(format, args...))
	}
}

// wrongAnswers returns how many answers were wrong so far.
func (c *checker) wrongAnswers() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wrong
}

// seen returns how many users have got a backend.
func (c *checker) seen() int {
	n := 0
	for i := range c.users {
		if c.users[i].Load() != 0 {
			n++
		}
	}
	return n
}
