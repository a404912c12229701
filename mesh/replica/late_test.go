package replica

import (
	"testing"
	"time"

	"directormesh/mesh/replica/internal/logs"
	"directormesh/ring"
)

// A director is away for longer than logs are kept. Meanwhile another one imports what a user
// did before that: the snapshot since the gap must have it.
func TestSnapshotSinceAGapHasLateRows(t *testing.T) {
	m := newMortals(t, 1, 3, Guards{})
	m.quietAt = m.now
	a, b, c := m.members[0], m.members[1], m.members[2]
	const h = ring.UserHash(0x5150)
	backend, ok := a.core.TryLookup(m.now, "", h)
	if !ok {
		t.Fatal("the lookup waits")
	}
	m.users = append(m.users, h)
	m.run(20 * time.Second)
	seen := a.core.MeshTime(m.now)
	m.run(20 * time.Second)
	m.cut(c, []*member{a, b}, true)
	m.run(time.Second)
	a.do(Import{Mappings: []ImportedMapping{{Hash: h, Backend: backend, Activity: seen}}})
	m.run(logs.KeptFor + time.Second)
	a.core.TryLookup(m.now, "", 1) // so that c has a gap in a's log
	m.run(time.Second)
	m.cut(c, []*member{a, b}, false)
	m.run(10 * time.Second)
	if got, _ := c.dir.Find("", h, c.core.MeshTime(m.now)); got.Activity != seen.Tick() {
		t.Errorf("c has %+v, want the imported activity %d", got, seen.Tick())
	}
	if differ := m.differences(); len(differ) > 0 {
		t.Error(differ)
	}
	if c.core.counters.GapsRepaired == 0 {
		t.Error("c had no gap; the test shows nothing")
	}
}
