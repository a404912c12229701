package replica

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/balance"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// balanced is a world whose directors report loads, each at its own moments.
type balanced struct {
	*world
	load    func(d *director, backend netip.Addr) uint64
	unknown map[*director]bool  // they do not know any loads
	silent  map[netip.Addr]bool // nobody knows how loaded these backends are
	next    map[*director]mono.Time
	factors map[directory.Register[directory.Factor]]bool // that were written
}

// balancers returns a mesh of directors that balance 4 backends. By the sessions that they count,
// the first backend has twice as much load as the others.
func balancers(t *testing.T, directors int, b Balance, change ...func(*Config)) *balanced {
	t.Helper()
	change = append([]func(*Config){func(c *Config) { c.Balance = b }}, change...)
	w := &balanced{
		world: started(t, directors, change...), unknown: make(map[*director]bool),
		silent: make(map[netip.Addr]bool), next: make(map[*director]mono.Time),
		factors: make(map[directory.Register[directory.Factor]]bool),
		load: func(_ *director, backend netip.Addr) uint64 {
			if backend == testBackend(1) {
				return 200
			}
			return 100
		},
	}
	return w
}

var onSessions = Balance{Mode: wire.BalanceOn, Source: wire.ProxySessions}

// balance lets time pass, in which directors report loads.
func (w *balanced) balance(length time.Duration) {
	w.t.Helper()
	for end := w.now.Add(length); w.now < end; {
		w.run(100 * time.Millisecond)
		for i, d := range w.directors {
			if d.stopped || w.now < w.next[d] {
				continue
			}
			w.next[d] = w.now.Add(LoadRound(testExpire) + time.Duration(i)*50*time.Millisecond)
			addrs := d.core.LoadsWanted()
			if d.core.cfg.Balance.Source == wire.ProxySessions {
				addrs = []netip.Addr{testBackend(1), testBackend(2), testBackend(3), testBackend(4)}
			}
			var loads []wire.Load
			for _, addr := range addrs {
				if !w.silent[addr] {
					loads = append(loads, wire.Load{Backend: addr, Load: w.load(d, addr)})
				}
			}
			if d.core.cfg.Balance.Mode != wire.BalanceOff {
				d.core.ReportLoads(w.now, loads, !w.unknown[d])
			}
			w.deliver()
		}
		for _, d := range w.directors {
			for _, row := range d.core.Table().Backends {
				if row.Factor.Origin != "" {
					w.factors[row.Factor] = true
				}
			}
		}
	}
}

// percents are the factors of the backends, as all directors agree.
func (w *balanced) percents() (percents []int) {
	w.t.Helper()
	for _, d := range w.directors {
		if d.stopped {
			continue
		}
		var has []int
		for _, b := range d.core.Backends() {
			has = append(has, directory.Factor(b.Backend.Factor).Percent())
		}
		if percents != nil && !slices.Equal(percents, has) {
			w.t.Errorf("%s has the factors %v, others %v", d.name, has, percents)
		}
		percents = has
	}
	return percents
}

func (w *balanced) wantFactors(what string, want ...int) {
	w.t.Helper()
	if got := w.percents(); !slices.Equal(got, want) {
		w.t.Errorf("%s: factors %v, want %v", what, got, want)
	}
}

// frozen is why all directors say that the tag is frozen.
func (w *balanced) frozen() string {
	w.t.Helper()
	why := ""
	for i, d := range w.directors {
		if d.stopped {
			continue
		}
		s := d.core.Balancing(w.now).Tags[0]
		if i > 0 && s.Frozen != why && w.directors[0].stopped == false {
			w.t.Errorf("%s says %q, others %q", d.name, s.Frozen, why)
		}
		why = s.Frozen
	}
	return why
}

const calmFor = 2 * testExpire // balance.Calm

