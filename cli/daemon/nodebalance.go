package daemon

import (
	"directormesh/cli/api"
	"directormesh/directory"
	"directormesh/mesh/wire"
)

// Balance implements httpapi.Director.
func (d *director) Balance() api.Balance {
	s := d.node.Balancing()
	shown := api.Balance{
		Mode: balanceMode(s.Mode), InCharge: s.InCharge, Source: loadSource(s.Source),
		OutOfContact: s.OutOfContact, Tags: make([]api.TagBalance, len(s.Tags)),
	}
	if s.InCharge != "" {
		shown.Mode = api.BalanceOn
		if s.Dry {
			shown.Mode = api.BalanceDryRun
		}
	}
	for i, t := range s.Tags {
		tag := api.TagBalance{
			Tag: string(t.Tag), Frozen: t.Frozen, NextAt: meshTime(t.Next),
			Backends: make([]api.BackendBalance, len(t.Backends)),
		}
		for j, b := range t.Backends {
			one := api.BackendBalance{
				IP: api.IP{Addr: b.Backend.Addr}, VHosts: b.Backend.VHosts,
				Factor: directory.Factor(b.Backend.Factor).Percent(), Due: b.Due,
			}
			if b.Known {
				one.Load = &b.Load
			}
			if b.Wanted != 0 {
				one.Wanted = &b.Wanted
			}
			tag.Backends[j] = one
		}
		shown.Tags[i] = tag
	}
	return shown
}

func balanceMode(m wire.Balancing) string {
	switch m {
	case wire.BalanceOn:
		return api.BalanceOn
	case wire.BalanceDryRun:
		return api.BalanceDryRun
	}
	return api.BalanceOff
}

func loadSource(s wire.LoadSource) string {
	switch s {
	case wire.ProxySessions:
		return api.LoadSessions
	case wire.BackendSessions:
		return api.LoadBackends
	case wire.BusyPercent:
		return api.LoadAgent
	}
	return ""
}
