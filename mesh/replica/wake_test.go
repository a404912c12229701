package replica

import (
	"testing"
	"time"

	"directormesh/mesh/wire"
)

// A machine that was frozen with all its clocks learns of it by the first beat that was sent
// meanwhile. Until the others have answered, it answers nothing: users may have been moved.
func TestThaw(t *testing.T) {
	for _, test := range []struct {
		name    string
		stood   time.Duration
		guards  Guards
		answers bool
	}{
		{"too short for others to act", 900 * time.Millisecond, Guards{}, true},
		{"long", 6 * time.Second, Guards{}, false},
		{"just long enough", 1100 * time.Millisecond, Guards{}, false},
		{"unguarded", 6 * time.Second, Guards{NoThawCheck: true}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := started(t, 3, func(c *Config) { c.Guards = test.guards })
			d1, d2 := w.directors[0], w.directors[1]
			d1.must(7)
			theirs := d2.core
			d1.hears(d2, &wire.Beat{
				SentAt: int64(w.now), MeshTime: theirs.clock.micros(w.now).Add(test.stood),
				Wall: theirs.clock.wall(w.now), Synced: true, Counted: true,
				Seq: theirs.log.last, Mesh: theirs.meshRank(w.now), Majority: true,
			})
			if _, answers := d1.core.TryLookup(w.now, "", 7); answers != test.answers {
				t.Errorf("after a beat of a peer that is %v ahead it answers: %v", test.stood, answers)
			}
			w.until("all synced", 10*time.Second, w.allSynced)
		})
	}
}
