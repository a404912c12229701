package replica

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/lookups"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/replica/internal/waiters"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// A joiner does not wait for a director that it has not met and that leaves or fails, and shows it
// no more, as soon as those say so that had it named. One that does not answer itself may have
// begun another life, and memberlist and other peers may know better.
func TestNamedAndGone(t *testing.T) {
	named := func(d *director) bool {
		return d.core.admission.named.Has("d2") || slices.ContainsFunc(d.core.Peers(d.w.now),
			func(p PeerStatus) bool { return p.Name == "d2" })
	}
	for _, test := range []struct {
		name   string
		before func(joiner *director)
		waits  bool
	}{
		{"left", func(*director) {}, false},
		{"it is not synced", func(j *director) { j.core.peers.get("d1").synced = false }, true},
		{"another one counts it", func(j *director) {
			j.core.peers.get("d3").counts = maps.Clone(j.core.peers.get("d1").counts)
		}, true},
		{"memberlist holds it alive", func(j *director) {
			d2 := j.w.named("d2").core
			j.core.MemberJoined(j.w.now, "d2", d2.cfg.Addr, d2.boot)
		}, true},
	} {
		w := started(t, 3)
		w.run(time.Second)
		d1, d2 := w.directors[0], w.directors[1]
		j := w.start("joiner")
		w.split([]*director{d2}, []*director{j})
		w.until("d2 is named", 5*time.Second, func() bool { return named(j) })
		w.run(50 * time.Millisecond)
		if !named(j) || j.core.synced() {
			t.Fatal("the joiner does not wait for d2")
		}
		test.before(j)
		gone := &wire.Counting{Gone: []wire.Life{{Name: "d2", Boot: d2.core.boot}}}
		if test.name != "another one counts it" {
			j.core.peers.get("d3").counts = nil
		}
		j.hears(d1, gone)
		if got := named(j); got != test.waits {
			t.Errorf("%s: waits for it or shows it: %v, want %v", test.name, got, test.waits)
		}
	}
	w := started(t, 2)
	w.run(time.Second)
	j := w.start("joiner")
	w.split(w.directors[1:2], w.directors[2:])
	w.until("d2 is named", 5*time.Second, func() bool { return named(j) })
	w.directors[1].leave()
	w.until("the joiner is synced", 2*time.Second, func() bool {
		return j.core.synced() && !named(j)
	})
}

// A peer that says that it is synced, whose beats flow, and that never admits anybody keeps nobody
// from answering for long.
func TestPeerThatNeverAdmits(t *testing.T) {
	for _, directors := range []int{2, 3, 5} {
		t.Run(fmt.Sprint(directors), func(t *testing.T) {
			w := started(t, directors)
			d1, mute := w.directors[0], w.directors[directors-1]
			d1.must(1)
			w.lose = func(from, to *director, m wire.Message) bool {
				_, admitted := m.(*wire.Admitted)
				return admitted && from == mute
			}
			d1.stopped = true
			w.run(2 * time.Second)
			d1.stopped = false
			w.run(time.Second)
			if d1.core.synced() {
				t.Fatal("d1 answers although it slept and a peer has not admitted it")
			}
			w.run(confirmWithin)
			if !d1.core.synced() {
				t.Fatalf("d1 does not answer: %s", d1.core.Self(w.now).Reason)
			}
			unsynced := w.unsynced(d1, 30*time.Second)
			if unsynced > 0 {
				t.Errorf("d1 is not synced for %v of the next 30 s", unsynced)
			}
			w.lose = nil
			w.until("all synced", 10*time.Second, w.allSynced)
		})
	}
}

// unsynced lets time pass and returns for how long of it a director did not answer.
func (w *world) unsynced(d *director, length time.Duration) (unsynced time.Duration) {
	const step = 25 * time.Millisecond
	for range length / step {
		w.run(step)
		if !d.core.synced() {
			unsynced += step
		}
	}
	return unsynced
}

