package replica

import (
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/health"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// HealthRound is how often an observer checks its backends.
const HealthRound = 5 * time.Second

const (
	// renewWithin is how old an observation may be: three rounds. Then its observer withdraws it.
	renewWithin = 3 * HealthRound
	// failAgreed is for how long most observers must agree that a backend fails: one more round,
	// and a second for the checks of that round to end.
	failAgreed = HealthRound + time.Second
	// goodAgreed is for how long they must agree that it is good again. It is longer, so that one
	// that comes and goes stays out: each return would bring users, and each failure move them. Of
	// one that failed again soon after it was good it is twice as long, each time, up to mostGood.
	goodAgreed = 3 * HealthRound
	mostGood   = 5 * time.Minute
	// verdictPause is how long a verdict on a backend stands at least, by whomever it was written:
	// so two directors that both write, as after a split, do not write against each other.
	verdictPause = 10 * time.Second
	lookEvery    = 250 * time.Millisecond
)

// watching keeps what directors see of backends, and writes verdicts.
type watching struct {
	*output
	watchingPort

	admission *ownAdmission
	cfg       *Config
	clock     *meshtime.Clock
	peers     *peers
	table     *directory.Table

	sights     health.Sights      // our own
	news       []wire.Observation // of our own, that peers are to be sent
	renewed    map[netip.Addr]mono.Time
	agreements health.Agreements
	nextLook   mono.Time

	// As of the last look. Observers are chosen anew when the observing directors or the backends
	// change.
	backends  []ring.Backend
	directors []string                // that observe, this one among them if it does
	observers map[netip.Addr][]string // of each backend
	current   bool                    // backends are those of the table
	// alarms are the tags in which more backends seem to fail at once than may be out.
	alarms map[ring.Tag]Alarm
}

// watchingPort is what watching needs of the other parts of the core.
type watchingPort interface {
	apply(now mono.Time, change directory.Change, from *peer) *barrier.Change
	gossip(change directory.Change, blocks []wire.Block)
	nextStamp(now mono.Time, after directory.Time) (directory.Stamp, error)
	outnumbered() bool
	slowly(
		change directory.Change, stamp directory.Stamp, given *time.Duration,
	) (directory.Change, error)
	standsBack(p *peer) bool
	synced() bool
}

// watch looks at what is seen of backends, and writes verdicts if that is this director's to do.
func (w *watching) watch(now mono.Time) {
	if now < w.nextLook || !w.admission.bootstrapped {
		return
	}
	w.nextLook = now.Add(lookEvery)
	directors := w.observing()
	if len(directors) == 0 {
		return
	}
	w.chooseObservers(directors)
	w.withdraw(now)
	w.sendNews()
	for _, b := range w.backends {
		w.agreements.Count(now, b.Addr, w.observers[b.Addr], func(director string) wire.Sight {
			return w.seenBy(director, b.Addr).Sight
		})
	}
	w.judge(now)
}

// observing are the directors that check backends and count, by name.
func (w *watching) observing() (names []string) {
	for _, p := range w.peers.all {
		if p.watches() {
			names = append(names, p.name)
		}
	}
	if w.cfg.Watches {
		at, _ := slices.BinarySearch(names, w.cfg.Name)
		names = slices.Insert(names, at, w.cfg.Name)
	}
	return names
}

// watches reports whether a peer checks backends, and what it sees counts.
func (p *peer) watches() bool { return p.live && p.Counted && p.sights != nil }

// chooseObservers chooses the observers of each backend, if they may be others than before.
func (w *watching) chooseObservers(directors []string) {
	if w.current && slices.Equal(w.directors, directors) {
		return
	}
	w.current, w.directors, w.backends = true, directors, w.table.Backends()
	w.observers = make(map[netip.Addr][]string, len(w.backends))
	for _, b := range w.backends {
		w.observers[b.Addr] = health.Observers(b.Addr, directors)
	}
	w.agreements.Keep(func(backend netip.Addr) bool { return w.observers[backend] != nil })
}

// tableChanged notes that the table may have other backends, or other verdicts.
func (w *watching) tableChanged() { w.current = false }

// observes reports whether this director is an observer of a backend.
func (w *watching) observes(backend netip.Addr) bool {
	return w.cfg.Watches && slices.Contains(w.observers[backend], w.cfg.Name)
}

// seenBy is what a director sees of a backend.
func (w *watching) seenBy(director string, backend netip.Addr) (o wire.Observation) {
	if director == w.cfg.Name {
		return w.sights[backend]
	}
	if p := w.peers.get(director); p != nil && p.watches() {
		return p.sights[backend]
	}
	return o
}

// Observe takes what the checks of a backend have shown here; reason says what is wrong, "" that
// nothing is. It is to be called for each backend of Watched in every HealthRound.
func (c *Core) Observe(now mono.Time, backend netip.Addr, reason string) {
	defer c.enter(now)()
	if !c.observes(backend) {
		return
	}
	o := wire.Observation{Backend: backend, Sight: wire.Good, Since: c.clock.At(now)}
	if reason != "" {
		o.Sight, o.Reason = wire.Failing, ring.Printable(reason)
		o.Reason = o.Reason[:min(len(o.Reason), wire.MaxReason)]
	}
	if before := c.sights[backend]; before.Sight == o.Sight {
		o.Since = before.Since
	}
	c.renewed[backend] = now
	c.note(o)
}

// note takes in an observation of our own; the next look sends it.
func (w *watching) note(o wire.Observation) {
	if w.sights.Note(o) {
		w.news = append(w.news, o)
	}
}

// withdraw takes back the observations that no check has renewed for three rounds, and those of
// backends that others observe now.
func (w *watching) withdraw(now mono.Time) {
	for backend, at := range w.renewed {
		if now.Sub(at) > renewWithin || !w.observes(backend) {
			delete(w.renewed, backend)
			w.note(wire.Observation{Backend: backend})
		}
	}
}

// sendNews sends the peers what has changed of what is seen here.
func (w *watching) sendNews() {
	slices.SortStableFunc(w.news, func(a, b wire.Observation) int {
		return ring.CompareAddr(a.Backend, b.Backend)
	})
	for part := range slices.Chunk(w.news, wire.MaxObservations) {
		w.sendAll(&wire.Observations{Backends: part})
	}
	w.news = nil
}

// sendSights sends a peer, to which a stream has just been opened, all that is seen here.
func (w *watching) sendSights(p *peer) {
	if !w.cfg.Watches {
		return
	}
	for _, m := range w.sights.Messages() {
		w.send(p, m)
	}
}

// gotObservations takes what a peer sees.
func (w *watching) gotObservations(_ mono.Time, p *peer, m *wire.Observations) {
	if m.Whole || p.sights == nil {
		p.sights = make(health.Sights)
	}
	for _, o := range m.Backends {
		p.sights.Note(o)
	}
}
