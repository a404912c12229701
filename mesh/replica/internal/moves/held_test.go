package moves

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// released is the row of a user after a move.
func released(n int, generation uint16) directory.Mapping {
	r := row(n, generation)
	r.Moving = false
	return r
}

// A user is held from the first moving row to the first one that is not, whichever move they are
// of; each move holds the user anew.
func TestFollow(t *testing.T) {
	type step struct {
		after time.Duration
		row   directory.Mapping
	}
	later := row(1, 2)
	later.Activity++
	for _, test := range []struct {
		name     string
		steps    []step
		held     bool
		since    time.Duration
		released bool // by the last step
	}{
		{"never moved", []step{{0, released(1, 2)}}, false, 0, false},
		{"moving", []step{{0, row(1, 2)}}, true, 0, false},
		{"the same move again", []step{{0, row(1, 2)}, {time.Second, later}}, true, 0, false},
		{"another move", []step{{0, row(1, 2)}, {time.Second, row(1, 3)}}, true, time.Second,
			false},
		{"released", []step{{0, row(1, 2)}, {0, released(1, 2)}}, false, 0, true},
		{"released by another row", []step{{0, row(1, 2)}, {0, released(1, 4)}}, false, 0, true},
		{"released twice", []step{{0, row(1, 2)}, {0, released(1, 2)}, {0, released(1, 2)}},
			false, 0, false},
		{"held again", []step{{0, row(1, 2)}, {0, released(1, 2)}, {time.Second, row(1, 2)}},
			true, time.Second, false},
	} {
		var h Held
		var was bool
		for _, s := range test.steps {
			was = h.Follow(now.Add(s.after), user(1), s.row, Replaced{})
		}
		if was != test.released || h.Has(user(1)) != test.held || (h.Len() == 1) != test.held {
			t.Errorf("%s: held %v, released %v", test.name, h.Has(user(1)), was)
		}
		last := test.steps[len(test.steps)-1].row
		if got, held := h.Row(user(1)); held != test.held || held && !Same(got, last) {
			t.Errorf("%s: held %v by %+v, want %v by %+v", test.name, held, got, test.held, last)
		}
		limit := now.Add(test.since + HoldFor)
		if early := users(h.TakeForgotten(limit - 1)); len(early) > 0 {
			t.Errorf("%s: forgotten too early", test.name)
		}
		if late := users(h.TakeForgotten(limit)); (len(late) == 1) != test.held || h.Len() != 0 {
			t.Errorf("%s: %d forgotten, %d held, want %v", test.name, len(late), h.Len(), test.held)
		}
	}
}

func users(of func(func(ring.User, directory.Mapping) bool)) (users []ring.User) {
	for u := range of {
		users = append(users, u)
	}
	slices.SortFunc(users, ring.CompareUsers)
	return users
}

// holding holds these users, each by its row of generation 2.
func holding(h *Held, ns ...int) {
	for _, n := range ns {
		h.Follow(now, user(n), row(n, 2), Replaced{released(n, 1), directory.Live})
	}
}

// All users are listed, and all are let go; a loop that ends early leaves the others held.
func TestLoopsOverHeld(t *testing.T) {
	for _, test := range []struct {
		name string
		loop func(h *Held, most int) (n int)
		left int // after a loop over all
	}{
		{"all", func(h *Held, most int) (n int) {
			for range h.All() {
				if n++; n == most {
					break
				}
			}
			return n
		}, 3},
		{"forgotten", func(h *Held, most int) (n int) {
			for range h.TakeForgotten(now.Add(HoldFor)) {
				if n++; n == most {
					break
				}
			}
			return n
		}, 0},
	} {
		var h Held
		holding(&h, 1, 2, 3)
		if n := test.loop(&h, 1); n != 1 || h.Len() < 2 {
			t.Errorf("%s: %d were looked at, and %d are left", test.name, n, h.Len())
		}
		holding(&h, 1, 2, 3)
		if n := test.loop(&h, 4); n != 3 || h.Len() != test.left {
			t.Errorf("%s: %d were looked at, and %d are left", test.name, n, h.Len())
		}
	}
}

