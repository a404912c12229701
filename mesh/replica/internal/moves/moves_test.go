package moves

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/ring"
)

const now = mono.Time(time.Hour)

func user(n int) ring.User { return ring.User{Hash: ring.UserHash(n)} }

// row is the moving row of a user.
func row(n int, generation uint16) directory.Mapping {
	return directory.Mapping{
		Hash: ring.UserHash(n), Generation: generation, Stamp: 5, Moving: true,
		Backend: netip.AddrFrom4([4]byte{192, 0, 2, 1}),
	}
}

// begun adds moves of users, which are to be announced.
func begun(s *Set, users ...int) (begun []*Move) {
	for _, n := range users {
		m := &Move{User: user(n)}
		m.Begin(row(n, 2))
		s.Add(m)
		s.Queue(m)
		begun = append(begun, m)
	}
	return begun
}

// announced adds moves and announces them; ids are 1, 2 and so on.
func announced(s *Set, users ...int) (moves []*Move, batches []*Batch) {
	moves = begun(s, users...)
	id := uint64(s.Batches())
	newID := func() uint64 { id++; return id }
	return moves, slices.Collect(s.Announce(now, newID))
}

func hashes(moves []*Move) (hashes []ring.UserHash) {
	for _, m := range moves {
		hashes = append(hashes, m.User.Hash)
	}
	return hashes
}

// Moves that begin together are announced together, in messages of bounded size, and each once.
func TestAnnounce(t *testing.T) {
	s := NewSet()
	var users []int
	for n := range movesPerHold + 1 {
		users = append(users, n+1)
	}
	moves, batches := announced(s, users...)
	if len(batches) != 2 || s.Batches() != 2 || s.Len() != len(users) {
		t.Fatalf("%d batches of %d moves", len(batches), s.Len())
	}
	for i, want := range []int{movesPerHold, 1} {
		if n := rowset.Count(batches[i].Hold.Blocks); n != want ||
			batches[i].Hold.ID != batches[i].ID {
			t.Errorf("hold %d of %d users, want %d", batches[i].Hold.ID, n, want)
		}
	}
	if m := moves[0]; !s.Runs(m) || !m.Announced() || batches[0].Get(m.User) != m ||
		s.Get(m.User) != m {
		t.Error("a move that was announced does not run")
	}
	if _, again := announced(s); len(again) > 0 {
		t.Error("they are announced twice")
	}
}

