package mesh

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"directormesh/mesh/meshtest/netsim"
)

// TestNameConflict decides who of two directors of one name gives way.
func TestNameConflict(t *testing.T) {
	for _, test := range []struct {
		name    string
		up      time.Duration // of this director
		founder bool
		other   event
		twice   time.Duration // the conflict is still there after this time
		yields  bool
	}{
		{"the other started before", 0, false, event{started: testStart.Add(-time.Hour), boot: 1}, 0, true},
		{"the other started later", 0, false, event{started: testStart.Add(time.Hour), boot: 1}, 0, false},
		{"the other claims to have started later, and stays", 0, false, event{started: testStart.Add(time.Hour), boot: 1}, 6 * time.Second, true},
		{"the other started at once, with a lower boot id", 0, false, event{started: testStart, boot: 1}, 0, true},
		{"the other started at once, with a higher boot id", 0, false, event{started: testStart, boot: 1<<64 - 1}, 0, false},
		{"the other has a mesh and we have not", 0, false, event{boot: 1 << 63, mesh: 7, told: true}, 0, true},
		{"we have a mesh and the other has not", 0, true, event{boot: 1, told: true}, 0, false},
		{"we have been up for long", 2 * time.Minute, false, event{started: testStart.Add(-time.Hour), boot: 1}, 10 * time.Second, false},
		{"another name", 0, false, event{name: "d9", started: testStart.Add(-time.Hour), boot: 1}, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := simulated(t, netsim.New(1, netsim.Faults{}), func(cfg *Config) {
					if !test.founder {
						cfg.Join = []string{testAddr(2).String()}
					}
				})
				time.Sleep(test.up)
				e := test.other
				e.kind = nameConflict
				if e.name == "" {
					e.name = "d1"
				}
				n.events.put(e)
				if test.twice > 0 {
					time.Sleep(test.twice)
					n.events.put(e)
				}
				time.Sleep(time.Second)
				select {
				case err := <-n.Fatal():
					if !test.yields {
						t.Errorf("gave way: %v", err)
					}
				default:
					if test.yields {
						t.Error("did not give way")
					}
				}
			})
		})
	}
}

// testStart is what the wall clock of simulated nodes says at the start of a bubble.
var testStart = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// simulated starts a director named d1 at the first address of a simulated network, in a bubble.
func simulated(t *testing.T, network *netsim.Network, change func(cfg *Config)) *Node {
	t.Helper()
	began := time.Now()
	cfg := Config{
		Name: "d1", Mesh: "test", Bind: testAddr(1), HashFormat: "%Lu", Expire: 15 * time.Minute, Network: network, Seed: 1,
		Log:   zerolog.Nop(),
		Clock: func() time.Duration { return time.Since(began) },
		Wall:  func() time.Time { return testStart.Add(time.Since(began)) },
	}
	change(&cfg)
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		time.Sleep(20 * time.Second) // for what memberlist leaves running
	})
	return n
}
