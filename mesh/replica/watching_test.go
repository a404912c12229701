package replica

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// watched is a world whose directors check backends, each at its own moments.
type watched struct {
	*world
	reason func(d *director, backend netip.Addr) string // what a check shows; "": good
	next   map[*director]mono.Time
	deaf   map[*director]bool // whose checks do not end
}

func watchers(t *testing.T, directors, backends int, change ...func(*Config)) *watched {
	t.Helper()
	change = append(change, func(c *Config) {
		c.Watches, c.Backends = true, testBackends(backends)
	})
	w := &watched{
		world: started(t, directors, change...), next: make(map[*director]mono.Time),
		deaf:   make(map[*director]bool),
		reason: func(*director, netip.Addr) string { return "" },
	}
	for i, d := range w.directors {
		w.next[d] = w.now.Add(time.Duration(i+1) * 700 * time.Millisecond)
	}
	w.watch(20 * time.Second)
	return w
}

// watch lets time pass, with the checks of each director.
func (w *watched) watch(length time.Duration) {
	w.t.Helper()
	for end := w.now.Add(length); w.now < end; {
		w.run(25 * time.Millisecond)
		for _, d := range w.directors {
			if d.stopped || w.now < w.next[d] {
				continue
			}
			w.next[d] = w.now.Add(HealthRound)
			if w.deaf[d] {
				continue
			}
			for _, backend := range d.core.Watched() {
				d.core.Observe(w.now, backend, w.reason(d, backend))
			}
			w.deliver()
		}
	}
}

// failing makes checks of these backends fail, by all directors.
func (w *watched) failing(numbers ...int) {
	w.reason = func(_ *director, backend netip.Addr) string {
		for _, n := range numbers {
			if backend == testBackend(n) {
				return "imap:143: connection refused"
			}
		}
		return ""
	}
}

// out are the backends that are off the ring, as all directors agree, and kept those that failed
// and are not.
func (w *watched) out() (out, kept []int) {
	w.t.Helper()
	var first string
	for _, d := range w.directors {
		if d.stopped {
			continue
		}
		out, kept = nil, nil
		for i, b := range d.core.Backends() {
			switch {
			case b.Backend.Out:
				out = append(out, i+1)
			case b.Backend.Failed:
				kept = append(kept, i+1)
			}
		}
		if text := fmt.Sprint(out, kept); first == "" {
			first = text
		} else if text != first {
			w.t.Errorf("%s has out and kept %s, others %s", d.name, text, first)
		}
	}
	return out, kept
}

func (w *watched) wantOut(what string, want ...int) {
	w.t.Helper()
	if out, _ := w.out(); !slices.Equal(out, want) {
		w.t.Errorf("%s: %v are out, want %v", what, out, want)
	}
}

// logged counts lines of all directors' logs.
func (w *watched) logged(text string) (n int) {
	for _, d := range w.directors {
		for _, l := range d.logs {
			if strings.Contains(l.Text, text) {
				n++
			}
		}
	}
	return n
}

func TestFailedBackendGoesAndComesBack(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7} {
		t.Run(fmt.Sprint(n, " directors"), func(t *testing.T) {
			w := watchers(t, n, 4)
			w.wantOut("at first")
			w.failing(2)
			w.watch(failAgreed - time.Second)
			w.wantOut("before another round has confirmed it")
			w.watch(2*HealthRound + 2*time.Second)
			w.wantOut("after it failed", 2)
			row, _ := w.directors[0].core.table.Row(testBackend(2))
			if row.State.Value.Down || row.Verdict.Origin != "d1" {
				t.Errorf("the row is %+v", row)
			}
			w.failing()
			w.watch(2 * HealthRound)
			w.wantOut("after one good round", 2)
			w.watch(2*HealthRound + 2*time.Second)
			w.wantOut("after three good rounds")
			w.wantRest()
		})
	}
}