// A joiner that waits for a director in vain tells the members. They exclude it if it does not
// answer them either.
func TestJoinerWaitsInVain(t *testing.T) {
	for _, test := range []struct {
		name      string
		toAll     bool // d3 admits nobody, else only not the joiner
		unguarded bool
		excluded  bool // d3 is, by the members
		byJoiner  bool
	}{
		{name: "a peer answers all but the joiner"},
		{name: "a peer answers nobody", toAll: true, excluded: true},
		{name: "joiners exclude", unguarded: true, byJoiner: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := started(t, 3)
			d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
			d4 := w.start("d4", func(c *Config) { c.Guards.JoinersExclude = test.unguarded })
			w.lose = func(from, to *director, m wire.Message) bool {
				_, admitted := m.(*wire.Admitted)
				return admitted && from == d3 && (test.toAll || to == d4)
			}
			w.until("d4 answers", 2*confirmWithin+2*time.Second, d4.core.synced)
			byJoiner := d4.core.counters.Exclusions > 0
			w.run(2 * time.Second)
			got := d1.core.counters.Exclusions > 0 && d2.core.counters.Exclusions > 0
			if got != test.excluded {
				t.Errorf("the members excluded d3: %v, want %v", got, test.excluded)
			}
			if byJoiner != test.byJoiner {
				t.Errorf("the joiner excluded d3: %v, want %v", byJoiner, test.byJoiner)
			}
			for _, d := range []*director{d1, d2, d4} {
				if unsynced := w.unsynced(d, 10*time.Second); unsynced > 0 {
					t.Errorf("%s is not synced for %v", d.name, unsynced)
				}
			}
			w.lose = nil
			w.until("all synced", 20*time.Second, w.allSynced)
		})
	}
}

// A joiner that goes on without a peer which counts it, and which it counts, has that ask again.
func TestLeftOutByAJoiner(t *testing.T) {
	w := started(t, 3)
	d3 := w.directors[2]
	d4 := w.start("d4")
	w.lose = func(_, to *director, m wire.Message) bool {
		_, chunk := m.(*wire.SnapshotChunk)
		return chunk && to == d4
	}
	w.until("d4 and d3 count each other", 5*time.Second, func() bool {
		p := d4.core.peers.get("d3")
		return p != nil && p.Counted && p.CountsUs && d3.core.peers.get("d4").Counted
	})
	p := d4.core.peers.get("d3")
	p.lacking = true
	p.Begin(w.now, 0)
	p.Report(w.now.Add(-confirmWithin - 1))
	d4.core.complain(w.now, suspect{p, "gives no snapshot"})
	if !p.Barred() {
		t.Fatal("d4 does not go on without d3")
	}
	w.lose = nil
	w.until("d4 and d3 show each other as synced", 30*time.Second, func() bool {
		return d4.core.peerState(d4.core.peers.get("d3")) == Synced &&
			d3.core.peerState(d3.core.peers.get("d4")) == Synced
	})
}

// A joiner waits for each director that any of those who admit it names, the donor or not.
func TestJoinerWaitsForAllThatAreNamed(t *testing.T) {
	for _, blind := range []string{"d1", "d2"} { // who does not count d3
		t.Run(blind, func(t *testing.T) {
			w := started(t, 3)
			d3 := w.directors[2]
			w.split([]*director{w.named(blind)}, []*director{d3})
			w.run(failAfter + 2*time.Second)
			d4 := w.start("d4")
			w.cut[[2]string{"d4", "d3"}], w.cut[[2]string{"d3", "d4"}] = true, true
			w.run(2 * time.Second)
			if d4.core.synced() {
				t.Fatal("d4 answers although it was told of d3 and has not met it")
			}
			delete(w.cut, [2]string{"d4", "d3"})
			delete(w.cut, [2]string{"d3", "d4"})
			w.until("d4 answers", time.Second, d4.core.synced)
			if !d3.core.peers.get("d4").Counted {
				t.Error("d4 answers before d3 counts it")
			}
		})
	}
}

// A director that does not take in what it is sent, but whose beats flow, takes itself out of the
// mesh, not the others.
func TestDeafDirector(t *testing.T) {
	for _, directors := range []int{2, 3, 5} {
		for _, unguarded := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d, unguarded: %v", directors, unguarded), func(t *testing.T) {
				w := started(t, directors, func(c *Config) { c.Guards.NoMajority = unguarded })
				w.trace = true
				deaf := w.directors[directors-1]
				w.lose = func(from, to *director, m wire.Message) bool {
					_, beat := m.(*wire.Beat)
					return to == deaf && !beat
				}
				deaf.begin(UpdateBackend{Addr: testBackend(1), VHosts: 50})
				lost := make(map[string]time.Duration)
				for end := w.now.Add(40 * time.Second); w.now < end; w.run(25 * time.Millisecond) {
					for _, d := range w.directors {
						if !d.core.synced() {
							lost[d.name] += 25 * time.Millisecond
						}
					}
				}
				stopped := false // some other director for seconds
				for _, d := range w.directors[:directors-1] {
					stopped = stopped || lost[d.name] > 2*time.Second
				}
				if want := unguarded && directors > 2; directors > 2 && stopped != want {
					t.Errorf("others stopped answering: %v, want %v (%v)", stopped, want, lost)
				}
				if directors == 2 && lost["d1"] > confirmWithin+time.Second {
					t.Errorf("d1 was stopped for %v", lost["d1"])
				}
				w.lose = nil
				w.until("all synced", 10*time.Second, w.allSynced)
			})
		}
	}
}

