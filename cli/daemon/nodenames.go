package daemon

import (
	"directormesh/cli/api"
)

// Names implements httpapi.Director.
func (d *director) Names() api.Names {
	s := d.node.NamesStatus()
	names := api.Names{
		Watching: listed(s.Watching), Count: s.Count, Writer: s.Writer,
		OutOfContact: s.OutOfContact,
		Names:        make([]api.Name, len(s.Names)), Alarms: make([]api.NameAlarm, len(s.Alarms)),
	}
	for i, n := range s.Names {
		name := api.Name{
			Name: n.Name, Tag: string(n.Tag), Directors: make([]api.NameDirector, len(n.Directors)),
			Addresses: make([]api.NameAddress, len(n.Addresses)),
		}
		for j, seen := range n.Directors {
			name.Directors[j] = api.NameDirector{
				Director: seen.Director, Resolves: seen.Resolves, Since: meshTime(seen.Since),
				Reason: seen.Reason, Settled: seen.Settled, Addresses: seen.Count,
			}
		}
		for j, a := range n.Addresses {
			name.Addresses[j] = api.NameAddress{
				IP: api.IP{Addr: a.Addr}, VHosts: a.VHosts, Standby: a.Standby,
				State: a.State.String(), SeenBy: listed(a.SeenBy),
			}
		}
		names.Names[i] = name
	}
	for i, a := range s.Alarms {
		names.Alarms[i] = api.NameAlarm{Tag: string(a.Tag), Gone: a.Gone, Most: a.Most}
	}
	return names
}