// One director alone cannot reach the backend: nothing follows.
func TestMostObserversDecide(t *testing.T) {
	for _, test := range []struct {
		directors, blind int
		out              bool
	}{
		{3, 1, false}, {3, 2, true}, {2, 1, false}, {5, 2, false}, {5, 3, true}, {4, 2, false},
	} {
		w := watchers(t, test.directors, 3)
		w.reason = func(d *director, backend netip.Addr) string {
			if backend == testBackend(1) && slices.Index(w.directors, d) < test.blind {
				return "no route"
			}
			return ""
		}
		w.watch(30 * time.Second)
		if out, _ := w.out(); (len(out) > 0) != test.out {
			t.Errorf("%d of %d directors see it fail: %v are out", test.blind, test.directors, out)
		}
	}
}

// With more directors than observers, five decide, whoever else sees what.
func TestFiveObserve(t *testing.T) {
	w := watchers(t, 9, 3)
	for i := range 3 {
		var names []string
		for _, d := range w.directors {
			if slices.Contains(d.core.Watched(), testBackend(i+1)) {
				names = append(names, d.name)
			}
			for _, b := range d.core.Health().Backends {
				if len(b.Observers) != 5 {
					t.Errorf("%s knows of %d observers", d.name, len(b.Observers))
				}
			}
		}
		if len(names) != 5 {
			t.Errorf("backend %d is checked by %v", i+1, names)
		}
	}
}

// Six of nine backends fail at once: that is more than may be out, so something else is wrong.
// Nothing is written, and an alarm is raised at all directors. When only three go on to fail they
// are taken out.
func TestTooManyFailAtOnce(t *testing.T) {
	w := watchers(t, 3, 9)
	w.failing(1, 2, 3, 4, 5, 6)
	for range 60 {
		w.watch(time.Second)
		w.wantOut("with six failing")
	}
	for _, d := range w.directors {
		want := []Alarm{{Failing: 6, Most: 3}}
		if diff := cmp.Diff(want, d.core.Health().Alarms); diff != "" {
			t.Errorf("%s (-want +got):\n%s", d.name, diff)
		}
	}
	if n := w.logged("too many backends fail at once"); n != 1 {
		t.Errorf("%d lines of the alarm, want 1", n)
	}
	w.failing(1, 2, 3)
	w.watch(20 * time.Second)
	w.wantOut("with three failing", 1, 2, 3)
	if alarms := w.directors[0].core.Health().Alarms; len(alarms) > 0 {
		t.Errorf("alarms: %v", alarms)
	}
	w = watchers(t, 3, 9, func(c *Config) { c.Guards.NoVerdictLimit = true })
	w.failing(1, 2, 3, 4, 5, 6)
	w.watch(20 * time.Second)
	if out, kept := w.out(); len(out) != 3 || len(kept) != 3 {
		t.Errorf("without the limit of verdicts %v are out and %v kept", out, kept)
	}
}

// Backends that fail one after the other: the first three are out, the others stay in use.
func TestGuardKeepsTheRest(t *testing.T) {
	w := watchers(t, 3, 9)
	var failing []int
	for _, n := range []int{7, 2, 9, 1, 5} {
		failing = append(failing, n)
		w.failing(failing...)
		w.watch(30 * time.Second)
	}
	out, kept := w.out()
	if diff := cmp.Diff([][]int{{2, 7, 9}, {1, 5}}, [][]int{out, kept}); diff != "" {
		t.Errorf("out and kept (-want +got):\n%s", diff)
	}
	if n := w.logged("stays in use"); n != 2*3 {
		t.Errorf("%d lines of backends that stay in use, want 6", n)
	}
	// One of the first comes back: the next one's turn.
	w.failing(2, 9, 1, 5)
	w.watch(30 * time.Second)
	w.wantOut("after 7 came back", 1, 2, 9)

	w = watchers(t, 3, 9, func(c *Config) { c.Guards.NoFailedLimit = true })
	for n := range 5 {
		w.failing([]int{1, 2, 3, 4, 5}[:n+1]...)
		w.watch(30 * time.Second)
	}
	w.wantOut("without the guard", 1, 2, 3, 4, 5)
}

