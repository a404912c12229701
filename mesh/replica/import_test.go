package replica

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
)

// What becomes of an imported mapping depends on what is there already.
func TestImportedMappings(t *testing.T) {
	const h = 5
	for _, test := range []struct {
		name     string
		prepare  func(w *world, d *director)
		mapping  func(d *director, now directory.Time) ImportedMapping
		count    int
		want     func(before directory.Mapping, now directory.Time) directory.Mapping
		recorded bool
	}{
		{
			name: "on its backend, seen later there",
			mapping: func(d *director, now directory.Time) ImportedMapping {
				return ImportedMapping{Hash: h, Backend: d.live(h).Backend, Activity: now}
			},
			count: 1,
			want: func(before directory.Mapping, now directory.Time) directory.Mapping {
				before.Activity = now.Tick()
				return before
			},
			recorded: true,
		},
		{
			name: "on its backend, seen later here",
			mapping: func(d *director, now directory.Time) ImportedMapping {
				return ImportedMapping{
					Hash: h, Backend: d.live(h).Backend, Activity: now.Add(-30 * time.Second),
				}
			},
			count: 1,
			want: func(before directory.Mapping, _ directory.Time) directory.Mapping {
				return before
			},
		},
		{
			name: "elsewhere, seen in the future",
			mapping: func(d *director, now directory.Time) ImportedMapping {
				return ImportedMapping{
					Hash: h, Backend: another(d.live(h).Backend), Activity: now.Add(time.Hour),
				}
			},
			count: 1,
			want: func(before directory.Mapping, now directory.Time) directory.Mapping {
				return directory.Mapping{
					Hash: h, Backend: another(before.Backend), Generation: before.Generation + 1,
					Activity: now.Tick(), Stamp: now.Tick(),
				}
			},
			recorded: true,
		},
		{
			name: "of a user being moved",
			prepare: func(w *world, d *director) {
				d.begin(Move{Hash: h, Backend: another(d.live(h).Backend)})
			},
			mapping: func(d *director, now directory.Time) ImportedMapping {
				return ImportedMapping{Hash: h, Backend: testBackend(4), Activity: now}
			},
			want: func(before directory.Mapping, _ directory.Time) directory.Mapping {
				return before
			},
		},
		{
			name: "without a backend",
			mapping: func(_ *director, now directory.Time) ImportedMapping {
				return ImportedMapping{Hash: h, Activity: now}
			},
			want: func(before directory.Mapping, _ directory.Time) directory.Mapping {
				return before
			},
		},
		{
			name: "on a backend of another tag",
			mapping: func(d *director, now directory.Time) ImportedMapping {
				return ImportedMapping{
					Tag: "ssd", Hash: h, Backend: another(d.live(h).Backend), Activity: now,
				}
			},
			want: func(before directory.Mapping, _ directory.Time) directory.Mapping {
				return before
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := started(t, 2)
			d1, d2 := w.directors[0], w.directors[1]
			d1.must(h)
			w.run(15 * time.Second)
			if test.prepare != nil {
				test.prepare(w, d1)
				w.deliver()
			}
			before, now := d1.live(h), d1.core.MeshTime(w.now)
			logged := d1.core.log.Last()
			outcome, err := d1.do(Import{Mappings: []ImportedMapping{test.mapping(d1, now)}})
			if err != nil || outcome.Count != test.count {
				t.Errorf("%d taken, %v; want %d", outcome.Count, err, test.count)
			}
			if diff := cmp.Diff(test.want(before, now), d1.live(h), compareAddrs); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := d1.core.log.Last() > logged; got != test.recorded {
				t.Errorf("told the others: %v, want %v", got, test.recorded)
			}
			if a, b := d1.live(h), d2.live(h); a != b {
				t.Errorf("d1 has %+v, d2 %+v", a, b)
			}
		})
	}
}

// An imported mapping takes the place also of one that is dead, and of what was forgotten a moment
// ago.
func TestImportAfterAForget(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	was := d1.must(5)
	w.run(time.Second)
	if _, err := d1.do(Forget{}); err != nil {
		t.Fatal(err)
	}
	now := d1.core.MeshTime(w.now)
	outcome, err := d1.do(Import{Mappings: []ImportedMapping{
		{Hash: 5, Backend: was, Activity: now},
		{Hash: 6, Backend: netip.MustParseAddr("198.51.100.1"), Activity: now},
	}})
	if err != nil || outcome.Count != 1 {
		t.Errorf("%d taken, %v", outcome.Count, err)
	}
	w.run(time.Second)
	for _, d := range w.directors {
		if m := d.live(5); m.Backend != was || m.Generation != 2 {
			t.Errorf("%s has %+v", d.name, m)
		}
	}
}
