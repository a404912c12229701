package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/ring"
)

func newClient(t *testing.T, addr string) *api.Client {
	t.Helper()
	c, err := api.NewClient(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// A long batch keeps its order, although some users wait, some fail and some have no name.
func TestBatch(t *testing.T) {
	const n = 20000
	d := httpapitest.Sample()
	d.LookupIs = func(ctx context.Context, tag ring.Tag, h ring.UserHash) (api.IP, error) {
		switch {
		case tag != "t":
			return api.IP{}, fmt.Errorf("tag %q", tag)
		case h%7 == 0:
			return api.IP{}, api.Errorf(api.CodeTemporary, "no usable backend")
		}
		return httpapitest.IP(fmt.Sprintf("192.0.2.%d", h%256)), nil
	}
	d.TryLookupIs = func(_ ring.Tag, h ring.UserHash) (api.IP, bool) { // most need not wait
		return httpapitest.IP(fmt.Sprintf("192.0.2.%d", h%256)), h%7 > 1
	}
	client := newClient(t, httpapitest.Serve(t, d, zerolog.Nop()))
	name := func(i int) string {
		if i%97 == 3 {
			return ""
		}
		return fmt.Sprintf("user%d", i)
	}
	requests := func(yield func(api.LookupRequest, error) bool) {
		for i := range n {
			if !yield(api.LookupRequest{User: name(i), Tag: "t"}, nil) {
				return
			}
		}
	}
	i := 0
	err := client.LookupAll(t.Context(), requests, func(got api.LookupAnswer) error {
		user := name(i)
		i++
		want := api.LookupAnswer{User: user, Tag: "t"}
		if h := d.Hash(user); user == "" {
			want.Error = api.Errorf(api.CodeBadRequest, "user name is empty")
		} else if h%7 == 0 {
			want.Error = api.Errorf(api.CodeTemporary, "no usable backend")
		} else {
			want.Backend = httpapitest.IP(fmt.Sprintf("192.0.2.%d", h%256))
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(api.IP{})); diff != "" {
			return fmt.Errorf("answer %d (-want +got):\n%s", i, diff)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if i != n {
		t.Errorf("%d answers, want %d", i, n)
	}
}

// Answers come while the client still has users to ask for, and one that waits holds up no other of
// its group.
func TestBatchIsInteractive(t *testing.T) {
	d := httpapitest.Sample()
	var waiting atomic.Int32
	release := make(chan struct{})
	d.LookupIs = func(_ context.Context, _ ring.Tag, h ring.UserHash) (api.IP, error) {
		if waiting.Add(1) == 3 {
			close(release)
		}
		<-release // the first of three waits for the last
		return httpapitest.IP("192.0.2.1"), nil
	}
	client := newClient(t, httpapitest.Serve(t, d, zerolog.Nop()))
	answered := make(chan string, 10)
	requests := func(yield func(api.LookupRequest, error) bool) {
		for _, u := range []string{"a", "b", "c"} {
			if !yield(api.LookupRequest{User: u}, nil) {
				return
			}
		}
	}
	err := client.LookupAll(t.Context(), requests,
		func(a api.LookupAnswer) error { answered <- a.User; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a", "b", "c"} {
		if got := <-answered; got != want {
			t.Errorf("answer for %q, want %q", got, want)
		}
	}
}

// batchConn sends a batch by hand.
func batchConn(t *testing.T, socket string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "POST /v1/lookup/batch HTTP/1.1\r\nHost: x\r\n"+
		"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
	return c, bufio.NewReader(c)
}

func sendChunk(c net.Conn, text string) { fmt.Fprintf(c, "%x\r\n%s\r\n", len(text), text) }

// readUntil reads until a line contains text.
func readUntil(t *testing.T, r *bufio.Reader, text string) {
	t.Helper()
	var all strings.Builder
	for {
		line, err := r.ReadString('\n')
		all.WriteString(line)
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			t.Fatalf("no line with %q: %v after %q", text, err, all.String())
		}
	}
}

// A client may wait for each answer before it asks on.
func TestBatchOneByOne(t *testing.T) {
	c, r := batchConn(t, httpapitest.Serve(t, httpapitest.Sample(), zerolog.Nop()))
	for i := range 3 {
		sendChunk(c, fmt.Sprintf(`{"user":"u%d"}`+"\n", i))
		readUntil(t, r, fmt.Sprintf(`"user":"u%d"`, i))
	}
	io.WriteString(c, "0\r\n\r\n")
	readUntil(t, r, "0\r\n")
}

// A bad first line is refused with a status; a later one cuts the stream after the answers before
// it.
func TestBatchBadLine(t *testing.T) {
	socket := httpapitest.Serve(t, httpapitest.Sample(), zerolog.Nop())
	for _, line := range []string{
		"{\n", "{\"name\":\"x\"}\n", "{\"user\":\"\xff\"}\n",
		`{"user":"` + strings.Repeat("x", 5000) + "\"}\n",
	} {
		c, r := batchConn(t, socket)
		sendChunk(c, line)
		readUntil(t, r, "400 Bad Request")
		readUntil(t, r, `"code":"bad_request"`)
	}
	c, r := batchConn(t, socket)
	sendChunk(c, `{"user":"a"}`+"\n"+`{"user":`+"\n")
	readUntil(t, r, `"user":"a"`)
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(rest), "\r\n0\r\n") {
		t.Errorf("the stream ended as if all was well: %q", rest)
	}
}

// When the client goes away, its waiting lookups are cancelled.
func TestBatchClientGone(t *testing.T) {
	d := httpapitest.Sample()
	began, ended := make(chan struct{}), make(chan struct{})
	d.LookupIs = func(ctx context.Context, _ ring.Tag, _ ring.UserHash) (api.IP, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return api.IP{}, ctx.Err()
	}
	c, _ := batchConn(t, httpapitest.Serve(t, d, zerolog.Nop()))
	sendChunk(c, `{"user":"a"}`+"\n")
	<-began
	c.Close()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the lookup still waits")
	}
}

// The watcher hears of each change of the flushes it asked for, until they have ended.
func TestWatch(t *testing.T) {
	d := httpapitest.Sample()
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ended := started.Add(time.Minute)
	looks := 0
	d.FlushesIs = func() api.Flushes {
		looks++ // the server asks from one goroutine
		f := api.Flush{
			Director: "d1", ID: 1, Backend: httpapitest.IP("192.0.2.1"), Total: 2,
			StartedAt: started,
		}
		other := api.Flush{
			Director: "d2", ID: 1, Backend: httpapitest.IP("192.0.2.2"), Total: uint64(looks),
			StartedAt: started,
		}
		switch {
		case looks > 3:
			f.Moved, f.EndedAt = 2, &ended
		case looks > 2:
			f.Moved = 1
		}
		return api.Flushes{Flushes: []api.Flush{f, other}}
	}
	client := newClient(t, httpapitest.Serve(t, d, zerolog.Nop()))
	var got []uint64
	err := client.Watch(t.Context(),
		api.WatchTarget{Flush: &api.FlushID{Director: "d1", ID: 1}}, func(f api.Flush) error {
			if f.Director != "d1" {
				return fmt.Errorf("news of another flush: %+v", f)
			}
			got = append(got, f.Moved)
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{0, 1, 2}, got); diff != "" {
		t.Errorf("moved users seen (-want +got):\n%s", diff)
	}
}

// A flush that this director forgets while it runs is shown as lost.
func TestWatchForgotten(t *testing.T) {
	d := httpapitest.Sample()
	looks := 0
	d.FlushesIs = func() api.Flushes {
		if looks++; looks > 2 {
			return api.Flushes{}
		}
		return api.Flushes{Flushes: []api.Flush{{Director: "d1", ID: 1, Total: 5}}}
	}
	client := newClient(t, httpapitest.Serve(t, d, zerolog.Nop()))
	var last api.Flush
	err := client.Watch(t.Context(), api.WatchTarget{},
		func(f api.Flush) error { last = f; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if !last.Lost {
		t.Errorf("last news %+v, want it lost", last)
	}
}

// Nothing runs: the watcher ends at once.
func TestWatchNothing(t *testing.T) {
	client := newClient(t, httpapitest.Serve(t, httpapitest.Sample(), zerolog.Nop()))
	err := client.Watch(t.Context(),
		api.WatchTarget{Backend: httpapitest.IP("192.0.2.1").Addr}, func(f api.Flush) error {
			raw, _ := json.Marshal(f)
			return fmt.Errorf("news of %s", raw)
		})
	if err != nil {
		t.Error(err)
	}
}