// Each user is let go when its own time is over, whichever came first.
func TestForgottenInTurn(t *testing.T) {
	var h Held
	at := func(seconds int) mono.Time { return now.Add(time.Duration(seconds) * time.Second) }
	hold := func(n, second int) {
		h.Follow(at(second), user(n), row(n, 2), Replaced{released(n, 1), directory.Live})
	}
	gone := func(second int) (n int) {
		for range h.TakeForgotten(at(second).Add(HoldFor)) {
			n++
		}
		return n
	}
	hold(1, 5)
	hold(2, 1) // what came earlier may be noted later
	hold(3, 9)
	for _, step := range []struct{ second, want int }{{4, 1}, {5, 1}, {8, 0}} {
		if n := gone(step.second); n != step.want {
			t.Errorf("after %d s: %d are let go, want %d", step.second, n, step.want)
		}
	}
	hold(4, 8)
	for _, step := range []struct{ second, want int }{{8, 1}, {9, 1}, {20, 0}} {
		if n := gone(step.second); n != step.want {
			t.Errorf("after %d s: %d are let go, want %d", step.second, n, step.want)
		}
	}
	hold(5, 30)
	if n := gone(30); n != 1 {
		t.Errorf("%d are let go that were held when there was no other", n)
	}
}

// A user whose row is another one by now is let go; one without a row stays.
func TestTakeReplaced(t *testing.T) {
	for _, test := range []struct {
		name string
		row  directory.Mapping
		ok   bool
		want bool
	}{
		{"its moving row", row(1, 2), true, false},
		{"its release", released(1, 2), true, false},
		{"another one", released(1, 3), true, true},
		{"none", directory.Mapping{}, false, false},
	} {
		var h Held
		holding(&h, 1)
		find := func(ring.User) (directory.Mapping, bool) { return test.row, test.ok }
		if got := h.TakeReplaced(find); got != test.want || h.Has(user(1)) == test.want {
			t.Errorf("%s: let go %v, want %v", test.name, got, test.want)
		}
	}
}

// A step of mesh time changes the stamps of rows, and so the name of a move.
func TestRestamp(t *testing.T) {
	moved := row(1, 2)
	moved.Stamp += 7
	for _, test := range []struct {
		name string
		row  directory.Mapping
		ok   bool
		want directory.Mapping
	}{
		{"moved along", moved, true, moved},
		{"released meanwhile", released(1, 2), true, row(1, 2)},
		{"gone", moved, false, row(1, 2)},
	} {
		var h Held
		holding(&h, 1)
		h.Restamp(func(ring.User) (directory.Mapping, bool) { return test.row, test.ok })
		if got, _ := h.Row(user(1)); got != test.want {
			t.Errorf("%s: held by %+v, want %+v", test.name, got, test.want)
		}
	}
}

