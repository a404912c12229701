package webauth

import "time"

const (
	// failureTime is how long a window of failures lasts, from the first one.
	failureTime = time.Minute
	// maxFailures is how many there may be in a window.
	maxFailures = 5
	// maxWindows bounds the table: strangers may have many addresses.
	maxWindows = 4096
)

// failures counts what went wrong lately, for each of many keys: in windows that begin with a
// failure, in order of their beginning. It needs a lock around it.
type failures[K comparable] struct {
	windows map[K]*window
	order   []K // of windows, the oldest first
}

type window struct {
	since time.Time
	count int
}

// add counts a failure of key.
func (f *failures[K]) add(key K, now time.Time) {
	f.expire(now)
	if w := f.windows[key]; w != nil {
		w.count++
		return
	}
	if len(f.order) >= maxWindows {
		f.dropOldest()
	}
	if f.windows == nil {
		f.windows = make(map[K]*window)
	}
	f.windows[key] = &window{since: now, count: 1}
	f.order = append(f.order, key)
}

// undo takes back what add has counted, unless its window is over. The window stays.
func (f *failures[K]) undo(key K) {
	if w := f.windows[key]; w != nil && w.count > 0 {
		w.count--
	}
}

// full reports whether key may not fail again, and after how long it may.
func (f *failures[K]) full(key K, now time.Time) (wait time.Duration, full bool) {
	f.expire(now)
	w := f.windows[key]
	if w == nil || w.count < maxFailures {
		return 0, false
	}
	return w.since.Add(failureTime).Sub(now), true
}

func (f *failures[K]) expire(now time.Time) {
	for len(f.order) > 0 && now.Sub(f.windows[f.order[0]].since) >= failureTime {
		f.dropOldest()
	}
}

func (f *failures[K]) dropOldest() {
	delete(f.windows, f.order[0])
	f.order = f.order[1:]
}
