package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// health is what directors see of backends, with Schedule.Watches.
type health struct {
	// by backend and index of a director: for how many reasons its checks fail
	sick map[netip.Addr][]int
}

func newHealth() health { return health{sick: make(map[netip.Addr][]int)} }

// sicken lets checks of a backend fail for a while, for some directors or, without any, for all.
func (w *world) sicken(a Action) {
	addr := backend(a.Backend)
	if w.health.sick[addr] == nil {
		w.health.sick[addr] = make([]int, w.schedule.Directors)
	}
	by := a.From
	if by == nil {
		for i := range w.directors {
			by = append(by, i)
		}
	}
	for _, i := range by {
		w.health.sick[addr][i]++
	}
	w.after(a.For, func() {
		w.tracef("--- checks of %v by %v are good again", addr, directorNames(by))
		for _, i := range by {
			w.health.sick[addr][i]--
		}
	})
}

// checks is what a director does about its backends in each round of a life.
func (d *director) checks(life int) {
	if d.life != life || !d.alive {
		return
	}
	d.w.after(d.w.pace(replica.HealthRound), func() { d.checks(life) })
	d.input("checks", func() {
		for _, addr := range d.core.Watched() {
			reason := ""
			if sick := d.w.health.sick[addr]; sick != nil && sick[d.index] > 0 {
				reason = "simulated"
			}
			d.record(check.Seen{
				At: d.w.when(), Director: d.name, Backend: addr, Failing: reason != "",
			})
			d.core.Observe(d.now(), addr, reason)
		}
	})
}

// reportStandings reports to the checker what the director makes of its backends, when that has
// changed.
func (d *director) reportStandings() {
	s := &d.w.schedule
	if !s.Watches && s.Balance == (replica.Balance{}) && s.SlowStart == 0 {
		return
	}
	var standings []check.Standing
	seen := d.core.Health()
	rows := make(map[netip.Addr]directory.BackendRow)
	for _, row := range d.core.Table().Backends {
		rows[row.Addr] = row
	}
	for _, b := range seen.Backends {
		start := rows[b.Backend.Addr].Start
		standings = append(standings, check.Standing{
			Addr: b.Backend.Addr, Tag: string(b.Backend.Tag), VHosts: b.Backend.VHosts,
			Down: b.Backend.Down, Drained: b.Backend.Drained, Failed: b.Backend.Failed,
			Out: b.Backend.Out, Written: uint64(rows[b.Backend.Addr].Verdict.Stamp), By: b.By,
			Rebalanced: b.Backend.Rebalanced, Factor: b.Backend.Factor,
			FactorWritten: uint64(rows[b.Backend.Addr].Factor.Stamp),
			FactorBy:      rows[b.Backend.Addr].Factor.Origin,
			Start:         b.Backend.Start, StartOver: start.Value.Over, StartBy: start.Origin,
			StartSince: uint64(start.Value.Since), StartWritten: d.startWritten(b.Backend, start),
		})
	}
	if slices.Equal(standings, d.standings) {
		return
	}
	d.standings = standings
	d.record(check.Judged{At: d.w.when(), Director: d.name, Backends: standings})
}

// startWritten is when, by its clock, the director has itself written how much of its weight a
// backend has, as a stamp; 0 if we have not seen that. The stamp of a step is that of the command
// which it carries on, and a little more.
func (d *director) startWritten(
	b ring.Backend, start directory.Register[directory.Start],
) (stamp uint64) {
	i := slices.IndexFunc(d.standings, func(s check.Standing) bool { return s.Addr == b.Addr })
	switch {
	case start.Origin != d.name:
		return 0
	case start.Stamp == start.Value.Since: // the command
		return uint64(start.Stamp)
	case i < 0:
		return 0
	case d.standings[i].Start == b.Start:
		return d.standings[i].StartWritten
	}
	return uint64(directory.StampAt(d.core.MeshTime(d.now())))
}

// sickBackends lets backends fail, for all directors or for some, while directors do too.
func sickBackends(seed uint64) Schedule {
	g := draw(seed, "sick", 1+int(seed%6), 200*time.Second)
	g.s.Watches, g.s.Asks = true, seed%2 == 0
	if seed%5 == 3 {
		g.s.Clocks.Skew *= 60 // some start with a wrong clock, and step before they are synced
	}
	g.users(30)
	for range 6 + g.IntN(6) {
		a := Action{
			At: g.between(20*time.Second, g.active), Kind: Sick, Backend: g.IntN(len(g.tags)),
			For: g.between(time.Second, 70*time.Second),
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
	for range g.IntN(4) {
		at, length := g.between(20*time.Second, g.active), g.between(time.Second, 30*time.Second)
		switch d := g.director(); g.IntN(3) {
		case 0:
			g.add(Action{At: at, Kind: Crash, Director: d, For: length})
		case 1:
			g.add(Action{At: at, Kind: Sleep, Director: d, For: length})
		case 2:
			g.apart(at, length, []int{d}, g.others(d))
		}
	}
	g.logins(250, warmUp, g.active)
	g.changes(12, warmUp+5*time.Second, g.active)
	return g.finish()
}

// describeSick is what an action of the kind Sick is called in a trace.
func describeSick(a Action) string {
	by := "all"
	if a.From != nil {
		by = fmt.Sprint(directorNames(a.From))
	}
	return fmt.Sprintf("checks of %v by %s fail for %v", backend(a.Backend), by, a.For)
}
