package lookups

import (
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/ring"
)

const start = mono.Time(time.Hour)

// desk is what answers need around them.
type desk struct {
	*Answers
	dir      *directory.Directory
	clock    meshtime.Clock
	outbox   rowset.Outbox
	table    *directory.Table
	backends []ring.Backend
}

func backend(n byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, n}) }

// newDesk is a synced director with two backends and one user on each of them.
func newDesk(guards Guards) *desk {
	d := &desk{dir: directory.New(directory.DefaultExpire)}
	for n := range byte(2) {
		d.backends = append(d.backends, ring.Backend{
			Addr: backend(n + 1), VHosts: ring.DefaultVHosts,
		})
	}
	d.table = directory.NewTable(0, "d1", d.backends)
	d.dir.SetBackends(d.table.Snapshot().Backends)
	d.clock.Init(directory.Time(1_800_000_000_000).Micros(), start)
	d.Answers = NewAnswers(start, d.dir, &d.clock, &d.outbox, d.viewOf(true), guards)
	return d
}

func (d *desk) viewOf(synced bool, more ...*ring.Rings) *View {
	return NewView(synced, append(more, ring.Build(d.backends, nil)), d.backends)
}

// pushed is how many rows were recorded since it was last asked.
func (d *desk) pushed() (n int) {
	for b := range d.outbox.Take() {
		n += b.Len()
	}
	return n
}

// at finds a user that hashes to a backend.
func (d *desk) at(want netip.Addr) ring.User {
	for h := ring.UserHash(1); ; h += 0x01234567 {
		u := ring.User{Hash: h}
		if place, ok := d.View().Place(u); ok && place == want {
			return u
		}
	}
}

func TestVerdicts(t *testing.T) {
	half := directory.New(directory.DefaultExpire).Share() / 2
	for _, test := range []struct {
		name     string
		prepare  func(d *desk, u ring.User)
		later    time.Duration // than the lookup that mapped the user
		guards   Guards
		want     Verdict
		recorded int
	}{
		{"known", func(*desk, ring.User) {}, time.Second, Guards{}, Answered, 0},
		{"active again", func(*desk, ring.User) {}, 10 * time.Minute, Guards{}, Answered, 1},
		{"active again, a moment too early", func(*desk, ring.User) {}, half, Guards{},
			Answered, 0},
		{"active again, another backend being down", func(d *desk, _ ring.User) {
			d.backends[1].Down = true
			d.ChangeView(func() *View { return d.viewOf(true) })
		}, 10 * time.Minute, Guards{}, Answered, 1},
		{"not synced", func(d *desk, _ ring.User) {
			d.ChangeView(func() *View { return d.viewOf(false) })
		}, 0, Guards{}, NotSynced, 0},
		{"held", func(d *desk, u ring.User) {
			d.dir.Supersede(u.Tag, u.Hash, backend(2), true, d.clock.At(start), 0)
		}, 0, Guards{}, BeingMoved, 0},
		{"held, without the guard", func(d *desk, u ring.User) {
			d.dir.Supersede(u.Tag, u.Hash, backend(2), true, d.clock.At(start), 0)
		}, 0, Guards{NoHold: true}, Answered, 0},
		{"on a backend that is down", func(d *desk, _ ring.User) {
			d.backends[0].Down = true
			d.ChangeView(func() *View { return d.viewOf(true) })
		}, 10 * time.Minute, Guards{}, Answered, 0},
		{"on one that is down, without the guard", func(d *desk, _ ring.User) {
			d.backends[0].Down = true
			d.ChangeView(func() *View { return d.viewOf(true) })
		}, 10 * time.Minute, Guards{NoDownExpiry: true}, Answered, 1},
		{"about to end elsewhere", func(d *desk, _ ring.User) {
			d.backends[0].VHosts = 0
			d.ChangeView(func() *View { return d.viewOf(true) })
		}, -5 * time.Second, Guards{}, Ending, 0},
		{"about to end elsewhere, without the guard", func(d *desk, _ ring.User) {
			d.backends[0].VHosts = 0
			d.ChangeView(func() *View { return d.viewOf(true) })
		}, -5 * time.Second, Guards{NoEndOfLife: true}, Answered, 1},
		{"about to end while the ring changes", func(d *desk, _ ring.User) {
			before := ring.Build(d.backends[1:], nil)
			d.ChangeView(func() *View { return d.viewOf(true, before) })
		}, -5 * time.Second, Guards{}, Ending, 0},
		{"about to end where it hashes", func(*desk, ring.User) {}, -5 * time.Second, Guards{},
			Answered, 1},
		{"new, while the ring changes", func(d *desk, _ ring.User) {
			before := ring.Build(d.backends[1:], nil)
			d.ChangeView(func() *View { return d.viewOf(true, before) })
		}, time.Hour, Guards{}, RingChanging, 0},
		{"new, without a usable backend", func(d *desk, _ ring.User) {
			d.backends = nil
			d.ChangeView(func() *View { return d.viewOf(true) })
		}, time.Hour, Guards{}, NoBackend, 0},
		{"new", func(*desk, ring.User) {}, time.Hour, Guards{}, Answered, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(test.guards)
			u := d.at(backend(1))
			if got, why := d.Settle(start, u); why != Answered || got != backend(1) ||
				d.pushed() != 1 {
				t.Fatalf("mapped to %v, %v", got, why)
			}
			m, _ := d.dir.Find(u.Tag, u.Hash, d.clock.At(start))
			now := start.Add(test.later)
			if test.later < 0 { // before the end of its life
				now = start.Add(d.dir.Ends(m).Sub(d.clock.At(start))).Add(test.later)
			}
			test.prepare(d, u)
			got, why := d.Settle(now, u)
			if why != test.want || got.IsValid() != (why == Answered) {
				t.Errorf("answered %v, verdict %v; want %v", got, why, test.want)
			}
			if n := d.pushed(); n != test.recorded {
				t.Errorf("%d rows recorded, want %d", n, test.recorded)
			}
		})
	}
}

