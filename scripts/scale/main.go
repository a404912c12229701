//go:build scale

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// mailServers are the backends of the mesh.
const mailServers = "10.0.0.1-10.0.0.50"

// meshDirectors is how many directors the mesh has before another joins.
const meshDirectors = 3

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		return serve(os.Getenv(debugSocket))
	}
	b := &bench{out: os.Stdout}
	var only string
	flag.IntVar(&b.users, "users", 1_000_000, "users of the mesh")
	flag.Float64Var(&b.rate, "rate", 20_000, "lookups a second over all directors")
	flag.DurationVar(&b.span, "span", 15*time.Second, "how long each load lasts at least")
	flag.IntVar(&b.times, "times", 1,
		"how often what depends on the machine's load is repeated; the best counts")
	flag.StringVar(&b.profiles, "profiles", "",
		"directory for CPU profiles of the directors; empty: none are taken")
	flag.BoolVar(
		&b.encrypt, "encrypt", false, "give the mesh a key, as one on other people's networks has")
	flag.StringVar(
		&only, "only", "", "comma-separated: "+strings.Join(partNames(), ", ")+" (default: all)")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, cancel) // a second signal ends the program at once
	if err := b.all(ctx, only); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// bench is one run of this program.
type bench struct {
	users    int
	rate     float64
	span     time.Duration
	times    int
	profiles string
	encrypt  bool

	out       *os.File
	dir       string
	directors []*director // that run
	lines     []line
}

// line is one of the table that is printed.
type line struct{ what, figure, remark string }

// parts are what can be measured, each with a mesh of its own.
var parts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"start", (*bench).measureStart},
	{"mesh", (*bench).measureMesh},
	{"memory", (*bench).measureMemory},
	{"expiry", (*bench).measureExpiry},
	{"flush", (*bench).measureFlush},
	{"sessions", (*bench).measureSessions},
	{"activity", (*bench).measureActivity},
	{"mixed", (*bench).measureMixed},
	{"disks", (*bench).measureDisks},
	{"plan", (*bench).measurePlan},
}

func partNames() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

func (b *bench) all(ctx context.Context, only string) (err error) {
	for _, name := range strings.FieldsFunc(only, func(r rune) bool { return r == ',' }) {
		if !slices.Contains(partNames(), name) {
			return fmt.Errorf("-only %s: there is %s", name, strings.Join(partNames(), ", "))
		}
	}
	for _, p := range parts {
		if only != "" && !slices.Contains(strings.Split(only, ","), p.name) {
			continue
		}
		if b.dir, err = os.MkdirTemp("", "scale"); err != nil {
			return err
		}
		if err := b.writeKeys(); err != nil {
			return err
		}
		err = p.run(b, ctx)
		for _, d := range slices.Clone(b.directors) {
			b.stop(d, syscall.SIGKILL)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w; logs are in %s", p.name, err, b.dir), b.print())
		}
		if err := os.RemoveAll(b.dir); err != nil {
			return err
		}
	}
	return b.print()
}

// note adds a line to the table, and shows it at once.
func (b *bench) note(what, figure, remark string, args ...any) {
	l := line{what, figure, fmt.Sprintf(remark, args...)}
	b.lines = append(b.lines, l)
	fmt.Fprintf(os.Stderr, "%s: %s  %s\n", l.what, l.figure, l.remark)
}

func (b *bench) print() error {
	encrypted := ""
	if b.encrypt {
		encrypted = ", encrypted"
	}
	fmt.Fprintf(b.out, "%d users, %d cores, %s%s\n\n",
		b.users, runtime.NumCPU(), runtime.Version(), encrypted)
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', 0)
	for _, l := range b.lines {
		fmt.Fprintf(w, "%s\t%s\t%s\n", l.what, l.figure, l.remark)
	}
	return w.Flush()
}

// profile takes CPU profiles of all directors that run while f does, if they are wanted.
func (b *bench) profile(name string, f func() error) error {
	if b.profiles == "" {
		return f()
	}
	const seconds = 10
	profiled := slices.Clone(b.directors) // f may start more
	done := make(chan error, len(profiled))
	for _, d := range profiled {
		go func() {
			done <- d.profile(seconds,
				filepath.Join(b.profiles, strings.ReplaceAll(name, " ", "-")+"-"+d.name+".pprof"))
		}()
	}
	errs := []error{f()}
	for range profiled {
		errs = append(errs, <-done)
	}
	return errors.Join(errs...)
}

// populate starts n directors with the users of p; every other director that may come later is
// among those that they join.
func (b *bench) populate(ctx context.Context, p population, n int) error {
	return b.populateEach(ctx, p, n, func(int) []string { return nil })
}

// populateEach does so with flags that differ between directors, from 1 on.
func (b *bench) populateEach(
	ctx context.Context, p population, n int, flags func(n int) []string,
) error {
	node, err := seed(ctx, p, b.keys())
	if err != nil {
		return err
	}
	for i := 1; i <= n; i++ {
		if _, err := b.joinDirector(ctx, i, p,
			append(flags(i), "--user-expire", p.expire.String())...); err != nil {
			return errors.Join(err, node.Close())
		}
	}
	return node.Leave(ctx)
}

// joining is what a join has cost.
type joining struct {
	director *director
	took     time.Duration // from the start of the process until it was synced
	cpu      time.Duration // of the joiner
	others   time.Duration // of the other processes
	bytes    float64       // received by the joiner
}

// joinDirector starts director number n and waits until it is synced.
func (b *bench) joinDirector(
	ctx context.Context, n int, p population, flags ...string,
) (joining, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var join []netip.AddrPort
	for _, d := range b.directors {
		join = append(join, d.addr)
	}
	if len(join) == 0 {
		join = append(join, addrOf(seedNumber))
	}
	others := slices.Clone(b.directors)
	before := cpuOf(others)
	began := time.Now()
	d, err := b.startDirector(n, join, flags...)
	if err != nil {
		return joining{}, err
	}
	synced, err := d.awaitSynced(ctx)
	if err != nil {
		return joining{}, err
	}
	j := joining{
		director: d, took: synced.Sub(began), cpu: d.cpu(), others: cpuOf(others) - before,
		bytes: d.received(),
	}
	self, err := d.client.Self(ctx)
	if err == nil && self.Users < p.users*98/100 {
		err = fmt.Errorf("%s has %d of %d users", d.name, self.Users, p.users)
	}
	return j, err
}

func cpuOf(directors []*director) (sum time.Duration) {
	for _, d := range directors {
		sum += d.cpu()
	}
	return sum
}
