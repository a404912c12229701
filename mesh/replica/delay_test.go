package replica

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A move is released when the old backend has no session of the user left: at once, late, or never;
// if it cannot be asked, or a kicker does not know what was on its way, after the kick delay.
func TestOldBackendIsAsked(t *testing.T) {
	const never = time.Hour
	for _, test := range []struct {
		name    string
		sure    bool          // all kickers know what there was
		answers time.Duration // after so long
		vacant  bool
		want    time.Duration // until the release, to a quarter second
	}{
		{"vacant at once", true, 0, true, leastDelay},
		{"vacant soon", true, 400 * time.Millisecond, true, 400 * time.Millisecond},
		{"vacant after ten seconds", true, 10 * time.Second, true, 10 * time.Second},
		{"cannot be asked", true, 0, false, 2 * time.Second},
		{"not known after five seconds", true, 5 * time.Second, false, 5 * time.Second},
		{"no answer", true, never, false, releaseBy},
		{"a kicker does not know", false, 0, true, 2 * time.Second},
		{"a kicker does not know, and it is late", false, 9 * time.Second, true, 9 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := started(t, 2, func(c *Config) { c.AsksBackends = true })
			d1 := w.directors[0]
			for _, d := range w.directors {
				d.kicker = func(Kick) (int, bool, bool) { return 1, test.sure, true }
			}
			const h = 5
			was := d1.must(h)
			w.run(time.Second)
			began := w.now
			id := d1.begin(Move{Hash: h, Backend: another(was), Wait: true})
			w.until("asked", time.Second, func() bool { return len(d1.asked) == 1 })
			want := AskVacant{
				ID: d1.asked[0].ID, Hash: h, Backend: was, Within: 2 * time.Second,
				Cutoff: releaseBy - w.now.Sub(began) + 25*time.Millisecond,
			}
			got := d1.asked[0]
			got.Cutoff = got.Cutoff.Round(100 * time.Millisecond)
			want.Cutoff = want.Cutoff.Round(100 * time.Millisecond)
			if diff := cmp.Diff(want, got, compareAddrs); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			answered := test.answers == never
			for _, done := d1.done[id]; !done && w.now.Sub(began) < 30*time.Second; {
				if !answered && w.now.Sub(began) >= test.answers {
					answered = true
					d1.core.VacantDone(w.now, got.ID, test.vacant)
				}
				w.run(25 * time.Millisecond)
				_, done = d1.done[id]
			}
			took := w.now.Sub(began)
			if took < test.want-25*time.Millisecond || took > test.want+250*time.Millisecond {
				t.Errorf("released after %v, want %v", took, test.want)
			}
			if end := d1.done[id]; end.Err != nil || d1.must(h) != another(was) {
				t.Errorf("ended %+v", end)
			}
			if len(w.directors[1].asked) > 0 {
				t.Error("two directors ask")
			}
		})
	}
}

// A user who was nowhere, or has had no session for long, is not asked for.
func TestVacantBackendIsNotAsked(t *testing.T) {
	w := started(t, 1, func(c *Config) { c.AsksBackends = true })
	d := w.directors[0]
	if _, err := d.do(Move{Hash: 7, Backend: testBackend(2), Wait: true}); err != nil {
		t.Fatal(err)
	}
	if len(d.asked) > 0 {
		t.Errorf("asked %+v", d.asked)
	}
}

// A move waits for the session of a user who seemed to have been away, whom a peer has let in just
// before it heard of the move.
func TestDelayOfOneLetInJustNow(t *testing.T) {
	for _, letIn := range []bool{false, true} {
		w := started(t, 2)
		d1, d2 := w.directors[0], w.directors[1]
		const h = 5
		was := d1.must(h)
		w.run(d1.core.dir.Share() + idleMargin + 2*time.Second)
		if letIn {
			d2.must(h)
		}
		began := w.now
		if _, err := d1.do(Move{Hash: h, Backend: another(was), Wait: true}); err != nil {
			t.Fatal(err)
		}
		if waited := w.now.Sub(began) >= d1.core.cfg.KickDelay; waited != letIn {
			t.Errorf("let in just now: %v; the move waited: %v", letIn, waited)
		}
	}
}
