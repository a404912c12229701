package replica

import (
	"fmt"
	"net/netip"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/balance"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// disturbed says what else changes where the users of a tag are, or has just done so: then loads
// say nothing of factors, and what was known of them does not hold any more. "" is nothing.
func (b *balancing) disturbed(backends []ring.Backend) string {
	for _, one := range backends {
		if one.VHosts == 0 {
			continue // it takes no users, and has not for long
		}
		what := ""
		switch {
		case one.Failed:
			what = "has failed"
		case one.Down:
			what = "is down"
		case one.Drained:
			what = "is drained"
		case one.Rebalanced:
			what = "is rebalanced"
		case one.Start != 0:
			what = "starts slowly"
		}
		if what != "" {
			return ring.AddrText(one.Addr) + " " + what
		}
	}
	for _, flush := range b.flushes.All() {
		if p := flush.Progress; p.Ended == 0 && (!p.Backend.IsValid() || has(backends, p.Backend)) {
			return "users are flushed"
		}
	}
	return ""
}

func has(backends []ring.Backend, addr netip.Addr) bool {
	for _, b := range backends {
		if b.Addr == addr {
			return true
		}
	}
	return false
}

// loadsOf returns the load of each backend that is reported, or why it is not known. A backend that
// is not listed has none if all sessions are counted, and did not answer otherwise.
func (b *balancing) loadsOf(
	now mono.Time, charge string,
) (loads func(netip.Addr) (uint64, bool), why string) {
	if !b.synced() {
		return nil, "this director is not synced"
	}
	source := b.sourceOf(charge)
	switch source {
	case wire.ProxySessions, wire.BackendSessions, wire.BusyPercent:
	default:
		return nil, charge + " does not say what loads are known from"
	}
	sums := make(map[netip.Addr]uint64)
	add := func(name string, m *wire.Loads, at mono.Time) {
		switch {
		case source != wire.ProxySessions && name != charge:
		case m == nil || !m.Known || m.Source != source || !b.countsStill(now, at):
			why = name + " does not report loads"
		default:
			for _, l := range m.Backends {
				sums[l.Backend] += l.Load
			}
		}
	}
	mine := b.loadsToTell(now)
	add(b.cfg.Name, mine, b.reportedAt)
	for _, p := range b.peers.all {
		if !p.live || !p.Counted {
			continue
		}
		if p.registers < factorRegister {
			return nil, p.name + " is of a release without factors"
		}
		add(p.name, p.loads, p.loadsAt)
	}
	if why != "" {
		return nil, why
	}
	return func(addr netip.Addr) (uint64, bool) {
		load, ok := sums[addr]
		return load, ok || source == wire.ProxySessions
	}, ""
}

// comparableLoads returns the backends of a tag that take users with their loads, or why these
// cannot be compared.
func comparableLoads(
	backends []ring.Backend, load func(netip.Addr) (uint64, bool),
) (all []balance.Backend, why string) {
	for _, one := range backends {
		if !one.Usable() {
			continue
		}
		n, ok := load(one.Addr)
		if !ok {
			return nil, ring.AddrText(one.Addr) + " does not say how loaded it is"
		}
		all = append(all, balance.Backend{
			Addr: one.Addr, VHosts: one.VHosts, Load: float64(n),
			Factor: directory.Factor(one.Factor).Percent(),
		})
	}
	switch {
	case len(all) < 2:
		return nil, "fewer than two backends take users"
	case !balance.Enough(all):
		return all, fmt.Sprintf("there is too little load, less than %d on average",
			balance.LeastLoad)
	}
	return all, ""
}
