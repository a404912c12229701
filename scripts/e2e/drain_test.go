//go:build e2e

package e2e

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"directormesh/cli/api"
)

// drainPlay is a drain with all that may come between. Moments are since its command, as shares of
// the time that it is given.
type drainPlay struct {
	users int           // on the backend that is drained
	over  time.Duration // that the drain is given
	kills []float64     // of the director that moves the users then
}

const (
	secondOver  = 0.15 // of another backend, drained from the beginning
	undrainAt   = 0.22
	allKilledAt = 0.4
	rebalanceAt = 0.6
	targetAt    = 0.72 // a backend fails that users are moved to
	// rebalanceOver is the time that the rebalance is given.
	rebalanceOver = 0.08
)

// drainPlayed is a short play or, if DIRECTORMESH_DRAIN is set, the long one: 100,000 users in
// five minutes, with a kill every 30 s.
func drainPlayed() drainPlay {
	if os.Getenv("DIRECTORMESH_DRAIN") == "" {
		return drainPlay{users: 10_000, over: 30 * time.Second, kills: []float64{0.05, 0.85}}
	}
	return drainPlay{users: 100_000, over: 5 * time.Minute, kills: []float64{
		0.1, 0.2, 0.3, 0.5, 0.59, 0.7, 0.8, 0.9,
	}}
}

// TestDrain drains a backend over a time, while the director that moves the users is killed again
// and again, the drain is ended and begun anew, another backend is drained and the tag rebalanced,
// all directors are killed, and a backend fails that users are moved to. The drain ends in time,
// each user is moved once, and nobody is forgotten.
func TestDrain(t *testing.T) {
	t.Parallel()
	play := drainPlayed()
	w := newDrainWorld(t, 6)
	drained, second, uneven, target := w.backends[0], w.backends[1], w.backends[2], w.backends[3]
	placed := map[string][]string{
		drained: users("drained", play.users),
		second:  users("second", play.users/5),
		uneven:  users("uneven", play.users/10),
	}
	w.mapThem(placed)
	d3 := w.mesh.directors[2]

	began := time.Now()
	at := func(share float64) { pause(t, time.Until(began.Add(shareOf(play.over, share)))) }
	over := func() string {
		return time.Until(began.Add(play.over)).Round(time.Millisecond).String()
	}
	must(t, d3, "update", second, "0") // nobody is moved to it while only the other is drained
	must(t, d3, "drain", "--over", over(), "--max-parallel", "5000", drained)
	must(t, d3, "drain", "--over", shareOf(play.over, secondOver).String(),
		"--max-parallel", "5000", second)
	var loads []*load
	for i, d := range w.mesh.directors {
		loads = append(loads, startLoad(t, d, 100, randomUsers(uint64(i), placed[drained])))
	}
	steps := []drainStep{
		{undrainAt, "undrained and drained again", func() {
			within(t, play.over/4, func() error { return w.empty(second) })
			must(t, d3, "undrain", drained)
			pause(t, 3*time.Second) // moves under way end
			before := w.usersOn(drained)
			pause(t, time.Second)
			if after := w.usersOn(drained); after != before || after == 0 {
				t.Errorf("undrained: %d users, a second later %d", before, after)
			}
			must(t, d3, "drain", "--over", over(), "--max-parallel", "5000", drained)
		}},
		{allKilledAt, "all killed", w.killAll},
		{rebalanceAt, "rebalance", func() {
			must(t, d3, "rebalance", "--over", shareOf(play.over, rebalanceOver).String(),
				"--max-parallel", "5000")
		}},
		{targetAt, "a target fails", func() {
			within(t, play.over/4, func() error {
				if b := w.backend(uneven); b.Rebalance == nil || b.Rebalance.On {
					return fmt.Errorf("rebalanced: %+v", b.Rebalance)
				}
				return nil
			})
			// Later logins of users on it would move them again.
			w.checkAnswers(drained, loads)
			w.servers[target].Close()
		}},
	}
	for _, share := range play.kills {
		steps = append(steps, drainStep{share, "killed", w.killMover})
	}
	for _, step := range inOrder(steps) {
		at(step.share)
		left := w.usersOn(drained)
		step.do()
		t.Logf("%5.1f s: %s; %d users were left", time.Since(began).Seconds(), step.what, left)
	}
	within(t, play.over, func() error { return w.empty(drained) })
	took := time.Since(began)
	t.Logf("drained in %.1f s", took.Seconds())
	// In the short play, what a move takes and what a kill takes is more than 5 %.
	if slack := max(play.over/20, 6*time.Second); took < play.over-slack ||
		took > play.over+slack {
		t.Errorf("it took %v, it was given %v", took, play.over)
	}
	within(t, verdictTime, func() error {
		if b := w.backend(target); b.Failure == nil || b.Failure.Kept {
			return fmt.Errorf("the backend that failed is %+v", b)
		}
		return nil
	})
	w.checkMoves(placed, uneven)
}

// drainStep is something that happens at a moment of a play.
type drainStep struct {
	share float64
	what  string
	do    func()
}

// verdictTime is until directors that were killed just now have seen a backend fail.
const verdictTime = 40 * time.Second

func inOrder(steps []drainStep) []drainStep {
	slices.SortStableFunc(steps, func(a, b drainStep) int { return cmp.Compare(a.share, b.share) })
	return steps
}

