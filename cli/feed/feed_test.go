package feed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/api"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newFeed(life uint64) *Feed {
	return New(Config{Director: "d1", Life: life, Now: func() time.Time { return start }})
}

func event(kind, what string) api.Event { return api.Event{At: start, Kind: kind, What: what} }

// read reads all that there is and says each event in a word: its id, kind and what.
func read(t *testing.T, r *Reader) (said []string) {
	t.Helper()
	for {
		b, more := r.Read(nil)
		for _, text := range strings.SplitAfter(string(b), "\n\n") {
			if text == "" {
				continue
			}
			_, data, _ := strings.Cut(text, "\ndata: ")
			var e api.Event
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if head := "event: " + e.Kind + "\ndata: "; !strings.Contains("\n"+text, "\n"+head) ||
				e.ID != "" && !strings.HasPrefix(text, "id: "+e.ID+"\n") ||
				!strings.HasSuffix(text, "}\n\n") {
				t.Errorf("not in the form of an event: %q", text)
			}
			word := e.ID + " " + e.Kind + " " + e.What
			if e.Missed != nil {
				word += fmt.Sprint(" ", *e.Missed)
			}
			said = append(said, word)
		}
		if more != nil {
			return said
		}
	}
}

func wantRead(t *testing.T, what string, r *Reader, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, read(t, r)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Who opens the feed gets what happens from then on, and what it asks for of the past.
func TestOpen(t *testing.T) {
	f := newFeed(7)
	all := f.Open(api.EventQuery{})
	peers := f.Open(api.EventQuery{Kinds: []string{api.KindPeer}})
	f.Add([]api.Event{event(api.KindPeer, "left"), event(api.KindMoved, "move")})
	f.Add([]api.Event{event(api.KindPeer, "reachable")})
	late := f.Open(api.EventQuery{})
	wantRead(t, "all", all, "7-1 peer left", "7-2 moved move", "7-3 peer reachable")
	wantRead(t, "all, again", all)
	wantRead(t, "one kind", peers, "7-1 peer left", "7-3 peer reachable")
	wantRead(t, "late", late)
	for name, test := range map[string]struct {
		q    api.EventQuery
		want []string
	}{
		"last": {api.EventQuery{Last: 2}, []string{"7-2 moved move", "7-3 peer reachable"}},
		"more than all": {api.EventQuery{Last: 9}, []string{
			"7-1 peer left", "7-2 moved move", "7-3 peer reachable"}},
		"last of one kind": {api.EventQuery{Last: 2, Kinds: []string{api.KindPeer}}, []string{
			"7-1 peer left", "7-3 peer reachable"}},
		"after": {api.EventQuery{Last: 1, After: "7-1"}, []string{
			"7-2 moved move", "7-3 peer reachable"}},
		"after the last": {api.EventQuery{After: "7-3"}, nil},
		"after a restart": {api.EventQuery{After: "6-2"}, []string{
			" missed restarted 0", "7-1 peer left", "7-2 moved move", "7-3 peer reachable"}},
		"after one to come": {
			api.EventQuery{After: "7-4", Kinds: []string{api.KindMoved}}, []string{
				" missed restarted 0", "7-2 moved move"}},
		"after nonsense": {api.EventQuery{After: "x", Kinds: []string{api.KindKeys}}, []string{
			" missed restarted 0"}},
	} {
		wantRead(t, name, f.Open(test.q), test.want...)
	}
	if readers, missed := f.Status(); readers != 11 || missed != 0 {
		t.Errorf("%d readers, %d missed", readers, missed)
	}
	all.Close()
	if readers, _ := f.Status(); readers != 10 {
		t.Errorf("%d readers after one has closed", readers)
	}
}

// A reader that is too slow is told how many it has missed, and goes on from there; one that keeps
// up misses none. Neither what is kept nor what one Read returns grows without end.
func TestSlowReader(t *testing.T) {
	f := newFeed(7)
	slow, quick := f.Open(api.EventQuery{}), f.Open(api.EventQuery{Kinds: []string{"peer"}})
	const all = maxEvents + 1234
	seen := 0
	for i := range all {
		f.Add([]api.Event{event(api.KindPeer, fmt.Sprint(i))})
		if i%1000 == 0 || i == all-1 {
			for _, word := range read(t, quick) {
				if want := fmt.Sprintf("7-%d peer %d", seen+1, seen); word != want {
					t.Fatalf("quick: %s, want %s", word, want)
				}
				seen++
			}
		}
	}
	if seen != all {
		t.Errorf("quick has seen %d of %d", seen, all)
	}
	got := read(t, slow)
	if got[0] != " missed slow 1234" || got[1] != "7-1235 peer 1234" || len(got) != maxEvents+1 {
		t.Errorf("slow: %d events, %s; %s", len(got), got[0], got[1])
	}
	if _, missed := f.Status(); missed != 1234 {
		t.Errorf("%d missed", missed)
	}

	large := event(api.KindMoved, strings.Repeat("x", 100_000))
	for range 200 {
		f.Add([]api.Event{large})
	}
	if f.bytes > maxBytes || len(f.kept) > 84 {
		t.Errorf("%d bytes of %d events are kept", f.bytes, len(f.kept))
	}
	if b, more := f.Open(api.EventQuery{Last: 50}).Read(nil); len(b) > 200_000 || more != nil {
		t.Errorf("one Read returned %d bytes", len(b))
	}
}

// Readers and writers do not get in each other's way.
func TestManyReaders(t *testing.T) {
	f := newFeed(7)
	var readers sync.WaitGroup
	const events = 3000
	for range 20 {
		r := f.Open(api.EventQuery{})
		readers.Go(func() {
			defer r.Close()
			for n := 0; n < events; {
				b, more := r.Read(nil)
				n += bytes.Count(b, []byte("\nevent: peer\n"))
				if more != nil && n < events {
					<-more
				}
			}
		})
	}
	for i := range events {
		f.Add([]api.Event{event(api.KindPeer, fmt.Sprint(i))})
	}
	readers.Wait()
}
