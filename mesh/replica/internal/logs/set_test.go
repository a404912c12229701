package logs

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

func nobodyAttached(*Peer) bool { return false }

// Beyond so many logs of the dead that are not our peers', the one that went first is to be
// forgotten, be it the new one.
func TestLogsOfTheDeadAreBounded(t *testing.T) {
	s := NewSet()
	peers := s.Open(ID{"peer", 1})
	attached := func(l *Peer) bool { return l == peers }
	id := func(n int) ID { return ID{"ghost", uint64(n)} }
	const first = mono.Time(time.Hour)
	for n := range MaxGone {
		if _, excess := s.OpenGone(id(n), first.Add(time.Duration(n)), attached); excess != nil {
			t.Fatalf("%v is to be forgotten, of %d", excess.ID(), n+1)
		}
	}
	_, excess := s.OpenGone(id(MaxGone), mono.Time(2*time.Hour), attached)
	if excess == nil || excess.ID() != id(0) {
		t.Fatalf("%+v is to be forgotten, want the first", excess)
	}
	s.Forget(excess)
	log, excess := s.OpenGone(ID{"ghost", 10_000}, mono.Time(time.Minute), attached)
	if excess != log {
		t.Errorf("%v is to be forgotten, want the one that went before all others", excess.ID())
	}
	if s.Get(id(0)) != nil || s.Get(id(1)) == nil || s.Len() != MaxGone+2 {
		t.Errorf("%d logs are left", s.Len())
	}
}