// Two directors that exclude each other are together again after a round trip.
func TestMutualExclusion(t *testing.T) {
	for _, directors := range []int{2, 3, 5} {
		t.Run(fmt.Sprint(directors), func(t *testing.T) {
			w := started(t, directors)
			d1, d2 := w.directors[0], w.directors[1]
			d1.core.exclude(w.now, suspect{d1.core.peers.get("d2"), "a test"})
			d2.core.exclude(w.now, suspect{d2.core.peers.get("d1"), "a test"})
			w.until("all synced", 3*time.Second, w.allSynced)
			w.run(2 * confirmWithin)
			if !w.allSynced() {
				t.Error("not synced any more")
			}
		})
	}
}

// content is what a director holds of some users.
func (d *director) content(users []ring.UserHash) map[ring.UserHash]directory.Mapping {
	rows := make(map[ring.UserHash]directory.Mapping)
	for _, h := range users {
		if m, status := d.core.dir.Find("", h, d.core.MeshTime(d.w.now)); status == directory.Live {
			rows[h] = m
		}
	}
	return rows
}

// A side of a split comes back after longer than logs are kept. Those who answered on it have died
// meanwhile, so that no log has their rows. As soon as all are synced, everybody holds its users,
// their recorded activity and the acknowledged table changes; and the other side went on answering.
func TestMinorityComesBack(t *testing.T) {
	long(t)
	for _, unguarded := range []bool{false, true} {
		t.Run(fmt.Sprintf("unguarded: %v", unguarded), func(t *testing.T) {
			long := func(c *Config) {
				c.Guards.OneWayAdmission = unguarded
				c.Expire, c.Directory = 20*time.Minute, directory.New(20*time.Minute)
			}
			w := started(t, 5, long)
			w.trace = true
			d1, d2 := w.directors[0], w.directors[1]
			var known, fresh []ring.UserHash
			for h := ring.UserHash(1); h < 40; h++ {
				known, fresh = append(known, h*50000017), append(fresh, h*50000017+1)
				d1.must(h * 50000017)
			}
			w.run(30 * time.Second)
			w.split(w.directors[:2], w.directors[2:])
			w.run(failAfter + time.Second)
			for i := range known {
				d1.must(known[i])
				d1.must(fresh[i])
			}
			vhosts := ring.DefaultVHosts
			if !unguarded { // d2 would log it, and its log have a gap
				vhosts = 7
				_, err := d1.do(UpdateBackend{Addr: testBackend(1), VHosts: vhosts})
				if err != nil {
					t.Fatal(err)
				}
			}
			w.run(time.Second)
			d1.stopped = true
			w.run(logs.GoneReported + time.Minute)
			want := d2.content(append(known, fresh...))
			w.heal()
			d1.crash()
			stopped := make(map[string]time.Duration)
			w.until("all are synced", 15*time.Second, func() bool {
				for _, d := range w.directors[2:] {
					if !d.core.synced() {
						stopped[d.name] += 25 * time.Millisecond
					}
				}
				return w.allSynced()
			})
			missing := 0
			for _, d := range w.directors[2:] {
				if stopped[d.name] > 0 {
					t.Errorf("%s did not answer for %v", d.name, stopped[d.name])
				}
				if row, _ := d.core.table.Row(testBackend(1)); row.VHosts.Value != vhosts {
					t.Errorf("%s has %d vhosts, want %d", d.name, row.VHosts.Value, vhosts)
				}
				diff := cmp.Diff(want, d.content(append(known, fresh...)),
					cmp.Comparer(func(a, b directory.Mapping) bool { return a == b }))
				if diff != "" {
					if missing++; !unguarded {
						t.Errorf("%s differs from d2 (-d2 +%[1]s):\n%s", d.name, diff)
					}
				}
			}
			if unguarded && missing == 0 {
				t.Error("unguarded, but nothing is missing: the test shows nothing")
			}
		})
	}
}

// A director that comes back after a moment takes and gives only what changed since, not all that
// there is.
func TestComingBackIsCheap(t *testing.T) {
	long(t)
	w := started(t, 3, func(c *Config) {
		c.Expire = 10 * time.Minute
		c.Directory = directory.New(10 * time.Minute)
	})
	d1, d3 := w.directors[0], w.directors[2]
	for h := range ring.UserHash(20_000) {
		d1.must(h*214_000 + 1)
	}
	w.run(time.Minute)
	rows := 0
	w.filter = func(to *director, m wire.Message) bool {
		switch m := m.(type) {
		case *wire.Rows:
			rows += rowset.Count(m.Blocks)
		case *wire.SnapshotChunk:
			rows += rowset.Count(m.Blocks)
		}
		return true
	}
	w.split(w.directors[:2], w.directors[2:])
	w.run(failAfter + 4*time.Second)
	for h := range ring.UserHash(10) {
		d1.must(h*214_000 + 2)
		d3.must(h*214_000 + 3)
	}
	w.heal()
	w.until("all are synced", 5*time.Second, w.allSynced)
	if rows > 200 {
		t.Errorf("%d rows sent for 20 that changed", rows)
	}
	w.split(w.directors[:2], w.directors[2:])
	w.run(2 * logs.KeptFor)
	for h := range ring.UserHash(10) {
		d1.must(h*214_000 + 4)
		d3.must(h*214_000 + 5)
	}
	rows = 0
	w.heal()
	w.until("all are synced", 5*time.Second, w.allSynced)
	if rows > 400 {
		t.Errorf("%d rows sent for 20 that changed while the logs ran out", rows)
	}
}

