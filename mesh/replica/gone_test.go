package replica

import (
	"slices"
	"strings"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// deathSchedules are what may befall a mesh around a death. Each begins a second after the mesh
// has settled.
var deathSchedules = []struct {
	name      string
	directors int
	play      func(m *mortals)
}{
	{"one of five dies", 5, func(m *mortals) { m.die(m.members[4]) }},
	{"then another, when the first was noticed", 5, func(m *mortals) {
		m.die(m.members[4])
		m.at(m.now.Add(m.between(5*time.Second, 5800*time.Millisecond)), func() {
			m.die(m.members[m.rand.IntN(4)])
		})
	}},
	{"then the one that is ahead", 5, func(m *mortals) {
		m.die(m.members[4])
		m.at(m.now.Add(m.between(5400*time.Millisecond, 6200*time.Millisecond)), func() {
			m.die(m.ahead(m.deaths[0]))
		})
	}},
	{"one dies, one joins", 5, func(m *mortals) {
		m.die(m.members[4])
		joins := m.now.Add(m.between(0, 500*time.Millisecond))
		if m.rand.IntN(2) == 0 {
			joins = m.now.Add(m.between(4800*time.Millisecond, 6200*time.Millisecond))
		}
		m.at(joins, func() { m.usersAt(m.add()) })
	}},
	{"one joins, one dies", 5, func(m *mortals) {
		m.usersAt(m.add())
		m.at(m.now.Add(m.between(0, 500*time.Millisecond)), func() { m.die(m.members[4]) })
	}},
	{"one dies, one joins, the one that is ahead dies", 5, func(m *mortals) {
		m.die(m.members[4])
		m.at(m.now.Add(m.between(0, 6200*time.Millisecond)), func() { m.usersAt(m.add()) })
		m.at(m.now.Add(m.between(5400*time.Millisecond, 6200*time.Millisecond)), func() {
			m.die(m.ahead(m.deaths[0]))
		})
	}},
	{"three of seven die, one joins", 7, func(m *mortals) {
		for _, d := range m.members[4:] {
			m.die(d)
		}
		m.at(m.now.Add(m.between(0, 6200*time.Millisecond)), func() { m.usersAt(m.add()) })
	}},
	{"a restart in 0.3 s", 5, func(m *mortals) {
		d := m.members[3]
		m.die(d)
		m.at(m.now.Add(300*time.Millisecond), func() { m.restart(d) })
	}},
	{"a restart in 0.3 s, then the one that is ahead dies", 5, func(m *mortals) {
		d := m.members[3]
		m.die(d)
		m.at(m.now.Add(300*time.Millisecond), func() { m.restart(d) })
		m.at(m.now.Add(m.between(300*time.Millisecond, 1300*time.Millisecond)), func() {
			if a := m.ahead(m.deaths[0]); a != d {
				m.die(a)
			}
		})
	}},
}

func playDeath(t *testing.T, schedule int, seed uint64, guards Guards) (*mortals, []string) {
	s := deathSchedules[schedule]
	m := newMortals(t, seed, s.directors, guards)
	m.run(time.Second)
	s.play(m)
	m.quietAt = m.now.Add(1500 * time.Millisecond)
	m.run(20 * time.Second)
	return m, m.differences()
}

// Whoever lives has the same part of the log of each of the dead in the end, whatever was under
// way when they died.
func TestRowsOfTheDead(t *testing.T) {
	seeds := uint64(8)
	if testing.Short() {
		seeds = 2
	}
	for i, s := range deathSchedules {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			var asked uint64
			for seed := uint64(1); seed <= seeds; seed++ {
				m, differ := playDeath(t, i, seed, Guards{})
				if len(differ) > 0 {
					t.Errorf("seed %d: %v", seed, differ)
				}
				for _, d := range m.members {
					asked += d.core.counters.RestsWanted
				}
			}
			if asked == 0 {
				t.Error("nobody ever lacked anything; the test shows nothing")
			}
		})
	}
}

