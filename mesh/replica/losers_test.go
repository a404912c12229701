package replica

import (
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// Two rows that were made without knowledge of each other, and the end of the one that wins: in
// whatever order a director hears of the three, it keeps the other one.
func TestEndOfWinner(t *testing.T) {
	const h = 7
	for _, test := range []struct {
		name string
		end  Operation
	}{
		{"removed", RemoveBackend{Addr: testBackend(1)}},
		{"forgotten", Forget{Addr: testBackend(1)}},
	} {
		for _, order := range [][]string{
			{"winner", "loser", "end"}, {"winner", "end", "loser"}, {"loser", "winner", "end"},
			{"loser", "end", "winner"}, {"end", "winner", "loser"}, {"end", "loser", "winner"},
		} {
			w := started(t, 1)
			d := w.directors[0]
			row := func(backend netip.Addr, later time.Duration) directory.Mapping {
				at := d.core.MeshTime(w.now).Add(later - 5*time.Second).Tick()
				return directory.Mapping{
					Hash: h, Backend: backend, Generation: 1, Stamp: at, Activity: at,
				}
			}
			winner, loser := row(testBackend(1), 0), row(testBackend(2), time.Second)
			for _, what := range order {
				switch what {
				case "winner":
					d.merge(winner)
				case "loser":
					d.merge(loser)
				default:
					if _, err := d.do(test.end); err != nil {
						t.Fatal(err)
					}
				}
			}
			got, status := d.dir.Find("", h, d.core.MeshTime(w.now))
			if status != directory.Live || got.Backend != loser.Backend ||
				got.Stamp != loser.Stamp {
				t.Errorf("%s, %v: the user has %+v, %v", test.name, order, got, status)
			}
		}
	}
}

// Two rows of one backend, made at two directors a moment apart, and the end of all that were made
// there before a moment in between.
func TestEndOfEarlierOne(t *testing.T) {
	const h = 7
	for _, order := range [][]string{
		{"early", "late", "end"}, {"early", "end", "late"}, {"late", "early", "end"},
		{"late", "end", "early"}, {"end", "early", "late"}, {"end", "late", "early"},
	} {
		w := started(t, 1)
		d := w.directors[0]
		at := func(later time.Duration) directory.Time {
			return d.core.MeshTime(w.now).Add(later - 5*time.Second)
		}
		row := func(made directory.Tick) directory.Mapping {
			return directory.Mapping{
				Hash: h, Backend: testBackend(1), Generation: 1, Stamp: made, Activity: made,
			}
		}
		early, late := row(at(0).Tick()), row(at(2*time.Second).Tick())
		for _, what := range order {
			switch what {
			case "early":
				d.merge(early)
			case "late":
				d.merge(late)
			default:
				d.core.apply(w.now, directory.Change{
					Mesh: d.core.table.Mesh(), Backends: []directory.BackendRow{
						{Addr: testBackend(1), Forgotten: directory.StampAt(at(time.Second))},
					},
				}, nil)
			}
		}
		got, status := d.dir.Find("", h, d.core.MeshTime(w.now))
		if status != directory.Live || got.Stamp != late.Stamp {
			t.Errorf("%v: the user has %+v, %v", order, got, status)
		}
	}
}

func (d *director) merge(row directory.Mapping) {
	d.core.mergeRows(d.w.now, []wire.Block{wire.Pack("", []directory.Mapping{row})}, nil)
}