// A move may go on when something happened to it, or when time has passed; it is looked at once for
// all that happened.
func TestWhoMayGoOn(t *testing.T) {
	s := NewSet()
	moves, batches := announced(s, 3, 1, 2)
	for _, test := range []struct {
		name string
		do   func()
		want []ring.UserHash
	}{
		{"announced, in their order", func() {}, []ring.UserHash{3, 1, 2}},
		{"nothing happened", func() {}, nil},
		{"one was touched, twice", func() { s.Touch(moves[1]); s.Touch(moves[1]) },
			[]ring.UserHash{1}},
		{"again", func() { s.Touch(moves[1]) }, []ring.UserHash{1}},
		{"a peer answered", func() { s.TouchAll(batches[0]) }, []ring.UserHash{3, 1, 2}},
		{"time passed: all, sorted", func() { s.Pass(now) }, []ring.UserHash{1, 2, 3}},
		{"too little time", func() { s.Pass(now.Add(advanceEvery - 1)) }, nil},
		{"a peer failed", func() { s.PeerGone("d2") }, []ring.UserHash{1, 2, 3}},
		{"one left the batch", func() { s.LeaveBatch(moves[0]); s.TouchAll(batches[0]) },
			[]ring.UserHash{1, 2}},
	} {
		test.do()
		if s.Pending() != (len(test.want) > 0) {
			t.Errorf("%s: pending %v", test.name, s.Pending())
		}
		if got := hashes(s.TakeDue()); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	if s.Pass(now.Add(time.Minute)); len(NewSet().TakeDue()) > 0 {
		t.Error("without moves none may go on")
	}
}

// Each peer must confirm the Hold and report each move; one that failed must do so anew.
func TestWhatAPeerOwes(t *testing.T) {
	s := NewSet()
	moves, batches := announced(s, 1, 2)
	_, later := announced(s, 3)
	owes := func(peer string) (ids []uint64) {
		for b := range s.Unanswered(peer) {
			ids = append(ids, b.ID)
		}
		return ids
	}
	check := func(name string, want ...uint64) {
		t.Helper()
		if got := owes("d2"); !slices.Equal(got, want) {
			t.Errorf("%s: owes %v, want %v", name, got, want)
		}
	}
	check("asked", 1, 2)
	batches[0].NoteHeld("d2")
	later[0].NoteHeld("d2")
	check("holds", 1, 2)
	moves[0].Report("d2", kicks.Result{Known: true})
	later[0].Get(user(3)).Report("d2", kicks.Result{Known: true})
	check("one report is missing", 1)
	moves[1].Report("d2", kicks.Result{Known: true})
	check("all is said")
	if !moves[0].HeldBy("d2") || !moves[0].ReportedBy("d2") || moves[0].HeldBy("d3") {
		t.Error("what d2 said is not known")
	}
	if s.PeerGone("d2"); moves[0].HeldBy("d2") || moves[0].ReportedBy("d2") || moves[0].Unsure {
		t.Errorf("d2 is gone, and its word stays; unsure %v", moves[0].Unsure)
	}
	check("gone", 1, 2)
	if s.PeerGone("d2"); !moves[0].Unsure {
		t.Error("what a peer's kicker did that went without a report is known")
	}
	s.Remove(moves[0])
	s.Remove(moves[1])
	check("the moves have ended", 2)
	if s.Batch(1) != nil || s.Batch(2) != later[0] || s.Runs(moves[0]) || s.Len() != 1 {
		t.Errorf("%d moves in %d batches are left", s.Len(), s.Batches())
	}
}

// A move is sure of the sessions only if each kicker knows that there were none.
func TestReports(t *testing.T) {
	for _, test := range []struct {
		result kicks.Result
		unsure bool
		left   int
		blind  bool
	}{
		{kicks.Result{Known: true}, false, 0, false},
		{kicks.Result{Count: 1, Known: true}, true, 0, false},
		{kicks.Result{}, true, 0, false},
		{kicks.Result{Known: true, Left: 2}, false, 2, false},
		{kicks.Result{Blind: true}, true, 0, true},
	} {
		m := &Move{}
		m.Begin(row(1, 2))
		m.Report("d2", test.result)
		if m.Unsure != test.unsure || m.Kicked.Left["d2"] != test.left ||
			m.Kicked.Blind["d2"] != test.blind {
			t.Errorf("%+v: unsure %v, %+v", test.result, m.Unsure, m.Kicked)
		}
		if m.Begin(row(1, 3)); m.ReportedBy("d2") || len(m.Kicked.Left)+len(m.Kicked.Blind) > 0 {
			t.Errorf("%+v: the report is for another row", test.result)
		}
	}
}

// A mapping beats a move if it is no move itself, and not this one; but not for ever.
func TestBeatenByMapping(t *testing.T) {
	released, other := row(1, 2), row(1, 3)
	released.Moving, other.Moving = false, false
	for _, test := range []struct {
		name     string
		row      directory.Mapping
		restarts int
		want     bool
	}{
		{"its own row", row(1, 2), 0, false},
		{"its release", released, 0, false},
		{"another move", row(1, 3), 0, false},
		{"a mapping", other, 0, true},
		{"a mapping, once more", other, MaxRestarts - 1, true},
		{"a mapping, too often", other, MaxRestarts, false},
	} {
		m := &Move{Restarts: test.restarts}
		m.Begin(row(1, 2))
		if got := m.BeatenByMapping(test.row); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// Holds are overdue in order. Neither a pause of ours nor a new start of patience is their fault.
func TestOverdue(t *testing.T) {
	s := NewSet()
	announced(s, 1)
	announced(s, 2)
	const limit = 5 * time.Second
	overdue := func(at mono.Time) int { return len(slices.Collect(s.Overdue(at, limit))) }
	if overdue(now.Add(limit)) != 0 || overdue(now.Add(limit+1)) != 2 {
		t.Error("they are overdue at another time")
	}
	for b := range s.Overdue(now.Add(limit+1), limit) {
		if b.ID != 1 {
			t.Errorf("hold %d comes first", b.ID)
		}
		break
	}
	s.Postpone(time.Minute)
	if overdue(now.Add(time.Minute+limit)) != 0 || overdue(now.Add(time.Minute+limit+1)) != 2 {
		t.Error("a pause counts")
	}
	const later = 2 * now
	if s.Patience(later); overdue(later.Add(limit)) != 0 {
		t.Error("patience begins anew, and they are overdue")
	}
}

// In a new life all moves are announced anew, with their rows of today. Peers that said something
// said it to another life.
func TestRestart(t *testing.T) {
	s := NewSet()
	moves, batches := announced(s, 2, 1)
	batches[0].NoteHeld("d2")
	for _, m := range moves {
		m.Phase = Delaying
		m.Report("d2", kicks.Result{Known: true})
	}
	moved := row(1, 2)
	moved.Stamp++
	s.Restart(func(u ring.User) (directory.Mapping, bool) { return moved, u == user(1) })
	if s.Batches() != 0 || !s.Pending() || s.Runs(moves[0]) {
		t.Fatalf("%d batches are left", s.Batches())
	}
	again := slices.Collect(s.Announce(now, func() uint64 { return 9 }))
	if len(again) != 1 || s.Batch(9) != again[0] {
		t.Fatalf("%d holds", len(again))
	}
	for i, want := range []directory.Mapping{row(2, 2), moved} {
		m := moves[i]
		if m.Row != want || m.Phase != Holding || !m.Unsure || m.HeldBy("d2") ||
			m.ReportedBy("d2") ||
			!m.ReportedBy("") {
			t.Errorf("move of %v: %+v", m.User, m)
		}
	}
}

// Released rows are announced once, together.
func TestReleased(t *testing.T) {
	s := NewSet()
	if s.TakeReleased() != nil {
		t.Error("rows are announced, and no move was released")
	}
	s.Release("", row(2, 2))
	s.Release("", row(1, 2))
	if s.Idle() || rowset.Count(s.TakeReleased()) != 2 || s.TakeReleased() != nil || !s.Idle() {
		t.Error("two rows are to be announced, once")
	}
}

// Orphans are looked for at once when a director goes, and from time to time.
func TestOrphansAreLookedFor(t *testing.T) {
	s := NewSet()
	for i, test := range []struct {
		after time.Duration
		gone  bool
		want  bool
	}{
		{0, false, true}, {0, false, false}, {
			orphansEvery - 1, false, false,
		}, {orphansEvery, false, true},
		{orphansEvery, true, true}, {orphansEvery, false, false},
	} {
		if test.gone {
			s.PeerGone("d2")
		}
		if got := s.LookForOrphans(now.Add(test.after)); got != test.want {
			t.Errorf("%d: %v, want %v", i, got, test.want)
		}
	}
}

// The answer to a Hold is the same when it comes again, in the same life. It is repeated while it
// may be of use, and forgotten later.
func TestAnswers(t *testing.T) {
	var a Answers
	life, next := logs.ID{Name: "d2", Boot: 1}, logs.ID{Name: "d2", Boot: 2}
	first := a.Open(now, kicks.HoldID{By: life, ID: 7})
	if a.Open(now.Add(time.Second), kicks.HoldID{By: life, ID: 7}) != first ||
		a.Open(now, kicks.HoldID{By: next, ID: 7}) == first {
		t.Error("an answer belongs to another hold")
	}
	a.Open(now.Add(time.Second), kicks.HoldID{By: life, ID: 3})
	ids := func(at mono.Time) (ids []uint64) {
		for _, h := range a.To(at, life) {
			ids = append(ids, h.ID.ID)
		}
		return ids
	}
	for _, test := range []struct {
		after time.Duration
		want  []uint64
		kept  int
	}{
		{time.Second, []uint64{3, 7}, 3},
		{HoldFor, []uint64{3}, 3},
		{HoldFor + time.Second, nil, 3},
		{2 * HoldFor, nil, 3},
		{2*HoldFor + 1, nil, 3}, // looked at a moment ago
		{2*HoldFor + cleanEvery, nil, 1},
		{2*HoldFor + 2*cleanEvery, nil, 0},
	} {
		a.Clean(now.Add(test.after))
		if got := ids(now.Add(test.after)); !slices.Equal(got, test.want) || a.Len() != test.kept {
			t.Errorf("after %v: %v are repeated, %d kept", test.after, got, a.Len())
		}
	}
}
