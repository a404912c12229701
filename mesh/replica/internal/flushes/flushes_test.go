package flushes

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	now   = mono.Time(time.Hour)
	begun = directory.Time(1_800_000_000_000)
)

func user(n int) ring.User { return ring.User{Hash: ring.UserHash(n)} }

// A flush looks through all leaves of its tags, one after the other, and pauses while it has found
// more than enough.
func TestScan(t *testing.T) {
	f := NewSet(7).Begin(netip.Addr{}, 10, []ring.Tag{"a", "b"}, begun)
	if p := f.Progress(); p.ID != 8 || !p.Scanning || p.Started != begun || f.End(begun) {
		t.Fatalf("begun: %+v", p)
	}
	for _, tag := range []ring.Tag{"a", "b"} {
		for leaf := range leaves {
			got, at, ok := f.Leaf()
			if got != tag || int(at) != leaf || !ok {
				t.Fatalf("next is leaf %d of %q: %v; want %d of %q", at, got, ok, leaf, tag)
			}
			f.Scanned()
		}
	}
	if _, _, ok := f.Leaf(); ok || f.Progress().Scanning {
		t.Error("it goes on after the last leaf")
	}

	f = NewSet(0).Begin(netip.Addr{}, 10, []ring.Tag{""}, begun)
	for n := range maxPending + 1 {
		if _, _, ok := f.Leaf(); !ok {
			t.Fatalf("it pauses after %d users", n)
		}
		f.Found(user(n))
	}
	if _, _, ok := f.Leaf(); ok || !f.Progress().Scanning {
		t.Error("it does not pause, or ends")
	}
	f.Next()
	if _, _, ok := f.Leaf(); !ok {
		t.Error("it does not go on when there is room")
	}
}

