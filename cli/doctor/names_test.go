package doctor

import (
	"testing"

	"directormesh/cli/api"
)

// Each finding about names, made to happen; nothing is found where all resolve.
func TestNames(t *testing.T) {
	for want, change := range map[string]func(n *api.Names){
		"":              func(*api.Names) {},
		"name d2":       func(n *api.Names) { n.Names[0].Directors[1].Resolves = false },
		"name_conflict": func(n *api.Names) { n.Names[0].Addresses[0].State = api.NameConflict },
		"names_gone":    func(n *api.Names) { n.Alarms = []api.NameAlarm{{Gone: 2, Most: 1}} },
		"name_watched":  func(n *api.Names) { n.Count = 4 },
	} {
		names := api.Names{Count: 3, Names: []api.Name{{
			Name: "imap.example.org", Tag: "ssd", Directors: []api.NameDirector{
				{Director: "d1", Resolves: true}, {Director: "d2", Resolves: true},
			},
			Addresses: []api.NameAddress{{State: api.NameUsed}},
		}}}
		change(&names)
		reports, keys, health := healthy()
		got := codes(Mesh(reports, nil, Seen{Keys: keys, Health: health, Names: names}))
		if got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}
}
