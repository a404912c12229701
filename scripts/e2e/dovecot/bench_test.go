//go:build e2e && bench

package dovecot

import (
	"fmt"
	"os"
	"testing"
	"text/tabwriter"
	"time"

	"directormesh/cli/load"
)

const (
	benchUsers    = 100_000         // who log in again and again
	benchDuration = 5 * time.Second // of each load
	memoryUsers   = 1_000_000
	joinTime      = 3 * time.Minute  // at the most
	flushTime     = 20 * time.Second // after which a flush is not waited for any longer
	// quietTime must pass after a user's last login before our directors do without a delay: share
	// of 45 s and 30 s.
	quietTime = 78 * time.Second
)

// row is one line of the comparison.
type row struct {
	what   string
	format string
	values []float64 // of the mesh, of Dovecot
	more   bool      // is better
}

// TestBesideDovecot measures our director and Dovecot's with the same client and the same requests,
// one after the other, and prints what came out. It judges nothing.
func TestBesideDovecot(t *testing.T) {
	var rows []*row
	measured := func(what, format string, more bool, value float64) {
		for _, r := range rows {
			if r.what == what {
				r.values = append(r.values, value)
				return
			}
		}
		rows = append(rows, &row{what, format, []float64{value}, more})
	}
	for _, make := range []func(*testing.T) rival{meshRival, ringRival} {
		r := make(t)
		fmt.Printf("%s …\n", r.name)
		measure(t, r, measured)
	}
	printRows(rows)
}

// measure does all measurements of one rival.
func measure(t *testing.T, r rival, measured func(what, format string, more bool, value float64)) {
	t.Helper()
	r.first.start()
	// answered when it has given up waiting for the other
	drive(t, r.first, func(c *load.Config) { c.Users.Count, c.Users.Each = 1, true })
	before, _ := memoryOf(t, r.first.pid())

	drive(t, r.first, func(c *load.Config) { c.Users.Each = true })
	for _, k := range []struct {
		name        string
		connections int
		depth       int
		rate        float64
	}{
		{"pipelined, 4 connections", 4, 100, 0},
		{"16 at a time, 16 connections", 16, 16, 0},
		{"one by one", 1, 1, 0},
		{"5,000 a second, 4 connections", 4, 0, 5000},
	} {
		cpuBefore := processorTime(t, r.first.pid())
		result := drive(t, r.first, func(c *load.Config) {
			c.Connections, c.Depth, c.Rate = k.connections, k.depth, k.rate
		})
		cpu := processorTime(t, r.first.pid()) - cpuBefore
		latency := result.Latency()
		n := float64(latency.TotalCount())
		measured(k.name+": lookups/s for one processor", "%.0f", true, n/cpu*1e9)
		measured(k.name+": µs of processor time", "%.2f", false, cpu/1000/n)
		if k.rate == 0 {
			measured(k.name+": lookups/s", "%.0f", true, n/result.Took.Seconds())
		}
		measured(k.name+": p50, µs", "%.0f", false, float64(latency.ValueAtPercentile(50))/1000)
		measured(k.name+": p99.9, µs", "%.0f", false, float64(latency.ValueAtPercentile(99.9))/1000)
	}

	drive(t, r.first, func(c *load.Config) {
		c.Users.Count, c.Users.Each, c.Depth = memoryUsers, true, 100
	})
	after, peak := memoryOf(t, r.first.pid())
	measured("memory of a user, 1 million: bytes", "%.1f", false, (after-before)/memoryUsers)
	measured("the same at the peak: bytes", "%.1f", false, (peak-before)/memoryUsers)
	quiet := time.Now().Add(quietTime)

	measured("second director joins 1 million: s", "%.2f", false, join(t, r.next).Seconds())
	after, peak = memoryOf(t, r.next.pid())
	measured("memory of the second director: MB", "%.0f", false, after/1e6)
	measured("the same at the peak: MB", "%.0f", false, peak/1e6)

	time.Sleep(time.Until(quiet))
	after, _ = memoryOf(t, r.first.pid())
	measured("memory of a user after a minute: bytes", "%.1f", false, (after-before)/memoryUsers)
	perSecond := flush(t, r.first)
	measured("flush, nobody connected: users/s", "%.0f", true, perSecond)
}

// drive puts load on a director. The first connection starts Dovecot's.
func drive(t *testing.T, d *rivalDirector, change func(*load.Config)) *load.Result {
	t.Helper()
	names, err := load.ParseNames("user%d@example.org")
	if err != nil {
		t.Fatal(err)
	}
	cfg := load.Config{
		Directors:   []load.Target{{Name: d.authreply, Network: "unix", Address: d.authreply}},
		Door:        load.DoorAuthreply,
		Users:       load.Users{Names: names, Count: benchUsers},
		Connections: 4, Depth: 16, Duration: benchDuration, Patience: time.Minute, Seed: 1,
	}
	change(&cfg)
	if cfg.Users.Each {
		cfg.Duration = time.Minute
	}
	waitSocket(t, d.authreply)
	result, err := load.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if failed, reasons := result.Failed(); failed > 0 || result.Wrong > 0 {
		t.Fatalf("%s: failed %v, wrong %v", d.authreply, reasons, result.Examples)
	}
	return result
}

// waitSocket waits until a socket is there.
func waitSocket(t *testing.T, path string) {
	t.Helper()
	if !eventually(startTime, func() bool { _, err := os.Stat(path); return err == nil }) {
		t.Fatalf("%s is not there", path)
	}
}

// join starts a director, and returns how long it took until it was synced with the other one and
// had all users.
func join(t *testing.T, d *rivalDirector) time.Duration {
	t.Helper()
	began := time.Now()
	d.start()
	waitSocket(t, d.admin)
	for {
		if peers, synced := d.synced(); peers > 0 && synced {
			sum := 0
			for _, n := range d.users() {
				sum += n
			}
			if sum > memoryUsers*999/1000 { // some share a hash
				return time.Since(began)
			}
		}
		if time.Since(began) > joinTime {
			t.Fatalf("not synced after %v: %v", joinTime, d.list("DIRECTOR-LIST"))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// flush moves the users of one backend to others, and returns how many a second.
func flush(t *testing.T, d *rivalDirector) float64 {
	t.Helper()
	const backend = "192.0.2.5"
	d.order("HOST-UPDATE\t" + backend + "\t0")
	before := d.users()[backend]
	c := d.dial()
	defer c.Close()
	began := time.Now()
	// answered when the last move has been started; Dovecot's takes half an hour for that
	c.say("HOST-RESET-USERS\t" + backend)
	for {
		time.Sleep(50 * time.Millisecond)
		left, took := d.users()[backend], time.Since(began)
		if left == 0 || took > flushTime {
			fmt.Printf("  %d of %d users in %v\n",
				before-left, before, took.Round(time.Millisecond))
			return float64(before-left) / took.Seconds()
		}
	}
}

func printRows(rows []*row) {
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tmesh\tDovecot\t")
	for _, r := range rows {
		mesh, dovecot := r.values[0], r.values[1]
		ratio, word := dovecot/mesh, "less"
		if r.more {
			ratio, word = mesh/dovecot, "more"
		}
		if ratio < 1 {
			ratio = 1 / ratio
			word = map[string]string{"less": "more", "more": "less"}[word] + " (worse)"
		}
		fmt.Fprintf(w, "%s\t"+r.format+"\t"+r.format+"\t%.1f × %s\n", r.what, mesh, dovecot,
			ratio, word)
	}
	w.Flush()
}
