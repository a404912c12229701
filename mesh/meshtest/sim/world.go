package sim

import (
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"directormesh/directory"
	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// world is one run.
type world struct {
	schedule  Schedule
	rand      *rand.Rand
	now       time.Duration
	queue     queue
	directors []*director
	byName    map[string]*director // by today's names
	blocked   [][]int              // [from][to]: how many cuts stop frames
	extra     [][]time.Duration    // [from][to]: more delay
	slower    [][]time.Duration    // [from][to]: more delay of streams alone
	// [from][to]: how many reasons there are for not reading the stream
	stuck [][]int
	// [from][to]: when the last frame was sent that was reported to the checker
	noted   [][]time.Duration
	history []check.Event
	lastID  uint64
	boots   uint64
	kicked  int // sessions ended by kickers
	// what the checkers pardoned, once the run is judged
	pardoned []check.Breach
	records  *records // of what memberlist carried; nil: nothing replays it
	demands  demands
	health   health
	renamed  map[int]bool          // by backend: its name has lacked it at some director
	loads    map[netip.Addr]uint64 // of backends of which actions said more than usual
	trace    *Trace
	still    bool          // all hosts stand still with their clocks
	stillAt  time.Duration // since when
	stood    time.Duration // for how long they did, before
	watched  string        // the rows of the watched user, as last seen
	rest     Rest
	notes    notes
}

// Trace is where a readable trace of a run goes.
type Trace struct {
	Out  io.Writer
	User check.User // if its hash is not 0, its row at every director is shown whenever one changes
}

// Result is what a run showed.
type Result struct {
	Breaches []check.Breach
	Counters replica.Counters // summed over all lives of all directors
	Events   int
	Logins   int
	Sessions int            // ended by kickers
	Pardoned []check.Breach // see [check.Checker.Pardoned]
	Rest     Rest
}

// Run carries a schedule out and judges it. The trace may be nil.
func Run(s Schedule, trace *Trace) Result {
	w := newWorld(s, trace)
	end := s.End
	for w.until(end); w.tableChanges() && end < s.End+5*spreads; w.until(end) {
		end += spreads
	}
	w.now = end
	w.record(w.finalState())
	return w.result()
}

// spreads is within what a change of the table has come to all.
const spreads = time.Second

// tableChanges reports whether a director has just changed the table by itself, as balance, a slow
// start or a verdict does: that has yet to come to all.
func (w *world) tableChanges() bool {
	return slices.ContainsFunc(w.directors, func(d *director) bool {
		just := func(last directory.Stamp) bool {
			return last != 0 && d.core.MeshTime(d.now()).Sub(last.Time()) < spreads
		}
		return d.alive && !d.removed &&
			(slices.ContainsFunc(d.core.Table().Backends, func(r directory.BackendRow) bool {
				return just(max(r.Factor.Stamp, r.Verdict.Stamp))
			}) || slices.ContainsFunc(d.standings, func(s check.Standing) bool {
				return just(directory.Stamp(s.StartWritten))
			}))
	})
}

// newWorld plans a run.
func newWorld(s Schedule, trace *Trace) *world {
	w := &world{
		schedule: s, rand: rand.New(rand.NewPCG(s.Seed, 0x6d657368)),
		byName: make(map[string]*director), trace: trace, health: newHealth(),
		renamed: make(map[int]bool),
		loads:   make(map[netip.Addr]uint64),
		notes:   newNotes(),
	}
	w.tracef("%d directors, %d users, expire %v, kick delay %v, backends %v, network %+v, "+
		"kickers %+v, clocks %+v, cold start: %v, hook: %v",
		s.Directors, len(s.Users), s.Expire, s.KickDelay, s.Backends, s.Network, s.Kickers,
		s.Clocks, s.ColdStart, s.Hook)
	w.blocked, w.stuck = pairs[int](s.Directors), pairs[int](s.Directors)
	w.extra = pairs[time.Duration](s.Directors)
	w.slower = pairs[time.Duration](s.Directors)
	w.noted = pairs[time.Duration](s.Directors)
	for i := range s.Directors {
		w.directors = append(w.directors, newDirector(w, i))
		w.byName[directorName(i)] = w.directors[i]
	}
	w.begin()
	w.membership()
	w.demands.begin(w)
	w.reportMeshTimes()
	w.observeRest()
	return w
}

// until lets time pass.
func (w *world) until(end time.Duration) {
	for len(w.queue.events) > 0 && w.queue.events[0].at <= end {
		e := w.queue.pop()
		w.now = e.at
		e.do()
		w.watch()
	}
}

// pairs makes a value for each direction between directors.
func pairs[T any](n int) [][]T {
	all := make([][]T, n)
	for i := range all {
		all[i] = make([]T, n)
	}
	return all
}

// begin plans the directors' starts and the actions.
func (w *world) begin() {
	s := &w.schedule
	later := make(map[int]bool)
	for _, a := range s.Actions {
		switch a.Kind {
		case JoinLater:
			later[a.Director] = true
		case Replay:
			w.records = new(records)
		}
	}
	for i, d := range w.directors {
		if later[i] {
			continue
		}
		at := time.Duration(0)
		switch {
		case s.StartAt != nil:
			at = s.StartAt[i]
		case i > 0:
			at = w.between(0, time.Second)
		}
		founds := i == 0 && !s.ColdStart || slices.Contains(s.Founders, i)
		w.at(at, func() { d.start(founds) })
	}
	for _, a := range s.Actions {
		w.at(a.At, func() { w.act(a) })
	}
}

func (w *world) result() Result {
	r := Result{Events: len(w.history), Sessions: w.kicked, Rest: w.rest}
	for _, e := range w.history {
		if _, ok := e.(check.Lookup); ok {
			r.Logins++
		}
	}
	for _, d := range w.directors {
		d.retire()
		r.Counters = add(r.Counters, d.counters)
	}
	r.Breaches = append(w.demands.breaches, w.judge()...)
	r.Breaches = append(r.Breaches, w.unnoted()...)
	r.Pardoned = w.pardoned
	slices.SortStableFunc(r.Breaches, func(a, b check.Breach) int {
		return cmp.Compare(a.At, b.At)
	})
	for _, b := range r.Pardoned {
		w.tracef("PARDONED %v", b)
	}
	for _, b := range r.Breaches {
		w.tracef("BREACH %v", b)
	}
	return r
}

// at plans something for a time, after for some time from now.
func (w *world) at(t time.Duration, do func())    { w.queue.push(t, do) }
func (w *world) after(d time.Duration, do func()) { w.queue.push(w.now+d, do) }

func (w *world) between(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(w.rand.Int64N(int64(most-least)))
}

func (w *world) chance(p float64) bool { return w.rand.Float64() < p }

func (w *world) id() uint64 { w.lastID++; return w.lastID }

func (w *world) record(e check.Event) { w.history = append(w.history, e) }

func (w *world) when() check.At { return check.At(w.judgedTime()) }

// tracef writes a line of the trace.
func (w *world) tracef(format string, args ...any) {
	if w.trace != nil {
		fmt.Fprintf(w.trace.Out, "%10.4f %s\n", w.now.Seconds(), fmt.Sprintf(format, args...))
	}
}

// watch traces the rows of the watched user when they change.
func (w *world) watch() {
	if w.trace == nil || w.trace.User.Hash == 0 {
		return
	}
	var rows strings.Builder
	for _, d := range w.directors {
		if d.alive {
			m, status := d.dir.Find(ring.Tag(w.trace.User.Tag), ring.UserHash(w.trace.User.Hash),
				d.core.MeshTime(d.now()))
			fmt.Fprintf(&rows, "  %s %v %v generation %d stamp %d activity %d",
				d.name, status, m.Backend, m.Generation, m.Stamp, m.Activity)
			if m.Moving {
				rows.WriteString(" moving")
			}
		}
	}
	if text := rows.String(); text != w.watched {
		w.watched = text
		w.tracef("rows:%s", text)
	}
}

// named finds the director that has this name now; nil: none has.
func (w *world) named(name string) *director {
	return w.byName[name]
}

// flows reports whether frames get from one director to another.
func (w *world) flows(from, to *director) bool { return w.blocked[from.index][to.index] == 0 }

// delay draws how long a frame takes.
func (w *world) delay(from, to *director) time.Duration {
	n := &w.schedule.Network
	d := n.Delay + w.between(0, n.Jitter) + w.between(0, w.extra[from.index][to.index])
	if w.chance(n.Spikes) {
		d += w.between(0, n.SpikeDelay)
	}
	return d
}
