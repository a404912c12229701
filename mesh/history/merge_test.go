package history_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"directormesh/directory"
	"directormesh/mesh/history"
	"directormesh/mesh/wire"
)

var options = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}), cmpopts.EquateEmpty(),
}

const noon = directory.Time(1_772_366_400_000)

// notes draws notes of few users and backends, so that several directors see the same.
func notes(t *rapid.T, director string) (all []wire.Note) {
	backends := rapid.SampledFrom([]netip.Addr{{}, backend1, backend2})
	directors := rapid.SampledFrom([]string{"d1", "d2", "d3"})
	for n := range uint64(rapid.IntRange(0, 8).Draw(t, "notes")) {
		at := noon + directory.Time(rapid.IntRange(0, 3).Draw(t, "at"))
		head := wire.Noted{N: n + 1, At: at, Wall: at + 1000}
		stamp := noon.Tick() + directory.Tick(rapid.IntRange(0, 2).Draw(t, "stamp"))
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			a := admin("update")
			a.Noted, a.Director = head, director
			all = append(all, a)
		case 1:
			all = append(all, &wire.UserNote{
				Noted: head, Hash: 7, From: backends.Draw(t, "from"), To: backends.Draw(t, "to"),
				Cause: wire.Cause(rapid.IntRange(0, 3).Draw(t, "cause")),
				By:    directors.Draw(t, "by"), Generation: 1, Stamp: stamp,
			})
		case 2:
			all = append(all, &wire.LoginsNote{Noted: head, Director: director,
				Block: wire.Pack("", []directory.Mapping{
					{Hash: 7, Backend: backend1, Stamp: stamp, Activity: stamp, Generation: 1},
					{Hash: 8, Backend: backend2, Stamp: stamp, Activity: stamp, Generation: 1},
				})})
		case 3:
			all = append(all, &wire.TableNote{Noted: head, Change: directory.Change{
				Backends: []directory.BackendRow{{
					Addr: backend1, Forgotten: directory.StampAt(noon),
					VHosts: directory.Register[int]{
						Value:  rapid.IntRange(0, 2).Draw(t, "vhosts"),
						Origin: directors.Draw(t, "origin"), Stamp: directory.StampAt(at),
					},
				}},
			}})
		case 4:
			all = append(all, &wire.LapseNote{Noted: head, Since: noon - 1, Why: wire.LapseLost,
				Lost: 1})
		}
	}
	return all
}

// Answers are merged to the same in any order, and given twice as well as once. What is one change
// is one event, in the order of mesh time.
func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var answers []history.Answer
		for _, director := range []string{"d1", "d2", "d3"} {
			answers = append(answers, history.Answer{
				Director: director, Notes: notes(t, director),
			})
		}
		want := history.Merge(answers)
		again := slices.Concat(answers, answers[:1])
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		for i := range again {
			again[i].Notes = slices.Clone(again[i].Notes)
			r.Shuffle(len(again[i].Notes), func(a, b int) {
				n := again[i].Notes
				n[a], n[b] = n[b], n[a]
			})
		}
		if diff := cmp.Diff(want, history.Merge(again), options); diff != "" {
			t.Errorf("in another order (-want +got):\n%s", diff)
		}
		type change struct {
			to    netip.Addr
			from  netip.Addr
			stamp directory.Tick
			login bool
		}
		seen := make(map[change]bool)
		for i, e := range want.Events {
			if i > 0 && e.At < want.Events[i-1].At {
				t.Errorf("event %d is of %d, the one before of %d", i, e.At, want.Events[i-1].At)
			}
			if !slices.IsSorted(e.Seen) || len(e.Seen) == 0 ||
				len(slices.Compact(slices.Clone(e.Seen))) < len(e.Seen) {
				t.Errorf("seen by %v", e.Seen)
			}
			var c change
			switch {
			case e.User != nil:
				c = change{to: e.User.To, from: e.User.From, stamp: e.User.Stamp}
			case e.Login != nil && e.Login.Hash == 7:
				c = change{to: e.Login.Backend, stamp: e.Login.Stamp, login: true}
			default:
				continue
			}
			if seen[c] {
				t.Errorf("%+v is there twice", c)
			}
			seen[c] = true
		}
	})
}

