package replica

import (
	"testing"
	"time"
)

// TestStartTogether starts directors at the same moment on slow links, so that their requests, answers and tables cross in every order. All must be
// synced in a moment, and nobody may wait for a confirmation that never comes: that would exclude peers that did nothing wrong.
func TestStartTogether(t *testing.T) {
	for _, directors := range []int{3, 10, 30} {
		f := newFleet(t, directors, 4, 20*time.Millisecond, testExpire)
		if took := f.now - time.Hour; took > time.Second {
			t.Errorf("%d directors were synced after %v", directors, took)
		}
		f.run(confirmWithin + 2*time.Second)
		for _, m := range f.members {
			if n := m.core.counters.Exclusions; n != 0 || len(m.core.transitions) != 0 {
				t.Errorf("%d directors: %s excluded %d peers and has %d table changes open", directors, m.name, n, len(m.core.transitions))
			}
		}
	}
}

// TestJoinMeshWithEmptyTable lets a director with configured backends join a mesh that has none. It must
// not go on to answer by its configuration: the mesh would know nothing of these mappings.
func TestJoinMeshWithEmptyTable(t *testing.T) {
	w := newWorld(t)
	d1 := w.start("d1", func(c *Config) { c.Backends = nil })
	w.run(time.Second)
	d2 := w.start("d2")
	w.until("d2 is synced", 10*time.Second, func() bool { return d2.core.synced() })
	for _, d := range []*director{d1, d2} {
		if backend, id := d.ask(7); id == 0 {
			t.Errorf("%s answers %v, and no backend is in the table", d.name, backend)
		}
		if b := d.core.Backends(); len(b) > 0 {
			t.Errorf("%s has backends %v", d.name, b)
		}
	}
}
