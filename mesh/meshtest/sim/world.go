package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

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
	blocked   [][]int           // [from][to]: how many cuts stop frames
	extra     [][]time.Duration // [from][to]: more delay
	noted     [][]time.Duration // [from][to]: when the checker was last told of a frame
	history   []check.Event
	lastID    uint64
	boots     uint64
	kicked    int // sessions ended by kickers
	trace     *Trace
	watched   string // the rows of the watched user, as last seen
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
	Sessions int // ended by kickers
}

// Run carries a schedule out and judges it. The trace may be nil.
func Run(s Schedule, trace *Trace) Result {
	w := &world{schedule: s, rand: rand.New(rand.NewPCG(s.Seed, 0x6d657368)), trace: trace}
	w.tracef("%d directors, %d users, expire %v, kick delay %v, backends %v, network %+v, kickers %+v, clocks %+v, cold start: %v, hook: %v",
		s.Directors, len(s.Users), s.Expire, s.KickDelay, s.Backends, s.Network, s.Kickers, s.Clocks, s.ColdStart, s.Hook)
	w.blocked, w.extra, w.noted = make([][]int, s.Directors), make([][]time.Duration, s.Directors), make([][]time.Duration, s.Directors)
	later := make(map[int]bool)
	for _, a := range s.Actions {
		if a.Kind == JoinLater {
			later[a.Director] = true
		}
	}
	for i := range s.Directors {
		w.blocked[i], w.extra[i], w.noted[i] = make([]int, s.Directors), make([]time.Duration, s.Directors), make([]time.Duration, s.Directors)
		w.directors = append(w.directors, newDirector(w, i))
	}
	for i, d := range w.directors {
		if later[i] {
			continue
		}
		at := time.Duration(0)
		if i > 0 {
			at = w.between(0, time.Second)
		}
		w.at(at, func() { d.start(i == 0 && !s.ColdStart) })
	}
	for _, a := range s.Actions {
		w.at(a.At, func() { w.act(a) })
	}
	w.membership()
	for len(w.queue.events) > 0 {
		e := w.queue.pop()
		if e.at > s.End {
			break
		}
		w.now = e.at
		e.do()
		w.watch()
	}
	w.now = s.End
	w.record(w.finalState())
	return w.result()
}

func (w *world) result() Result {
	r := Result{Events: len(w.history), Sessions: w.kicked}
	for _, e := range w.history {
		if _, ok := e.(check.Lookup); ok {
			r.Logins++
		}
	}
	for _, d := range w.directors {
		d.retire()
		r.Counters = add(r.Counters, d.counters)
	}
	c := check.New(w.rules())
	if w.trace != nil {
		c.Explain(func(t time.Duration, text string) { w.now = t; w.tracef("check: %s", text) })
	}
	for _, e := range w.history {
		c.Event(e)
	}
	r.Breaches = c.Breaches()
	for _, b := range r.Breaches {
		w.tracef("BREACH %v", b)
	}
	return r
}

func (w *world) rules() check.Rules {
	rules := check.Rules{
		Expire:       w.schedule.Expire,
		BatchLag:     time.Second,
		RepairWithin: repairWithin,
	}
	if w.schedule.ColdStart {
		rules.Founding = coldStart
	}
	rules.Backends = configuration(w.schedule.Backends)
	if w.schedule.Odd != nil {
		rules.Odd = configuration(w.schedule.Odd)
	}
	return rules
}

func configuration(backends []ring.Backend) []check.Backend {
	list := []check.Backend{}
	for _, b := range backends {
		list = append(list, check.Backend{Addr: b.Addr, Tag: string(b.Tag), VHosts: b.VHosts})
	}
	return list
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

func (w *world) when() check.At { return check.At(w.now) }

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
			m, status := d.dir.Find(ring.Tag(w.trace.User.Tag), ring.UserHash(w.trace.User.Hash), d.core.MeshTime(d.now()))
			fmt.Fprintf(&rows, "  %s %v %v generation %d stamp %d activity %d", d.name, status, m.Backend, m.Generation, m.Stamp, m.Activity)
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

// act makes one action of the schedule happen.
func (w *world) act(a Action) {
	w.tracef("--- %v", a)
	d := w.directors[a.Director]
	switch a.Kind {
	case Login:
		d.login(append([]int{a.User}, a.Others...))
	case Order:
		d.order(a.Op)
	case Crash:
		d.crash(a.Silent)
		if a.For > 0 {
			w.after(a.For, func() { d.start(false) })
		}
	case Leave:
		d.leave()
		if a.For > 0 {
			w.after(a.For, func() { d.start(false) })
		}
	case Sleep:
		d.sleep(a.For)
	case Cut:
		w.cut(a.From, a.To, 1)
		w.after(a.For, func() {
			w.tracef("--- frames from %v to %v again", directorNames(a.From), directorNames(a.To))
			w.cut(a.From, a.To, -1)
		})
	case Break:
		if s := d.out[w.directors[a.Peer]]; s != nil {
			s.breakNow("broken")
		}
	case Slow:
		w.extra[a.Director][a.Peer] += a.Extra
		w.after(a.For, func() { w.extra[a.Director][a.Peer] -= a.Extra })
	case AskAll:
		all := make([]int, len(w.schedule.Users))
		for u := range all {
			all[u] = u
		}
		for _, d := range w.directors {
			d.login(all)
		}
	case JoinLater:
		d.start(false)
	}
}

// cut blocks frames, or lets them through again.
func (w *world) cut(from, to []int, by int) {
	for _, i := range from {
		for _, j := range to {
			if i != j {
				w.blocked[i][j] += by
				if s := w.directors[i].out[w.directors[j]]; s != nil {
					s.linkChanged()
				}
				if s := w.directors[j].out[w.directors[i]]; s != nil {
					s.linkChanged()
				}
			}
		}
	}
}

// named finds a director; messages are only sent to those that exist.
func (w *world) named(name string) *director {
	for _, d := range w.directors {
		if d.name == name {
			return d
		}
	}
	panic(fmt.Sprintf("sim: seed %d: no director is called %q", w.schedule.Seed, name))
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
