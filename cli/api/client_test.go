package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

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

var equalIPs = cmpopts.EquateComparable(api.IP{})

// The answers come through whole, over each kind of address.
func TestClientQueries(t *testing.T) {
	d := httpapitest.Sample()
	tcp := httpapitest.ServeTCP(t, d)
	for _, addr := range []string{
		httpapitest.Serve(t, d, zerolog.Nop()), tcp, "http://" + tcp + "/",
	} {
		c := newClient(t, addr)
		ctx := t.Context()
		check := func(what string, want, got any, err error) {
			t.Helper()
			if err != nil {
				t.Errorf("%s from %s: %v", what, addr, err)
				return
			}
			if diff := cmp.Diff(want, got, equalIPs); diff != "" {
				t.Errorf("%s from %s (-want +got):\n%s", what, addr, diff)
			}
		}
		self, err := c.Self(ctx)
		check("self", d.SelfIs, self, err)
		directors, err := c.Directors(ctx)
		check("directors", d.DirectorsIs, directors, err)
		backends, err := c.Backends(ctx)
		check("backends", d.BackendsIs, backends, err)
		user, err := c.User(ctx, "Ä b/../c?&", "t&g")
		check("user", d.UserIs("t&g", d.Hash("Ä b/../c?&")), user, err)
		flushes, err := c.Flushes(ctx)
		check("flushes", d.FlushesIs(), flushes, err)
		answer, err := c.Lookup(ctx, api.LookupRequest{User: "alice", Tag: "ssd"})
		var refused *api.Error
		if overTCP := strings.Contains(addr, tcp); overTCP {
			if !errors.As(err, &refused) || refused.Code != api.CodeForbidden {
				t.Errorf("lookup from %s: %v, want it refused", addr, err)
			}
		} else {
			check("lookup", api.LookupAnswer{
				User: "alice", Tag: "ssd", Backend: httpapitest.IP("192.0.2.1"),
			}, answer, err)
		}

		var mappings []api.Mapping
		each := func(m api.Mapping) error { mappings = append(mappings, m); return nil }
		check("mappings", d.MappingsIs, func() []api.Mapping {
			err = c.Mappings(ctx, api.MappingFilter{}, each)
			return mappings
		}(), err)
		mappings = nil
		hash := uint32(7)
		filter := api.MappingFilter{Backends: []netip.Addr{
			httpapitest.IP("192.0.2.51").Addr, httpapitest.IP("192.0.2.7").Addr,
		}, Hash: &hash}
		check("some mappings", d.MappingsIs[2:], func() []api.Mapping {
			err = c.Mappings(ctx, filter, each)
			return mappings
		}(), err)
	}
}

// An error of the callback ends a stream and comes out unchanged.
func TestStreamCallbackError(t *testing.T) {
	c := newClient(t, httpapitest.Serve(t, httpapitest.Sample(), zerolog.Nop()))
	stop := errors.New("enough")
	err := c.Mappings(t.Context(), api.MappingFilter{}, func(api.Mapping) error { return stop })
	if err != stop {
		t.Errorf("mappings: %v, want %v", err, stop)
	}
	endless := func(yield func(api.LookupRequest, error) bool) {
		for yield(api.LookupRequest{User: "a"}, nil) {
		}
	}
	stopping := func(api.LookupAnswer) error { return stop }
	if err := c.LookupAll(t.Context(), endless, stopping); err != stop {
		t.Errorf("lookups: %v, want %v", err, stop)
	}
	broken := func(yield func(api.LookupRequest, error) bool) {
		_ = yield(api.LookupRequest{User: "a"}, nil) && yield(api.LookupRequest{}, stop)
	}
	ignoring := func(api.LookupAnswer) error { return nil }
	if err := c.LookupAll(t.Context(), broken, ignoring); !errors.Is(err, stop) {
		t.Errorf("lookups of a broken file: %v, want %v", err, stop)
	}
}

func TestCancel(t *testing.T) {
	d := httpapitest.Sample()
	ctx, cancel := context.WithCancel(t.Context())
	d.LookupIs = func(asked context.Context, _ ring.Tag, _ ring.UserHash) (api.IP, error) {
		cancel()
		<-asked.Done()
		return api.IP{}, asked.Err()
	}
	c := newClient(t, httpapitest.Serve(t, d, zerolog.Nop()))
	if _, err := c.Lookup(ctx, api.LookupRequest{User: "a"}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled lookup: %v", err)
	}
}

// Names that JSON would change are refused: another user would be looked up.
func TestInvalidNames(t *testing.T) {
	c := newClient(t, httpapitest.Serve(t, httpapitest.Sample(), zerolog.Nop()))
	_, err := c.User(t.Context(), "a\xff", "")
	if err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("user: %v", err)
	}
	if _, err := c.Lookup(t.Context(), api.LookupRequest{User: "a\xff"}); err == nil ||
		!strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("lookup: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, addr := range []string{filepath.Join(t.TempDir(), "none.sock"), l.Addr().String()} {
		c := newClient(t, addr)
		_, err := c.Self(t.Context())
		var unreachable *api.UnreachableError
		if !errors.As(err, &unreachable) || unreachable.Addr != addr {
			t.Errorf("%s: %v, want an UnreachableError", addr, err)
		}
		one := func(yield func(api.LookupRequest, error) bool) {
			yield(api.LookupRequest{User: "a"}, nil)
		}
		for range 100 { // whether the request or the dial fails first is chance
			err = c.LookupAll(t.Context(), one, func(api.LookupAnswer) error { return nil })
			if !errors.As(err, &unreachable) {
				t.Fatalf("lookups at %s: %v, want an UnreachableError", addr, err)
			}
		}
	}
}

// answering accepts connections and answers each request with the text, whatever it asks.
func answering(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(c)
			for line := ""; line != "\r\n"; {
				if line, err = in.ReadString('\n'); err != nil {
					break
				}
			}
			io.WriteString(c, text)
			c.Close()
		}
	}()
	return l.Addr().String()
}

// The client notices that another program answers, not a director.
func TestNotADirector(t *testing.T) {
	long := strings.Repeat("x", 70000)
	tests := []struct {
		name, answer string
		unreachable  bool // the connection broke: there may well be a director
	}{
		{"dovecot", "VERSION\tdirector-doveadm\t1\t0\n", false},
		{"web server", "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found", false},
		{"other JSON", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", false},
		{"page", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", false},
		{"error without code",
			"HTTP/1.1 500 Oops\r\nContent-Length: 12\r\n\r\n{\"error\":{}}", false},
		{"nothing", "", true},
		{"half an answer", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", true},
		{"endless line",
			fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(long), long), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, answering(t, tt.answer))
			_, err := c.Self(t.Context())
			var protocol *api.ProtocolError
			var unreachable *api.UnreachableError
			if got := errors.As(err, &unreachable); got != tt.unreachable {
				t.Errorf("error %v is an UnreachableError: %v, want %v", err, got, tt.unreachable)
			}
			if got := errors.As(err, &protocol); got == tt.unreachable {
				t.Errorf("error %v is a ProtocolError: %v, want %v", err, got, !tt.unreachable)
			}
			if err := c.Mappings(t.Context(), api.MappingFilter{},
				func(api.Mapping) error { return nil }); err == nil {
				t.Error("a list of mappings came out of it")
			}
		})
	}
}
