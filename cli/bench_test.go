package cli

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/load"
	"directormesh/ring"
)

// latencies makes a histogram of a number of answers for each latency.
func latencies(t *testing.T, counts map[time.Duration]int64) *hdrhistogram.Histogram {
	t.Helper()
	h := hdrhistogram.New(100, int64(time.Minute), 3)
	for d, n := range counts {
		if err := h.RecordValues(int64(d), n); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func TestBenchReport(t *testing.T) {
	good := load.DirectorResult{Name: "/run/director/director.sock",
		Latency: latencies(t, map[time.Duration]int64{
			40 * time.Microsecond: 700, 100 * time.Microsecond: 280, 3 * time.Millisecond: 19,
			1200 * time.Millisecond: 1})}
	bad := load.DirectorResult{
		Name:    "192.0.2.7:9091",
		Latency: latencies(t, map[time.Duration]int64{999700 * time.Nanosecond: 10}),
		Failed:  12, Failures: map[string]int64{"no answer in time": 10, "FAIL code=temp_fail": 2},
	}
	silent := load.DirectorResult{Name: "/run/d3", Latency: latencies(t, nil)}
	used := []api.Usage{{CPU: 2100 * time.Microsecond, Memory: 31_500_000}, {}, {CPU: time.Second}}

	var out strings.Builder
	for _, tt := range []struct {
		name   string
		cfg    load.Config
		result load.Result
	}{
		{"one", load.Config{Door: load.DoorAuthreply, Depth: 16, Connections: 4},
			load.Result{
				Took: 500 * time.Millisecond, CPU: 1500 * time.Microsecond, Users: 981,
				Directors: []load.DirectorResult{good},
			}},
		{"three", load.Config{Door: load.DoorHTTP, Rate: 300, Connections: 1, Depth: 16},
			load.Result{Took: 62 * time.Second, CPU: time.Second, Users: 981, Moved: 3, Wrong: 2,
				Examples: []string{
					"user1: 192.0.2.2 by d2, before 192.0.2.1 by d1",
					"user9: 192.0.2.2 by d2, before 192.0.2.1 by d2",
				},
				Directors: []load.DirectorResult{good, bad, silent}}},
		{"nothing", load.Config{Door: load.DoorAuthreply, Depth: 1, Connections: 1},
			load.Result{Directors: []load.DirectorResult{silent}}},
	} {
		report := newBenchReport(tt.cfg, &tt.result, used)
		out.WriteString("--- " + tt.name + "\n")
		if err := report.print(&out); err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		if err := description(t).Check("PrintedBench", string(raw)); err != nil {
			t.Error(err)
		}
		e := json.NewEncoder(&out)
		e.SetIndent("", "  ")
		if err := e.Encode(report); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "bench.txt", out.String())
}

func TestBenchLine(t *testing.T) {
	var out strings.Builder
	line := &benchLine{out: &out}
	line.end() // nothing was shown
	line.show(load.Progress{
		At: 12 * time.Second, Lookups: 20003, P99: 1234 * time.Microsecond, Failed: 1, Wrong: 2,
	})
	line.end()
	want := "\r  12 s  20003 lookups/s  p99 1.23 ms  1 failed  2 wrong\033[K\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// The HTTP door is driven by requests that a real one takes, and its answers are checked.
func TestBenchOverHTTP(t *testing.T) {
	d := httpapitest.Sample()
	addr := httpapitest.Serve(t, d, zerolog.Nop())
	r := runCommand(t, "", "bench", "-a", addr, "--door", "http", "--each", "--users", "1000",
		"--names", `a"%d<ü>`)
	if r.status != 0 || !strings.HasPrefix(r.stdout, "1000 lookups in ") ||
		!strings.Contains(r.stdout, "1000 users; 0 answers contradict others\n") {
		t.Errorf("%+v", r)
	}
	var asked sync.Map // users that one director has been asked for
	d.LookupIs = func(_ context.Context, _ ring.Tag, h ring.UserHash) (api.IP, error) {
		if _, again := asked.LoadOrStore(h, true); again {
			return httpapitest.IP("192.0.2.2"), nil
		}
		return httpapitest.IP("192.0.2.1"), nil
	}
	r = runCommand(t, "", "bench", "-a", addr+","+addr, "--door", "http", "--each", "--users", "10")
	if r.status != exitProtocol || !strings.Contains(r.stderr, "10 answers contradict others") {
		t.Errorf("%+v", r)
	}
}