// A backend that comes and goes every seven seconds stays out.
func TestFlapping(t *testing.T) {
	w := watchers(t, 3, 4)
	began := w.now
	w.reason = func(_ *director, backend netip.Addr) string {
		if backend == testBackend(3) && int(w.now.Sub(began)/(7*time.Second))%2 == 0 {
			return "closed"
		}
		return ""
	}
	var writes, last int
	for range 300 {
		w.watch(time.Second)
		out, _ := w.out()
		if len(out) != last {
			writes, last = writes+1, len(out)
		}
	}
	if writes > 1 {
		t.Errorf("%d changes in five minutes", writes)
	}
}

// A backend that is frozen for 13 s again and again, and good for 27 s in between, long enough to
// come back, does so less and less often, whichever director writes. When it stays good it comes
// back after at most five minutes.
func TestFlappingIsDamped(t *testing.T) {
	w := watchers(t, 3, 4)
	began, frozen := w.now, true
	w.reason = func(_ *director, backend netip.Addr) string {
		if frozen && backend == testBackend(3) && w.now.Sub(began)%(40*time.Second) <
			13*time.Second {
			return "no greeting in time"
		}
		return ""
	}
	flaps := func() (n int, good time.Duration) {
		b := w.directors[2].core.Health().Backends[2]
		return b.Flaps, b.GoodFor
	}
	var returns, last int
	for range 600 {
		w.watch(time.Second)
		out, _ := w.out()
		if len(out) < last {
			returns++
		}
		last = len(out)
		if returns == 1 && !w.directors[0].stopped {
			w.directors[0].crash() // which wrote so far
		}
	}
	n, good := flaps()
	if returns != 1 || n != 1 || good != 30*time.Second {
		t.Errorf("it came back %d times, has %d flaps, must be good for %v", returns, n, good)
	}
	frozen = false
	w.watch(45 * time.Second)
	w.wantOut("when it is good")
	if n, good = flaps(); n != 0 || good != 0 {
		t.Errorf("one that is good has %d flaps and must be good for %v", n, good)
	}
	if n := w.logged("backend has failed"); n < 2 {
		t.Errorf("%d lines", n)
	}
}

// The time that a backend must be good grows to five minutes.
func TestGoodFor(t *testing.T) {
	for flaps, want := range []time.Duration{15, 30, 60, 120, 240, 300, 300} {
		if got := goodFor(directory.Verdict{Flaps: flaps}); got != want*time.Second {
			t.Errorf("after %d flaps %v", flaps, got)
		}
	}
}

// In a split of two and three, each side sees other backends fail: only the larger one acts.
func TestSplitOfWatchers(t *testing.T) {
	for _, unguarded := range []bool{false, true} {
		w := watchers(t, 5, 6, func(c *Config) { c.Guards.NoContactCheck = unguarded })
		w.watch(10 * time.Second)
		w.split(w.directors[:2], w.directors[2:])
		w.reason = func(d *director, backend netip.Addr) string {
			small := slices.Contains(w.directors[:2], d)
			if small && backend == testBackend(1) || !small && backend == testBackend(2) {
				return "no route"
			}
			return ""
		}
		w.watch(40 * time.Second)
		outAt := func(d *director) (out []netip.Addr) {
			for _, b := range d.core.Backends() {
				if b.Backend.Out {
					out = append(out, b.Backend.Addr)
				}
			}
			return out
		}
		if out := outAt(w.directors[0]); (len(out) > 0) != unguarded {
			t.Errorf("unguarded %v: on the smaller side %v are out", unguarded, out)
		}
		if out := outAt(w.directors[4]); !slices.Equal(out, []netip.Addr{testBackend(2)}) {
			t.Errorf("on the larger side %v are out", out)
		}
		if h := w.directors[0].core.Health(); !h.OutOfContact {
			t.Errorf("the smaller side does not say that it is out of contact: %+v", h)
		}
		w.heal()
		w.failing()
		w.watch(40 * time.Second)
		w.wantOut("after the split")
	}
}

