package daemon

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"directormesh/cli/api"
	"directormesh/directory"
	"directormesh/mesh/history"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// NoteChange implements the doors' Director: it puts an admin change into the history.
func (d *director) NoteChange(c api.AdminChange) {
	note := &wire.AdminNote{
		Who: c.Who, From: c.From, Door: c.Door, Action: c.Action, Took: c.TookMS, Error: c.Error,
		Failed: c.FailedDirectors, NotKept: c.NotKept,
	}
	for _, detail := range c.Details {
		note.Details = append(note.Details, wire.Detail(detail))
	}
	d.node.NoteAdmin(note)
}

// History implements httpapi.Director.
func (d *director) History(ctx context.Context, q api.HistoryQuery) (api.History, error) {
	told, err := d.askHistory(ctx, historyQuery(q))
	if err != nil {
		return api.History{}, err
	}
	changes := []api.AdminChange{}
	for _, e := range told.merged.Events {
		if e.Admin != nil || e.Table != nil && history.AskedFor(told.merged.Events, e) == nil {
			changes = append(changes, adminChange(e))
		}
	}
	if q.Limit != 0 && len(changes) > q.Limit {
		changes = changes[len(changes)-q.Limit:]
	}
	return api.History{Changes: changes, Directors: told.directors, Lapses: told.lapses}, nil
}

// UserHistory implements httpapi.Director.
func (d *director) UserHistory(
	ctx context.Context, hash ring.UserHash, at time.Time, q api.HistoryQuery,
) (api.UserHistory, error) {
	ask := wire.HistoryQuery{User: true, Hash: hash}
	told, err := d.askHistory(ctx, ask)
	if err != nil {
		return api.UserHistory{}, err
	}
	out := api.UserHistory{
		UserHash: uint32(hash), UserExpireMS: d.options.UserExpire.Milliseconds(),
		Stays: []api.UserStay{}, Changes: []api.UserChange{},
		Directors: told.directors, Lapses: told.lapses,
	}
	all := told.merged.Of(hash)
	for _, e := range all {
		t := wallTime(e.At)
		if !t.Before(q.Since) && (q.Until.IsZero() || !t.After(q.Until)) {
			out.Changes = append(out.Changes, userChange(told.merged.Events, e))
		}
	}
	if q.Limit != 0 && len(out.Changes) > q.Limit {
		out.Changes = out.Changes[len(out.Changes)-q.Limit:]
	}
	if at.IsZero() {
		return out, nil
	}
	out.At = &at
	moment := directory.Time(at.UnixMilli())
	for _, p := range told.merged.Stays(hash, told.rows, moment, d.options.UserExpire) {
		stay := api.UserStay{
			Tag: string(p.Tag), Certainty: string(p.Certainty), Backend: api.IP{Addr: p.Backend},
			Since: meshTime(p.Since), Until: meshTime(p.Until),
		}
		if i := slices.IndexFunc(all, func(e history.UserEvent) bool {
			return p.Cause != nil && e.Tag == p.Tag && e.At == p.Cause.At &&
				e.Table == p.Cause.Table && e.User == p.Cause.User && e.Login == p.Cause.Login
		}); i >= 0 {
			change := userChange(told.merged.Events, all[i])
			stay.Why = &change
		}
		out.Stays = append(out.Stays, stay)
	}
	return out, nil
}

func historyQuery(q api.HistoryQuery) wire.HistoryQuery {
	ask := wire.HistoryQuery{Limit: uint32(q.Limit)}
	if !q.Since.IsZero() {
		ask.Since = directory.Time(q.Since.UnixMilli())
	}
	if !q.Until.IsZero() {
		ask.Until = directory.Time(q.Until.UnixMilli())
	}
	return ask
}

// told is what all directors told.
type told struct {
	merged    history.Merged
	rows      []wire.Block
	directors []api.HistoryDirector
	lapses    []api.HistoryLapse
}