// A lookup that has waited for as long as it may when its user is released is answered, and does
// not fail.
func TestReleaseAtTheEndOfPatience(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	const h = 4711
	place := d1.must(h)
	row, _, _ := d1.dir.Supersede("", h, place, true, d1.core.MeshTime(w.now), 0)
	u := ring.User{Tag: "", Hash: h}
	d1.core.follow(w.now, u, row, moves.Replaced{})
	_, id := d1.ask(h)
	if id == 0 {
		t.Fatal("answered although the user is held")
	}
	w.run(2 * time.Second)
	// Both end at the next tick.
	d1.core.moves.Held.Release(u)
	d1.core.follow(w.now.Add(25*time.Millisecond-moves.HoldFor), u, row, moves.Replaced{})
	d1.core.CancelLookup(id)
	since := w.now.Add(25*time.Millisecond - waiters.Deadline)
	d1.core.wait(since, &waiters.Wait{User: u, ID: id}, lookups.BeingMoved)
	w.run(25 * time.Millisecond)
	if a, ok := d1.answers[id]; !ok || a.Err != nil || a.Backend != place {
		t.Errorf("the lookup ended with %+v, %v, want %v", a, ok, place)
	}
	if n := d1.core.waiters.Len(); n > 0 {
		t.Errorf("%d lookups still wait", n)
	}
}

// No lookup waits for longer than it may, and each ends once.
func TestWaitsAreBounded(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	for i := range 4 {
		if _, err := d1.do(UpdateBackend{Addr: testBackend(i + 1), VHosts: 0}); err != nil {
			t.Fatal(err)
		}
	}
	_, id := d1.ask(1)
	w.run(waiters.Deadline - 50*time.Millisecond)
	if a, ok := d1.answers[id]; ok {
		t.Fatalf("ended too soon with %+v", a)
	}
	w.run(100 * time.Millisecond)
	if a, ok := d1.answers[id]; !ok || a.Err == nil {
		t.Errorf("after 30 s: %+v, %v", a, ok)
	}
	if n := d1.core.waiters.Len(); n > 0 {
		t.Errorf("%d lookups still wait", n)
	}
}

// What a director waits for outside loses no more and no less time than the director slept.
func TestPauseIsNotPatience(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	d2.stopped = true // hangs
	d1.begin(UpdateBackend{Addr: testBackend(1), VHosts: 50})
	w.run(time.Second)
	c := d1.core
	latest := func() (waits time.Duration) { // the longest that d1 has waited for d2
		for len(c.barrier.Overdue(w.now, waits)) > 0 {
			waits += time.Millisecond
		}
		return waits
	}
	before := latest()
	w.now = w.now.Add(20 * time.Second)
	c.Tick(w.now)
	if got := latest(); got != before || got < time.Second {
		t.Errorf("after the pause the peer has kept it waiting for %v, before for %v", got, before)
	}
}

// Whoever joins takes the snapshot of a member that counts it, unless a member is of a mesh above.
func TestCandidates(t *testing.T) {
	above := wire.MeshRank{ID: 8, Age: 1000, Grown: true}
	for _, test := range []struct {
		name   string
		change func(p *peer)
		want   []string
	}{
		{"all alike", func(*peer) {}, []string{"d2", "d3"}},
		{"one is not synced", func(p *peer) { p.synced = false }, []string{"d2"}},
		{"one is of a mesh above", func(p *peer) { p.mesh = above }, nil},
		{"one of a mesh above does not answer", func(p *peer) { p.mesh, p.synced = above, false },
			[]string{"d2"}},
		{"one does not count us", func(p *peer) { p.CountsUs = false }, []string{"d2"}},
		{"no stream is open to one", func(p *peer) { p.out = false }, []string{"d2"}},
	} {
		c := crowd(2, func(i int, p *peer) {
			if p.synced, p.out = true, true; i == 1 {
				test.change(p)
			}
		})
		c.admission.synced, c.admission.bootstrapped, c.admission.member = false, false, false
		_, synced := c.candidates(0)
		var got []string
		for _, p := range synced {
			got = append(got, p.name)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