// No note is lost by merging: each is in an event at its time or before, seen by its director.
func TestMergeIsComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		answer := history.Answer{Director: "d1", Notes: notes(t, "d1")}
		other := history.Answer{Director: "d2", Notes: notes(t, "d2")}
		merged := history.Merge([]history.Answer{answer, other})
		for _, n := range answer.Notes {
			if !slices.ContainsFunc(merged.Events, func(e history.Event) bool {
				return e.At <= n.Head().At.Tick().Time()+1000 && tells(e, n)
			}) && !slices.ContainsFunc(merged.Lapses, func(l history.Lapse) bool {
				return l.Director == "d1" && l.Till == n.Head().At
			}) {
				t.Errorf("%T of %d is lost", n, n.Head().At)
			}
		}
	})
}

// tells reports whether an event, seen by d1, is what a note says.
func tells(e history.Event, n wire.Note) bool {
	sees := slices.Contains(e.Seen, "d1")
	switch n := n.(type) {
	case *wire.AdminNote:
		return sees && e.Admin != nil && e.Admin.Director == n.Director
	case *wire.UserNote:
		return sees && e.User != nil && e.User.To == n.To && e.User.Stamp == n.Stamp &&
			(e.User.From == n.From || !n.From.IsValid())
	case *wire.LoginsNote:
		return e.Login != nil && e.Login.Stamp == n.Block.Append(nil)[0].Stamp ||
			e.User != nil && e.User.To == backend1
	case *wire.TableNote:
		return sees && e.Table != nil && e.Table.VHosts == n.Change.Backends[0].VHosts.Value
	}
	return false
}