func TestBalance(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7} {
		t.Run(fmt.Sprint(n, " directors"), func(t *testing.T) {
			w := balancers(t, n, onSessions)
			w.balance(calmFor - 10*time.Second)
			w.wantFactors("before it is known well", 100, 100, 100, 100)
			next := w.directors[n-1].core.Balancing(w.now).Tags[0].Next
			if in := next.Sub(w.directors[0].core.MeshTime(w.now)); in <= 0 || in > 20*time.Second {
				t.Errorf("the next change is said to be in %v", in)
			}
			w.balance(20 * time.Second)
			w.wantFactors("after that", 50, 100, 100, 100)
			row, _ := w.directors[0].core.table.Row(testBackend(1))
			if row.Factor.Origin != "d1" || row.VHosts.Value != ring.DefaultVHosts {
				t.Errorf("the row is %+v", row)
			}
			w.balance(10 * time.Minute)
			w.wantFactors("ten minutes later", 50, 100, 100, 100)
			s := w.directors[n-1].core.Balancing(w.now)
			b := s.Tags[0].Backends[0]
			want := BackendBalance{
				Backend: b.Backend, Load: float64(200 * n), Known: true, Wanted: 50,
			}
			if s.InCharge != "d1" || s.Dry || s.OutOfContact || b != want {
				t.Errorf("%+v, want %+v of the first backend", s, want)
			}
			sum := w.directors[0].core.Counters().FactorChanges
			if sum != 1 || len(w.factors) != 1 {
				t.Errorf("%d changes are counted, %d were written", sum, len(w.factors))
			}
		})
	}
}

// pauses are the times between changes of factors while the load turns every two minutes.
func (w *balanced) pauses() (pauses []time.Duration) {
	began := w.now
	w.load = func(_ *director, backend netip.Addr) uint64 {
		turn := int(w.now.Sub(began) / (2 * time.Minute))
		if backend == testBackend(1+turn%4) {
			return 10_000
		}
		return 100
	}
	w.balance(20 * time.Minute)
	var at []directory.Time
	for f := range w.factors {
		at = append(at, f.Stamp.Time())
	}
	slices.Sort(at)
	at = slices.Compact(at)
	for i := 1; i < len(at); i++ {
		pauses = append(pauses, at[i].Sub(at[i-1]))
	}
	return pauses
}

// Factors change once in the expire time at the most.
func TestFactorsChangeSeldom(t *testing.T) {
	pauses := balancers(t, 3, onSessions).pauses()
	if len(pauses) < 3 || slices.Min(pauses) < testExpire {
		t.Errorf("factors change after %v", pauses)
	}
	w := balancers(t, 3, onSessions, func(c *Config) { c.Guards.NoFactorPause = true })
	if pauses := w.pauses(); slices.Min(pauses) >= testExpire {
		t.Errorf("without the guard factors change after %v", pauses)
	}
}

// While anything else moves users, or loads are not known, no factor changes, for ever.
func TestFrozen(t *testing.T) {
	long(t)
	b2 := testBackend(2)
	asked := Balance{Mode: wire.BalanceOn, Source: wire.BackendSessions}
	apply := func(d *director, change func(stamp directory.Stamp) (directory.Change, error)) {
		stamp, err := d.core.nextStamp(d.w.now, 0)
		if err != nil {
			t.Fatal(err)
		}
		c, err := change(stamp)
		if err != nil {
			t.Fatal(err)
		}
		d.core.apply(d.w.now, c, nil)
	}
	for _, test := range []struct {
		name string
		by   Balance
		do   func(w *balanced, d1 *director)
		want string
	}{
		{"drained", onSessions, func(_ *balanced, d1 *director) {
			d1.order(Drain{Addr: b2})
		}, "192.0.2.2 is drained"},
		{"down", onSessions, func(_ *balanced, d1 *director) {
			d1.order(SetDown{Addr: b2, Down: true})
		}, "192.0.2.2 is down"},
		{"failed", onSessions, func(_ *balanced, d1 *director) {
			apply(d1, func(s directory.Stamp) (directory.Change, error) {
				return d1.core.table.Judge(s, "d1", b2, true)
			})
		}, "192.0.2.2 has failed"},
		{"a director knows nothing", onSessions, func(w *balanced, _ *director) {
			w.unknown[w.directors[2]] = true
		}, "d3 does not report loads"},
		{"a director says nothing", onSessions, func(w *balanced, _ *director) {
			w.lose = func(from, _ *director, m wire.Message) bool {
				return from.name == "d3" && m.Kind() == wire.KindLoads
			}
			w.next[w.directors[2]] = w.now.Add(time.Hour)
		}, "d3 does not report loads"},
		{"an older release", onSessions, func(w *balanced, _ *director) {
			for _, d := range w.directors[:2] {
				d.core.peers.get("d3").registers = factorRegister - 1
			}
		}, "d3 is of a release without factors"},
		{"a backend does not answer", asked, func(w *balanced, _ *director) {
			w.silent[b2] = true
		}, "192.0.2.2 does not say how loaded it is"},
		{"no backend could be asked", asked, func(w *balanced, d1 *director) {
			w.unknown[d1] = true
		}, "d1 does not report loads"},
		{"hardly any load", onSessions, func(w *balanced, _ *director) {
			w.load = func(_ *director, b netip.Addr) uint64 { return uint64(b.As4()[3]) }
		}, "there is too little load, less than 10 on average"},
		{"one backend alone", onSessions, func(_ *balanced, d1 *director) {
			for i := 2; i <= 4; i++ {
				d1.order(UpdateBackend{Addr: testBackend(i), VHosts: 0})
			}
		}, "fewer than two backends take users"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := balancers(t, 3, test.by)
			w.balance(time.Minute)
			if why := w.frozen(); why != "" {
				t.Fatalf("frozen before: %s", why)
			}
			test.do(w, w.directors[0])
			w.balance(10 * time.Minute)
			if len(w.factors) > 0 {
				t.Errorf("factors were written: %v", w.factors)
			}
			for _, d := range w.directors[:2] {
				if why := d.core.Balancing(w.now).Tags[0].Frozen; why != test.want {
					t.Errorf("%s: frozen because %q, want %q", d.name, why, test.want)
				}
			}
		})
	}
}

