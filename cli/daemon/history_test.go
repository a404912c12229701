package daemon

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/cli/api"
	"directormesh/directory"
	"directormesh/mesh"
	"directormesh/mesh/history"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const noon = directory.Time(1_772_366_400_000) // 2026-03-01T12:00:00Z

var historyOptions = cmp.Options{cmpopts.EquateComparable(api.IP{})}

// An admin change goes into the history as the door has it.
func TestNoteChange(t *testing.T) {
	n := &fakeNode{}
	testDirector(t, n).NoteChange(api.AdminChange{
		Who: "uid 0 pid 7", From: "192.0.2.7:1", Door: "http", Action: "update", TookMS: 12,
		Details: []api.ChangeDetail{{Name: "backend", Value: "192.0.2.1"}},
		Error:   "no", FailedDirectors: []string{"d2"}, NotKept: []string{"d3"},
	})
	want := []*wire.AdminNote{{
		Who: "uid 0 pid 7", From: "192.0.2.7:1", Door: "http", Action: "update", Took: 12,
		Details: []wire.Detail{{Name: "backend", Value: "192.0.2.1"}},
		Error:   "no", Failed: []string{"d2"}, NotKept: []string{"d3"},
	}}
	if diff := cmp.Diff(want, n.noted); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// vhosts is a change of the table that was ordered at d1, as a director has seen it.
func vhosts(at directory.Time) *wire.TableNote {
	return &wire.TableNote{Noted: wire.Noted{At: at}, Change: directory.Change{
		Backends: []directory.BackendRow{{Addr: addr1, VHosts: directory.Register[int]{
			Value: 50, Stamp: directory.StampAt(noon - 10), Origin: "d1",
		}}},
	}}
}

// A change of the table is shown even if nobody says that he was asked for it: the director that
// was asked is away, or hides it. One that somebody was asked for is shown once.
func TestHistoryWithoutWho(t *testing.T) {
	asked := &wire.AdminNote{
		Noted: wire.Noted{N: 2, At: noon - 20}, Director: "d1", Who: "uid 0 pid 7",
		Door: "director.sock", Action: "update", Took: 15,
		Details: []wire.Detail{{Name: "backend", Value: "192.0.2.1"}},
	}
	other := history.Answer{
		Director: "d2", Found: wire.HistoryFound{Since: noon - 1000, Memory: true, More: true},
		Notes: []wire.Note{
			vhosts(noon),
			&wire.LapseNote{
				Noted: wire.Noted{At: noon}, Since: noon - 500, Why: wire.LapseCrashed,
			},
		},
	}
	for name, test := range map[string]struct {
		d1   history.Answer
		gone []mesh.Answer
		want []string // who, action
	}{
		"told": {
			d1: history.Answer{Director: "d1", Notes: []wire.Note{asked, vhosts(noon - 10)}},
			want: []string{
				"uid 0 pid 7", "update",
			},
		},
		"hidden": {
			d1:   history.Answer{Director: "d1", Notes: []wire.Note{vhosts(noon - 10)}},
			want: []string{"", "update"},
		},
		"away": {
			gone: []mesh.Answer{{Director: "d1", Err: errors.New("it cannot be reached")}},
			want: []string{"", "update"},
		},
	} {
		n := &fakeNode{told: []history.Answer{other}, silent: test.gone}
		if test.d1.Director != "" {
			n.told = append(n.told, test.d1)
		}
		q := api.HistoryQuery{
			Since: wallTime(noon - 5000), Until: wallTime(noon + 5000), Limit: 7,
		}
		got, err := testDirector(t, n).History(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		wantQuery := wire.HistoryQuery{Since: noon - 5000, Until: noon + 5000, Limit: 7}
		if n.asked != wantQuery {
			t.Errorf("asked %+v", n.asked)
		}
		if len(got.Changes) != 1 || got.Changes[0].Who != test.want[0] ||
			got.Changes[0].Action != test.want[1] || got.Changes[0].Director != "d1" {
			t.Errorf("%s: changes %+v", name, got.Changes)
		}
		if len(got.Directors) != 2 || got.Directors[0].Name != "d1" ||
			(got.Directors[0].Error != "") != (len(test.gone) > 0) {
			t.Errorf("%s: directors %+v", name, got.Directors)
		}
		d2 := api.HistoryDirector{
			Name: "d2", Since: meshTime(noon - 1000), Memory: true, More: true,
		}
		if diff := cmp.Diff(d2, got.Directors[1]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		lapses := []api.HistoryLapse{{
			Director: "d2", Since: meshTime(noon - 500), Till: wallTime(noon),
			Reason: api.LapseCrashed,
		}}
		if diff := cmp.Diff(lapses, got.Lapses); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Of all directors together no more changes are given than were asked for: the newest.
func TestHistoryLimit(t *testing.T) {
	n := &fakeNode{}
	for i, director := range []string{"d1", "d2"} {
		a := history.Answer{Director: director}
		for j := range 3 {
			a.Notes = append(a.Notes, &wire.AdminNote{
				Noted:    wire.Noted{N: uint64(j), At: noon + directory.Time(10*j+i)},
				Director: director, Action: "update",
			})
		}
		n.told = append(n.told, a)
	}
	got, err := testDirector(t, n).History(t.Context(), api.HistoryQuery{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	var ats []int64
	for _, c := range got.Changes {
		ats = append(ats, c.At.UnixMilli()-int64(noon))
	}
	if diff := cmp.Diff([]int64{11, 20, 21}, ats); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Where a user was is told with the change that brought the user there, and who asked for it.
func TestUserHistory(t *testing.T) {
	move := &wire.AdminNote{
		Noted: wire.Noted{N: 2, At: noon}, Director: "d1", Who: "uid 0 pid 7",
		Door: "director.sock", Action: "move", Took: 2000,
		Details: []wire.Detail{
			{Name: "backend", Value: "192.0.2.2"}, {Name: "user_hash", Value: "7"},
		},
	}
	moved := &wire.UserNote{
		Noted: wire.Noted{At: noon + 10, Wall: noon + 1010}, Tag: "ssd", Hash: 7, From: addr1,
		To: addr2, Cause: wire.CauseMove, By: "d1", Generation: 2, Stamp: noon.Tick(),
	}
	later := *moved
	later.Noted, later.From, later.To, later.Cause = wire.Noted{At: noon + 60_000}, addr2,
		netip.Addr{}, 99
	row := directory.Mapping{
		Hash: 7, Backend: addr1, Generation: 1, Stamp: (noon - 3_600_000).Tick(),
		Activity: (noon - 3_600_000).Tick(),
	}
	n := &fakeNode{told: []history.Answer{{Director: "d1", Notes: []wire.Note{
		&wire.LoginsNote{
			Noted: wire.Noted{At: noon - 3_600_000, Wall: noon}, Director: "d1",
			Block: wire.Pack("ssd", []directory.Mapping{row}),
		}, move, moved, &later,
	}}}}
	at := wallTime(noon + 1000)
	got, err := testDirector(t, n).UserHistory(t.Context(), 7, at, api.HistoryQuery{
		Since: wallTime(noon), Until: wallTime(noon + 100_000), Limit: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	if n.asked != (wire.HistoryQuery{User: true, Hash: 7}) {
		t.Errorf("asked %+v", n.asked)
	}
	asked := &api.AdminChange{
		At: wallTime(noon), WallAt: wallTime(0), Director: "d1", Who: "uid 0 pid 7",
		Door: "director.sock", Action: "move", Details: []api.ChangeDetail{
			{Name: "backend", Value: "192.0.2.2"}, {Name: "user_hash", Value: "7"},
		}, TookMS: 2000, FailedDirectors: []string{}, NotKept: []string{}, SeenBy: []string{"d1"},
	}
	change := api.UserChange{
		At: wallTime(noon + 10), WallAt: wallTime(noon + 1010), Tag: "ssd",
		From: api.IP{Addr: addr1}, To: api.IP{Addr: addr2}, Reason: "move", By: "d1",
		Asked: asked, SeenBy: []string{"d1"},
	}
	want := api.UserHistory{
		UserHash: 7, UserExpireMS: 900_000, At: &at,
		Stays: []api.UserStay{{
			Tag: "ssd", Certainty: api.StayThere, Backend: api.IP{Addr: addr2},
			Since: meshTime(noon + 10), Until: meshTime(noon + 60_000), Why: &change,
		}},
		Changes: []api.UserChange{change, {
			At: wallTime(noon + 60_000), WallAt: wallTime(0), Tag: "ssd",
			From: api.IP{Addr: addr2}, Reason: "other", By: "d1", SeenBy: []string{"d1"},
		}},
		Directors: []api.HistoryDirector{{Name: "d1"}}, Lapses: []api.HistoryLapse{},
	}
	if diff := cmp.Diff(want, got, historyOptions); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Each certainty has its word in the API, and each change of the table that of a command.
func TestHistoryWords(t *testing.T) {
	for _, c := range []history.Certainty{
		history.There, history.ThereIfActive, history.Nowhere, history.Unknown,
	} {
		known := map[string]bool{
			api.StayThere: true, api.StayThereIfActive: true, api.StayNowhere: true,
			api.StayUnknown: true,
		}
		if !known[string(c)] {
			t.Errorf("the API has no word for %s", c)
		}
	}
	actions := make(map[string]bool)
	for _, op := range api.Operations() {
		actions[op.Describe(func(string) ring.UserHash { return 0 }).Action] = true
	}
	for _, c := range []history.TableChange{
		history.TableAdded, history.TableRemoved, history.TableVHosts, history.TableUp,
		history.TableDown, history.TableForgotten,
	} {
		if !actions[string(c)] {
			t.Errorf("no command says %s", c)
		}
	}
}
