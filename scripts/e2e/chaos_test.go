//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"directormesh/cli/api"
	"directormesh/scripts/e2e/chaos"
	"directormesh/scripts/e2e/netns"
)

// What TestChaos does unless the environment says something else.
const (
	chaosLength = 30 * time.Second // DIRECTORMESH_CHAOS; whole turns are played
	chaosSeed   = 1                // DIRECTORMESH_CHAOS_SEED
	chaosRate   = 600              // DIRECTORMESH_CHAOS_RATE: lookups a second, at all directors
	chaosExpire = time.Minute
	chaosMesh   = 5
)

// chaosRun is a mesh in trouble, and who watches it. Its fields are for the test's goroutine, but
// for those behind mu.
type chaosRun struct {
	t      *testing.T
	m      *mesh
	hosts  map[*process]*netns.Host // nil: all are on the loopback
	mounts bool                     // each data directory is on a file system of its own
	judge  *chaos.Judge
	random *rand.Rand
	began  time.Time
	loads  []*load
	known  []string
	ask    map[*process]*api.Client

	// mu guards the judge while directors come back, and usable.
	mu      sync.Mutex
	usable  []bool // whether commands may be given there: it neither stands still nor is dead
	working sync.WaitGroup
}

// TestChaos breaks a mesh of five directors by a schedule drawn from a seed, while lookups and
// commands come in, and judges each answer. "make chaos" plays more of it.
func TestChaos(t *testing.T) {
	length := fromEnvironment(t, "DIRECTORMESH_CHAOS", chaosLength, time.ParseDuration)
	number := func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) }
	seed := fromEnvironment(t, "DIRECTORMESH_CHAOS_SEED", chaosSeed, number)
	rate := fromEnvironment(t, "DIRECTORMESH_CHAOS_RATE", chaosRate, strconv.Atoi)
	r := newChaosRun(t, seed)
	t.Logf("seed %d, hosts of their own %v, disks of their own %v; to play it again: "+
		"make chaos CHAOS=%v CHAOS_SEED=%d", seed, r.hosts != nil, r.mounts, length, seed)
	schedule := chaos.Draw(seed, chaosMesh, chaos.Needs{Hosts: r.hosts != nil, Mounts: r.mounts})
	r.start(rate)
	faults := make(map[chaos.Kind]int)
	for turn := 1; turn == 1 || r.now() < length; turn++ {
		for _, f := range r.play(schedule.Next()) {
			faults[f.Kind]++
		}
		r.look()
		if t.Failed() {
			break
		}
	}
	r.end()
	t.Logf("%v: faults %v, commands %d; %+v", r.now().Round(time.Second), faults,
		r.judge.Commands(), r.judge.Counts)
}