// Logs come in the order of names and lives, also after one has gone.
func TestSetIsInOrder(t *testing.T) {
	s := NewSet()
	for _, id := range []ID{{"d3", 1}, {"d2", 9}, {"d2", 3}, {"d1", 5}} {
		s.Open(id)
	}
	if s.Open(ID{"d2", 9}) != s.Get(ID{"d2", 9}) {
		t.Error("a log is opened anew")
	}
	before := s.All()
	s.Forget(s.Get(ID{"d2", 3}))
	var got []ID
	for _, log := range s.All() {
		got = append(got, log.ID())
	}
	if diff := cmp.Diff([]ID{{"d1", 5}, {"d2", 9}, {"d3", 1}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(before) != 4 || before[1].ID() != (ID{"d2", 3}) {
		t.Error("a slice that is in use has changed")
	}
}

// Peers are told at once of one that goes, then not before some time has passed; and of those that
// went long ago not at all.
func TestNewsOfTheDead(t *testing.T) {
	s := NewSet()
	names := func(told []wire.Position) (names []string) {
		for _, p := range told {
			names = append(names, p.Name)
		}
		return names
	}
	const now = mono.Time(time.Hour)
	if told := s.News(now); told != nil {
		t.Errorf("told %v of nothing", told)
	}
	for _, name := range []string{"d2", "d3", "d4"} {
		s.Open(ID{name, 1})
	}
	d2, d3 := s.Get(ID{"d2", 1}), s.Get(ID{"d3", 1})
	if !s.Went(now, d2) || s.Went(now.Add(1), d2) {
		t.Error("one goes once")
	}
	for _, test := range []struct {
		at   mono.Time
		do   func()
		want []string
	}{
		{now, func() {}, []string{"d2"}},
		{now.Add(time.Second), func() {}, nil},
		{now.Add(time.Second), func() { s.Went(now.Add(time.Second), d3) }, []string{"d2", "d3"}},
		{now.Add(time.Second + tellEvery - 1), s.Changed, nil},
		{now.Add(time.Second + tellEvery), func() {}, []string{"d2", "d3"}},
		{now.Add(goneNews + 1), s.Changed, []string{"d3"}},
	} {
		test.do()
		if diff := cmp.Diff(test.want, names(s.News(test.at))); diff != "" {
			t.Errorf("at %v (-want +got):\n%s", test.at, diff)
		}
	}
	got := names(s.Gone(now.Add(2*time.Minute), GoneReported))
	if !slices.Equal(got, []string{"d2", "d3"}) {
		t.Errorf("one that was out of touch is told of %v", got)
	}
}

// A log of our own that ended is told like one of the dead, and none of its messages are kept. An
// empty one has nothing that a peer could lack.
func TestOwnLogThatEnded(t *testing.T) {
	const now = mono.Time(time.Hour)
	s := NewSet()
	s.Ended(now, ID{"d1", 1}, 0)
	if s.Len() != 0 || s.News(now) != nil {
		t.Errorf("%d logs after the end of an empty one", s.Len())
	}
	s.Ended(now, ID{"d1", 2}, 5)
	news := s.News(now.Add(time.Second))
	want := []wire.Position{{Name: "d1", Boot: 2, Seq: 5, Gone: 1000}}
	if diff := cmp.Diff(want, news); diff != "" {
		t.Errorf("news (-want +got):\n%s", diff)
	}
	from, part := s.Get(ID{"d1", 2}).Part(Spans{{From: 1, To: 3}})
	if from != 4 || len(part) != 0 {
		t.Errorf("%d messages from %d on, want none from 4 on", len(part), from)
	}
}

// A log is old some time after its writer went; much later if somebody is away that may ask for it.
func TestOldLogs(t *testing.T) {
	for _, test := range []struct {
		name string
		gone time.Duration // 0: its writer lives
		away bool
		want bool
	}{
		{"lives", 0, false, false},
		{"went lately", goneKept, false, false},
		{"went long ago", goneKept + 1, false, true},
		{"went long ago, somebody is away", goneKept + 1, true, false},
		{"went too long ago", LongestGone + 1, true, true},
	} {
		s := NewSet()
		log := s.Open(ID{"d2", 1})
		now := mono.Time(48 * time.Hour)
		if test.gone != 0 {
			s.Went(now.Add(-test.gone), log)
		}
		away := func() bool { return test.away }
		if old := s.Clean(now, away, nobodyAttached); len(old) > 0 != test.want {
			t.Errorf("%s: old: %v, want %v", test.name, !test.want, test.want)
		}
		if old := s.Clean(now.Add(cleanEvery-1), away, nobodyAttached); len(old) > 0 {
			t.Errorf("%s: looked at twice within %v", test.name, cleanEvery)
		}
	}
}

// However often a director ends and begins anew while somebody is away, so many of its logs are
// kept for that one: the latest. Those that ended lately, and a peer's, are kept in any case.
func TestLogsOfManyLives(t *testing.T) {
	const now = mono.Time(time.Hour)
	s := NewSet()
	for boot := range uint64(MaxGone + 3) {
		s.Went(mono.Time(boot+1), s.Open(ID{"d2", boot}))
	}
	for boot := range uint64(5) {
		s.Went(now.Add(-goneKept), s.Open(ID{"d3", boot}))
	}
	attached := func(log *Peer) bool { return log.ID() == ID{"d2", 1} }
	var forgotten []ID
	for _, log := range s.Clean(now, func() bool { return true }, attached) {
		forgotten = append(forgotten, log.ID())
	}
	if want := []ID{{"d2", 0}, {"d2", 2}}; !slices.Equal(forgotten, want) {
		t.Errorf("forgotten are %v, want %v", forgotten, want)
	}
}

// Many logs share the room for messages, but each has some.
func TestLogsShareRoom(t *testing.T) {
	s := NewSet()
	for boot := range uint64(2 * tailBytes / minTailBytes) {
		s.Open(ID{"d2", boot})
	}
	log := s.Get(ID{"d2", 0})
	big := &wire.Unknown{Fields: make([]byte, minTailBytes-entryOverhead)}
	log.Keep(0, 1, big)
	log.Keep(0, 2, big)
	const now = mono.Time(cleanEvery)
	s.Clean(now, func() bool { return false }, nobodyAttached)
	if len(log.tail) != 1 || log.tail[0].seq != 2 {
		t.Errorf("%d messages are kept in room for one", len(log.tail))
	}
}

// Peers that have more of a log are asked in turn, those that keep the messages first.
func TestWhoIsAskedForTheRest(t *testing.T) {
	s := NewSet()
	id := ID{"gone", 1}
	log, _ := s.OpenGone(id, mono.Time(time.Second), nobodyAttached)
	log.Gained(Spans{{From: 1, To: 4}})
	claims := map[string]Claims{
		"d1": {id: {{From: 1, To: 6}}},
		"d2": {id: {{From: 1, To: 9}}},
		"d3": {id: {{From: 1, To: 4}}},
		"d4": {id: {{From: 5, To: 9}}},
		"d5": nil,
	}
	ahead := func() string {
		return log.Ahead(func(yield func(string, Claims) bool) {
			for _, name := range []string{"d1", "d2", "d3", "d4", "d5"} {
				if !yield(name, claims[name]) {
					return
				}
			}
		})
	}
	for _, test := range []struct {
		name string
		do   func()
		want string
	}{
		{"one that has most", func() {}, "d2"},
		{"the next one that has most", func() { log.Ask(0, "d2") }, "d4"},
		{"the first one again", func() { log.Ask(0, "d4") }, "d2"},
		{"one that keeps the messages", func() { log.NoteShort("d2") }, "d4"},
		{"one that is short, for lack of others", func() { log.NoteShort("d4") }, "d2"},
		{"the last one that has more", func() { log.Gained(Spans{{From: 7, To: 9}}) }, "d1"},
		{"nobody", func() { log.Gained(Spans{{From: 5, To: 6}}) }, ""},
	} {
		if test.do(); ahead() != test.want {
			t.Errorf("%s: %q, want %q", test.name, ahead(), test.want)
		}
	}
}

// The rest of a log is wanted until it has come, or nothing of it has come for long.
func TestRestOfALog(t *testing.T) {
	s := NewSet()
	log := s.Open(ID{"gone", 1})
	const now = mono.Time(time.Hour)
	if !s.Want(now, log, true) || s.Want(now.Add(time.Second), log, true) || len(s.Behind()) != 1 {
		t.Fatalf("%d logs are waited for", len(s.Behind()))
	}
	log.Ask(now, "d1")
	log.NoteShort("d2")
	if !log.Awaited(now.Add(askAgain-1)) || log.Awaited(now.Add(askAgain)) {
		t.Error("a peer that was asked has a second")
	}
	if log.Answered("d2"); log.Asked() != "d1" {
		t.Errorf("asked is %q after another one answered", log.Asked())
	}
	if log.Answered("d1"); log.Asked() != "" || log.Awaited(now) {
		t.Errorf("asked is %q after it answered", log.Asked())
	}
	if log.Stalled(now.Add(RestWithin)) || !log.Stalled(now.Add(RestWithin+1)) {
		t.Error("the first part has some time to come")
	}
	log.Progressed(now.Add(time.Second))
	if log.Stalled(now.Add(RestWithin + time.Second)) {
		t.Error("a part that came gives more time")
	}
	log.Ask(now, "d1")
	s.Want(now, log, false)
	if len(s.Behind()) > 0 || log.Asked() != "" || log.Short("d2") {
		t.Errorf("%d are waited for, %q is asked", len(s.Behind()), log.Asked())
	}
	s.Want(now, log, true)
	if s.Forget(log); len(s.Behind()) > 0 {
		t.Error("a log that is forgotten is waited for")
	}
}

// A peer's word on a log is news if it says more than before, or for the first time.
func TestClaims(t *testing.T) {
	s := NewSet()
	log := s.Open(ID{"gone", 1})
	log.Gained(Spans{{From: 1, To: 4}})
	var c Claims
	for _, test := range []struct {
		said                    Spans
		news, exceed, fallShort bool
	}{
		{nil, true, false, true},
		{nil, false, false, true},
		{Spans{{From: 1, To: 2}}, true, false, true},
		{Spans{{From: 1, To: 1}}, false, false, true},
		{Spans{{From: 3, To: 4}}, true, false, false},
		{Spans{{From: 9, To: 9}}, true, true, false},
	} {
		news := c.Note(log.ID(), test.said)
		got := [3]bool{news, c.Exceed(log), c.FallShort(log)}
		if want := [3]bool{test.news, test.exceed, test.fallShort}; got != want {
			t.Errorf("said %v: news, exceeds, falls short: %v, want %v", test.said, got, want)
		}
	}
}
