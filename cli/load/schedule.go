package load

import "time"

// schedule says when the requests of one director are due. Those of all directors together are
// evenly spaced.
type schedule struct {
	every  float64 // nanoseconds between two of this director's
	offset float64
	total  int64 // of this director's
}

// newSchedule returns the schedule of director k of n, at this many requests a second over all of
// them.
func newSchedule(rate float64, k, n int, d time.Duration) schedule {
	s := schedule{every: float64(n) * 1e9 / rate, offset: float64(k) * 1e9 / rate}
	if last := float64(d) - s.offset; last > 0 {
		s.total = int64(last / s.every)
		if float64(s.total)*s.every < last {
			s.total++
		}
	}
	return s
}

// due returns when request i is due, since the start. It is computed anew for each, so that errors
// do not add up.
func (s schedule) due(i int64) time.Duration { return time.Duration(s.offset + float64(i)*s.every) }

// sleeper waits. It belongs to one goroutine.
type sleeper interface {
	sleep(d time.Duration) error
	close() error
}

// plainSleeper is exact to about a millisecond.
type plainSleeper struct{}

func (plainSleeper) sleep(d time.Duration) error {
	time.Sleep(d)
	return nil
}

func (plainSleeper) close() error { return nil }
