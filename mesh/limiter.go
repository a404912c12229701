package mesh

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// logEvery is how often a line about the same trouble is written.
const logEvery = 10 * time.Second

// maxTroubles bounds how many kinds of trouble are told apart; strangers can make up names.
const maxTroubles = 1000

// A limiter keeps repeating trouble from filling the log. Safe for concurrent use.
type limiter struct {
	mu       sync.Mutex
	troubles map[string]*trouble
}

type trouble struct {
	at         time.Time // last line
	suppressed int       // lines since
}

// allow reports whether a line about this trouble may be written, and how many were not since the last one.
func (l *limiter) allow(key string, now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.troubles[key]
	switch {
	case t == nil && len(l.troubles) >= maxTroubles:
		return 0, false
	case t == nil:
		if l.troubles == nil {
			l.troubles = make(map[string]*trouble)
		}
		l.troubles[key] = &trouble{at: now}
		return 0, true
	case now.Sub(t.at) < logEvery:
		t.suppressed++
		return 0, false
	}
	suppressed = t.suppressed
	*t = trouble{at: now}
	return suppressed, true
}

// forget drops trouble that is over.
func (l *limiter) forget(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, t := range l.troubles {
		if now.Sub(t.at) > 2*logEvery {
			delete(l.troubles, key)
		}
	}
}

// limited returns the logger for a line about this trouble; one that writes nothing if there was one lately.
func (n *Node) limited(key string) *zerolog.Logger {
	suppressed, ok := n.limits.allow(key, time.Now())
	if !ok {
		nop := zerolog.Nop()
		return &nop
	}
	l := n.log
	if suppressed > 0 {
		l = l.With().Int("suppressed", suppressed).Logger()
	}
	return &l
}