// What these guards prevent happens when they are off.
func TestRowsOfTheDeadUnguarded(t *testing.T) {
	for name, test := range map[string]struct {
		guards   Guards
		schedule string
	}{
		"asking again": {Guards{NoAskAgain: true}, "then the one that is ahead"},
		"a gap":        {Guards{NoRests: true}, "one of five dies"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, s := range deathSchedules {
				for seed := uint64(1); s.name == test.schedule && seed <= 40; seed++ {
					_, differ := playDeath(t, i, seed, test.guards)
					inUsers := func(s string) bool { return strings.HasSuffix(s, "users") }
					if i := slices.IndexFunc(differ, inUsers); i >= 0 {
						t.Logf("seed %d: %v", seed, differ[i])
						return
					}
				}
			}
			t.Error("nobody lacks anything although the guard is off")
		})
	}
}

// Two that cannot reach each other for a while have a third in the middle. When one of them
// dies, the other one is told what it has missed: of activity too, which digests leave out.
func TestRelayInTheMiddleDies(t *testing.T) {
	// The tail of the log is 45 s.
	for apart, bySnapshot := range map[time.Duration]bool{
		12 * time.Second: false, 70 * time.Second: true,
	} {
		w := started(t, 3)
		a, b, c := w.directors[0], w.directors[1], w.directors[2]
		var users []ring.UserHash
		for h := ring.UserHash(7); len(users) < 50; h += 0x01234567 {
			users = append(users, h)
			a.must(h)
		}
		w.run(40 * time.Second)
		w.split([]*director{a}, []*director{c})
		w.run(failAfter + time.Second)
		for _, h := range users {
			a.must(h)
		}
		for end := w.now.Add(apart); w.now < end; {
			w.run(time.Second)
			a.must(users[0])
		}
		a.crash()
		c.logs = nil
		w.run(failAfter + 2*time.Second)
		w.until("b and c synced", 10*time.Second, w.allSynced)
		for _, h := range users {
			atB, _ := b.dir.Find("", h, b.core.MeshTime(w.now))
			atC, _ := c.dir.Find("", h, c.core.MeshTime(w.now))
			if atB != atC {
				t.Fatalf("apart for %v: b has %+v, c %+v", apart, atB, atC)
			}
		}
		took := slices.ContainsFunc(c.logs, func(l Log) bool { return l.Text == "snapshot taken" })
		if took != bySnapshot || c.core.counters.RestsWanted == 0 {
			t.Errorf("apart for %v: snapshot taken: %v; counters %+v", apart, took, c.core.counters)
		}
	}
}

// What comes of a director's log from others, while it is away, may leave a hole before it. That is
// a gap as soon as the director is back, although its log goes on without a jump.
func TestHoleBeforeTheRest(t *testing.T) {
	w := started(t, 3)
	a, b, c := w.directors[0], w.directors[1], w.directors[2]
	const h, later = 0x4242, 0x777
	c.must(h)
	w.run(testExpire / 4)
	w.split([]*director{c}, []*director{a, b})
	w.run(failAfter + time.Second)
	c.must(h) // its activity is news to the others
	w.run(logs.KeptFor + time.Second)
	c.must(later)
	delete(w.cut, [2]string{c.name, b.name}) // b hears c, which does not hear b
	w.until("a has the rest that c still keeps", 5*time.Second, func() bool {
		_, status := a.dir.Find("", later, a.core.MeshTime(w.now))
		return status == directory.Live
	})
	w.heal()
	w.run(time.Second)
	w.until("all synced", 10*time.Second, w.allSynced)
	atA, _ := a.dir.Find("", h, a.core.MeshTime(w.now))
	atC, _ := c.dir.Find("", h, c.core.MeshTime(w.now))
	if atA != atC {
		t.Errorf("a has %+v, c %+v", atA, atC)
	}
}