func shareOf(over time.Duration, share float64) time.Duration {
	return time.Duration(float64(over) * share)
}

// drainWorld is a mesh of three directors with data directories, and backends that they check.
type drainWorld struct {
	t        *testing.T
	mesh     *mesh
	clients  []*api.Client // of the directors
	backends []string
	servers  map[string]net.Listener
}

func newDrainWorld(t *testing.T, n int) *drainWorld {
	t.Helper()
	w := &drainWorld{t: t, servers: make(map[string]net.Listener)}
	port := uint16(0)
	for i := range n {
		ip := netip.AddrFrom4([4]byte{127, 0, 9, byte(i + 1)})
		if port == 0 {
			port = freePort(t, ip)
		}
		l, err := net.Listen("tcp", netip.AddrPortFrom(ip, port).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go answerChecks(l)
		w.backends, w.servers[ip.String()] = append(w.backends, ip.String()), l
	}
	w.mesh = newMesh(t, 3, "--mail-servers", strings.Join(w.backends, " "),
		"--health-check", fmt.Sprintf("tcp:%d", port))
	w.mesh.onDisks()
	w.start(w.mesh.directors...)
	for _, d := range w.mesh.directors {
		w.clients = append(w.clients, client(t, d))
	}
	return w
}

// answerChecks takes the connections of checks until the listener is closed.
func answerChecks(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.Close()
	}
}

func (w *drainWorld) start(directors ...*process) {
	w.t.Helper()
	for _, d := range directors {
		d.start()
	}
	w.mesh.awaitSynced(30*time.Second, w.mesh.directors...)
}

// mapThem maps users to the backends that are named, and then gives all backends the same weight.
func (w *drainWorld) mapThem(placed map[string][]string) {
	w.t.Helper()
	d1 := w.mesh.directors[0]
	for backend, names := range placed {
		for _, b := range w.backends {
			vhosts := "0"
			if b == backend {
				vhosts = "100"
			}
			must(w.t, d1, "update", b, vhosts)
		}
		lookupMany(w.t, d1, names)
	}
	for _, b := range w.backends {
		must(w.t, d1, "update", b, "100")
	}
}

// backend is a backend as the first director that answers has it.
func (w *drainWorld) backend(ip string) (found api.Backend) {
	w.t.Helper()
	within(w.t, syncTime, func() error {
		for _, c := range w.clients {
			all, err := c.Backends(w.t.Context())
			if err != nil {
				continue
			}
			for _, b := range all.Backends {
				if b.IP.String() == ip {
					found = b
					return nil
				}
			}
		}
		return fmt.Errorf("no director knows of %s", ip)
	})
	return found
}

func (w *drainWorld) usersOn(backend string) int { return w.backend(backend).Users }

func (w *drainWorld) empty(backend string) error {
	if n := w.usersOn(backend); n > 0 {
		return fmt.Errorf("%d users are left on %s", n, backend)
	}
	return nil
}

// killMover kills the director that moves the users of drains, and starts it again.
func (w *drainWorld) killMover() {
	w.t.Helper()
	begun := func(d *process) float64 { return metricsOf(w.t, d)["director_task_moves_total"] }
	before := make(map[*process]float64)
	for _, d := range w.mesh.directors {
		before[d] = begun(d)
	}
	var mover *process
	within(w.t, 30*time.Second, func() error {
		for _, d := range w.mesh.directors {
			if begun(d) > before[d] {
				mover = d
				return nil
			}
		}
		return fmt.Errorf("nobody moves users")
	})
	mover.kill()
	w.start(mover)
	w.t.Logf("%s was killed", mover.name)
}

// killAll kills all directors and starts them again.
func (w *drainWorld) killAll() {
	w.t.Helper()
	for _, d := range w.mesh.directors {
		d.signal(syscall.SIGKILL)
	}
	for _, d := range w.mesh.directors {
		d.await(endTime)
	}
	w.start(w.mesh.directors...)
}

// TestFlushAllKilled kills all directors in the middle of a flush. From their data directories they
// go on with it, and it can be watched by its name.
func TestFlushAllKilled(t *testing.T) {
	t.Parallel()
	w := newDrainWorld(t, 4)
	from := w.backends[0]
	placed := map[string][]string{from: users("flushed", 2000)}
	w.mapThem(placed)
	d1, d2 := w.mesh.directors[0], w.mesh.directors[1]
	must(t, d1, "update", from, "0")
	flushing := make(chan outcome, 1)
	go func() {
		flushing <- runAs(t, nil, "-a", d2.socket(), "flush", "--max-parallel", "300", from)
	}()
	within(t, 30*time.Second, func() error {
		if n := w.usersOn(from); n > 1500 {
			return fmt.Errorf("%d users are left", n)
		}
		return nil
	})
	w.killAll()
	if got := <-flushing; got.status == 0 {
		t.Errorf("the command at a director that was killed: %+v", got)
	}
	if n := w.usersOn(from); n == 0 {
		t.Fatal("nobody is left; the test shows nothing")
	}
	got := must(t, d1, "flush", "--watch", "--json")
	if !strings.Contains(got, `"director": "d2"`) {
		t.Errorf("the flush that goes on: %s", got)
	}
	within(t, 30*time.Second, func() error { return w.empty(from) })
	w.checkMoves(placed, "")
}