// fromEnvironment returns what a variable says, or what is usual.
func fromEnvironment[T any](
	t *testing.T, name string, usual T, parse func(string) (T, error),
) T {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	value, err := parse(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return value
}

func newChaosRun(t *testing.T, seed uint64) *chaosRun {
	t.Helper()
	flags := []string{
		"--mail-servers", "192.0.2.1-192.0.2.4", "--user-expire", chaosExpire.String(),
	}
	r := &chaosRun{t: t, random: rand.New(rand.NewPCG(seed, 2)), usable: make([]bool, chaosMesh)}
	if !skippedHosts(t) {
		n := newNetwork(t, flags...)
		var join []string
		for i := range chaosMesh {
			join = append(join, hostAddr(i+1).String())
		}
		for i := range chaosMesh {
			n.add(strings.Join(join, ","), hostAddr(i+1))
		}
		r.m, r.hosts = n.mesh, n.hosts
	} else {
		r.m = newMesh(t, chaosMesh, flags...)
	}
	r.m.onDisks()
	r.mount()
	var names []string
	r.ask = make(map[*process]*api.Client)
	for _, d := range r.m.directors {
		names = append(names, d.name)
		r.ask[d] = client(t, d)
	}
	r.judge = chaos.NewJudge(chaos.DefaultLimits(chaosExpire), names, true)
	r.known = users("known", 1500)
	return r
}

// skippedHosts reports whether this machine cannot have hosts of their own; a test that needs them
// says why.
func skippedHosts(t *testing.T) bool {
	skipped := true
	t.Run("probe", func(t *testing.T) {
		n := netns.New(t)
		n.Host("probe", netip.MustParsePrefix("10.77.9.1/24"))
		skipped = false
	})
	return skipped
}

// mount puts each data directory on a small file system of its own, if that can be done.
func (r *chaosRun) mount() {
	for _, d := range r.m.directors {
		at := r.disk(d)
		if err := os.MkdirAll(at, 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", at, "tmpfs", 0, "size=48m"); err != nil {
			return
		}
		r.t.Cleanup(func() { _ = syscall.Unmount(at, syscall.MNT_DETACH) })
	}
	r.mounts = true
}

// disk is where the data directory of a director is.
func (r *chaosRun) disk(d *process) string { return filepath.Join(r.m.dir, "data-"+d.name) }

func (r *chaosRun) now() time.Duration { return time.Since(r.began) }

// trace says what happens.
func (r *chaosRun) trace(format string, args ...any) {
	r.t.Logf("%7.2fs "+format, append([]any{r.now().Seconds()}, args...)...)
}

func (r *chaosRun) start(rate int) {
	r.began = time.Now()
	for _, d := range r.m.directors {
		d.start()
	}
	r.m.awaitSynced(20*time.Second, r.m.directors...)
	for i, d := range r.m.directors {
		r.setUsable(i, true)
		next := mixedUsers(r.shuffled(), fmt.Sprintf("new-at-%s-", d.name))
		r.loads = append(r.loads, startLoad(r.t, d, rate/chaosMesh, next))
	}
}

func (r *chaosRun) shuffled() []string {
	all := slices.Clone(r.known)
	r.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// note tells the judge something.
func (r *chaosRun) note(what func(*chaos.Judge)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what(r.judge)
}

func (r *chaosRun) setUsable(i int, usable bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.usable[i] = usable
}

// event is a moment of a turn at which something is done.
type event struct {
	at time.Duration // since the beginning of the turn
	do func()
}

// play does what a turn says, while commands are given, and waits until all directors are synced.
func (r *chaosRun) play(turn chaos.Turn) chaos.Turn {
	ctx, stop := context.WithCancel(r.t.Context())
	defer stop()
	commands := make(chan []chaos.Command, 1)
	go func() { commands <- r.command(ctx) }()
	begins := r.now()
	var events []event
	for _, f := range turn {
		undo := func() {}
		events = append(events,
			event{f.At, func() { r.trace("%v", f); undo = r.do(f) }},
			event{f.At + f.For, func() { undo() }})
	}
	slices.SortStableFunc(events, func(a, b event) int { return int(a.at - b.at) })
	for _, e := range events {
		pause(r.t, begins+e.at-r.now())
		e.do()
	}
	r.working.Wait()
	pause(r.t, 2*time.Second)
	stop()
	for _, c := range <-commands {
		r.judge.Command(c)
	}
	r.m.awaitSynced(45*time.Second, r.m.directors...)
	r.trace("all synced")
	return turn
}

// do begins a fault, and returns what ends it.
func (r *chaosRun) do(f chaos.Fault) (undo func()) {
	var d *process
	i := -1
	if len(f.Directors) > 0 {
		i = f.Directors[0]
		d = r.m.directors[i]
	}
	from := r.now()
	switch f.Kind {
	case chaos.Kill, chaos.WallOff:
		r.setUsable(i, false)
		d.kill()
		return func() {
			d.setWall(f.Off)
			r.comeBack(from, i)
		}
	case chaos.Leave:
		r.setUsable(i, false)
		d.leave()
		return func() { r.comeBack(from, i) }
	case chaos.Hang:
		r.setUsable(i, false)
		d.signal(syscall.SIGSTOP)
		return func() {
			d.signal(syscall.SIGCONT)
			r.note(func(j *chaos.Judge) { j.Hung(i, from, r.now()) })
			r.setUsable(i, true)
		}
	case chaos.Rolling:
		for i, d := range r.m.directors {
			from := r.now()
			r.setUsable(i, false)
			d.leave()
			r.comeBack(from, i)
			r.working.Wait()
		}
		return func() {}
	case chaos.KillAll, chaos.WipeAll:
		return r.killAll(f.Kind == chaos.WipeAll)
	case chaos.FullDisk:
		return r.fill(d)
	case chaos.ReadOnly:
		r.setUsable(i, false)
		d.kill()
		r.remount(d, syscall.MS_RDONLY)
		r.comeBack(from, i)
		return func() { r.remount(d, 0) }
	default:
		return r.part(f)
	}
}

// comeBack starts a director again that ended at some moment, and notes when it is synced.
func (r *chaosRun) comeBack(ended time.Duration, i int) {
	r.t.Helper()
	d := r.m.directors[i]
	d.start()
	c := r.ask[d]
	r.working.Go(func() {
		for r.t.Context().Err() == nil {
			if self, err := c.Self(r.t.Context()); err == nil && self.Synced {
				break
			}
			time.Sleep(20 * time.Millisecond) // until the next look
		}
		r.note(func(j *chaos.Judge) { j.Down(i, ended, r.now()) })
		r.setUsable(i, true)
	})
}

func (r *chaosRun) killAll(wipe bool) (undo func()) {
	from := r.now()
	for i, d := range r.m.directors {
		r.setUsable(i, false)
		d.signal(syscall.SIGKILL)
	}
	for _, d := range r.m.directors {
		d.await(endTime)
		if !wipe {
			continue
		}
		names, err := os.ReadDir(r.disk(d))
		if err != nil {
			r.t.Error(err)
		}
		for _, name := range names {
			if err := os.RemoveAll(filepath.Join(r.disk(d), name.Name())); err != nil {
				r.t.Error(err)
			}
		}
	}
	if wipe {
		r.note(func(j *chaos.Judge) { j.Wiped(r.now()) })
	}
	return func() {
		for i := range r.m.directors {
			r.comeBack(from, i)
		}
	}
}

// fill takes all room of a director's disk.
func (r *chaosRun) fill(d *process) (undo func()) {
	filler := filepath.Join(r.disk(d), "filler")
	out, err := os.Create(filler)
	for block := make([]byte, 64<<10); err == nil; {
		_, err = out.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		r.t.Error(err)
	}
	out.Close()
	return func() {
		if err := os.Remove(filler); err != nil {
			r.t.Error(err)
		}
	}
}

func (r *chaosRun) remount(d *process, flags uintptr) {
	err := syscall.Mount("tmpfs", r.disk(d), "tmpfs", syscall.MS_REMOUNT|flags, "size=48m")
	if err != nil {
		r.t.Errorf("remount for %s: %v", d.name, err)
	}
}

// part disturbs the network.
func (r *chaosRun) part(f chaos.Fault) (undo func()) {
	var undos []func()
	from := r.now()
	concerned := make(map[int]bool)
	drop := func(from, to int, share float64) {
		concerned[from], concerned[to] = true, true
		undos = append(undos, r.hosts[r.m.directors[to]].Drop(netns.Packets{
			From: r.m.directors[from].addr.Addr(), Share: share,
		}))
	}
	switch f.Kind {
	case chaos.OneWay:
		drop(f.Directors[0], f.Directors[1], 0)
	case chaos.Slow:
		for i := range r.m.directors {
			concerned[i] = true
		}
		undos = append(undos,
			r.hosts[r.m.directors[f.Directors[0]]].Narrow(1_000_000, 300*time.Millisecond))
	default:
		for i := range r.m.directors {
			for _, x := range f.Directors {
				if !slices.Contains(f.Directors, i) {
					drop(i, x, f.Share)
					drop(x, i, f.Share)
				}
			}
		}
	}
	return func() {
		for _, undo := range undos {
			undo()
		}
		r.note(func(j *chaos.Judge) {
			for i := range concerned {
				j.Apart(i, from, r.now())
			}
		})
	}
}

// command gives commands at one director after the other until ctx ends.
func (r *chaosRun) command(ctx context.Context) (given []chaos.Command) {
	random := rand.New(rand.NewPCG(r.random.Uint64(), 3))
	down := false
	for {
		select {
		case <-ctx.Done():
			if down {
				up := chaos.Command{Op: chaos.Up, Backend: fourBackends[3]}
				given = append(given, r.give(random, up))
			}
			return given
		case <-time.After(time.Duration(300+random.IntN(500)) * time.Millisecond):
		}
		c := chaos.Command{Op: chaos.Update, Backend: fourBackends[random.IntN(3)]}
		switch random.IntN(12) {
		case 0, 1, 2:
			c = chaos.Command{
				Op: chaos.Move, User: r.known[random.IntN(len(r.known))],
				Backend: fourBackends[random.IntN(3)],
			}
		case 3:
			c = chaos.Command{Op: chaos.Flush, Backend: fourBackends[2]}
		case 4, 5:
			c = chaos.Command{Op: chaos.Down, Backend: fourBackends[3]}
			if down {
				c.Op = chaos.Up
			}
			down = !down
		case 6:
			c = chaos.Command{Op: chaos.Forget, Backend: fourBackends[2]}
		default:
			c.Value = strconv.Itoa(50 + random.IntN(100))
		}
		given = append(given, r.give(random, c))
	}
}

// commandPatience is how long a command may take; one that stands still with its director is given
// up, and may hold or not.
const commandPatience = 12 * time.Second

// give gives a command at some director that works.
func (r *chaosRun) give(random *rand.Rand, c chaos.Command) chaos.Command {
	r.mu.Lock()
	var at []*process
	for i, usable := range r.usable {
		if usable {
			at = append(at, r.m.directors[i])
		}
	}
	r.mu.Unlock()
	c.Begun = r.now()
	c.Ended = c.Begun
	if len(at) == 0 {
		return c
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandPatience)
	defer cancel()
	client, err := api.NewClient(at[random.IntN(len(at))].socket())
	if err != nil {
		r.t.Error(err)
		return c
	}
	defer client.Close()
	outcome, err := client.Do(ctx, chaosOperation(c))
	c.OK, c.Lossy, c.Ended = err == nil, outcome.KeptByNone, r.now()
	return c
}

func chaosOperation(c chaos.Command) api.Operation {
	var ip api.IP
	if c.Backend != "" {
		ip.Addr = netip.MustParseAddr(c.Backend)
	}
	switch c.Op {
	case chaos.Move:
		return api.Move{User: c.User, Backend: ip}
	case chaos.Flush:
		return api.FlushUsers{Backend: ip, MaxParallel: 1000}
	case chaos.Forget:
		return api.Forget{Backend: ip}
	case chaos.Down:
		return api.BackendDown{IP: ip}
	case chaos.Up:
		return api.BackendUp{IP: ip}
	default:
		vhosts, _ := strconv.Atoi(c.Value)
		return api.UpdateBackend{IP: ip, VHosts: vhosts}
	}
}

// look judges what has happened, and compares all directors.
func (r *chaosRun) look() {
	r.t.Helper()
	at := r.now()
	for i, l := range r.loads {
		for _, a := range l.take() {
			j := chaos.Answer{
				User: a.user, Backend: a.backend, Director: i,
				Asked: a.asked.Sub(r.began), Answered: a.answered.Sub(r.began),
			}
			if a.err != nil {
				j.Error = a.err.Error()
			}
			r.judge.Answer(j)
		}
	}
	breaches := r.judge.Look()
	configured := make(map[string]chaos.Backend)
	for _, addr := range fourBackends {
		configured[addr] = chaos.Backend{VHosts: "100"}
	}
	breaches = append(breaches, r.untilNone(func() []chaos.Breach {
		return r.judge.Tables(at, r.tables(), configured)
	})...)
	breaches = append(breaches, r.untilNone(func() []chaos.Breach {
		return chaos.Final(at, r.allMappings())
	})...)
	wrong := fewErrors{t: r.t}
	for _, b := range breaches {
		wrong.errorf("%v", b)
	}
	r.trace("looked: %+v", r.judge.Counts)
}

// untilNone gives the mesh some time in which nothing is wrong any more.
func (r *chaosRun) untilNone(find func() []chaos.Breach) (breaches []chaos.Breach) {
	for deadline := time.Now().Add(25 * time.Second); ; {
		if breaches = find(); len(breaches) == 0 || time.Now().After(deadline) {
			return breaches
		}
		pause(r.t, 500*time.Millisecond)
	}
}

func (r *chaosRun) tables() map[string]map[string]chaos.Backend {
	shown := make(map[string]map[string]chaos.Backend)
	for _, d := range r.m.directors {
		backends, err := r.ask[d].Backends(r.t.Context())
		if err != nil {
			r.t.Error(err)
			continue
		}
		shown[d.name] = make(map[string]chaos.Backend)
		for _, b := range backends.Backends {
			shown[d.name][b.IP.String()] = chaos.Backend{
				VHosts: strconv.Itoa(b.VHosts), Down: b.State == api.StateDown,
			}
		}
	}
	return shown
}

// allMappings are where all directors have the users that live on for a while.
func (r *chaosRun) allMappings() map[string]map[string]string {
	all := make(map[string]map[string]string)
	least := time.Now().Add(15 * time.Second)
	for _, d := range r.m.directors {
		err := r.ask[d].Mappings(r.t.Context(), api.MappingFilter{}, func(m api.Mapping) error {
			if m.ExpiresAt.Before(least) || m.Moving {
				return nil
			}
			user := fmt.Sprintf("%08x", m.UserHash)
			if all[user] == nil {
				all[user] = make(map[string]string)
			}
			all[user][d.name] = m.Backend.String()
			return nil
		})
		if err != nil {
			r.t.Error(err)
		}
	}
	maps.DeleteFunc(all, func(_ string, by map[string]string) bool { return len(by) < 2 })
	return all
}

func (r *chaosRun) end() {
	for _, l := range r.loads {
		l.end()
	}
	for _, d := range r.m.directors {
		d.leave()
	}
}