func (d *director) askHistory(ctx context.Context, q wire.HistoryQuery) (t told, err error) {
	answers, failed, err := d.node.AskHistory(ctx, q)
	if err != nil {
		return t, apiError(err)
	}
	for _, a := range answers {
		t.rows = append(t.rows, a.Found.Rows...)
		t.directors = append(t.directors, api.HistoryDirector{
			Name: a.Director, Since: meshTime(a.Found.Since), Memory: a.Found.Memory,
			More: a.Found.More, Error: api.Visible(a.Found.Problem),
		})
	}
	for _, a := range failed {
		t.directors = append(t.directors, api.HistoryDirector{
			Name: a.Director, Error: api.Cause(a.Err),
		})
	}
	slices.SortFunc(t.directors, func(a, b api.HistoryDirector) int {
		return strings.Compare(a.Name, b.Name)
	})
	t.merged = history.Merge(answers)
	t.lapses = []api.HistoryLapse{}
	for _, l := range t.merged.Lapses {
		t.lapses = append(t.lapses, api.HistoryLapse{
			Director: l.Director, Since: meshTime(l.Since), Till: wallTime(l.Till), Lost: l.Lost,
			Reason: lapseReason(l.Why),
		})
	}
	return t, nil
}

func lapseReason(why wire.Lapse) string {
	switch why {
	case wire.LapseBegun:
		return api.LapseBegun
	case wire.LapseStopped:
		return api.LapseStopped
	case wire.LapseCrashed:
		return api.LapseCrashed
	}
	return api.LapseLost
}

// adminChange shows an admin change, or a change of the table that nobody is known to have asked
// for.
func adminChange(e history.Event) api.AdminChange {
	c := api.AdminChange{
		At: wallTime(e.At), WallAt: wallTime(e.Wall), Details: []api.ChangeDetail{},
		FailedDirectors: []string{}, NotKept: []string{}, SeenBy: listed(e.Seen),
	}
	if a := e.Admin; a != nil {
		c.Director, c.Who, c.From, c.Door = a.Director, a.Who, a.From, a.Door
		c.Action, c.TookMS, c.Error = a.Action, a.Took, a.Error
		c.FailedDirectors, c.NotKept = listed(a.Failed), listed(a.NotKept)
		for _, detail := range a.Details {
			c.Details = append(c.Details, api.ChangeDetail(detail))
		}
		return c
	}
	t := e.Table
	c.Director, c.Action = t.Origin, string(t.What)
	add := func(name, value string) {
		c.Details = append(c.Details, api.ChangeDetail{Name: name, Value: value})
	}
	if t.Director.IsValid() {
		add("peer", ring.AddrText(t.Director.Addr()))
		add("port", strconv.Itoa(int(t.Director.Port())))
		return c
	}
	if t.What == history.TablePinned || t.What == history.TableUnpinned {
		add("user_hash", strconv.FormatUint(uint64(t.User.Hash), 10))
	}
	if t.What == history.TableUnpinned {
		add("tag", string(t.User.Tag))
		return c
	}
	add("backend", ring.AddrText(t.Backend))
	if t.What == history.TableAdded && t.Tag != "" {
		add("tag", string(t.Tag))
	}
	if t.What == history.TableVHosts {
		add("vhosts", strconv.Itoa(t.VHosts))
	}
	if t.What == history.TableFactor || t.What == history.TableStart {
		add("percent", strconv.Itoa(t.Percent))
	}
	return c
}

func userChange(events []history.Event, e history.UserEvent) api.UserChange {
	ip := func(a netip.Addr) api.IP { return api.IP{Addr: a} }
	c := api.UserChange{
		At: wallTime(e.At), WallAt: wallTime(e.Wall), Tag: string(e.Tag), From: ip(e.From),
		To: ip(e.To), Reason: string(e.Reason), By: e.By, SeenBy: listed(e.Seen),
	}
	if asked := history.AskedFor(events, e.Event); asked != nil {
		change := adminChange(*asked)
		c.Asked = &change
	}
	return c
}
