package cli

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
)

// TestEachFieldOfABackend finds a field of a backend that somebody adds to the API and forgets in a
// command: each field is changed by reflection, and what the commands make of it must change too.
func TestEachFieldOfABackend(t *testing.T) {
	base := api.Backend{
		IP: httpapitest.IP("192.0.2.1"), Tag: "ssd", VHosts: 100, Factor: 100,
		State: api.StateUp,
	}
	changed := map[string]any{
		"IP": httpapitest.IP("192.0.2.9"), "Name": "m1", "Tag": "hdd", "VHosts": 50,
		"Factor": 75, "Load": new(uint64(7)), "Standby": true, "Idle": true,
		"State": api.StateDown, "StateChangedAt": new(time.Unix(1_767_323_045, 0)),
		"Users": 3, "Leaving": 4,
		"Drain": &api.Task{On: true}, "Rebalance": &api.Task{On: true},
		"Failure": &api.BackendFailure{By: "d1"}, "SlowStart": &api.SlowStart{Percent: 25},
		"Gone": true,
	}
	unset := []string{"Name", "StateChangedAt", "Users", "Leaving"} // no command sets these
	uses := []struct {
		name  string
		of    func(api.Backend) string
		leave []string // fields that this use leaves out, for the reason behind it
	}{
		{"status", func(b api.Backend) string {
			d := httpapitest.Sample()
			d.BackendsIs.Backends = []api.Backend{b}
			return runCommand(t, "", "status", "-a", httpapitest.Serve(t, d, zerolog.Nop())).stdout
			// 80 columns; --json has it. Of a standby alone is said whether it is idle.
		}, []string{"Name", "Idle", "Leaving"}},
		{"dump", func(b api.Backend) string {
			return fmt.Sprint(dump(api.Backends{Backends: []api.Backend{b}}, api.Pins{}, ""))
			// these end by themselves
		}, append(unset, "Rebalance", "Failure", "Factor", "Load", "Idle", "SlowStart", "Gone")},
		{"import", func(b api.Backend) string {
			changes, _, err := plannedOperations([]api.Backend{b}, []api.Backend{base}, nil)
			return fmt.Sprint(changes, err)
			// Dovecot's have none
		}, append(unset, "Drain", "Rebalance", "Failure", "Factor", "Load", "Standby", "Idle",
			"SlowStart", "Gone")},
	}
	fields := reflect.TypeFor[api.Backend]()
	for _, use := range uses {
		before := use.of(base)
		for i := range fields.NumField() {
			name := fields.Field(i).Name
			value, ok := changed[name]
			if !ok {
				t.Fatalf("give another value for the field %s here", name)
			}
			b := base
			reflect.ValueOf(&b).Elem().Field(i).Set(reflect.ValueOf(value))
			if shown := use.of(b) != before; shown == slices.Contains(use.leave, name) {
				t.Errorf("%s shows the field %s: %v", use.name, name, shown)
			}
		}
	}
}
