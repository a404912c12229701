package replica

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
)

// TestSilenceOfLargeMeshes checks that a path that is dead for less than 5 s fails nobody, however rarely a large mesh beats, and that the
// longest silence leaves room in the last seconds of a mapping.
func TestSilenceOfLargeMeshes(t *testing.T) {
	w := newWorld(t)
	d := w.start("d0")
	for _, test := range []struct {
		peers          int
		beat, toFailed time.Duration
	}{
		{2, 250 * time.Millisecond, 5500 * time.Millisecond},
		{50, 250 * time.Millisecond, 5500 * time.Millisecond},
		{100, 500 * time.Millisecond, 6 * time.Second},
		{200, time.Second, 7 * time.Second},
		{500, time.Second, 7 * time.Second},
	} {
		for i := range test.peers {
			d.core.know(w.now, fmt.Sprintf("p%d", i), netip.AddrPort{})
		}
		if beat, silence := d.core.beatInterval(), d.core.silence(); beat != test.beat || silence != test.toFailed {
			t.Errorf("%d peers: beats each %v, failed after %v; want %v, %v", test.peers, beat, silence, test.beat, test.toFailed)
		}
		if silence := d.core.silence(); silence-2*d.core.beatInterval() < 5*time.Second {
			t.Errorf("%d peers: a silence of less than 5 s fails a peer", test.peers)
		}
		if need := d.core.silence() + d.core.batchInterval() + clockTolerance; need >= directory.EndOfLife {
			t.Errorf("%d peers: the last seconds of a mapping must be longer than %v", test.peers, need)
		}
	}
}