// As many users as may be are under way; each that was found is moved, skipped or fails.
func TestUsersUnderWay(t *testing.T) {
	s := NewSet(0)
	f := s.Begin(netip.Addr{}, 2, nil, begun)
	for n := range 5 {
		f.Found(user(n))
	}
	f.Leaf() // ends the scan
	take := func(want int) {
		t.Helper()
		if u, ok := f.Next(); !ok || u != user(want) {
			t.Fatalf("next is %v: %v, want %d", u, ok, want)
		}
	}
	take(0)
	f.Skipped()
	take(1)
	f.Begun()
	take(2)
	f.Begun()
	if u, ok := f.Next(); ok {
		t.Fatalf("%v is begun beside two", u)
	}
	f.Ended(Outcome{Left: true})
	take(3)
	f.Begun()
	f.Ended(Outcome{Failed: true, Blind: true})
	f.Ended(Outcome{})
	if f.End(begun) {
		t.Fatal("it ends, and a user is left")
	}
	take(4)
	f.Skipped()
	if !f.End(begun + 9) {
		t.Fatal("it does not end")
	}
	want := wire.FlushProgress{
		ID:      1,
		Started: begun,
		Ended:   begun + 9,
		Done:    true,
		Total:   5,
		Moved:   4,
		Failed:  1,
		Left:    1,
		Blind:   true,

		Parallel: 2,
	}
	if diff := cmp.Diff(
		want,
		f.Progress(),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s.DropEnded(); len(s.Own()) > 0 || s.Get(1) != nil {
		t.Error("it still runs here")
	}
}

// Moves begin when a quarter of them may, or when some time has passed.
func TestMovesBeginTogether(t *testing.T) {
	for _, test := range []struct {
		moving int
		after  time.Duration
		want   bool
	}{
		{0, 0, true}, {6, 0, true}, {7, 0, false}, {7, beginEvery - 1, false},
		{7, beginEvery, true},
		{8, beginEvery, true},
	} {
		f := NewSet(0).Begin(netip.Addr{}, 8, nil, begun)
		f.MayBegin(now)
		for range test.moving {
			f.Begun()
		}
		if got := f.MayBegin(now.Add(test.after)); got != test.want {
			t.Errorf("%d of 8 under way, after %v: %v, want %v",
				test.moving, test.after, got, test.want)
		}
		if test.want && test.moving == 8 && f.MayBegin(now.Add(test.after)) {
			t.Error("they begin twice at one moment")
		}
	}
}

// The peers are told of a flush from time to time.
func TestTelling(t *testing.T) {
	f := NewSet(0).Begin(netip.Addr{}, 8, nil, begun)
	f.Announced(now)
	if f.AnnounceDue(now.Add(announceEvery-1)) || !f.AnnounceDue(now.Add(announceEvery)) {
		t.Error("they are told at another time")
	}
}

// Of the flushes here the one that is meant is cancelled; what runs on is what is under way.
func TestCancel(t *testing.T) {
	s := NewSet(0)
	first, second := s.Begin(
		netip.Addr{},
		8,
		[]ring.Tag{""},
		begun,
	), s.Begin(
		netip.Addr{},
		8,
		[]ring.Tag{""},
		begun,
	)
	for _, f := range s.Own() {
		f.Found(user(1))
		f.Found(user(2))
		f.Next()
		f.Begun()
	}
	s.Cancel("d1", ID{"d1", 9})
	s.Cancel("d1", ID{"d1", 2})
	if p := first.Progress(); p.Canceled || !p.Scanning || s.Get(1) != first {
		t.Errorf("the first: %+v", p)
	}
	if p := second.Progress(); !p.Canceled || p.Scanning || p.Moving != 1 {
		t.Errorf("the second: %+v", p)
	}
	if _, ok := second.Next(); ok || second.End(begun) {
		t.Error("the second goes on, or ends although a move is under way")
	}
	second.Ended(Outcome{})
	if !second.End(begun) {
		t.Error("the second does not end")
	}
	if s.Abandon(); len(s.Own()) > 0 {
		t.Error("flushes run on in another cluster")
	}
}

// What is known of flushes comes in order. Those of a director that is gone are orphans for a
// minute, and then lost, unless they had ended; those that ended long ago are forgotten.
func TestKnown(t *testing.T) {
	s := NewSet(0)
	for _, k := range []struct {
		id     ID
		runner string
		ended  directory.Time
	}{
		{ID{"d3", 1}, "d3", 0}, {ID{"d2", 9}, "d2", 0}, {ID{"d2", 3}, "d2", begun},
		{ID{"d1", 5}, "d2", 0},
	} {
		s.Note(k.id, wire.FlushProgress{ID: k.id.ID}, "d4")
		s.Note(k.id, wire.FlushProgress{ID: k.id.ID, Ended: k.ended}, k.runner)
	}
	gone := begun.Add(time.Minute)
	s.RunnerGone("d2", gone)
	s.RunnerGone("d2", gone.Add(time.Second))
	if diff := cmp.Diff([]ID{{"d1", 5}, {"d2", 9}}, s.Orphans()); diff != "" {
		t.Errorf("orphans (-want +got):\n%s", diff)
	}
	s.Note(ID{"d1", 5}, wire.FlushProgress{ID: 5}, "d3") // goes on with it
	type known struct {
		id    ID
		ended directory.Time
		lost  bool
	}
	all := func() (all []known) {
		for id, k := range s.All() {
			all = append(all, known{id, k.Progress.Ended, k.Lost})
		}
		return all
	}
	end := gone.Add(OrphanFor + time.Millisecond)
	d1, d3 := known{ID{"d1", 5}, 0, false}, known{ID{"d3", 1}, 0, false}
	done, orphan := known{ID{"d2", 3}, begun, false}, known{ID{"d2", 9}, 0, false}
	lost := known{ID{"d2", 9}, end, true}
	for _, test := range []struct {
		at   directory.Time
		want []known
	}{
		{gone.Add(OrphanFor), []known{d1, done, orphan, d3}},
		{end, []known{d1, done, lost, d3}},
		{begun.Add(KeptFor), []known{d1, done, lost, d3}},
		{begun.Add(KeptFor + time.Millisecond), []known{d1, lost, d3}},
		{end.Add(KeptFor + time.Millisecond), []known{d1, d3}},
	} {
		s.Clean(test.at, KeptFor)
		if diff := cmp.Diff(test.want, all(), cmp.AllowUnexported(known{})); diff != "" {
			t.Errorf("at %v (-want +got):\n%s", test.at.Sub(begun), diff)
		}
	}
}

// A flush that is gone on with keeps its name and what it has done, and looks through all again;
// the director that goes on with it yields to another one.
func TestAdopt(t *testing.T) {
	s, id := NewSet(0), ID{"d9", 5}
	own := s.Begin(netip.Addr{}, 8, nil, begun)
	s.Note(id, wire.FlushProgress{
		ID: 5, Started: begun, Total: 90, Moved: 30, Moving: 8, Failed: 2, Left: 3, Parallel: 8,
	}, "d9")
	f := s.Adopt(id, 6, []ring.Tag{"a"})
	want := wire.FlushProgress{
		ID: 5, Started: begun, Total: 40, Moved: 38, Failed: 2, Left: 3, Scanning: true,
		Parallel: 6, Director: "d9",
	}
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, f.Progress(), same); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if f.Name("d1") != id || own.Name("d1") != (ID{"d1", 1}) || f.Key() == own.Key() ||
		s.Get(f.Key()) != f || s.Get(own.Key()) != own {
		t.Errorf("names %v and %v, keys %d and %d",
			f.Name("d1"), own.Name("d1"), f.Key(), own.Key())
	}
	if !s.Runs("d1", id) || !s.Yield("d1", id) || s.Runs("d1", id) || s.Yield("d1", id) {
		t.Error("it is not given up once")
	}
	if len(s.Own()) != 1 || s.Own()[0] != own {
		t.Error("another one is given up")
	}
}

