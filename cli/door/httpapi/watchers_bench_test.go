package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/feed"
	"directormesh/ring"
)

// BenchmarkWatchers looks users up while 0 or 1,000 clients watch 1,000 users a second being moved.
// The watchers, which this process has to run too, read all that they are sent.
func BenchmarkWatchers(b *testing.B) {
	for _, watchers := range []int{0, 1000} {
		b.Run(fmt.Sprintf("watchers=%d", watchers), func(b *testing.B) {
			d := httpapitest.Sample()
			d.TryLookupIs = func(ring.Tag, ring.UserHash) (api.IP, bool) {
				return httpapitest.IP("192.0.2.1"), true
			}
			d.EventsAre = feed.New(feed.Config{Director: "d1", Life: 7, Now: time.Now})
			socket := httpapitest.Serve(b, d, zerolog.Nop())
			ctx, cancel := context.WithCancel(b.Context())
			var running sync.WaitGroup
			defer running.Wait()
			defer cancel()
			for range watchers {
				running.Go(func() { watchAll(ctx, socket) })
			}
			for n := 0; n < watchers; n, _ = d.EventsAre.Status() {
				time.Sleep(10 * time.Millisecond)
			}
			running.Go(func() {
				for ctx.Err() == nil {
					time.Sleep(100 * time.Millisecond)
					d.EventsAre.Add([]api.Event{{
						Kind: api.KindMoved, What: "flush", UserHashes: make([]uint32, 100),
					}})
				}
			})
			client, err := api.NewClient(socket)
			if err != nil {
				b.Fatal(err)
			}
			defer client.Close()
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if _, err := client.Lookup(ctx, api.LookupRequest{User: "alice"}); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			_, missed := d.EventsAre.Status()
			b.ReportMetric(float64(missed), "missed")
		})
	}
}

// watchAll reads events, and throws them away, until ctx ends.
func watchAll(ctx context.Context, socket string) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://d/v1/events", nil)
	if err != nil {
		return
	}
	if resp, err := client.Do(req); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}