// A joiner may take its snapshot from a director that has not heard yet that it lacks rows of a
// dead one. It never met that one, but knows from the snapshot how much of its log is in there.
func TestJoinerOfADonorThatIsBehind(t *testing.T) {
	for _, guards := range []Guards{{}, {NoJoinerPositions: true}} {
		w := started(t, 3, func(c *Config) { c.Guards = guards })
		d1, d3 := w.directors[0], w.directors[2]
		w.split([]*director{d1}, []*director{d3})
		w.run(failAfter + time.Second)
		const h = 0x4242
		want := d3.must(h)
		w.run(time.Second)
		d3.crash()
		w.filter = func(to *director, m wire.Message) bool { // it takes its time
			_, told := m.(*wire.GonePositions)
			return !told || to != d1
		}
		w.run(failAfter + time.Second)
		d4 := w.start("d4", func(c *Config) { c.Guards = guards })
		w.until("d4 is synced", 10*time.Second, d4.core.synced)
		donated := func(l Log) bool { return l.Text == "giving a snapshot" }
		if !slices.ContainsFunc(d1.logs, donated) {
			t.Fatal("d1 gave no snapshot; the test shows nothing")
		}
		if m, status := d1.dir.Find("", h, d1.core.MeshTime(w.now)); status == directory.Live {
			t.Fatalf("d1 has %+v already; the test shows nothing", m)
		}
		m, status := d4.dir.Find("", h, d4.core.MeshTime(w.now))
		if got := status == directory.Live && m.Backend == want; got == guards.NoJoinerPositions {
			t.Errorf("positions ignored: %v; d4 has the row: %v", guards.NoJoinerPositions, got)
		}
	}
}

// The rest of a dead director's log is asked for as a snapshot of whom there is a stream to. A
// peer without one does not hear the request, and the rest of another log would wait for it.
func TestRestBySnapshotOfWhomItReaches(t *testing.T) {
	w := started(t, 3)
	c := w.directors[0].core
	for _, name := range []string{"d2", "d3"} {
		id := logs.ID{Name: "gone-" + name, Boot: 1}
		log := c.logs.Open(id)
		c.logs.Want(w.now, log, true)
		log.NoteShort(name)
		p := c.peers.get(name)
		p.claims.Note(id, logs.Spans{{From: 1, To: 9}})
		p.out = name == "d3"
	}
	if p := c.restBySnapshot(w.now); p == nil || p.name != "d3" {
		t.Errorf("the snapshot is of %+v", p)
	}
}

// Directors that hang one after the other do not make messages multiply: a failure costs a few,
// once.
func TestFailuresDoNotMultiplyMessages(t *testing.T) {
	long(t)
	count := func(faults bool) (all int, idle []int) {
		m := newMortals(t, 1, 5, Guards{})
		m.latency = nil
		m.run(10 * time.Second)
		m.sent()
		for i := range 8 {
			if faults {
				m.hang(m.members[2*i%5], 6500*time.Millisecond)
				m.hang(m.members[(2*i+1)%5], 6500*time.Millisecond)
			}
			m.run(10 * time.Second)
			all += m.sent()
			m.run(5 * time.Second)
			idle = append(idle, m.sent())
			all += idle[i]
		}
		m.quietAt = m.now
		m.run(5 * time.Second)
		if differ := m.differences(); len(differ) > 0 {
			t.Errorf("faults %v: %v", faults, differ)
		}
		return all, idle
	}
	without, quiet := count(false)
	with, idle := count(true)
	t.Logf("messages: %d without failures, %d with eight", without, with)
	if with > 2*without {
		t.Errorf("%d messages with eight failures, %d without", with, without)
	}
	for i := range idle {
		if idle[i] > quiet[i]*11/10 {
			t.Errorf("10 s after failure %d began %d messages in 5 s, %d without",
				i+1, idle[i], quiet[i])
		}
	}
}

// Three of fifty die while one is away, which comes back after 100 s and has missed what they
// did before.
func TestThreeOfFiftyDieWhileOneIsAway(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	m := newMortals(t, 1, 50, Guards{})
	m.quietAt = m.now.Add(3 * time.Second)
	m.run(time.Second)
	away, others := m.members[49], m.members[:49]
	m.cut(away, others[:3], true) // it misses these three first
	m.run(500 * time.Millisecond)
	m.cut(away, others[3:], true)
	m.run(500 * time.Millisecond)
	for _, d := range others[:3] {
		m.die(d)
	}
	m.run(100 * time.Second)
	m.cut(away, others[3:], false)
	m.run(20 * time.Second)
	if differ := m.differences(); len(differ) > 0 {
		t.Error(differ)
	}
}

