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