// An operator's up ends a failure. The backend is not taken out again while it goes on to fail, and
// can fail again after three good rounds.
func TestUpEndsAFailure(t *testing.T) {
	w := watchers(t, 3, 4)
	w.failing(2)
	w.watch(20 * time.Second)
	w.wantOut("failed", 2)
	if _, err := w.directors[1].do(SetDown{Addr: testBackend(2)}); err != nil {
		t.Fatal(err)
	}
	w.wantOut("after up")
	w.watch(time.Minute)
	w.wantOut("a minute after up")
	if !w.directors[2].core.Health().Backends[1].Cleared {
		t.Error("nobody says that a command ended the failure")
	}
	w.failing()
	w.watch(30 * time.Second)
	if w.directors[2].core.Health().Backends[1].Cleared {
		t.Error("the mark of the command is still there")
	}
	w.failing(2)
	w.watch(20 * time.Second)
	w.wantOut("failed again", 2)
}

// An observer whose checks no longer end does not count, and neither does a director that is gone.
func TestStaleObservations(t *testing.T) {
	w := watchers(t, 3, 4)
	w.failing(2)
	w.watch(20 * time.Second)
	w.deaf[w.directors[1]], w.deaf[w.directors[2]] = true, true
	w.failing()
	w.watch(HealthRound)
	w.wantOut("two say still that it fails", 2)
	w.watch(renewWithin + goodAgreed + 2*time.Second)
	w.wantOut("only one observer counts")
	for _, o := range w.directors[0].core.Health().Backends[1].Observers[1:] {
		if o.Sight != wire.Unseen {
			t.Errorf("%s has an observation still: %+v", o.Director, o)
		}
	}
}

// The writer fails: the next one goes on, and an observation sent before is known to a joiner.
func TestWriterFails(t *testing.T) {
	w := watchers(t, 3, 4)
	w.directors[0].crash()
	w.failing(4)
	w.watch(30 * time.Second)
	w.wantOut("the second writes", 4)
	w.directors[0].boots(false, func(c *Config) { c.Watches, c.Backends = true, testBackends(4) })
	w.watch(10 * time.Second)
	for _, o := range w.directors[0].core.Health().Backends[3].Observers {
		if o.Sight != wire.Failing || o.Reason != "imap:143: connection refused" {
			t.Errorf("the joiner knows of %+v", o)
		}
	}
	w.failing()
	w.watch(40 * time.Second)
	w.wantOut("the first writes again")
	if row, _ := w.directors[2].core.table.Row(testBackend(4)); row.Verdict.Origin != "d1" {
		t.Errorf("the verdict is %+v", row.Verdict)
	}
}

// The writer has lost most of the others and writes no verdict: the next one does.
func TestWriterStandsBack(t *testing.T) {
	w := watchers(t, 5, 4)
	w.split(w.directors[:1], w.directors[2:])
	w.failing(4)
	w.watch(30 * time.Second)
	w.wantOut("the second writes", 4)
	if row, _ := w.directors[1].core.table.Row(testBackend(4)); row.Verdict.Origin != "d2" {
		t.Errorf("the verdict is %+v", row.Verdict)
	}
}

