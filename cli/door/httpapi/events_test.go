package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/feed"
)

// watched returns a director whose events the test makes.
func watched() *httpapitest.Director {
	d := httpapitest.Sample()
	d.EventsAre = feed.New(feed.Config{Director: "d1", Life: 7, Now: time.Now})
	return d
}

func happen(f *feed.Feed, what ...string) {
	var events []api.Event
	for _, w := range what {
		events = append(events, api.Event{Kind: api.KindPeer, What: w, At: time.Now()})
	}
	f.Add(events)
}

// readers waits until so many read.
func readers(t *testing.T, f *feed.Feed, want int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if n, _ := f.Status(); n == want {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%d read, want %d", n, want)
		}
	}
}

// Who watches gets each event as it happens, in order, and can go on where it was.
func TestEvents(t *testing.T) {
	d := watched()
	client := newClient(t, httpapitest.Serve(t, d, zerolog.Nop()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan api.Event, 100)
	done := make(chan error, 1)
	go func() {
		done <- client.Events(ctx, api.EventQuery{}, func(e api.Event) error {
			seen <- e
			return nil
		})
	}()
	readers(t, d.EventsAre, 1)
	happen(d.EventsAre, "one", "two")
	var last api.Event
	for _, want := range []string{"one", "two", "three"} {
		last = <-seen
		if last.What != want {
			t.Fatalf("saw %+v, want %s", last, want)
		}
		if want == "two" {
			happen(d.EventsAre, "three")
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	readers(t, d.EventsAre, 0)

	happen(d.EventsAre, "four")
	var after []string
	if err := client.Events(t.Context(), api.EventQuery{After: last.ID, Once: true},
		func(e api.Event) error { after = append(after, e.What); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"four"}, after); diff != "" {
		t.Errorf("after %s (-want +got):\n%s", last.ID, diff)
	}
}

// A browser names the last event in a header, and sees at once that it is connected.
func TestEventsForBrowsers(t *testing.T) {
	d := watched()
	happen(d.EventsAre, "one", "two")
	addr := httpapitest.ServeTCP(t, d)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		"http://"+addr+"/v1/events?after=none", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", "7-1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q", got)
	}
	in := bufio.NewReader(resp.Body)
	want := []string{":", "", "id: 7-2", "event: peer", `data: {"id":"7-2",`}
	for _, w := range want {
		line, err := in.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, w) || w == "" && line != "\n" {
			t.Fatalf("%q, %v; want %q", line, err, w)
		}
	}
}

// One that does not read is told how many events it has missed, and holds up nobody.
func TestEventsForSlowReaders(t *testing.T) {
	d := watched()
	socket := httpapitest.Serve(t, d, zerolog.Nop())
	slow, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	fmt.Fprintf(slow, "GET /v1/events HTTP/1.1\r\nHost: d\r\n\r\n")
	readers(t, d.EventsAre, 1)
	long := strings.Repeat("x", 1000)
	const all = 30_000 // far more than what is kept, and what a socket holds
	for i := range all {
		happen(d.EventsAre, fmt.Sprint(i, " ", long))
	}
	seen, missed := 0, 0
	in := bufio.NewScanner(slow)
	in.Buffer(nil, 1<<20)
	if err := slow.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for in.Scan() && seen+missed < all {
		if i := strings.Index(in.Text(), `"missed":`); i > 0 {
			var n int
			fmt.Sscanf(in.Text()[i:], `"missed":%d`, &n)
			missed += n
		} else if i := strings.Index(in.Text(), `"what":"`); i > 0 {
			if want := fmt.Sprintf(`"what":"%d x`, seen+missed); in.Text()[i:i+len(want)] != want {
				t.Fatalf("event %s, want %s", in.Text()[i:i+30], want)
			}
			seen++
		}
	}
	if err := in.Err(); err != nil && !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if seen+missed != all || missed == 0 || seen == 0 {
		t.Errorf("%d seen and %d missed of %d", seen, missed, all)
	}
	if _, n := d.EventsAre.Status(); n != uint64(missed) {
		t.Errorf("%d counted as missed, %d told", n, missed)
	}
}

// What is asked for wrongly is refused before the stream begins.
func TestWrongEventQueries(t *testing.T) {
	addr := httpapitest.Serve(t, watched(), zerolog.Nop())
	for query, want := range map[string]string{
		"kinds=x":       "there is no kind",
		"kinds=peer,":   "there is no kind",
		"last=-1":       "is not a number from 0 to 1000",
		"last=1001":     "is not a number from 0 to 1000",
		"last=x":        "is not a number from 0 to 1000",
		"follow=maybe":  "is not yes or no",
		"since=1h":      "no parameter",
		"last=1&last=2": "given 2 times",
	} {
		status, body := ask(t, addr, http.MethodGet, "/v1/events?"+query, "")
		if status != http.StatusBadRequest || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %q", query, status, body, want)
		}
	}
}

// When the director stops, those who watch hear of it, and do not hold it up.
func TestEventsEndWithTheDirector(t *testing.T) {
	d := watched()
	server, err := httpapi.New(httpapi.Config{
		Director: d, Log: zerolog.Nop(), Events: d.EventsAre,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	served, ended := make(chan error, 1), make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	client := newClient(t, path)
	go func() {
		ended <- client.Events(t.Context(), api.EventQuery{}, func(api.Event) error { return nil })
	}()
	readers(t, d.EventsAre, 1)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	var unreachable *api.UnreachableError
	if err := await(t, "the end of the stream", ended); !errors.As(err, &unreachable) {
		t.Errorf("the stream ended with %v", err)
	}
	if err := await(t, "the end of the server", served); err != nil {
		t.Error(err)
	}
}
