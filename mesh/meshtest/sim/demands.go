package sim

import (
	"fmt"
	"slices"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// Demands are what a run must keep to besides the guarantees that package check judges. Zero values
// demand nothing.
type Demands struct {
	// Offset is how far mesh time may be from the median of the wall clocks of all that live. For
	// runs without faults.
	Offset time.Duration
	// Wait is the longest that a lookup may take.
	Wait time.Duration
	// Steady are directors that must answer by themselves from steadyFrom on, at every moment,
	// whatever happens.
	Steady []int
	// Sent is how many frames all may send in the last ten seconds of the run.
	Sent SentDemand
}

// SentDemand bounds what directors send when all is over by what they sent before anything began.
type SentDemand struct {
	Before time.Duration // the ten seconds that end here are the measure
	Times  float64       // 0: no demand
}

const (
	demandEvery = 250 * time.Millisecond
	steadyFrom  = 14 * time.Second // a mesh that nothing has disturbed is complete by then
)

// demands is how a run keeps to its Demands.
type demands struct {
	breaches []check.Breach
	broken   map[string]bool // kinds of breaches reported once are not reported again
	sent     uint64          // frames, in all
	marks    [3]uint64
}

func (x *demands) begin(w *world) {
	x.broken = make(map[string]bool)
	d := &w.schedule.Demands
	if d.Sent.Times != 0 {
		w.at(d.Sent.Before-10*time.Second, func() { x.marks[0] = x.sent })
		w.at(d.Sent.Before, func() { x.marks[1] = x.sent })
		w.at(w.schedule.End-10*time.Second, func() { x.marks[2] = x.sent })
		w.at(w.schedule.End, func() {
			was, is := x.marks[1]-x.marks[0], x.sent-x.marks[2]
			if float64(is) > float64(was)*d.Sent.Times {
				x.breach(w, "sent", ring.UserHash(0),
					"%d frames in the last ten seconds, %d in those before %v",
					is, was, d.Sent.Before)
			}
		})
	}
	if d.Offset != 0 {
		x.lookAtClocks(w)
	}
	if w.schedule.Watches {
		w.at(w.schedule.End, func() { x.observers(w) })
	}
}

// observers demands that in the end all that live count for each other as observers of backends.
func (x *demands) observers(w *world) {
	if w.unsynced() != "" || w.unsettled() != "" {
		return // package check judges that
	}
	var all []string
	for _, d := range w.directors {
		if d.alive {
			all = append(all, d.name)
		}
	}
	slices.Sort(all)
	for _, d := range w.directors {
		if !d.alive {
			continue
		}
		if got := d.core.Health().Watching; !slices.Equal(got, all) {
			x.breach(w, "observers", 0, "%s has the observers %v, and %v live", d.name, got, all)
		}
	}
}

func (x *demands) breach(w *world, what string, h ring.UserHash, format string, args ...any) {
	if !x.broken[what] {
		x.broken[what] = true
		x.breaches = append(x.breaches, check.Breach{
			At: w.now, Guarantee: what, User: check.User{Hash: uint32(h)},
			Text: fmt.Sprintf(format, args...),
		})
	}
}

// steady demands of a director that is to be steady that it answers by itself, at all times.
func (x *demands) steady(w *world, d *director, self replica.SelfStatus) {
	if !self.Synced && w.now >= steadyFrom && slices.Contains(w.schedule.Demands.Steady, d.index) {
		x.breach(w, "steady", 0, "%s does not answer by itself: %s", d.name, self.Reason)
	}
}

// lookAtClocks looks every quarter of a second.
func (x *demands) lookAtClocks(w *world) {
	w.after(w.pace(demandEvery), func() { x.lookAtClocks(w) })
	limit := w.schedule.Demands.Offset
	for _, d := range w.directors {
		if !d.answers() {
			continue
		}
		if off := d.core.MeshTime(d.now()).Sub(w.medianWall().Time()); off.Abs() > limit {
			x.breach(w, "mesh time",
				0, "mesh time of %s is %v ahead of the median wall clock", d.name, off)
		}
	}
}

// answers reports whether a director lives, is awake and answers lookups by itself.
func (d *director) answers() bool {
	return d.alive && !d.asleep && !d.leaving && !d.removed && d.core.Self(d.now()).Synced
}

// waited judges how long a lookup took. One of a user whose tag has no backend waits for one to be
// added.
func (x *demands) waited(w *world, d *director, user check.User, since time.Duration) {
	served := slices.ContainsFunc(w.schedule.Backends, func(b ring.Backend) bool {
		return string(b.Tag) == user.Tag
	})
	if limit := w.schedule.Demands.Wait; limit != 0 && served && w.now-since > limit {
		x.breach(w, "wait", ring.UserHash(user.Hash), "a lookup at %s took %v", d.name, w.now-since)
	}
}