// Users on a backend that is out are moved when they log in, with a hold: whoever asks at another
// director meanwhile waits too. Those who do not log in stay.
func TestLoginMovesFromFailedBackend(t *testing.T) {
	w := watchers(t, 3, 4)
	d1, d2 := w.directors[0], w.directors[1]
	var users []ring.UserHash
	for h := ring.UserHash(1); len(users) < 2; h += 7919 {
		if d1.must(h*2654435761) == testBackend(2) {
			users = append(users, h*2654435761)
		}
	}
	w.watch(time.Second)
	w.failing(2)
	w.watch(20 * time.Second)
	w.wantOut("failed", 2)
	_, id := d1.ask(users[0])
	_, other := d2.ask(users[0])
	if id == 0 || other == 0 {
		t.Fatal("a user of a failed backend is answered at once")
	}
	w.watch(100 * time.Millisecond)
	if _, early := d1.answers[id]; early {
		t.Error("the user is let in before the kick delay has passed")
	}
	w.watch(5 * time.Second)
	a, b := d1.answers[id], d2.answers[other]
	if a.Err != nil || b.Err != nil || a.Backend != b.Backend || a.Backend == testBackend(2) {
		t.Errorf("answers %+v and %+v", a, b)
	}
	if got := d2.must(users[0]); got != a.Backend {
		t.Errorf("later answered %v", got)
	}
	if s := d2.core.User(w.now, "", users[1]); s.Current != testBackend(2) {
		t.Errorf("a user who did not log in was moved to %v", s.Current)
	}
	if n := d1.core.Counters().FailedBackendWaits; n == 0 {
		t.Error("no wait is counted")
	}
	w.wantRest()
}

// More users than may be under way log in: all are moved, and no lookup fails.
func TestManyLoginsOnAFailedBackend(t *testing.T) {
	long(t)
	w := watchers(t, 2, 3)
	d1 := w.directors[0]
	var users []ring.UserHash
	for h := ring.UserHash(1); len(users) < 3*maxFromFailed; h++ {
		if d1.must(h*2654435761) == testBackend(2) {
			users = append(users, h*2654435761)
		}
	}
	w.failing(2)
	w.watch(20 * time.Second)
	ids := make([]uint64, len(users))
	for i, h := range users {
		_, ids[i] = d1.ask(h)
	}
	most := 0
	for range 200 {
		w.watch(100 * time.Millisecond)
		most = max(most, d1.core.moves.FromFailed())
	}
	if most != maxFromFailed {
		t.Errorf("%d under way at a time, want %d", most, maxFromFailed)
	}
	for i, id := range ids {
		if a, ok := d1.answers[id]; !ok || a.Err != nil || a.Backend == testBackend(2) {
			t.Fatalf("user %d of %d: %+v", i, len(ids), a)
		}
	}
	w.wantRest()
}

// A director that does not check backends neither observes nor writes, whatever its name.
func TestOnlyWatchersJudge(t *testing.T) {
	w := newWorld(t)
	w.start("d1")
	for _, name := range []string{"d2", "d3"} {
		w.start(name, func(c *Config) { c.Watches = true })
	}
	w.until("all synced", 10*time.Second, w.allSynced)
	v := &watched{world: w, next: make(map[*director]mono.Time), deaf: make(map[*director]bool)}
	v.failing(1)
	v.watch(30 * time.Second)
	v.wantOut("two of three check", 1)
	h := w.directors[0].core.Health()
	if diff := cmp.Diff([]string{"d2", "d3"}, h.Watching); diff != "" || h.Watches || h.Writer {
		t.Errorf("d1 says %+v\n%s", h, diff)
	}
}

// A backend that an operator has taken down to repair it does not keep the next one in use.
func TestBackendUnderRepairDoesNotCount(t *testing.T) {
	w := watchers(t, 3, 3)
	if _, err := w.directors[1].do(SetDown{Addr: testBackend(3), Down: true}); err != nil {
		t.Fatal(err)
	}
	w.failing(3)
	w.watch(20 * time.Second)
	w.failing(3, 1)
	w.watch(20 * time.Second)
	w.wantOut("one under repair, one failed", 1, 3)
}

// A director of a release that does not know verdicts would not go by them: none is written while
// it is counted.
func TestVerdictsNeedDirectorsThatKnowThem(t *testing.T) {
	w := watchers(t, 3, 4)
	for _, d := range w.directors[:2] {
		d.core.peers.get("d3").registers = verdictRegister - 1
	}
	w.failing(2)
	w.watch(30 * time.Second)
	w.wantOut("beside an older release")
	for _, d := range w.directors[:2] {
		d.core.peers.get("d3").registers = verdictRegister
	}
	w.watch(5 * time.Second)
	w.wantOut("after its upgrade", 2)
}
