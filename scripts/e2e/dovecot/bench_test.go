//go:build e2e && bench

package dovecot

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"directormesh/cli/load"
)

const (
	benchRounds   = 5       // of each measurement, the rivals in turn
	benchUsers    = 100_000 // who log in again and again
	benchDuration = 3 * time.Second
	memoryUsers   = 1_000_000
	joinTime      = 3 * time.Minute // at the most
	flushTime     = 5 * time.Second // after which a flush is not waited for any longer
	// quietTime must pass after a user's last login before our directors do without a delay: share
	// of 45 s and 30 s.
	quietTime = 78 * time.Second
)

// benchLoads are the loads that both rivals get.
var benchLoads = []struct {
	name        string
	door        load.Door
	connections int
	depth       int
	rate        float64
}{
	{"pipelined, 4 connections", load.DoorAuthreply, 4, 100, 0},
	{"16 at a time, 16 connections", load.DoorAuthreply, 16, 16, 0},
	{"one by one", load.DoorAuthreply, 1, 1, 0},
	{"1,000 a second, 4 connections", load.DoorAuthreply, 4, 0, 1000},
	{"5,000 a second, 4 connections", load.DoorAuthreply, 4, 0, 5000},
	{"20,000 a second, 4 connections", load.DoorAuthreply, 4, 0, 20_000},
	{"logins by a real auth, 2,000 a second, 16 connections", load.DoorLogin, 16, 0, 2000},
	{"logins by a real auth, 5,000 a second, 500 connections", load.DoorLogin, 500, 0, 5000},
}

// TestBesideDovecot measures our director and Dovecot's with the same client and the same requests,
// in rounds in which both have a turn, and prints what came out. It judges nothing.
func TestBesideDovecot(t *testing.T) {
	rounds := benchRounds
	if testing.Short() {
		rounds = 1
	}
	rivals := []rival{meshRival(t), ringRival(t)}
	rows := &comparison{}
	// turns has each rival do something in each round, and the other one first in the next.
	turns := func(what string, do func(*rival, *measurements)) {
		for round := range rounds {
			fmt.Printf("%s, round %d of %d …\n", what, round+1, rounds)
			order := []int{0, 1}
			if round%2 == 1 {
				slices.Reverse(order)
			}
			for _, i := range order {
				do(&rivals[i], &measurements{rows, i})
			}
		}
	}
	for i := range rivals {
		rivals[i].first.begin()
		drive(t, rivals[i].first, load.DoorAuthreply, func(c *load.Config) { c.Users.Each = true })
	}
	for _, l := range benchLoads {
		turns(l.name, func(r *rival, m *measurements) {
			cpuBefore := processorTime(t, r.first.pid())
			result := drive(t, r.first, l.door, func(c *load.Config) {
				c.Connections, c.Depth, c.Rate = l.connections, l.depth, l.rate
			})
			cpu := processorTime(t, r.first.pid()) - cpuBefore
			latency := result.Latency()
			n := float64(latency.TotalCount())
			m.less(l.name+": µs of processor time", "%.2f", float64(cpu.Nanoseconds())/1000/n)
			if l.rate == 0 {
				m.more(l.name+": lookups/s", "%.0f", n/result.Took.Seconds())
			}
			m.less(l.name+": p50, µs", "%.0f", float64(latency.ValueAtPercentile(50))/1000)
			m.less(l.name+": p99.9, µs", "%.0f", float64(latency.ValueAtPercentile(99.9))/1000)
		})
	}
	turns("a million users", func(r *rival, m *measurements) { r.growAndJoin(m) })
	fmt.Printf("waiting for %v, until all users are quiet …\n", quietTime)
	time.Sleep(quietTime)
	for i := range rivals {
		now, _ := memoryOf(t, rivals[i].first.pid())
		(&measurements{rows, i}).less("memory of a user after a minute: bytes", "%.1f",
			(now-rivals[i].empty)/memoryUsers)
	}
	// Once: where users of the first flush came to, the second one has to wait for these.
	for i := range rivals {
		(&measurements{rows, i}).more("flush, nobody connected: users/s", "%.0f",
			rivals[i].first.flush("192.0.2.1"))
	}
	if err := rows.print(os.Stdout); err != nil {
		t.Fatal(err)
	}
}