// A move is an orphan if it is not ours and its director is gone; if that is not known, after a
// time.
func TestOrphans(t *testing.T) {
	const unknownFor = 5 * time.Second
	alive, dead := logs.ID{Name: "d2", Boot: 1}, logs.ID{Name: "d3", Boot: 1}
	runs := func(life logs.ID) bool { return life == alive }
	blocks := func(rows ...directory.Mapping) []wire.Block {
		s := rowset.New()
		for _, r := range rows {
			s.Add("", r)
		}
		return s.Blocks()
	}
	for _, test := range []struct {
		name  string
		do    func(s *Set)
		after time.Duration
		want  []ring.UserHash
	}{
		{"it is not known who runs it", func(*Set) {}, unknownFor - 1, nil},
		{"for too long", func(*Set) {}, unknownFor, []ring.UserHash{1, 2, 3}},
		{"one runs", func(s *Set) { s.Held.RunBy(user(2), alive) }, time.Minute,
			[]ring.UserHash{1, 3}},
		{"one does not", func(s *Set) { s.Held.RunBy(user(2), dead) }, 0, []ring.UserHash{2}},
		{"the last word counts", func(s *Set) {
			s.Held.RunBy(user(2), dead)
			s.Held.RunBy(user(2), alive)
		}, 0, nil},
		{"by its log", func(s *Set) {
			s.Held.RunAllBy(blocks(row(1, 2), row(3, 2)), dead, false)
		}, 0, []ring.UserHash{1, 3}},
		{"by its log, of another move", func(s *Set) {
			s.Held.RunAllBy(blocks(row(1, 3)), dead, false)
		}, 0, nil},
		{"by its log, and it is known", func(s *Set) {
			s.Held.RunBy(user(1), alive)
			s.Held.RunAllBy(blocks(row(1, 2)), dead, false)
		}, 0, nil},
		{"by its log, not held", func(s *Set) {
			s.Held.RunAllBy(blocks(row(9, 2)), dead, false)
		}, 0, nil},
		{"by gossip", func(s *Set) {
			s.Held.RunAllBy(blocks(row(1, 2), row(3, 2)), dead, true)
		}, unknownFor - 1, nil},
		{"by gossip, some time ago", func(s *Set) {
			s.Held.RunAllBy(blocks(row(1, 2), row(2, 2)), dead, true)
			s.Held.RunAllBy(blocks(row(3, 2)), alive, true)
		}, unknownFor, []ring.UserHash{1, 2}},
		{"by gossip, and then by its Hold", func(s *Set) {
			s.Held.RunAllBy(blocks(row(1, 2)), dead, true)
			s.Held.RunBy(user(1), dead)
		}, 0, []ring.UserHash{1}},
		{"not held", func(s *Set) { s.Held.RunBy(user(9), dead) }, 0, nil},
		{"ours", func(s *Set) { begun(s, 1) }, unknownFor, []ring.UserHash{2, 3}},
		{"released", func(s *Set) { s.Held.Release(user(3)) }, unknownFor, []ring.UserHash{1, 2}},
		{"all released", func(s *Set) { s.Held.Clear() }, unknownFor, nil},
	} {
		s := NewSet()
		holding(&s.Held, 3, 1, 2)
		test.do(s)
		var got []ring.UserHash
		for _, u := range s.Orphans(now.Add(test.after), unknownFor, runs) {
			got = append(got, u.Hash)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// A move that is taken over has the time, and the row, of the user that is held; it is announced,
// and begins again above no other row.
func TestTakeOver(t *testing.T) {
	s := NewSet()
	holding(&s.Held, 1)
	m := s.TakeOver(user(1))
	if s.Get(user(1)) != m || !s.Pending() || m.Row != row(1, 2) || m.Started != now ||
		m.Previous != released(1, 1) || m.Was != directory.Live || m.Phase != Holding || !m.Unsure {
		t.Errorf("taken over: %+v", m)
	}
	if m.BeatenByMapping(released(1, 3)) {
		t.Error("it begins again above a later row")
	}
}

// The sessions of a held user are ended once for each move, and each report is given the result.
func TestKick(t *testing.T) {
	var h Held
	var got []wire.KickCount
	report := func(k wire.KickCount) { got = append(got, k) }
	check := func(name string, want ...wire.KickCount) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		got = nil
	}
	none := wire.KickCount{Hash: 1}
	if h.Kick(user(1), report) != nil || h.Kick(user(1), nil) != nil {
		t.Error("a user that is not held is kicked")
	}
	check("not held: there is nothing to end", none)
	holding(&h, 1)
	k := h.Kick(user(1), nil)
	if k == nil || k.Keep != row(1, 2).Backend {
		t.Fatalf("kick %+v", k)
	}
	for range 2 {
		if h.Kick(user(1), report) != nil {
			t.Error("kicked twice")
		}
	}
	check("under way")
	k.End(kicks.Result{Count: 2, Known: true, Left: 3, Blind: true})
	ended := wire.KickCount{Hash: 1, Count: 2, Known: true, Left: 3, Blind: true}
	check("ended", ended, ended)
	k.End(kicks.Result{})
	check("ended again")
	k.End(kicks.Result{Count: 2, Known: true, Left: 3, Blind: true})
	if h.Kick(user(1), report) != nil {
		t.Error("kicked again")
	}
	check("has ended", ended)
	h.Follow(mono.Time(0), user(1), row(1, 3), Replaced{})
	if h.Kick(user(1), report) == nil {
		t.Error("another move kicks nobody")
	}
	check("the other move's kick is under way")
}