// After a pause nothing is answered until the core has done something.
func TestPause(t *testing.T) {
	for _, test := range []struct {
		pause   time.Duration
		guards  Guards
		answers bool
	}{
		{WakeAfter, Guards{}, true},
		{WakeAfter + 1, Guards{}, false},
		{WakeAfter + 1, Guards{NoWakeCheck: true}, true},
	} {
		d := newDesk(test.guards)
		now := start.Add(test.pause)
		batch := []ring.Lookup{{Hash: 5, Backend: backend(9)}}
		d.TryAll(now, batch)
		_, ok := d.Try(now, ring.User{Hash: 6})
		if ok != test.answers || batch[0].Backend.IsValid() != test.answers {
			t.Errorf("after %v: %v, %v; want %v", test.pause, ok, batch[0].Backend, test.answers)
		}
		d.NoteInput(now)
		if _, ok := d.Try(now, ring.User{Hash: 7}); !ok || d.LastInput() != now {
			t.Errorf("not answered after an input at %v", d.LastInput())
		}
	}
}

// A lookup that has looked at the world of before a change looks again.
func TestAssignLooksAgain(t *testing.T) {
	d := newDesk(Guards{})
	old, now := d.View(), d.clock.At(start)
	d.ChangeView(func() *View { return d.viewOf(true) })
	assign := func(v *View, u ring.User) (netip.Addr, Verdict) {
		return d.assign(v, u, now, directory.Mapping{}, directory.None)
	}
	if got, why := assign(old, ring.User{Hash: 5}); why != Raced || got.IsValid() {
		t.Errorf("by an old view: %v, %v", got, why)
	}
	at, _ := d.Settle(start, ring.User{Hash: 6}) // meanwhile
	if got, why := assign(d.View(), ring.User{Hash: 6}); why != Raced || got.IsValid() {
		t.Errorf("a user on %v is assigned %v, %v", at, got, why)
	}
	if m, _ := d.dir.Find("", 6, now); m.Backend != at {
		t.Errorf("the user is on %v now, was on %v", m.Backend, at)
	}
}

// Sessions prolong what is mapped where they are; others ask for a move, or for nothing.
func TestSessions(t *testing.T) {
	d := newDesk(Guards{})
	u, other := d.at(backend(1)), d.at(backend(2))
	if d.Adopt(start, u, backend(1)) || d.pushed() != 1 {
		t.Error("a session where the ring has its user does not map it")
	}
	if d.Adopt(start.Add(time.Second), u, backend(2)) || d.pushed() != 0 {
		t.Error("a session elsewhere moves or prolongs a user that is mapped")
	}
	if !d.Adopt(start, other, backend(1)) || d.pushed() != 0 {
		t.Error("a session elsewhere of a user without a mapping asks for no move")
	}
	later := start.Add(10 * time.Minute)
	d.NoteInput(later)
	if d.Adopt(later, u, backend(1)) || d.pushed() != 1 {
		t.Error("a session does not prolong its mapping")
	}
	if d.Refresh(later, u); d.pushed() != 0 {
		t.Error("activity is recorded twice at once")
	}
	late := later.Add(WakeAfter + 1)
	if d.Refresh(late.Add(time.Minute), u); d.pushed() != 0 || d.Adopt(late, other, backend(1)) {
		t.Error("sessions count after a pause")
	}
	late = late.Add(10 * time.Minute) // activity would be worth recording
	d.NoteInput(late)
	d.ChangeView(func() *View { return d.viewOf(false) })
	if d.Refresh(late, u); d.pushed() != 0 || d.Adopt(late, other, backend(1)) {
		t.Error("sessions count while the director is not synced")
	}
}

// Adoptions come out once, in order, as many as are wanted; the last word on a user counts.
func TestAdoptions(t *testing.T) {
	var a Adoptions
	for _, h := range []ring.UserHash{3, 1, 2, 1} {
		a.Add(ring.User{Hash: h}, backend(byte(h)))
	}
	a.Add(ring.User{Hash: 1}, backend(9))
	if users, _ := a.Take(0); users != nil {
		t.Errorf("none was wanted, got %v", users)
	}
	users, backends := a.Take(2)
	if len(users) != 2 || users[0].Hash != 1 || users[1].Hash != 2 ||
		backends[users[0]] != backend(9) || backends[users[1]] != backend(2) {
		t.Errorf("took %v at %v", users, backends)
	}
	if users, _ := a.Take(9); len(users) != 1 || users[0].Hash != 3 {
		t.Errorf("then took %v", users)
	}
	if users, _ := a.Take(9); users != nil {
		t.Errorf("and then %v", users)
	}
}

func TestReasons(t *testing.T) {
	for v, want := range map[Verdict]string{
		Raced: "busy", NotSynced: "not synced", BeingMoved: "user is being moved",
		RingChanging: "ring is changing", Ending: "mapping ends", NoBackend: "no usable backend",
	} {
		if got := v.Reason(); got != want {
			t.Errorf("verdict %d reads %q, want %q", v, got, want)
		}
	}
}