// What a peer says of a log that nobody has does not keep this director from answering for
// long, nor does it take much memory.
func TestWordOfPhantomLogs(t *testing.T) {
	for name, answers := range map[string]bool{
		"the peer has it not": true, "nothing comes": false,
	} {
		t.Run(name, func(t *testing.T) {
			w := started(t, 2)
			d1, d2 := w.directors[0], w.directors[1]
			w.filter = func(_ *director, m wire.Message) bool {
				_, asks := m.(*wire.LogRequest)
				return answers || !asks
			}
			said := &wire.GonePositions{Logs: []wire.Position{{Name: "ghost", Boot: 7, Seq: 500}}}
			d1.core.Receive(w.now, d1.sessions["d2"], said)
			if d1.core.synced() {
				t.Fatal("d1 is synced although a peer has more than it; the test shows nothing")
			}
			w.deliver()
			if !answers {
				w.run(logs.RestWithin + time.Second)
			}
			if self := d1.core.Self(w.now); !self.Synced {
				t.Errorf("d1 is not synced: %s", self.Reason)
			}
			for n := range uint64(10 * logs.MaxGone) {
				said.Logs[0].Boot = n + 10
				d1.core.Receive(w.now, d1.sessions["d2"], said)
			}
			known, behind := d1.core.logs.Len(), len(d1.core.logs.Behind())
			told := len(d1.core.peers.get(d2.name).claims)
			if max(known, told, behind) > logs.MaxGone+1 {
				t.Errorf("%d logs are remembered, %d as d2 tells, %d are waited for",
					known, told, behind)
			}
		})
	}
}

// A director was away from two others for different times. A snapshot of what is new since it
// lost the second does not have what the first one, which is dead now, did before: it must not
// be taken for that.
func TestSnapshotSinceAnotherGap(t *testing.T) {
	m := newMortals(t, 1, 3, Guards{})
	m.quietAt = m.now
	a, b, c := m.members[0], m.members[1], m.members[2]
	m.run(time.Second)
	m.cut(c, []*member{a}, true)
	m.run(7 * time.Second)
	for h := ring.UserHash(1); h < 20; h++ {
		if _, ok := a.core.TryLookup(m.now, "", h*80021); !ok {
			t.Fatal("a lookup waits")
		}
		m.users = append(m.users, h*80021)
	}
	m.run(50 * time.Second)
	m.cut(c, []*member{b}, true)
	m.run(40 * time.Second)
	b.core.TryLookup(m.now, "", 5) // so that c has a gap in b's log
	m.run(time.Second)
	m.die(a)
	m.run(7 * time.Second)
	m.cut(c, []*member{b}, false)
	m.run(10 * time.Second)
	if differ := m.differences(); len(differ) > 0 {
		t.Error(differ)
	}
}

// A director hangs, counts as failed, and what it wrote last comes by another one before its
// own frames do. Its holds are confirmed all the same.
func TestHoldOfOneThatSeemedDead(t *testing.T) {
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	const h = 1234
	to := testBackend(1)
	if d3.must(h) == to {
		to = testBackend(2)
	}
	w.run(time.Second)
	var held []mail // what d3 sent to d1 lately: it waits in a kernel
	w.filter = func(to *director, m wire.Message) bool {
		if seq, _ := wire.LogSeq(m); to == d1 && seq != 0 {
			held = append(held, mail{d1.sessions["d3"], reread(t, m)})
			return false
		}
		return true
	}
	id := d3.begin(Move{Hash: h, Backend: to, Wait: true})
	d3.carryOut()
	w.filter = nil
	if len(held) == 0 {
		t.Fatal("no hold was sent")
	}
	w.deliver()
	d3.stopped = true
	w.run(failAfter + time.Second)
	if n := d1.core.counters.RestMessages; n != 1 {
		t.Fatalf("d1 has got %d messages of d3's log from d2; the test shows nothing", n)
	}
	d3.stopped = false
	d1.inbox = append(held, d1.inbox...)
	w.until("the move ends", 5*time.Second, func() bool { _, done := d3.done[id]; return done })
	if err := d3.done[id].Err; err != nil || d3.core.counters.Exclusions > 0 {
		t.Errorf("the move ended with %v, %d peers excluded", err, d3.core.counters.Exclusions)
	}
}