// While users are flushed or rebalanced no factor changes, and what was known before counts no
// more.
func TestFrozenWhileUsersMove(t *testing.T) {
	w := balancers(t, 3, onSessions, func(c *Config) {
		c.MaxParallelMoves, c.KickDelay = 1, 10*time.Second
	})
	d1 := w.directors[0]
	for _, d := range w.directors { // nobody knows of sessions, so each move takes its time
		d.kicker = func(Kick) (int, bool, bool) { return 0, false, true }
	}
	w.balance(calmFor - 20*time.Second)
	for i := range ring.UserHash(120) {
		d1.must((i + 1) * 35_000_003)
	}
	d1.order(UpdateBackend{Addr: testBackend(3), VHosts: 10})
	d1.order(Flush{})
	w.balance(2 * time.Second)
	if why := w.frozen(); why != "users are flushed" {
		t.Errorf("frozen because %q", why)
	}
	w.balance(40 * time.Second)
	if len(w.factors) > 0 || w.frozen() == "" {
		t.Fatalf("written in a flush: %v; frozen because %q", w.factors, w.frozen())
	}
	w.until("the flush has ended", 10*time.Minute, func() bool {
		for _, f := range d1.core.Flushes() {
			if f.Ended == 0 {
				return false
			}
		}
		return true
	})
	w.balance(calmFor - 15*time.Second)
	if len(w.factors) > 0 {
		t.Errorf("written %v after the flush", calmFor)
	}
	w.balance(30 * time.Second)
	if len(w.factors) == 0 {
		t.Error("no factor is changed when all is calm again")
	}
}

// A dry run writes nothing, and says what it would do once in the expire time.
func TestDryRun(t *testing.T) {
	w := balancers(t, 2, Balance{Mode: wire.BalanceDryRun, Source: wire.ProxySessions})
	w.balance(calmFor + 5*testExpire + 10*time.Second)
	w.wantFactors("in a dry run", 100, 100, 100, 100)
	if n := w.directors[0].logged("factor of a backend would be changed"); n < 5 || n > 6 {
		t.Errorf("%d lines in five minutes", n)
	}
	s := w.directors[1].core.Balancing(w.now)
	if b := s.Tags[0].Backends[0]; !s.Dry || s.InCharge != "d1" || b.Wanted != 50 || !b.Due {
		t.Errorf("%+v", s)
	}
	if n := w.directors[1].logged("factor of a backend"); n != 0 {
		t.Errorf("d2, which is not in charge, has %d lines", n)
	}
}

