// Package loglimit keeps trouble that goes on from filling the log: of lines about one cause each
// is written later than the one before. It owns when a line may be written, not what it says.
package loglimit

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// Every is how soon a second line about the same trouble is written, Rarely how often it is in
	// the end: each pause is twice the one before. Trouble that was away for as long as its pause
	// begins anew.
	Every  = 10 * time.Second
	Rarely = 10 * time.Minute
)

// maxTroubles bounds how many kinds of trouble are distinguished; strangers can make up names.
const maxTroubles = 1000

// A Limiter decides when a line about trouble may be written. Its zero value is ready; it is safe
// for concurrent use.
type Limiter struct {
	mu       sync.Mutex
	troubles map[string]*trouble
}

type trouble struct {
	at         time.Time     // last line
	seen       time.Time     // last time, with a line or without
	pause      time.Duration // from at to the next line
	suppressed int           // lines since
}

// Allow reports whether a line about this trouble may be written, and how many were not since the
// last one.
func (l *Limiter) Allow(key string, now time.Time) (suppressed int, ok bool) {
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
		l.troubles[key] = &trouble{at: now, seen: now, pause: Every}
		return 0, true
	case now.Sub(t.at) < t.pause:
		t.seen = now
		t.suppressed++
		return 0, false
	}
	pause := min(2*t.pause, Rarely)
	if now.Sub(t.seen) >= t.pause {
		pause = Every
	}
	suppressed = t.suppressed
	*t = trouble{at: now, seen: now, pause: pause}
	return suppressed, true
}

// Forget drops trouble that is over. Where kinds of trouble can be made up, call it now and then.
func (l *Limiter) Forget(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, t := range l.troubles {
		if now.Sub(t.seen) > 2*t.pause {
			delete(l.troubles, key)
		}
	}
}

// Logger returns the logger for a line about this kind of trouble: one that adds how many lines
// were suppressed, or one that writes nothing.
func (l *Limiter) Logger(log zerolog.Logger, key string, now time.Time) *zerolog.Logger {
	suppressed, ok := l.Allow(key, now)
	switch {
	case !ok:
		log = zerolog.Nop()
	case suppressed > 0:
		log = log.With().Int("suppressed", suppressed).Logger()
	}
	return &log
}
