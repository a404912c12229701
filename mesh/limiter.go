package mesh

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// logEvery is how soon a second line about the same trouble is written, logRarely how often it
	// is in the end: each pause is twice the one before. Trouble that was away for as long as that
	// begins anew.
	logEvery  = 10 * time.Second
	logRarely = 10 * time.Minute
)

// maxTroubles bounds how many kinds of trouble are told apart; strangers can make up names.
const maxTroubles = 1000

// A limiter keeps repeating trouble from filling the log. Safe for concurrent use.
type limiter struct {
	mu       sync.Mutex
	troubles map[string]*trouble
}

type trouble struct {
	at         time.Time     // last line
	seen       time.Time     // last time, with a line or without
	pause      time.Duration // from at to the next line
	suppressed int           // lines since
}

// allow reports whether a line about this trouble may be written, and how many were not since the
// last one.
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
		l.troubles[key] = &trouble{at: now, seen: now, pause: logEvery}
		return 0, true
	case now.Sub(t.at) < t.pause:
		t.seen = now
		t.suppressed++
		return 0, false
	}
	pause := min(2*t.pause, logRarely)
	if now.Sub(t.seen) >= t.pause {
		pause = logEvery
	}
	suppressed = t.suppressed
	*t = trouble{at: now, seen: now, pause: pause}
	return suppressed, true
}

// forget drops trouble that is over.
func (l *limiter) forget(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, t := range l.troubles {
		if now.Sub(t.seen) > 2*t.pause {
			delete(l.troubles, key)
		}
	}
}

// limited returns the logger for a line about this trouble; one that writes nothing if there was
// one lately.
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