// The director with the lowest name of those that balance is in charge. When it is gone, the next
// one goes on, with what it knows already.
func TestBalancerIsGone(t *testing.T) {
	w := balancers(t, 3, onSessions, func(c *Config) {
		if c.Name == "d1" {
			c.Balance = Balance{}
		}
	})
	w.balance(calmFor + 10*time.Second)
	why := w.directors[1].core.Balancing(w.now).Tags[0].Frozen
	if why != "d1 does not report loads" {
		t.Errorf("beside one that does not balance: frozen because %q", why)
	}
	w.directors[0].crash()
	w.balance(20 * time.Second)
	w.wantFactors("without it", 50, 100, 100, 100)
	row, _ := w.directors[2].core.table.Row(testBackend(1))
	if row.Factor.Origin != "d2" {
		t.Errorf("written by %s", row.Factor.Origin)
	}
	w.directors[1].crash()
	w.load = func(_ *director, backend netip.Addr) uint64 {
		if backend == testBackend(2) {
			return 10_000
		}
		return 100
	}
	w.balance(20 * time.Minute)
	if row, _ := w.directors[2].core.table.Row(testBackend(2)); row.Factor.Origin != "" {
		t.Errorf("one of three writes: %+v", row.Factor)
	}
	if s := w.directors[2].core.Balancing(w.now); !s.OutOfContact {
		t.Errorf("it does not say that it is out of contact: %+v", s)
	}
}

// The balancer has lost most of the others and changes no factor: the next one does.
func TestBalancerStandsBack(t *testing.T) {
	w := balancers(t, 5, onSessions)
	w.balance(10 * time.Second)
	w.split(w.directors[:1], w.directors[2:])
	w.balance(calmFor + 40*time.Second)
	row, _ := w.directors[2].core.table.Row(testBackend(1))
	if row.Factor.Origin != "d2" {
		t.Errorf("the factor is %+v", row.Factor)
	}
}

// The side of two of a split changes no factor; when all are together again all have the same.
func TestSplitOfBalancers(t *testing.T) {
	for _, guard := range []bool{true, false} {
		w := balancers(t, 5, onSessions, func(c *Config) { c.Guards.NoContactCheck = !guard })
		w.balance(time.Minute)
		w.split(w.directors[:2], w.directors[2:])
		w.balance(calmFor)
		var by []string
		for f := range w.factors {
			by = append(by, f.Origin)
		}
		slices.Sort(by)
		by = slices.Compact(by)
		if guard && !slices.Equal(by, []string{"d3"}) {
			t.Errorf("factors are written by %v", by)
		} else if !guard && !slices.Contains(by, "d1") {
			t.Errorf("without the guard by %v", by)
		}
		w.heal()
		w.balance(time.Minute)
		w.wantFactors("together again", 50, 100, 100, 100)
	}
}

// How busy backends say they are is to be the same on all, whatever their vhost counts.
func TestBusy(t *testing.T) {
	w := balancers(t, 2, Balance{Mode: wire.BalanceOn, Source: wire.BusyPercent})
	w.directors[0].order(UpdateBackend{Addr: testBackend(1), VHosts: 25})
	w.load = func(_ *director, backend netip.Addr) uint64 {
		return map[netip.Addr]uint64{testBackend(2): 80}[backend] + 40
	}
	w.balance(calmFor + 20*time.Second)
	w.wantFactors("one is three times as busy", 100, 50, 100, 100)
	if n := len(w.directors[1].core.LoadsWanted()); n != 0 {
		t.Errorf("d2, which is not in charge, asks %d backends", n)
	}
}

func TestResetFactors(t *testing.T) {
	w := balancers(t, 3, onSessions)
	w.balance(calmFor + 20*time.Second)
	w.wantFactors("at first", 50, 100, 100, 100)
	w.directors[2].order(ResetFactors{})
	w.wantFactors("after a reset", 100, 100, 100, 100)
	w.balance(testExpire - 15*time.Second)
	w.wantFactors("within the expire time", 100, 100, 100, 100)
	w.balance(30 * time.Second)
	w.wantFactors("after it", 50, 100, 100, 100)
}

// Without the guard a director changes factors while a backend is drained.
func TestUnguardedBalance(t *testing.T) {
	w := balancers(t, 1, onSessions, func(c *Config) { c.Guards.NoFreeze = true })
	w.directors[0].order(Drain{Addr: testBackend(2)})
	w.balance(calmFor + time.Minute)
	if len(w.factors) == 0 {
		t.Error("frozen without the guard")
	}
}

// A source of which this release does not know is none.
func TestUnknownSource(t *testing.T) {
	w := balancers(t, 2, Balance{Mode: wire.BalanceOn, Source: 77})
	w.balance(calmFor + time.Minute)
	if why := w.frozen(); !strings.HasPrefix(why, "d1 does not say") || len(w.factors) > 0 {
		t.Errorf("frozen because %q, written %v", why, w.factors)
	}
	if balance.Calm(testExpire) != calmFor {
		t.Errorf("these tests know another time of calm than %v", balance.Calm(testExpire))
	}
}
