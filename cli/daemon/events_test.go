package daemon

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/api"
	"directormesh/mesh/event"
	"directormesh/mesh/history"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// shownSamples are one event of each form, with the kind and what that it has in the API.
func shownSamples() map[string]event.Event {
	table := func(what history.TableChange) event.Event {
		return event.Event{Table: &history.TableEvent{
			Backend: addr1, What: what, Tag: "ssd", VHosts: 7, Origin: "d2",
		}}
	}
	samples := map[string]event.Event{
		"change update":     {Admin: &wire.AdminNote{Director: "d2", Action: "update"}},
		"table update":      table(history.TableVHosts),
		"table add":         table(history.TableAdded),
		"table forget":      table(history.TableForgotten),
		"table pin":         table(history.TablePinned),
		"table unpin":       table(history.TableUnpinned),
		"drain begun":       table(history.TableDrain),
		"drain ended":       table(history.TableUndrain),
		"rebalance begun":   table(history.TableRebalance),
		"rebalance done":    table(history.TableSettled),
		"moved flush":       {Moved: &event.Moved{From: addr1, To: addr2, Cause: wire.CauseFlush}},
		"conflict conflict": {Moved: &event.Moved{Cause: wire.CauseConflict}},
		"director synced":   {Self: &event.Self{Synced: true}},
		"director alone":    {Self: &event.Self{Synced: true, Alone: true}},
		"director not synced": {
			Self: &event.Self{Reason: "it has just started"}},
		"health failed": {Health: &event.Health{Backend: addr1, Was: "failing", Is: "failed"}},
		"alarm begun":   {Alarm: &event.Alarm{Tag: "ssd", Failing: 3, Most: 1}},
		"alarm ended":   {Alarm: &event.Alarm{Tag: "ssd", Over: true}},
		"drain done":    {Done: &event.Drained{Backend: addr1}},
		"missed lost":   {Lost: 3},
	}
	samples["table ring remove"] = event.Event{Table: &history.TableEvent{
		Director: netip.MustParseAddrPort("192.0.2.7:9090"), What: history.TableRemoved,
	}}
	for _, what := range event.PeerChanges() {
		samples["peer "+string(what)] = event.Event{Peer: &event.Peer{Name: "d2", What: what}}
	}
	for _, what := range event.FlushChanges() {
		samples["flush "+string(what)] = event.Event{Flush: &event.Flush{What: what}}
	}
	for _, what := range event.KeyChanges() {
		samples["keys "+string(what)] = event.Event{Keys: &event.Keys{What: what, ID: "k1"}}
	}
	return samples
}

// Each event has a kind and a what that the document knows.
func TestShownEvents(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "doc", "http.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(raw), "\n## Events\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := make(map[string]string) // of the document, by kind
	for line := range strings.Lines(section) {
		if kind, rest, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` | "); ok &&
			strings.HasPrefix(line, "| `") {
			rows[kind] = rest
		}
	}
	free := []string{api.KindChange, api.KindTable, api.KindMoved, api.KindHealth}
	seen := make(map[string]bool)
	for want, e := range shownSamples() {
		e.At, e.Wall = at, at+1
		shown := shownEvent(e)
		if got := shown.Kind + " " + shown.What; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if shown.At != *timeAt(at) || shown.WallAt != *timeAt(at + 1) {
			t.Errorf("%s: at %v, %v", want, shown.At, shown.WallAt)
		}
		seen[shown.Kind] = true
		if !slices.Contains(free, shown.Kind) && !strings.Contains(rows[shown.Kind],
			"`"+shown.What+"`") {
			t.Errorf("the document does not have %q: %s", want, rows[shown.Kind])
		}
	}
	for _, kind := range api.EventKinds() {
		if !seen[kind] || rows[kind] == "" {
			t.Errorf("kind %s: shown %v, in the document %q", kind, seen[kind], rows[kind])
		}
	}
	if len(rows) < len(seen) {
		t.Errorf("%d kinds in the document", len(rows))
	}
}

// What an event says of users and backends arrives whole.
func TestShownFields(t *testing.T) {
	ssd, none, vhosts := "ssd", "", 7
	ip := func(a netip.Addr) *api.IP { return &api.IP{Addr: a} }
	for name, test := range map[string]struct {
		event event.Event
		want  api.Event
	}{
		"moved": {
			event.Event{Moved: &event.Moved{
				Tag: "ssd", From: addr1, To: addr2, Cause: wire.CauseMove, By: "d1",
				Users: []ring.UserHash{7, 1 << 31},
			}},
			api.Event{Kind: "moved", What: "move", Tag: &ssd, From: ip(addr1), To: ip(addr2),
				By: "d1", UserHashes: []uint32{7, 1 << 31}},
		},
		"table": {
			event.Event{Table: &history.TableEvent{
				Backend: addr1, What: history.TableVHosts, VHosts: 7, Origin: "d2",
			}},
			api.Event{Kind: "table", What: "update", Backend: ip(addr1), VHosts: &vhosts, By: "d2"},
		},
		"health": {
			event.Event{Health: &event.Health{
				Backend: addr1, Was: "good", Is: "failing", Reason: "says \x1b[31m",
			}},
			api.Event{Kind: "health", What: "failing", Was: "good", Tag: &none,
				Backend: ip(addr1), Reason: `says \x1b[31m`},
		},
		"flush": {
			event.Event{Flush: &event.Flush{
				Director: "d1", ID: 3, What: event.FlushEnded, Runner: "d2", Moved: 5, Failed: 1,
			}},
			api.Event{Kind: "flush", What: "ended", Backend: &api.IP{}, By: "d1",
				Flush: &api.FlushEvent{Director: "d1", ID: 3, Runner: "d2", Moved: 5, Failed: 1}},
		},
	} {
		test.event.At, test.event.Wall = at, at
		test.want.At, test.want.WallAt = *timeAt(at), *timeAt(at)
		if diff := cmp.Diff(test.want, shownEvent(test.event), equalIP); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
