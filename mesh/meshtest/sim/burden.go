package sim

import (
	"net/netip"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// usualLoad is that of a backend of which no action says more.
const usualLoad = 100

// reportLoads is what a director does about loads in each round of a life.
func (d *director) reportLoads(life int) {
	if d.life != life || !d.alive {
		return
	}
	s := &d.w.schedule
	d.w.after(d.w.pace(replica.LoadRound(s.Expire)), func() { d.reportLoads(life) })
	d.input("loads", func() {
		backends := d.core.LoadsWanted()
		if s.Balance.Source == wire.ProxySessions {
			backends = nil
			for i := range 5 {
				backends = append(backends, backend(i))
			}
		}
		var loads []wire.Load
		for _, addr := range backends {
			loads = append(loads, wire.Load{Backend: addr, Load: d.w.loadOf(addr)})
		}
		d.core.ReportLoads(d.now(), loads, true)
	})
}

func (w *world) loadOf(addr netip.Addr) uint64 {
	if load, ok := w.loads[addr]; ok {
		return load
	}
	return usualLoad
}

// unevenLoads lets loads change, so that directors change factors, while backends are drained and
// go down, users are flushed, and directors die or are cut off.
func unevenLoads(seed uint64) Schedule {
	g := draw(seed, "loads", 1+int(seed%5), 200*time.Second)
	g.s.Expire = []time.Duration{10 * time.Second, 20 * time.Second}[g.IntN(2)]
	g.tags, g.s.Backends = nil, nil
	g.backends(3+g.IntN(2), 1, g.chance(0.3))
	g.s.Balance = replica.Balance{
		Mode: wire.BalanceOn, Source: []wire.LoadSource{
			wire.ProxySessions, wire.BackendSessions, wire.BusyPercent,
		}[seed%3],
	}
	g.users(40)
	for range 8 {
		g.add(Action{
			At: g.between(0, g.active), Kind: Burden, Backend: g.IntN(len(g.tags)),
			Load: []uint64{20, 50, 100, 200, 400, 2000}[g.IntN(6)],
		})
	}
	order := func(at time.Duration, op check.Op) {
		g.add(Action{At: at, Kind: Order, Director: g.director(), Op: op})
	}
	for range g.IntN(3) {
		at, b := g.between(40*time.Second, g.active-40*time.Second), backend(g.IntN(len(g.tags)))
		begin, end := check.OpDrain, check.OpUndrain
		if g.chance(0.4) {
			begin, end = check.OpDown, check.OpUp
		}
		order(at, check.Op{Kind: begin, Backend: b})
		order(at+g.between(2*time.Second, 35*time.Second), check.Op{Kind: end, Backend: b})
	}
	for range g.IntN(3) {
		order(g.between(40*time.Second, g.active), check.Op{Kind: check.OpFlush})
	}
	for range g.IntN(2) {
		order(g.between(40*time.Second, g.active), check.Op{Kind: check.OpReset})
	}
	for range g.IntN(3) {
		at, length := g.between(30*time.Second, g.active), g.between(time.Second, 20*time.Second)
		switch d := g.director(); g.IntN(3) {
		case 0:
			g.add(Action{At: at, Kind: Crash, Director: d, For: length})
		case 1:
			g.add(Action{At: at, Kind: Sleep, Director: d, For: length})
		case 2:
			g.apart(at, length, []int{d}, g.others(d))
		}
	}
	g.logins(400, warmUp, g.active)
	return g.finish()
}
