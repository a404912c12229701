package history_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/history"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

func userNote(at directory.Time, hash ring.UserHash, to netip.Addr, cause wire.Cause) wire.Note {
	return &wire.UserNote{
		Noted: wire.Noted{At: at}, Hash: hash, From: backend1, To: to, Cause: cause, By: "d2",
		Generation: 2, Stamp: at.Tick(),
	}
}

// loginOf is a login of a user of a tag at a moment.
func loginOf(at directory.Time, tag ring.Tag, hash ring.UserHash, to netip.Addr) wire.Note {
	return &wire.LoginsNote{
		Noted: wire.Noted{At: at + 100, Wall: at + 1100}, Director: "d1",
		Block: wire.Pack(tag, []directory.Mapping{
			{Hash: hash, Backend: to, Stamp: at.Tick(), Activity: at.Tick(), Generation: 1},
		}),
	}
}

func tableNote(at directory.Time, row directory.BackendRow) wire.Note {
	return &wire.TableNote{Noted: wire.Noted{At: at}, Change: directory.Change{
		Backends: []directory.BackendRow{row},
	}}
}

// What happened to a user is told with its reason and with what ended the mapping, and nothing of
// others.
func TestOf(t *testing.T) {
	const second = 1000
	removed := directory.Register[directory.Presence]{
		Stamp: directory.StampAt(noon + 40*second), Origin: "d3",
	}
	notes := []wire.Note{
		loginOf(noon, "", 7, backend1),
		userNote(noon+10*second, 7, backend2, wire.CauseMove),
		userNote(noon+10*second, 8, backend3, wire.CauseMove),
		tableNote(noon+20*second, directory.BackendRow{
			Addr: backend2, Forgotten: directory.StampAt(noon + 20*second),
		}),
		userNote(noon+30*second, 7, backend3, wire.CauseForgotten),
		tableNote(noon+40*second, directory.BackendRow{
			Addr: backend3, Presence: removed, Forgotten: removed.Stamp,
		}),
		userNote(noon+50*second, 7, netip.Addr{}, wire.CauseFlush),
		userNote(noon+60*second, 7, backend1, 99),
		loginOf(noon+5*second, "ssd", 7, backend3),
	}
	// What was forgotten of a backend at other times ends nothing.
	for _, at := range []directory.Time{-10 * second, 5 * second, 100 * second} {
		notes = append(notes, tableNote(noon+at, directory.BackendRow{
			Addr: backend2, Forgotten: directory.StampAt(noon + at),
		}))
	}
	for _, e := range history.Merge([]history.Answer{{Director: "d1", Notes: []wire.Note{
		loginOf(noon, "", 9, backend2), userNote(noon+10*second, 9, backend1, wire.CauseMove),
		tableNote(noon+20*second, directory.BackendRow{
			Addr: backend2, Forgotten: directory.StampAt(noon + 20*second),
		}),
	}}}).Of(9) {
		if e.Reason == history.ByForgotten {
			t.Errorf("forgotten where the user was before: %+v", e)
		}
	}
	want := []string{
		"0 : ->192.0.2.1 login by d1",
		"5 ssd: ->2001:db8::3 login by d1",
		"10 : 192.0.2.1->192.0.2.2 move by d2",
		"20 : 192.0.2.2-> forgotten by ",
		"30 : 192.0.2.1->2001:db8::3 forgotten by d2",
		"40 : 2001:db8::3-> removed by d3",
		"40 ssd: 2001:db8::3-> removed by d3",
		"50 : 192.0.2.1-> flush by d2",
		"60 : 192.0.2.1->192.0.2.1 other by d2",
	}
	var got []string
	for _, e := range history.Merge([]history.Answer{{Director: "d1", Notes: notes}}).Of(7) {
		got = append(got, fmt.Sprintf("%d %s: %s->%s %s by %s", (e.At-noon)/second, e.Tag,
			ring.AddrText(e.From), ring.AddrText(e.To), e.Reason, e.By))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Each cause has a reason of its own, and Reasons names all.
func TestReasons(t *testing.T) {
	seen := map[history.Reason]bool{history.ByLogin: true}
	for cause := wire.CauseOther; cause <= wire.CausePin; cause++ {
		answers := []history.Answer{{Director: "d1", Notes: []wire.Note{
			userNote(noon, 7, backend2, cause),
		}}}
		reason := history.Merge(answers).Of(7)[0].Reason
		if seen[reason] || reason == "" {
			t.Errorf("cause %d has the reason %q", cause, reason)
		}
		seen[reason] = true
	}
	if all := history.Reasons(); len(all) != len(seen) {
		t.Errorf("%v, seen %v", all, seen)
	}
}

// A change of the table is told register by register.
func TestTableEvents(t *testing.T) {
	stamp := directory.StampAt(noon)
	task := func(on bool, since directory.Stamp) directory.Register[directory.Task] {
		return directory.Register[directory.Task]{
			Value: directory.Task{On: on, Since: since}, Stamp: stamp, Origin: "d1",
		}
	}
	verdict := func(failed bool, since directory.Stamp) directory.Register[directory.Verdict] {
		return directory.Register[directory.Verdict]{
			Value: directory.Verdict{Failed: failed, Since: since}, Stamp: stamp, Origin: "d1",
		}
	}
	listing := func(gone, retained bool) directory.Register[directory.Listing] {
		return directory.Register[directory.Listing]{
			Value: directory.Listing{Gone: gone, Retained: retained}, Stamp: stamp, Origin: "d1",
		}
	}
	state := func(down bool, since directory.Stamp) directory.Register[directory.State] {
		return directory.Register[directory.State]{
			Value: directory.State{Down: down, Since: since}, Stamp: stamp, Origin: "d1",
		}
	}
	presence := func(present bool) directory.Register[directory.Presence] {
		return directory.Register[directory.Presence]{
			Value: directory.Presence{Present: present, Tag: "ssd"}, Stamp: stamp, Origin: "d1",
		}
	}
	for want, row := range map[string]directory.BackendRow{
		"add tag ssd":    {Presence: presence(true), Forgotten: stamp},
		"remove":         {Presence: presence(false), Forgotten: stamp},
		"forget; remove": {Presence: presence(false), Forgotten: stamp + 1},
		"update 50": {VHosts: directory.Register[int]{
			Value: 50, Stamp: stamp, Origin: "d1",
		}},
		"down":           {State: state(true, stamp)},
		"up":             {State: state(false, stamp)},
		"":               {State: state(false, 0)},
		"forget":         {Forgotten: stamp},
		"drain":          {Drain: task(true, stamp)},
		"undrain":        {Drain: task(false, stamp)},
		"rebalance":      {Rebalance: task(true, stamp)},
		"rebalanced":     {Rebalance: task(false, stamp), Drain: task(false, 0)},
		"failed":         {Verdict: verdict(true, stamp)},
		"gone from name": {Listing: listing(true, false)},
		"back in name":   {Listing: listing(false, false)},
		"kept in use":    {Listing: listing(true, true)},
		"recovered":      {Verdict: verdict(false, stamp)},
		"down; undrain": { // a verdict that is written again is no change
			State: state(true, stamp), Drain: task(false, stamp), Verdict: verdict(true, stamp-9),
		},
	} {
		row.Addr = backend1
		answers := []history.Answer{{Director: "d1", Notes: []wire.Note{tableNote(noon, row)}}}
		var got []string
		for _, e := range history.Merge(answers).Events {
			text := string(e.Table.What)
			if e.Table.Tag != "" {
				text += " tag " + string(e.Table.Tag)
			}
			if e.Table.VHosts != 0 {
				text += fmt.Sprint(" ", e.Table.VHosts)
			}
			if e.Table.Backend != backend1 || e.Table.Origin != "d1" && text != "forget" {
				t.Errorf("%s: %+v", want, e.Table)
			}
			got = append(got, text)
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	peer := netip.MustParseAddrPort("192.0.2.101:9090")
	for _, removed := range []bool{true, false} {
		answers := []history.Answer{{Director: "d1", Notes: []wire.Note{&wire.TableNote{
			Change: directory.Change{Directors: []directory.DirectorRow{{
				Addr:    peer,
				Removed: directory.Register[bool]{Value: removed, Stamp: stamp, Origin: "d1"},
			}}},
		}}}}
		e := history.Merge(answers).Events[0].Table
		if e.Director != peer || e.Origin != "d1" || e.Stamp != stamp ||
			(e.What == history.TableRemoved) != removed {
			t.Errorf("removed %v: %+v", removed, e)
		}
	}
}

// An admin change is the cause only of what it asked for, at its director, and in time.
func TestAskedForOnlyThat(t *testing.T) {
	admin := func(action, director string, details ...string) history.Event {
		a := admin(action)
		a.Director, a.Took = director, 100
		for i := 0; i < len(details); i += 2 {
			a.Details = append(a.Details, wire.Detail{Name: details[i], Value: details[i+1]})
		}
		return history.Event{At: noon, Admin: a}
	}
	user := func(cause wire.Cause, by string) history.Event {
		return history.Event{At: noon + 50, User: &wire.UserNote{
			Hash: 17, From: backend1, To: backend2, Cause: cause, By: by,
		}}
	}
	fromNowhere := history.Event{At: noon, User: &wire.UserNote{Cause: wire.CauseForgotten}}
	lateImport := history.Event{At: noon + 2101, User: &wire.UserNote{Cause: wire.CauseImport}}
	flushed := user(wire.CauseFlush, "d1")
	flushed.User.Flushed = backend1
	late := user(wire.CauseMove, "d1")
	late.At = noon + 2101
	early := user(wire.CauseMove, "d1")
	early.At = noon - 2001
	table := func(what history.TableChange, origin string) history.Event {
		return history.Event{At: noon, Table: &history.TableEvent{
			Backend: backend1, What: what, Origin: origin,
		}}
	}
	ringAdd := history.Event{At: noon, Table: &history.TableEvent{
		Director: netip.MustParseAddrPort("192.0.2.101:9090"), What: history.TableAdded,
		Origin: "d1",
	}}
	const b1 = "192.0.2.1"
	for i, test := range []struct {
		asked history.Event
		event history.Event
		want  bool
	}{
		{admin("move", "d1", "user_hash", "17"), user(wire.CauseMove, "d1"), true},
		{admin("move", "d1", "user_hash", "17"), user(wire.CauseMove, "d2"), false},
		{admin("move", "d1", "user_hash", "8"), user(wire.CauseMove, "d1"), false},
		{admin("kick", "d1", "user_hash", "17"), user(wire.CauseMove, "d1"), false},
		{admin("move", "d1", "user_hash", "17"), late, false},
		{admin("move", "d1", "user_hash", "17"), early, false},
		{admin("flush", "d1", "backend", "all"), user(wire.CauseFlush, "d1"), true},
		{admin("flush", "d2", "backend", "all"), user(wire.CauseFlush, "d1"), false},
		{admin("flush", "d1", "backend", b1), user(wire.CauseFlush, "d1"), false},
		{admin("flush", "d1", "backend", b1), flushed, true},
		{admin("update", "d1", "backend", b1), flushed, false},
		{admin("forget", "d3", "backend", b1), user(wire.CauseForgotten, "d1"), true},
		{admin("forget", "d3", "backend", "192.0.2.2"), user(wire.CauseForgotten, "d1"), false},
		{admin("remove", "d3", "backend", b1), user(wire.CauseForgotten, "d1"), false},
		{admin("remove", "d3", "backend", b1), user(wire.CauseRemoved, "d1"), true},
		{admin("import", "d1"), user(wire.CauseImport, ""), true},
		{admin("import", "d1"), lateImport, false},
		{admin("forget", "d1"), fromNowhere, false},
		{admin("move", "d1"), user(wire.CauseImport, ""), false},
		{admin("up", "d1", "backend", b1), table(history.TableUp, "d1"), true},
		{admin("up", "d2", "backend", b1), table(history.TableUp, "d1"), false},
		{admin("up", "d2", "backend", b1), table(history.TableUp, ""), true},
		{admin("down", "d1", "backend", b1), table(history.TableUp, "d1"), false},
		{admin("forget", "d1", "backend", "all"), table(history.TableForgotten, ""), true},
		{admin("ring add", "d1"), ringAdd, true},
		{admin("add", "d1", "backend", b1), ringAdd, false},
		{admin("update", "d1"), history.Event{At: noon, Login: &history.LoginEvent{}}, false},
	} {
		got := history.AskedFor([]history.Event{test.asked}, test.event)
		if got != nil != test.want {
			t.Errorf("%d: %+v of %+v: %v", i, test.event, test.asked.Admin, got)
		}
	}
}

// Of several present mappings of a user that counts on which the directors agree, or will.
func TestStaysByPresentRows(t *testing.T) {
	row := func(generation uint16, stamp directory.Tick, backend netip.Addr) wire.Block {
		return wire.Pack("", []directory.Mapping{
			{Hash: 6, Backend: backend3, Generation: 9, Stamp: 1},
			{Hash: 7, Backend: backend, Generation: generation, Stamp: stamp},
		})
	}
	older, newer := (noon - 10_000).Tick(), (noon - 5_000).Tick()
	for i, rows := range [][]wire.Block{
		{row(1, older, backend2), row(2, newer, backend1)},
		{row(2, newer, backend1), row(1, older, backend2)},
		{row(2, newer, backend2), row(2, older, backend1)},
		{row(2, older, backend1), row(2, newer, backend2)},
	} {
		got := history.Merged{}.Stays(7, rows, noon, 0)
		if len(got) != 1 || got[0].Backend != backend1 {
			t.Errorf("%d: %+v", i, got)
		}
	}
}
