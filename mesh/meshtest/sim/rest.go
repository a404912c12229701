package sim

import (
	"time"

	"directormesh/mesh/replica"
)

// restEvery is how often a mesh is looked at to see whether it has come to rest.
const restEvery = 250 * time.Millisecond

// Rest is how a mesh came to rest: every director that lives is synced, and is shown as synced by
// every other.
type Rest struct {
	Reached bool
	After   time.Duration // from the end of the last fault
}

// faultsEnd is when the last fault of a schedule has ended.
func (s *Schedule) faultsEnd() (end time.Duration) {
	for _, a := range s.Actions {
		switch a.Kind {
		case Crash, Leave, Sleep, Cut, Break, Slow, JoinLater:
			end = max(end, a.At+a.For)
		}
	}
	return end
}

// observeRest looks at the mesh from the end of the last fault on.
func (w *world) observeRest() {
	end := w.schedule.faultsEnd()
	var look func()
	look = func() {
		unsynced, shown := w.unsynced(), ""
		if w.rest.Reached = w.rest.Reached && unsynced == ""; !w.rest.Reached {
			shown = w.unsettled() // it costs much, so only as long as it is asked for
		}
		if unsynced == "" && shown == "" && !w.rest.Reached {
			w.rest.Reached, w.rest.After = true, w.now-end
		}
		if !w.rest.Reached {
			w.tracef("rest: not yet, %s %s", unsynced, shown)
		}
		w.after(restEvery, look)
	}
	w.at(end, look)
}

// unsynced says which director is not synced, and why; nothing if all are.
func (w *world) unsynced() string {
	for _, d := range w.directors {
		if !d.alive {
			continue
		}
		if self := d.core.Self(d.now()); !self.Synced {
			return d.name + ": " + self.Reason
		}
	}
	return ""
}

// unsettled names a director that is not shown as synced, and the one that shows it so; nothing if
// all are.
func (w *world) unsettled() string {
	for _, d := range w.directors {
		if !d.alive {
			continue
		}
		states := make(map[string]replica.PeerState)
		for _, p := range d.core.Peers(d.now()) {
			states[p.Name] = p.State
		}
		for _, p := range w.directors {
			if state := states[p.name]; p.alive && p != d && state != replica.Synced {
				return d.name + " shows " + p.name + " as " + state.String()
			}
		}
	}
	return ""
}