// A log is of this process by name and boot id: that of another director may have been given the
// same number.
func TestIsOurs(t *testing.T) {
	c := &Core{cfg: Config{Name: "d1"}, boot: 7, boots: []uint64{5, 6}}
	for id, want := range map[logs.ID]bool{
		{Name: "d1", Boot: 7}: true, {Name: "d1", Boot: 5}: true, {Name: "d1", Boot: 8}: false,
		{Name: "d2", Boot: 7}: false, {Name: "d2", Boot: 6}: false,
	} {
		if got := c.isOurs(id); got != want {
			t.Errorf("%v: %v, want %v", id, got, want)
		}
	}
}

// A director is away if it has failed, and not if it left, or was only heard of.
func TestSomeoneAway(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(p *peer)
		want   bool
	}{
		{"there", func(*peer) {}, false},
		{"failed", func(p *peer) { p.live = false }, true},
		{"left", func(p *peer) { p.live, p.left = false, true }, false},
		{"only heard of", func(p *peer) { p.live, p.boot = false, 0 }, false},
	} {
		c := crowd(2, func(i int, p *peer) {
			if i == 1 {
				test.change(p)
			}
		})
		if got := c.peers.all.someAway(); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// A part of a log that was asked for shows that the rest is under way.
func TestPartOfALogIsProgress(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	c := d1.core
	w.now = w.now.Add(logs.RestWithin + time.Second)
	log := c.logs.Open(logs.ID{Name: "d9", Boot: 9})
	if !log.Stalled(w.now) {
		t.Fatal("it is not stalled before, the test shows nothing")
	}
	log.Ask(w.now, d2.name)
	rows := reread(t, &wire.Rows{Seq: 1})
	c.gotLogPart(w.now, c.peers.get(d2.name),
		&wire.LogPart{Name: "d9", Boot: 9, From: 1, Entries: []wire.Message{rows}})
	if log.Stalled(w.now) || log.Asked() != "" {
		t.Errorf("a part came; stalled: %v, asked: %q", log.Stalled(w.now), log.Asked())
	}
}

// A director that is restarted keeps what was forgotten shortly before for longer than the others,
// which give the users mappings of the first generation by then. It takes them up all the same.
func TestForgottenBeforeARestart(t *testing.T) {
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	h := func(i int) ring.UserHash { return ring.UserHash(i+1) * 0x00651237 }
	const users = 40
	w.run(7 * time.Second)
	for i := range users {
		d1.must(h(i))
		d1.begin(Move{Hash: h(i), Backend: testBackend(1)})
	}
	w.run(4 * time.Second)
	if _, err := d1.do(Forget{Addr: testBackend(1)}); err != nil {
		t.Fatal(err)
	}
	forgotten := w.now
	w.run(10 * time.Second)
	d3.crash()
	w.run(failAfter + time.Second)
	d3.boots(false)
	w.until("all synced", 10*time.Second, w.allSynced)
	w.until("d1 has swept them", 75*time.Second-w.now.Sub(forgotten), func() bool {
		_, status := d1.dir.Find("", h(users-1), d1.core.MeshTime(w.now))
		return status == directory.None
	})
	for i := range users {
		d1.must(h(i))
	}
	w.run(2 * time.Second)
	for i := range users {
		want, _ := d1.dir.Find("", h(i), d1.core.MeshTime(w.now))
		for _, d := range w.directors {
			got, status := d.dir.Find("", h(i), d.core.MeshTime(w.now))
			if status != directory.Live || got.Backend != want.Backend {
				t.Errorf("%s has %+v, %v, d1 %+v", d.name, got, status, want)
			}
		}
	}
}