// Of what data directories have of a flush the end counts, and that it was cancelled, in whatever
// order they are read; one that gave it up may not have heard that it went on.
func TestKept(t *testing.T) {
	of := func(moved uint64, cancelled bool) wire.FlushProgress {
		return wire.FlushProgress{ID: 5, Director: "d1", Moved: moved, Canceled: cancelled}
	}
	given, ended := of(9, false), of(4, false)
	given.Ended, ended.Ended, ended.Done = begun, begun, true
	for _, test := range []struct {
		name       string
		a, b, want wire.FlushProgress
	}{
		{"runs", of(1, false), of(3, false), of(3, false)},
		{"cancelled before", of(1, true), of(3, false), of(3, true)},
		{"cancelled", of(1, false), of(3, true), of(3, true)},
		{"given up", of(3, false), given, of(3, false)},
		{"ended", of(7, true), ended, ended},
		{"ended and given up", ended, given, ended},
	} {
		for _, both := range [][]wire.FlushProgress{{test.a, test.b}, {test.b, test.a}} {
			s := NewSet(0)
			s.Keep(wire.FlushProgress{ID: 4, Director: "d2"})
			for _, p := range both {
				s.Keep(p)
			}
			same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
			if diff := cmp.Diff(test.want, s.Kept()[0], same); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.name, diff)
			}
			if all := s.KeptToTell(); len(all) != 2 {
				t.Errorf("to tell: %+v, want both", all)
			}
			if len(s.TakeKept()) != 2 || len(s.Kept()) > 0 {
				t.Error("it is not taken once")
			}
		}
	}
	s := NewSet(0)
	for id, ended := range []directory.Time{begun + 1, 0, begun, begun + 2} {
		s.Keep(wire.FlushProgress{ID: uint64(id), Director: "d1", Ended: ended})
	}
	var told []uint64
	for _, p := range s.KeptToTell() {
		told = append(told, p.ID)
	}
	if want := []uint64{1, 3, 0, 2}; !slices.Equal(told, want) {
		t.Errorf("told are %v, want those that run first, then the latest: %v", told, want)
	}
	s = NewSet(0)
	for id := range uint64(MaxHeld + 1) {
		s.Keep(wire.FlushProgress{ID: id, Director: "d1"})
	}
	if n := len(s.KeptToTell()); n != MaxKept {
		t.Errorf("%d are told", n)
	}
	if n := len(s.Kept()); n != MaxHeld {
		t.Errorf("%d are held", n)
	}
}

// A data directory is to have what is known and what is kept, each flush once, and nothing of
// either is taken back.
func TestHeld(t *testing.T) {
	known := []wire.FlushProgress{
		{ID: 1, Done: true, Ended: begun}, {ID: 2, Moved: 5, Canceled: true}, {ID: 3}, {ID: 4},
	}
	kept := []wire.FlushProgress{{ID: 1}, {ID: 2, Moved: 3}, {ID: 3, Done: true}, {ID: 5}}
	want := []wire.FlushProgress{known[0], known[1], kept[2], known[3], kept[3]}
	s := NewSet(0)
	for _, p := range known {
		s.Note(ID{"d1", p.ID}, p, "d1")
	}
	for _, p := range kept {
		p.Director = "d1"
		s.Keep(p)
	}
	for i := range want {
		want[i].Director = "d1"
	}
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, s.Held(), same); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
	if n := len(s.Kept()); n != len(kept) {
		t.Errorf("%d are kept after that", n)
	}
}

// What has ended or was cancelled stays so, whatever one reports that has not heard of that.
func TestNoteIsFinal(t *testing.T) {
	id := ID{"d1", 5}
	s := NewSet(0)
	s.Note(id, wire.FlushProgress{ID: 5, Scanning: true}, "d1")
	if !s.Cancel("d2", id) || s.Cancel("d2", id) {
		t.Error("it is not cancelled once")
	}
	s.Note(id, wire.FlushProgress{ID: 5, Moving: 1}, "d1")
	if p := s.Known(id).Progress; !p.Canceled || p.Moving != 1 {
		t.Errorf("it is not cancelled any more: %+v", p)
	}
	if !s.Note(id, wire.FlushProgress{ID: 5, Done: true, Ended: begun}, "d1") {
		t.Error("its end is no news")
	}
	if p := s.Known(id).Progress; p.Canceled {
		t.Errorf("it had ended before it was cancelled, and says: %+v", p)
	}
	if s.Note(id, wire.FlushProgress{ID: 5, Moving: 1}, "d3") || s.Cancel("d2", id) {
		t.Error("what has ended is run, or cancelled")
	}
	if k := s.Known(id); k.Progress.Ended != begun || k.Runner != "d1" {
		t.Errorf("it has not ended any more: %+v", k)
	}
}
