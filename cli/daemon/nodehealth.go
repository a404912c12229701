package daemon

import (
	"directormesh/cli/api"
	"directormesh/directory"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// failure shows that a backend has failed; nil if it has not.
func failure(b ring.Backend, by string, since directory.Time) *api.BackendFailure {
	if !b.Failed && !b.Out && by == "" && since == 0 {
		return nil
	}
	return &api.BackendFailure{Since: meshTime(since), By: by, Kept: !b.Out}
}

// Health implements httpapi.Director.
func (d *director) Health() api.Health {
	s := d.node.Health()
	health := api.Health{
		Watching: listed(s.Watching), Writer: s.Writer, OutOfContact: s.OutOfContact,
		Backends: make([]api.BackendHealth, len(s.Backends)),
		Alarms:   make([]api.HealthAlarm, len(s.Alarms)),
	}
	for i, b := range s.Backends {
		health.Backends[i] = backendHealth(b)
	}
	for i, a := range s.Alarms {
		health.Alarms[i] = api.HealthAlarm{Tag: string(a.Tag), Failing: a.Failing, Most: a.Most}
	}
	return health
}

func backendHealth(b replica.BackendHealth) api.BackendHealth {
	h := api.BackendHealth{
		IP: api.IP{Addr: b.Backend.Addr}, Tag: string(b.Backend.Tag), State: api.StateUp,
		Health:    b.Health().String(),
		Observers: make([]api.Observer, len(b.Observers)),
	}
	h.Flaps, h.GoodForMS = b.Flaps, b.GoodFor.Milliseconds()
	if b.Backend.Failed {
		h.Failure = failure(b.Backend, b.By, b.Since)
	}
	if b.Backend.Down {
		h.State = api.StateDown
	}
	for i, o := range b.Observers {
		h.Observers[i] = api.Observer{
			Director: o.Director, Sees: sees(o.Sight), Since: meshTime(o.Since), Reason: o.Reason,
		}
	}
	return h
}

func sees(s wire.Sight) string {
	switch s {
	case wire.Good:
		return api.HealthGood
	case wire.Failing:
		return api.HealthFailing
	}
	return api.HealthUnseen
}
