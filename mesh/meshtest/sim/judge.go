package sim

import (
	"slices"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/ring"
)

// judge has the checker look at what happened: at the whole mesh or, where directors refuse each
// other, at each side by itself.
func (w *world) judge() (breaches []check.Breach) {
	s := &w.schedule
	if len(s.Apart) == 0 {
		return w.judged(w.rules(s.Backends), w.history)
	}
	for _, side := range s.Apart {
		var names []string
		for _, i := range side {
			names = append(names, w.directors[i].name)
		}
		breaches = append(breaches,
			w.judged(w.rules(s.configured(side[0])), sideOf(w.history, names))...)
	}
	return breaches
}

// meshTimesEvery is how often the checker hears of mesh times.
const meshTimesEvery = 500 * time.Millisecond

// reportMeshTimes reports to the checker how far the directors' mesh times are from true time.
func (w *world) reportMeshTimes() {
	w.after(w.pace(meshTimesEvery), w.reportMeshTimes)
	e := check.MeshTimes{At: w.when(), Ahead: make(map[string]time.Duration)}
	for _, d := range w.directors {
		if d.alive && !d.removed && !d.frozen {
			e.Ahead[d.name] = d.core.MeshTime(d.now()).Sub(worldStart.Add(w.now))
		}
	}
	w.record(e)
}

// judged gives a history to the checker. Where no director of a mesh lived any more, a new
// mesh begins: nothing is kept on disk. What is left of the one before is at most what directors
// have that lived on and were not admitted.
func (w *world) judged(rules check.Rules, history []check.Event) (breaches []check.Breach) {
	parts := meshesOf(history)
	var before *check.Checker
	for i, part := range parts {
		var ended time.Duration
		if i > 0 {
			ended = parts[i-1][len(parts[i-1])-1].When()
			rules.Founding = max(ended, firstStart(part)) + coldStart
		}
		restarted, goesOn := restartedIn(part)
		if i > 0 && goesOn {
			before.Restarted(restarted)
			breaches = append(breaches, before.Breaches()...)
			rules.Backends, rules.Odd = backendsOf(restarted), nil
			rules.Pins = pinsAfter(restarted)
		} else if before != nil {
			breaches = append(breaches, before.Breaches()...)
		}
		c := check.New(rules)
		if i > 0 && (firstStart(part) < ended || goesOn) {
			c.Follows(before, ended)
			if goesOn { // it is known what all have
				c.Resumes(restarted.Kept)
			} else {
				c.Inherits()
			}
		}
		before = c
		if w.trace != nil {
			c.Explain(func(t time.Duration, text string) { w.now = t; w.tracef("check: %s", text) })
		}
		c.Foresee(part)
		for _, e := range part {
			c.Event(e)
		}
		w.pardoned = append(w.pardoned, c.Pardoned()...)
	}
	return append(breaches, before.Breaches()...)
}

// restartedIn finds what the directors held that had gone on from their disks.
func restartedIn(part []check.Event) (e check.Restarted, ok bool) {
	for _, e := range part {
		if e, ok := e.(check.Restarted); ok {
			return e, true
		}
	}
	return e, false
}

// backendsOf is the table with which a mesh goes on.
func backendsOf(e check.Restarted) (list []check.Backend) {
	for _, state := range e.Directors {
		for addr, row := range state.Table {
			if row.Present {
				list = append(list, check.Backend{
					Addr: addr, Tag: row.Tag, VHosts: row.VHosts, Down: row.Down,
					Drained: row.Drained, Standby: row.Standby, Rebalanced: row.Rebalanced,
					Start: row.Start,
				})
			}
		}
		break // they are the same, or the checker of the mesh before says so
	}
	slices.SortFunc(list, func(a, b check.Backend) int { return a.Addr.Compare(b.Addr) })
	return list
}

// pinsAfter are the pins with which a mesh goes on.
func pinsAfter(e check.Restarted) check.Pins {
	for _, state := range e.Directors {
		return state.Pins
	}
	return nil
}

func (w *world) rules(backends []ring.Backend) check.Rules {
	rules := check.Rules{
		Expire:       w.schedule.Expire,
		BatchLag:     time.Second,
		RepairWithin: repairWithin,
		RestWithin:   restWithin,
		ClocksWithin: clocksWithin,
		HoldWithin:   holdWithin,
		Backends:     configuration(backends),
	}
	if w.schedule.ColdStart {
		rules.Founding = coldStart
	}
	if w.schedule.Odd != nil {
		rules.Odd = append(rules.Odd, configuration(w.schedule.Odd))
	}
	if w.schedule.Apart == nil {
		for _, own := range w.schedule.Own {
			rules.Odd = append(rules.Odd, configuration(own))
		}
	}
	return rules
}

// configured are the --mail-servers of a director.
func (s *Schedule) configured(i int) []ring.Backend {
	switch {
	case s.Own != nil:
		return s.Own[i]
	case s.Odd != nil && i > 0:
		return s.Odd
	}
	return s.Backends
}

func configuration(backends []ring.Backend) []check.Backend {
	list := []check.Backend{}
	for _, b := range backends {
		list = append(list, check.Backend{Addr: b.Addr, Tag: string(b.Tag), VHosts: b.VHosts})
	}
	return list
}

// sideOf is what of a history concerns these directors alone.
func sideOf(history []check.Event, names []string) (side []check.Event) {
	in := func(name string) bool { return slices.Contains(names, name) }
	ours := make(map[uint64]bool) // lookups and operations
	for _, e := range history {
		keep := false
		switch x := e.(type) {
		case check.Start:
			keep = in(x.Director)
		case check.Leave:
			keep = in(x.Director)
		case check.Stop:
			keep = in(x.Director)
		case check.Pause:
			keep = in(x.Director)
		case check.Wake:
			keep = in(x.Director)
		case check.Kick:
			keep = in(x.Director)
		case check.Synced:
			keep = in(x.Director)
		case check.MeshTimes:
			keep = true
			x.Ahead = only(x.Ahead, names)
			e = x
		case check.Fault:
			keep = true
		case check.Seen:
			keep = in(x.Director)
		case check.Judged:
			keep = in(x.Director)
		case check.Frame:
			keep = in(x.From) && in(x.To)
		case check.Lookup:
			keep = in(x.Director)
			ours[x.ID] = keep
		case check.Answer:
			keep = ours[x.ID]
		case check.Admin:
			keep = in(x.Director)
			ours[x.ID] = keep
		case check.FlushEnded:
			keep = ours[x.ID]
		case check.Done:
			keep = ours[x.ID]
			x.Tables, x.Pins = only(x.Tables, names), only(x.Pins, names)
			e = x
		case check.Final:
			keep = true
			x.Directors = only(x.Directors, names)
			e = x
		}
		if keep {
			side = append(side, e)
		}
	}
	return side
}

func only[T any](all map[string]T, names []string) map[string]T {
	some := make(map[string]T)
	for _, name := range names {
		if v, ok := all[name]; ok {
			some[name] = v
		}
	}
	return some
}
