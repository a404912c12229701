package sim

import (
	"fmt"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// In schedules with NameEvery the backends are those of a name, which directors look up.

const (
	backendName = "imap.example.org"
	// goneRounds is after how long an address is gone, in rounds of lookups.
	goneRounds = 10
)

// named are the names of backends that a director watches.
func (s *Schedule) named() (w replica.NameWatch) {
	if s.NameEvery == 0 {
		return w
	}
	w.Every, w.GoneAfter = s.NameEvery, goneRounds*s.NameEvery
	w.Names = []replica.WatchedName{{Name: backendName, Tag: s.Backends[0].Tag}}
	return w
}

// unname lets the name lack the address of a backend for a while, for some directors or, without
// any, for all.
func (w *world) unname(a Action) {
	addr := backend(a.Backend)
	by := a.From
	if by == nil {
		for i := range w.directors {
			by = append(by, i)
		}
	}
	w.renamed[a.Backend] = true
	w.record(check.Renamed{At: w.when(), Backend: addr})
	for _, i := range by {
		w.directors[i].unnamed[a.Backend]++
	}
	w.after(a.For, func() {
		w.tracef("--- the name has %v again for %v", addr, directorNames(by))
		for _, i := range by {
			w.directors[i].unnamed[a.Backend]--
		}
	})
}

// lookUp is what a director does about the name of its backends in each round of a life.
func (d *director) lookUp(life int) {
	if d.life != life || !d.alive {
		return
	}
	s := &d.w.schedule
	d.w.after(d.w.pace(s.NameEvery), func() { d.lookUp(life) })
	d.input("names", func() {
		problem := ""
		if d.w.rand.IntN(20) == 0 {
			problem = "simulated"
		}
		var found []ring.Target
		for i, b := range s.Backends {
			if d.w.renamed[i] { // for the checker of a mesh that was founded since
				d.record(check.Renamed{At: d.w.when(), Backend: b.Addr})
			}
			if d.unnamed[i] == 0 && problem == "" {
				found = append(found, ring.Target{Addr: b.Addr, VHosts: b.VHosts})
			}
		}
		d.core.ObserveName(d.now(), s.named().Names[0], found, problem)
	})
}

// changingNames lets the name of the backends lose addresses, for all directors or for some, while
// directors die or are cut off, and operators drain, undrain and remove.
func changingNames(seed uint64) Schedule {
	g := draw(seed, "lookups", 1+int(seed%5), 150*time.Second)
	g.s.NameEvery = time.Second
	g.tags, g.s.Backends = nil, nil
	g.backends(3+g.IntN(2), 0, false)
	for i := range g.s.Backends {
		g.s.Backends[i].Name = backendName
	}
	g.users(30)
	for range 3 + g.IntN(5) {
		a := Action{
			At: g.between(warmUp, g.active-20*time.Second), Kind: Unname,
			Backend: g.IntN(len(g.tags)), For: g.between(time.Second, 40*time.Second),
		}
		if g.chance(0.4) {
			for i := range g.s.Directors {
				if g.chance(0.5) {
					a.From = append(a.From, i)
				}
			}
		}
		g.add(a)
	}
	for range g.IntN(3) {
		at, b := g.between(warmUp, g.active-20*time.Second), backend(g.IntN(len(g.tags)))
		kind := []check.OpKind{check.OpUndrain, check.OpRemove, check.OpDrain}[g.IntN(3)]
		g.add(Action{
			At: at, Kind: Order, Director: g.director(), Op: check.Op{Kind: kind, Backend: b},
		})
	}
	for range g.IntN(3) {
		at, length := g.between(20*time.Second, g.active), g.between(time.Second, 20*time.Second)
		switch d := g.director(); {
		case g.chance(0.4):
			g.add(Action{At: at, Kind: Crash, Director: d, For: length})
		case g.chance(0.5):
			g.add(Action{At: at, Kind: Sleep, Director: d, For: length})
		default:
			g.apart(at, length, []int{d}, g.others(d))
		}
	}
	g.logins(200, warmUp, g.active)
	return g.finish()
}

// describeUnname is what an action of the kind Unname is called in a trace.
func describeUnname(a Action) string {
	by := "all"
	if a.From != nil {
		by = fmt.Sprint(directorNames(a.From))
	}
	return fmt.Sprintf("the name lacks %v for %s for %v", backend(a.Backend), by, a.For)
}