// growAndJoin starts a rival anew, fills it and has a second director join. Both run afterwards.
func (r *rival) growAndJoin(m *measurements) {
	t := r.first.t
	t.Helper()
	r.next.stop()
	r.first.stop()
	r.first.begin()
	r.empty, _ = memoryOf(t, r.first.pid())
	drive(t, r.first, load.DoorAuthreply, func(c *load.Config) {
		c.Users.Count, c.Users.Each, c.Depth = memoryUsers, true, 100
	})
	after, peak := memoryOf(t, r.first.pid())
	m.less("memory of a user, 1 million: bytes", "%.1f", (after-r.empty)/memoryUsers)
	m.less("the same at the peak: bytes", "%.1f", (peak-r.empty)/memoryUsers)

	m.less("second director joins 1 million: s", "%.2f", r.next.join().Seconds())
	after, peak = memoryOf(t, r.next.pid())
	m.less("memory of the second director: MB", "%.0f", after/1e6)
	m.less("peak memory of the second director: MB", "%.0f", peak/1e6)
}

// begin starts a director, and waits until it has given up waiting for the other one.
func (d *rivalDirector) begin() {
	d.t.Helper()
	d.start()
	drive(d.t, d, load.DoorAuthreply, func(c *load.Config) {
		c.Users.Count, c.Users.Each = 1, true
	})
}

// drive puts load on a director. The first connection starts Dovecot's.
func drive(
	t *testing.T, d *rivalDirector, door load.Door, change func(*load.Config),
) *load.Result {
	t.Helper()
	names, err := load.ParseNames("user%d@example.org")
	if err != nil {
		t.Fatal(err)
	}
	socket := map[load.Door]string{load.DoorAuthreply: d.authreply, load.DoorLogin: d.login}[door]
	cfg := load.Config{
		Directors:   []load.Target{{Name: socket, Network: "unix", Address: socket}},
		Door:        door,
		Login:       load.Login{Password: "pass", Service: "imap"},
		Users:       load.Users{Names: names, Count: benchUsers},
		Connections: 4, Depth: 16, Duration: benchDuration, Patience: time.Minute, Seed: 1,
	}
	change(&cfg)
	if cfg.Users.Each {
		cfg.Duration = time.Minute
	}
	waitSocket(t, socket)
	result, err := load.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if failed, reasons := result.Failed(); failed > 0 || result.Wrong > 0 {
		t.Fatalf("%s: failed %v, wrong %v", socket, reasons, result.Examples)
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
func (d *rivalDirector) join() time.Duration {
	d.t.Helper()
	began := time.Now()
	d.start()
	waitSocket(d.t, d.admin)
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
			d.t.Fatalf("not synced after %v: %v", joinTime, d.list("DIRECTOR-LIST"))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// flush moves the users of a backend to others, and returns how many a second.
func (d *rivalDirector) flush(backend string) float64 {
	d.t.Helper()
	d.order("HOST-UPDATE\t" + backend + "\t0")
	before := d.users()[backend]
	c := d.dial()
	defer c.Close()
	began := time.Now()
	// answered when the last move has been started; Dovecot's takes half an hour for that
	c.say("HOST-RESET-USERS\t" + backend)
	for {
		time.Sleep(20 * time.Millisecond)
		left, took := d.users()[backend], time.Since(began)
		if left == 0 || took > flushTime {
			fmt.Printf("  %d of %d users in %v\n",
				before-left, before, took.Round(time.Millisecond))
			return float64(before-left) / took.Seconds()
		}
	}
}
