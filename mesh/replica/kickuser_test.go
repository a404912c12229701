package replica

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/wire"
)

// kickerOf returns a kicker that ends so many sessions and knows so much.
func kickerOf(count int, known bool) func(Kick) (int, bool, bool) {
	return func(Kick) (int, bool, bool) { return count, known, true }
}

func TestKickByNameAddsUpWhatAllDirectorsReport(t *testing.T) {
	for _, test := range []struct {
		name    string
		unknown string // director whose kicker does not know
		failing []string
		want    Outcome
		err     string
	}{
		{"all know", "", nil, Outcome{Count: 6, Known: true}, ""},
		{"this one does not know", "d1", nil, Outcome{Count: 6}, ""},
		{"another does not know", "d3", nil, Outcome{Count: 6}, ""},
		{"this one fails", "", []string{"d1"}, Outcome{Count: 6},
			"director d1 could not kick: no anvil"},
		{"another fails", "", []string{"d3"}, Outcome{Count: 6},
			"director d3 could not kick: no anvil"},
		{"the first failure is told", "", []string{"d1", "d2"}, Outcome{Count: 6},
			"director d1 could not kick: no anvil"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := started(t, 3)
			for i, d := range w.directors {
				d.kicker = kickerOf(i+1, d.name != test.unknown)
				for _, name := range test.failing {
					if name == d.name {
						d.kickErr = errors.New("no anvil")
					}
				}
			}
			outcome, err := w.directors[0].do(KickUser{Field: "session", Value: "jane"})
			if diff := cmp.Diff(test.want, outcome); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if got := errorText(err); got != test.err {
				t.Errorf("error %q, want %q", got, test.err)
			}
			for _, d := range w.directors {
				if len(d.kicked) != 1 ||
					d.kicked[0].Target != (KickTarget{Field: "session", Value: "jane"}) {
					t.Errorf("%s kicked %+v", d.name, d.kicked)
				}
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A director whose kicker hangs counts as one that does not know, after the time that kickers have.
func TestKickByNameDoesNotWaitForAKickerThatHangs(t *testing.T) {
	w := started(t, 2)
	w.directors[0].kicker = kickerOf(1, true)
	w.directors[1].kicker = func(Kick) (int, bool, bool) { return 0, false, false }
	id := w.directors[0].begin(KickUser{Value: "jane"})
	w.deliver()
	w.run(kicks.Limit)
	if _, done := w.directors[0].done[id]; done {
		t.Error("the kick ended before the kicker's time was over")
	}
	w.run(100 * time.Millisecond)
	done, ok := w.directors[0].done[id]
	if diff := cmp.Diff(Outcome{Count: 1}, done.Outcome); !ok || diff != "" {
		t.Errorf("ended: %v, outcome (-want +got):\n%s", ok, diff)
	}
	got := errorText(done.Err)
	want := "director d2 could not kick: the kicker did not answer in time"
	if got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

// A director that never reports is named, and so is one that dies meanwhile.
func TestKickByNameNamesDirectorsThatDoNotReport(t *testing.T) {
	for _, test := range []struct {
		name   string
		dies   bool
		within time.Duration
		early  time.Duration // how much sooner it may be
	}{
		{"the report is lost", false, kicks.ByNameLimit, 0},
		{"it dies", true, failAfter, 250 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := started(t, 3)
			for _, d := range w.directors {
				d.kicker = kickerOf(1, true)
			}
			d1, d3 := w.directors[0], w.directors[2]
			w.lose = losing[*wire.KickUserDone](d3, d1)
			id := d1.begin(KickUser{Value: "jane"})
			w.deliver()
			if test.dies {
				d3.crash()
			}
			w.run(test.within - test.early)
			if _, done := d1.done[id]; done {
				t.Fatal("ended without the report")
			}
			w.run(test.early + 25*time.Millisecond)
			want := Outcome{Count: 2, FailedPeers: []string{"d3"}}
			if diff := cmp.Diff(want, d1.done[id].Outcome); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if err := d1.done[id].Err; err != nil {
				t.Error(err)
			}
		})
	}
}

// A kick, or its report, that a broken stream lost is repeated, and counted once.
func TestKickByNameIsRepeatedAfterAStreamBroke(t *testing.T) {
	for _, test := range []struct {
		name   string
		theirs bool // it is the stream of d2 that breaks
		lose   func(d1, d2 *director) func(from, to *director, m wire.Message) bool
		want   int // kicks at d2
	}{
		{
			"the request is lost", false,
			func(d1, d2 *director) func(from, to *director, m wire.Message) bool {
				return losing[*wire.KickUser](d1, d2)
			},
			1,
		},
		{
			"the report is lost, and the stream of the request breaks", false,
			func(d1, d2 *director) func(from, to *director, m wire.Message) bool {
				return losing[*wire.KickUserDone](d2, d1)
			},
			2,
		},
		{
			"the report is lost", true,
			func(d1, d2 *director) func(from, to *director, m wire.Message) bool {
				return losing[*wire.KickUserDone](d2, d1)
			},
			2,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := started(t, 3)
			d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
			for _, d := range w.directors {
				d.kicker = kickerOf(1, true)
			}
			w.lose = test.lose(d1, d2)
			id := d1.begin(KickUser{Value: "jane"})
			w.run(time.Second)
			w.lose = nil
			if test.theirs {
				w.breakStream(d2, d1)
			} else {
				w.breakStream(d1, d2)
			}
			w.breakStream(d1, d3) // which has reported
			w.run(time.Second)
			if diff := cmp.Diff(Outcome{Count: 3, Known: true}, d1.done[id].Outcome); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			w.wantRest()
			if len(d2.kicked) != test.want || len(d3.kicked) != 1 {
				t.Errorf("d2 kicked %d times, d3 %d times; want %d and once",
					len(d2.kicked), len(d3.kicked), test.want)
			}
		})
	}
}

// What a director reports that was not asked, or reports twice, does not count.
func TestKickByNameCountsEachDirectorOnce(t *testing.T) {
	w := started(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	for _, d := range w.directors {
		d.kicker = func(Kick) (int, bool, bool) { return 0, false, false }
	}
	first, second := d1.begin(KickUser{Value: "jane"}), d1.begin(KickUser{Value: "joe"})
	w.deliver()
	kick := d1.core.ops[first].kick.Message.ID
	for range 2 {
		d1.hears(d2, &wire.KickUserDone{ID: kick, Count: 1, Known: true})
	}
	d1.hears(d3, &wire.KickUserDone{ID: kick, Count: 2, Known: true})
	d1.hears(d3, &wire.KickUserDone{ID: 1 << 60, Count: 100, Known: true})
	for _, kick := range d1.kicked {
		d1.core.KickDone(w.now, kick.ID, KickResult{Count: 4, Known: true}, nil)
	}
	w.run(100 * time.Millisecond)
	if diff := cmp.Diff(Outcome{Count: 7, Known: true}, d1.done[first].Outcome); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	if _, done := d1.done[second]; done {
		t.Error("the second kick ended by reports on the first")
	}
}

// Only directors that are counted are asked: others serve nobody.
func TestKickByNameLeavesOutDirectorsThatAreNotCounted(t *testing.T) {
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	d3.crash()
	w.run(failAfter + time.Second)
	outcome, err := d1.do(KickUser{Value: "jane"})
	want := Outcome{Known: true, FailedPeers: []string{"d3"}} // it lacks what was done
	if diff := cmp.Diff(want, outcome); diff != "" || err != nil {
		t.Errorf("error %v, outcome (-want +got):\n%s", err, diff)
	}
	// Nor is one that is alive but was excluded.
	w.lose = losing[*wire.AdmitRequest](w.directors[1], d1)
	d1.core.peers.get("d2").Counted = false
	if outcome, err = d1.do(KickUser{Value: "jane"}); err != nil || !outcome.Known ||
		len(w.directors[1].kicked) != 1 {
		t.Errorf("outcome %+v, %v; d2 kicked %d times, want once",
			outcome, err, len(w.directors[1].kicked))
	}
}

// A director that was away when a kick began and is back before it ends kicks too.
func TestKickByNameReachesOneThatComesBack(t *testing.T) {
	w := started(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	w.split([]*director{d3}, []*director{d1, d2})
	w.run(failAfter + time.Second)
	d2.kicker = func(Kick) (int, bool, bool) { return 0, true, false } // takes its time
	id := d1.begin(KickUser{Value: "jane"})
	w.heal()
	w.until("all synced", 5*time.Second, w.allSynced)
	d2.core.KickDone(w.now, d2.kicked[0].ID, KickResult{Known: true}, nil)
	w.run(time.Second)
	if o := d1.done[id]; o.Err != nil || len(o.Outcome.FailedPeers) != 0 || len(d3.kicked) != 1 {
		t.Errorf("ended with %+v, and d3 kicked %d times, want once", o, len(d3.kicked))
	}
}

// So does one that is counted before its first echo comes: one that has slept asks to be admitted
// as soon as it wakes.
func TestKickByNameReachesOneThatIsAdmittedFirst(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	d1.kicker = func(Kick) (int, bool, bool) { return 0, true, false } // takes its time
	peer := d1.core.peers.get("d2")
	peer.live = false
	id := d1.begin(KickUser{Value: "jane"})
	w.until("d2 is in touch", time.Second, func() bool { return peer.live })
	d1.core.KickDone(w.now, d1.kicked[0].ID, KickResult{Known: true}, nil)
	w.run(time.Second)
	if o := d1.done[id]; o.Err != nil || len(o.Outcome.FailedPeers) != 0 || len(d2.kicked) != 1 {
		t.Errorf("ended with %+v, and d2 kicked %d times, want once", o, len(d2.kicked))
	}
}

// The directors that failed are named in order.
func TestFailedDirectorsAreNamedInOrder(t *testing.T) {
	w := started(t, 4)
	for _, d := range w.directors[1:] {
		d.crash()
	}
	w.run(failAfter + time.Second)
	w.directors[3].boots(false)
	w.run(5 * time.Second)
	w.lose = losing[*wire.KickUserDone](w.directors[3], w.directors[0])
	// d4 fails last, the others had failed
	outcome, err := w.directors[0].do(KickUser{Value: "jane"})
	want := Outcome{FailedPeers: []string{"d2", "d3", "d4"}}
	if diff := cmp.Diff(want, outcome); diff != "" || err != nil {
		t.Errorf("error %v, outcome (-want +got):\n%s", err, diff)
	}
}

// Whoever left, was only heard of, or is of another cluster is not missed by an operation.
func TestWhoIsNamedAsFailed(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(p *peer)
		named  bool
	}{
		{"there", func(*peer) {}, false},
		{"failed", func(p *peer) { p.live = false }, true},
		{"failed, in its first life", func(p *peer) { p.live, p.boot = false, 1 }, true},
		{"back, not yet admitted", func(p *peer) { p.Fail(nil); p.Counted = false }, true},
		{"barred, but counted", func(p *peer) { p.Fail(nil) }, false},
		{"back, and need not ask", func(p *peer) { p.Counted, p.togetherAt = false, 1 }, true},
		{"answers, just met", func(p *peer) { p.Counted, p.synced = false, true }, true},
		{"joins", func(p *peer) { p.Counted = false }, false},
		{"back, of another mesh", func(p *peer) {
			p.Counted, p.togetherAt, p.mesh.ID = false, 1, p.mesh.ID+1
		}, false},
		{"left", func(p *peer) { p.live, p.left = false, true }, false},
		{"only heard of", func(p *peer) { p.live, p.boot = false, 0 }, false},
		{"a stranger", func(p *peer) { p.live, p.stranger = false, true }, false},
	} {
		c := crowd(1, func(_ int, p *peer) { test.change(p) })
		for _, before := range [][]string{nil, {"d2"}} {
			want := slices.Clone(before)
			if test.named && before == nil {
				want = []string{"d2"}
			}
			got := c.peers.failed(slices.Clone(before), c.table.Removed, c.sameMesh)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v beside %v, want %v", test.name, got, before, want)
			}
		}
	}
}

// What the kicker answers counts at once, not with the next tick.
func TestKickEndsWithTheKickersAnswer(t *testing.T) {
	w := started(t, 1)
	d1 := w.directors[0]
	d1.kicker = func(Kick) (int, bool, bool) { return 0, false, false }
	id := d1.begin(KickUser{Value: "jane"})
	w.deliver()
	d1.core.KickDone(w.now, d1.kicked[0].ID, KickResult{Count: 3, Known: true}, nil)
	w.deliver()
	if diff := cmp.Diff(Outcome{Count: 3, Known: true}, d1.done[id].Outcome); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	if got := d1.core.Counters().Kicks; got != 1 {
		t.Errorf("%d kicks are counted, want 1", got)
	}
	d1.core.KickDone(w.now, d1.kicked[0].ID, KickResult{Count: 3, Known: true}, nil) // again
	w.run(time.Second)
	w.wantRest()
}

// Kicks whose time is over at one moment end in the order in which they began.
func TestLateKicksEndInOrder(t *testing.T) {
	w := started(t, 1)
	c := w.directors[0].core
	var ended []uint64
	for i := range uint64(20) {
		c.startKick("", KickTarget{Value: "jane"}, func(r KickResult, failed error) {
			ended = append(ended, i)
			if r != (KickResult{}) || failed == nil {
				t.Errorf("kick %d ended with %+v, failed by %v", i, r, failed)
			}
		})
	}
	c.Take() // the kicker hangs
	w.run(kicks.Limit + time.Second)
	if len(ended) != 20 || !slices.IsSorted(ended) {
		t.Errorf("ended %v, want 20 in order", ended)
	}
}

// An operation that nobody waits for any more ends silently; what it began goes on.
func TestCancelledOperationEndsSilently(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	id := d1.begin(KickUser{Value: "jane"})
	d1.core.Cancel(id)
	w.run(kicks.ByNameLimit + time.Second)
	if _, done := d1.done[id]; done {
		t.Error("a cancelled operation ends with a result")
	}
	if len(w.directors[1].kicked) != 1 {
		t.Errorf("d2 kicked %d times, want once", len(w.directors[1].kicked))
	}
}
