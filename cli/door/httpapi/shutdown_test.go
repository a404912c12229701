package httpapi_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/ring"
)

// soon bounds what takes no time unless something is wrong.
const soon = 20 * time.Second

// await returns what comes, and fails the test if nothing does.
func await[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(soon):
		t.Fatalf("%s: nothing within %v", what, soon)
		panic("unreachable")
	}
}

// A door that shuts down accepts nothing more on any listener, ends streams at once, and answers
// running requests. A request that takes too long gets an error that says why.
func TestShutdown(t *testing.T) {
	tests := []struct {
		name    string
		within  time.Duration // the shutdown's limit
		release bool          // the lookup ends by itself
		want    string        // "": the lookup succeeds
	}{
		{"a request that ends", soon, true, ""},
		{"a request that takes too long", time.Second, false, "ask another one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := httpapitest.Sample()
			d.FlushesIs = func() api.Flushes {
				return api.Flushes{Flushes: []api.Flush{{Director: "d1", ID: 1, Total: 2}}}
			}
			running, release := make(chan struct{}), make(chan struct{})
			d.LookupIs = func(ctx context.Context, _ ring.Tag, _ ring.UserHash) (api.IP, error) {
				close(running)
				select {
				case <-release:
					return httpapitest.IP("192.0.2.1"), nil
				case <-ctx.Done():
					return api.IP{}, api.Errorf(api.CodeTemporary,
						"this director is stopping, ask another one")
				}
			}
			server, err := httpapi.New(httpapi.Config{Director: d, Log: zerolog.Nop()})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			served := make(chan error, 2)
			path := filepath.Join(t.TempDir(), "s")
			for _, at := range [][2]string{{"unix", path}, {"tcp", "127.0.0.1:0"}} {
				l, err := net.Listen(at[0], at[1])
				if err != nil {
					t.Fatal(err)
				}
				go func() { served <- server.Serve(l) }()
			}

			client := newClient(t, path)
			seen, watched := make(chan struct{}, 1), make(chan error, 1)
			go func() {
				watched <- client.Watch(t.Context(), api.WatchTarget{}, func(api.Flush) error {
					seen <- struct{}{}
					return nil
				})
			}()
			await(t, "first line of the stream", seen)
			answered := make(chan error, 1)
			go func() {
				_, err := client.Lookup(t.Context(), api.LookupRequest{User: "alice"})
				answered <- err
			}()
			await(t, "the lookup's start", running)

			ended := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), tt.within)
				defer cancel()
				ended <- server.Shutdown(ctx)
			}()
			for range 2 {
				if err := await(t, "the end of accepting", served); err != nil {
					t.Errorf("serve: %v", err)
				}
			}
			if err := await(t, "the end of the stream", watched); err == nil {
				t.Error("a stream that was ended early looks whole")
			}
			if tt.release {
				close(release)
			}
			err = await(t, "the answer", answered)
			if (err != nil) != (tt.want != "") ||
				err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the request that ran got %v, want %q", err, tt.want)
			}
			if err := await(t, "the end of the shutdown", ended); err != nil {
				t.Errorf("shut down with %v", err)
			}
		})
	}
}