// The director that decided knows the cause; the others only see the change.
func TestMergeTakesTheCause(t *testing.T) {
	seen := func(director string, at directory.Time, cause wire.Cause, by string) history.Answer {
		return history.Answer{Director: director, Notes: []wire.Note{&wire.UserNote{
			Noted: wire.Noted{N: 3, At: at, Wall: at}, Hash: 7, From: backend1, To: backend2,
			Cause: cause, By: by, Generation: 2, Stamp: noon.Tick(),
		}}}
	}
	got := history.Merge([]history.Answer{
		seen("d3", noon+20, wire.CauseOther, ""), seen("d2", noon+30, wire.CauseMove, "d2"),
		seen("d1", noon+40, wire.CauseOther, ""),
	})
	want := []history.Event{{
		At: noon + 20, Wall: noon + 20, Seen: []string{"d1", "d2", "d3"},
		User: &wire.UserNote{
			Hash: 7, From: backend1, To: backend2, Cause: wire.CauseMove, By: "d2", Generation: 2,
			Stamp: noon.Tick(),
		},
	}}
	if diff := cmp.Diff(want, got.Events, options); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A director that did not know where the user was before has seen the same change.
func TestMergeWithoutFrom(t *testing.T) {
	note := func(at directory.Time, from netip.Addr, cause wire.Cause) []wire.Note {
		return []wire.Note{&wire.UserNote{
			Noted: wire.Noted{At: at, Wall: at}, Hash: 7, From: from, To: backend2, Cause: cause,
			Generation: 2, Stamp: noon.Tick(),
		}}
	}
	got := history.Merge([]history.Answer{
		{Director: "d1", Notes: note(noon+10, backend1, wire.CauseOther)},
		{Director: "d2", Notes: note(noon, netip.Addr{}, wire.CauseMove)},
		{Director: "d3", Notes: note(noon+10, backend3, wire.CauseOther)},
	}).Events
	if len(got) != 2 || got[0].User.From != backend1 || got[0].User.Cause != wire.CauseMove ||
		got[0].At != noon || !slices.Equal(got[0].Seen, []string{"d1", "d2"}) ||
		got[1].User.From != backend3 || !slices.Equal(got[1].Seen, []string{"d3"}) {
		t.Errorf("%+v", got)
	}
}

// An event is led back to the admin change that asked for it, and to no other.
func TestAskedFor(t *testing.T) {
	asked := func(
		at directory.Time, director, action string, details ...wire.Detail,
	) history.Event {
		a := admin(action)
		a.Director, a.Took, a.Details = director, 100, details
		return history.Event{At: at, Admin: a}
	}
	backend := wire.Detail{Name: "backend", Value: "192.0.2.1"}
	all := wire.Detail{Name: "backend", Value: "all"}
	user := wire.Detail{Name: "user_hash", Value: "7"}
	failed := asked(noon+900, "d1", "move", user)
	failed.Admin.Error = "no"
	events := []history.Event{
		asked(noon-50_000, "d1", "move", user),
		asked(noon-40_000, "d1", "flush", all),
		asked(noon-30_000, "d1", "forget", backend),
		asked(noon, "d1", "move", user),
		asked(noon+10, "d2", "move", user),
		asked(noon+20, "d1", "move", wire.Detail{Name: "user_hash", Value: "8"}),
		asked(noon+30, "d1", "update", backend),
		asked(noon+40, "d2", "update", backend),
		failed,
		asked(noon+60_000, "d1", "move", user),
	}
	moved := func(cause wire.Cause) history.Event {
		return history.Event{At: noon + 1000, User: &wire.UserNote{
			Hash: 7, From: backend1, To: backend2, Cause: cause, By: "d1",
		}}
	}
	table := func(what history.TableChange, of netip.Addr) history.Event {
		return history.Event{At: noon + 100, Table: &history.TableEvent{
			Backend: of, What: what, Origin: "d1",
		}}
	}
	for name, test := range map[string]struct {
		event history.Event
		want  int // index, -1: none
	}{
		"move":            {moved(wire.CauseMove), 3},
		"flush":           {moved(wire.CauseFlush), 1},
		"forgotten":       {moved(wire.CauseForgotten), 2},
		"removed":         {moved(wire.CauseRemoved), -1},
		"expired":         {moved(wire.CauseExpired), -1},
		"vhosts":          {table(history.TableVHosts, backend1), 6},
		"another backend": {table(history.TableVHosts, backend2), -1},
		"down":            {table(history.TableDown, backend1), -1},
	} {
		got := history.AskedFor(events, test.event)
		switch {
		case test.want < 0 && got != nil:
			t.Errorf("%s: %+v", name, got.Admin)
		case test.want >= 0 && got != &events[test.want]:
			t.Errorf("%s: %+v, want event %d", name, got, test.want)
		}
	}
}

// Where a user was follows from what was noted before and after, and from today's mapping.
func TestStays(t *testing.T) {
	const life = 15 * time.Minute
	minute := directory.Time(time.Minute.Milliseconds())
	login := func(at directory.Time, to netip.Addr) wire.Note {
		m := directory.Mapping{
			Hash: 7, Backend: to, Stamp: at.Tick(), Activity: at.Tick(), Generation: 1,
		}
		return &wire.LoginsNote{Noted: wire.Noted{At: at + 100}, Director: "d1",
			Block: wire.Pack("", []directory.Mapping{m})}
	}
	change := func(at directory.Time, from, to netip.Addr, cause wire.Cause) wire.Note {
		return &wire.UserNote{Noted: wire.Noted{At: at}, Hash: 7, From: from, To: to, Cause: cause,
			Generation: 2, Stamp: at.Tick()}
	}
	forget := func(at directory.Time, of netip.Addr) wire.Note {
		return &wire.TableNote{Noted: wire.Noted{At: at}, Change: directory.Change{
			Backends: []directory.BackendRow{{Addr: of, Forgotten: directory.StampAt(at)}},
		}}
	}
	type stay struct {
		how     history.Certainty
		backend netip.Addr
		since   directory.Time
		until   directory.Time
	}
	for name, test := range map[string]struct {
		notes []wire.Note
		row   *directory.Mapping
		at    directory.Time // since noon
		want  stay
	}{
		"before all that is known": {
			notes: []wire.Note{login(noon+minute, backend1)},
			want:  stay{how: history.Unknown, until: noon + minute},
		},
		"just logged in": {
			notes: []wire.Note{login(noon, backend1)}, at: 14 * minute,
			want: stay{how: history.There, backend: backend1, since: noon},
		},
		"at that moment": {
			notes: []wire.Note{login(noon, backend1)},
			want:  stay{how: history.There, backend: backend1, since: noon},
		},
		"long ago": {
			notes: []wire.Note{login(noon, backend1)}, at: 15 * minute,
			want: stay{how: history.ThereIfActive, backend: backend1, since: noon},
		},
		"lasted until it was moved": {
			notes: []wire.Note{
				login(noon, backend1),
				change(noon+60*minute, backend1, backend2, wire.CauseMove),
			}, at: 30 * minute,
			want: stay{history.There, backend1, noon, noon + 60*minute},
		},
		"expired before the next one": {
			notes: []wire.Note{
				login(noon, backend1),
				change(noon+60*minute, backend1, backend2, wire.CauseExpired),
			}, at: 30 * minute,
			want: stay{history.ThereIfActive, backend1, noon, noon + 60*minute},
		},
		"moved": {
			notes: []wire.Note{
				login(noon, backend1),
				change(noon+minute, backend1, backend2, wire.CauseMove),
			}, at: 2 * minute,
			want: stay{how: history.There, backend: backend2, since: noon + minute},
		},
		"moved away from where nobody noted": {
			notes: []wire.Note{change(noon+minute, backend1, backend2, wire.CauseMove)},
			want:  stay{how: history.ThereIfActive, backend: backend1, until: noon + minute},
		},
		"kicked and forgotten": {
			notes: []wire.Note{
				login(noon, backend1),
				change(noon+minute, backend1, netip.Addr{}, wire.CauseFlush),
			}, at: 2 * minute,
			want: stay{how: history.Nowhere, since: noon + minute},
		},
		"backend forgotten": {
			notes: []wire.Note{login(noon, backend1), forget(noon+minute, backend1)},
			at:    2 * minute,
			want:  stay{how: history.Nowhere, since: noon + minute},
		},
		"forgotten later": {
			notes: []wire.Note{login(noon, backend1), forget(noon+2*minute, backend1)},
			at:    minute,
			want:  stay{how: history.There, backend: backend1, since: noon},
		},
		"mapped elsewhere until today, by nobody's note": {
			notes: []wire.Note{login(noon, backend1)}, at: 600 * minute,
			row:  &directory.Mapping{Backend: backend3, Stamp: (noon + minute).Tick()},
			want: stay{how: history.There, backend: backend3, since: noon + minute},
		},
		"mapped today since that moment": {
			row:  &directory.Mapping{Backend: backend3, Stamp: noon.Tick()},
			want: stay{how: history.There, backend: backend3, since: noon},
		},
		"forgotten at the same moment": {
			notes: []wire.Note{login(noon, backend1), forget(noon, backend1)}, at: minute,
			want: stay{how: history.Nowhere, since: noon},
		},
		"another backend forgotten": {
			notes: []wire.Note{login(noon, backend1), forget(noon+minute, backend2)},
			at:    2 * minute,
			want:  stay{how: history.There, backend: backend1, since: noon},
		},
		"forgotten before": {
			notes: []wire.Note{forget(noon-minute, backend1), login(noon, backend1)},
			at:    2 * minute,
			want:  stay{how: history.There, backend: backend1, since: noon},
		},
		"mapped until today": {
			notes: []wire.Note{login(noon, backend1)}, at: 600 * minute,
			row:  &directory.Mapping{Backend: backend1, Stamp: noon.Tick()},
			want: stay{how: history.There, backend: backend1, since: noon},
		},
		"mapped until today, by nobody's note": {
			at: minute, row: &directory.Mapping{Backend: backend3, Stamp: noon.Tick()},
			want: stay{how: history.There, backend: backend3, since: noon},
		},
		"mapped after that": {
			at:   -minute,
			row:  &directory.Mapping{Backend: backend3, Stamp: noon.Tick()},
			want: stay{how: history.Unknown},
		},
	} {
		t.Run(name, func(t *testing.T) {
			answers := []history.Answer{{Director: "d1", Notes: test.notes}}
			var rows []wire.Block
			if test.row != nil {
				row := *test.row
				row.Hash, row.Generation = 7, 1
				rows = append(rows, wire.Pack("", []directory.Mapping{row}))
			}
			got := history.Merge(answers).Stays(7, rows, noon+test.at, life)
			if len(got) != 1 {
				t.Fatalf("%+v", got)
			}
			p := stay{got[0].Certainty, got[0].Backend, got[0].Since, got[0].Until}
			if p != test.want {
				t.Errorf("%+v, want %+v", p, test.want)
			}
			if other := history.Merge(answers).Stays(8, rows, noon, life); len(other) > 0 {
				t.Errorf("another user: %+v", other)
			}
		})
	}
}
