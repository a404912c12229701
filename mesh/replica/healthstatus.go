package replica

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// HealthStatus is what the directors see of the backends, as this one knows it.
type HealthStatus struct {
	Watches  bool     // this director checks backends
	Watching []string // the directors that do, by name
	// Writer reports whether this director is the one that writes verdicts. OutOfContact is set
	// where it would, but is in contact with fewer than half of the directors that it knows.
	Writer       bool
	OutOfContact bool
	Backends     []BackendHealth // by address
	Alarms       []Alarm         // by tag
}

// BackendHealth is what is seen of one backend.
type BackendHealth struct {
	Backend ring.Backend
	By      string         // the director that wrote the verdict; "": there is none
	Since   directory.Time // since when the verdict is so; 0: always
	Cleared bool           // a command ended a failure, and it was not seen good since
	// Flaps is how often in a row one that has failed did so within directory.FlapWithin of being
	// good again, and GoodFor how long it must be seen good to come back.
	Flaps     int
	GoodFor   time.Duration
	Sight     wire.Sight // what most observers see; Unseen: none, or as many one as the other
	Observers []Observer // by name
}

// Observer is one director that observes a backend.
type Observer struct {
	Director string
	Sight    wire.Sight
	Since    directory.Time // since when it sees the backend so; 0: it does not
	Reason   string         // what is wrong with a failing backend
}

// Watched returns the backends that this director is to check, in each HealthRound.
func (c *Core) Watched() (backends []netip.Addr) {
	for _, b := range c.watching.backends {
		if c.observes(b.Addr) {
			backends = append(backends, b.Addr)
		}
	}
	return backends
}

// Health returns what the directors see of the backends.
func (c *Core) Health() HealthStatus {
	s := HealthStatus{
		Watches: c.cfg.Watches, Watching: c.observing(), Writer: c.writesVerdicts(),
		OutOfContact: c.cfg.Watches && c.OutOfContact(),
	}
	for _, b := range c.table.Backends() {
		row, _ := c.table.Row(b.Addr)
		h := BackendHealth{
			Backend: b, By: row.Verdict.Origin, Since: row.Verdict.Value.Since.Time(),
			Cleared: row.Verdict.Value.Cleared, Sight: c.agreements.Get(b.Addr).Sight,
		}
		if v := row.Verdict.Value; v.Failed {
			h.Flaps, h.GoodFor = v.Flaps, goodFor(v)
		}
		for _, name := range slices.Sorted(slices.Values(c.observers[b.Addr])) {
			o := c.seenBy(name, b.Addr)
			h.Observers = append(h.Observers, Observer{name, o.Sight, o.Since, o.Reason})
		}
		s.Backends = append(s.Backends, h)
	}
	for _, tag := range slices.Sorted(maps.Keys(c.alarms)) {
		s.Alarms = append(s.Alarms, c.alarms[tag])
	}
	return s
}

// Health sums up what is seen of a backend.
type Health int

// The healths.
const (
	HealthUnseen  Health = iota // nobody sees it, or as many see it good as failing
	HealthGood                  // most observers see it good
	HealthFailing               // most see it fail, not yet for long enough, or nothing is written
	HealthFailed                // it has failed, and is out of use
	HealthKept                  // it has failed, and stays in use because too many have
	HealthCleared               // a command ended a failure, and it was not good since
)

// Healths are all of them.
func Healths() []Health {
	return []Health{
		HealthUnseen, HealthGood, HealthFailing, HealthFailed, HealthKept, HealthCleared,
	}
}

func (h Health) String() string {
	return [...]string{"unseen", "good", "failing", "failed", "kept", "cleared"}[h]
}

// Health sums up what is seen of the backend.
func (b BackendHealth) Health() Health {
	switch {
	case b.Backend.Out:
		return HealthFailed
	case b.Backend.Failed:
		return HealthKept
	case b.Cleared:
		return HealthCleared
	case b.Sight == wire.Good:
		return HealthGood
	case b.Sight == wire.Failing:
		return HealthFailing
	}
	return HealthUnseen
}
