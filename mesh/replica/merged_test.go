package replica

import (
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// A director whose row is set back, for its clock stepped, hears that a peer keeps the later
// activity. A row that a peer saw earlier and less, or only a moment later, is nobody's news.
func TestMergedActivityIsAnnounced(t *testing.T) {
	for _, test := range []struct {
		name            string
		stamp, activity time.Duration // of the row that comes in, after those of the row held
		announced       bool
	}{
		{"set back", -time.Second, -time.Second, true},
		{"set back, seen at the same time", -time.Second, 0, false},
		{"assigned elsewhere a tick before", -250 * time.Millisecond,
			-250 * time.Millisecond, false},
		{"assigned elsewhere later", time.Second, 0, false},
		{"an older row, heard late", 0, -time.Minute, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := started(t, 2)
			d2 := w.directors[1]
			d2.must(5)
			w.run(200 * time.Millisecond)
			held, _ := d2.core.dir.Find("", 5, d2.core.MeshTime(w.now))
			in := held
			in.Stamp = held.Stamp.Time().Add(test.stamp).Tick()
			in.Activity = held.Activity.Time().Add(test.activity).Tick()
			d2.core.outbox.Take()
			d2.core.mergeRows(w.now, []wire.Block{wire.Pack("", []directory.Mapping{in})}, nil)
			got := false
			for range d2.core.outbox.Take() {
				got = true
			}
			if got != test.announced {
				t.Errorf("announced: %v, want %v", got, test.announced)
			}
		})
	}
}
