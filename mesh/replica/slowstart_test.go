package replica

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const testStart = 30 * time.Second // of a slow start: 10 s a step

func slowly(c *Config) { c.SlowStart = testStart }

// starts is how much of its weight the first backend has, as all directors agree; 0: all.
func (w *world) starts() (percent int) {
	w.t.Helper()
	percent = -1
	for _, d := range w.directors {
		if d.stopped {
			continue
		}
		has := d.core.Backends()[0].Backend.Start
		if percent >= 0 && has != percent {
			w.t.Errorf("%s has a start at %d %%, others at %d %%", d.name, has, percent)
		}
		percent = has
	}
	return percent
}

func (w *world) wantStart(what string, want int) {
	w.t.Helper()
	if got := w.starts(); got != want {
		w.t.Errorf("%s: the backend starts at %d %%, want %d %%", what, got, want)
	}
}

// A backend that comes up gets its weight in steps, each written once, by the director with the
// lowest name.
func TestSlowStart(t *testing.T) {
	w := started(t, 3, slowly)
	d3 := w.directors[2]
	written := make(map[directory.Register[directory.Start]]bool)
	w.seen = func(d *director, e Effect) {
		gossip, ok := e.(Gossip)
		if !ok || gossip.Delta.Origin != d.name {
			return
		}
		for _, row := range gossip.Delta.Change.Backends {
			if row.Start.Origin != "" {
				written[row.Start] = true
			}
		}
	}
	d3.order(SetDown{Addr: testBackend(1), Down: true})
	w.wantStart("down", 0)
	d3.order(SetDown{Addr: testBackend(1)})
	for i, want := range []int{25, 50, 75, 0} {
		w.wantStart("step", want)
		if row, _ := d3.core.table.Row(testBackend(1)); i > 0 && row.Start.Origin != "d1" {
			t.Errorf("step %d is written by %s", i, row.Start.Origin)
		}
		w.run(testStart / 3)
	}
	w.run(testStart)
	w.wantStart("long after", 0)
	if len(written) != 4 {
		t.Errorf("%d writes: %+v", len(written), written)
	}
	if w.directors[0].logged("slow start of a backend goes on") != 2 ||
		w.directors[0].logged("slow start of a backend is over") != 1 {
		t.Errorf("the log of d1: %v", w.directors[0].logs)
	}
}

// Few new users get the backend at first, and mapped users stay.
func TestUsersOfASlowStart(t *testing.T) {
	w := started(t, 2, slowly)
	d := w.directors[0]
	d.order(SetDown{Addr: testBackend(1), Down: true})
	w.run(time.Second)
	d.order(SetDown{Addr: testBackend(1)})
	users := func(first int) (share float64) {
		const n = 1000
		for i := range n {
			if d.must(ring.UserHash(first+i)*4_000_037) == testBackend(1) {
				share++
			}
		}
		return share / n
	}
	if share := users(1); share < 0.04 || share > 0.12 { // 25 of 325 points
		t.Errorf("at first it gets %.3f of the users", share)
	}
	h := ring.UserHash(5 * 4_000_037)
	before := d.must(h)
	w.run(testStart)
	if share := users(100_000); share < 0.2 || share > 0.3 {
		t.Errorf("in the end it gets %.3f of the users", share)
	}
	if after := d.must(h); after != before {
		t.Errorf("a mapped user went from %v to %v", before, after)
	}
}

// Whoever acts for all dies in the midst of it: another one goes on. With fewer than half there
// nobody does, until they are back.
func TestSlowStartOutlivesDirectors(t *testing.T) {
	w := started(t, 4, slowly)
	d := w.directors
	d[3].order(SetDown{Addr: testBackend(1), Down: true})
	d[3].order(SetDown{Addr: testBackend(1)})
	d[0].crash()
	w.run(testStart/3 + 7*time.Second)
	w.wantStart("without d1", 50)
	if row, _ := d[3].core.table.Row(testBackend(1)); row.Start.Origin != "d2" {
		t.Errorf("it is written by %s", row.Start.Origin)
	}
	d[1].crash()
	d[2].crash()
	w.run(2 * testStart)
	w.wantStart("one of four", 50)
	d[1].boots(false, slowly)
	w.run(10 * time.Second)
	w.wantStart("with another one again", 0)
}

// Halves that were apart agree on what was written last, and end together.
func TestSlowStartInASplit(t *testing.T) {
	w := started(t, 4, slowly)
	d := w.directors
	w.split(d[:2], d[2:])
	w.run(8 * time.Second)
	d[0].order(SetDown{Addr: testBackend(1), Down: true})
	d[0].order(SetDown{Addr: testBackend(1)})
	w.run(5 * time.Second)
	d[2].order(SetDown{Addr: testBackend(1), Down: true})
	d[2].order(SetDown{Addr: testBackend(1)})
	w.run(7 * time.Second)
	if a, b := d[0].core.Backends()[0].Backend.Start, d[2].core.Backends()[0].Backend.Start; a !=
		50 || b != 25 {
		t.Errorf("apart they start at %d and %d %%", a, b)
	}
	w.heal()
	w.until("all have the same", 10*time.Second, func() bool {
		a, b := d[0].core.Backends()[0].Backend.Start, d[2].core.Backends()[0].Backend.Start
		return a == b && w.allSynced()
	})
	w.run(testStart + 2*time.Second)
	w.wantStart("in the end", 0)
}

// What the command says counts, whatever the settings say; and settings may change.
func TestSlowStartThatIsGiven(t *testing.T) {
	w := started(t, 2)
	d := w.directors[0]
	addr, fresh, none := testBackend(1), netip.MustParseAddr("192.0.2.0"), time.Duration(0)
	d.order(AddBackend{Addr: fresh})
	w.wantStart("added without", 0)
	d.order(RemoveBackend{Addr: fresh})
	over := testStart
	d.order(AddBackend{Addr: fresh, SlowStart: &over})
	w.wantStart("added slowly", 25)
	d.order(RemoveBackend{Addr: fresh})
	d.order(SetDown{Addr: addr, SlowStart: &over})
	w.wantStart("up, and was up", 25)
	d.order(SetDown{Addr: addr, SlowStart: &none})
	w.wantStart("ended", 0)
	d.order(Drain{Addr: addr})
	d.order(Undrain{Addr: addr, SlowStart: &over})
	w.wantStart("undrained", 25)
	d.order(UpdateBackend{Addr: addr, VHosts: 0, SlowStart: &none})
	d.core.SetLimits(w.now, Limits{KickDelay: time.Second, SlowStart: testStart})
	d.order(UpdateBackend{Addr: addr, VHosts: 100})
	w.wantStart("given vhosts", 25)
	long := directory.MaxSlowStart + time.Second
	_, err := d.do(SetDown{Addr: addr, SlowStart: &long})
	if !errors.Is(err, directory.ErrSlowStart) {
		t.Errorf("longer than a day: %v", err)
	}
}

// While a director of an earlier release is in the mesh, nothing starts slowly: it would go by the
// whole weight.
func TestSlowStartBesideAnEarlierRelease(t *testing.T) {
	w := started(t, 2, slowly)
	d, addr, over := w.directors[0], testBackend(1), testStart
	p := d.core.peers.get("d2")
	p.registers = directory.StartRegister - 1
	if _, err := d.do(SetDown{Addr: addr, SlowStart: &over}); !errors.Is(err, ErrOlderRelease) {
		t.Errorf("asked for: %v", err)
	}
	d.order(SetDown{Addr: addr, Down: true})
	d.order(SetDown{Addr: addr})
	w.wantStart("by the settings", 0)
	p.registers = directory.StartRegister
	d.order(SetDown{Addr: addr, SlowStart: &over})
	w.wantStart("upgraded", 25)
	p.registers = directory.StartRegister - 1
	w.run(time.Second)
	w.wantStart("one of before has come", 0)
}

// A backend that was out of use comes back slowly, and nobody changes factors meanwhile.
func TestRecoveredBackendStartsSlowly(t *testing.T) {
	w := watchers(t, 3, 4, slowly)
	w.failing(1)
	w.watch(20 * time.Second)
	w.wantOut("failed", 1)
	w.failing()
	w.watch(goodAgreed + 7*time.Second)
	w.wantOut("good again")
	w.wantStart("good again", 25)
	w.watch(testStart)
	w.wantStart("after a while", 0)
}

func TestBalanceIsFrozenInASlowStart(t *testing.T) {
	w := balancers(t, 2, onSessions)
	over := calmFor + time.Minute
	w.directors[0].order(SetDown{Addr: testBackend(2), SlowStart: &over})
	w.balance(over - 15*time.Second)
	if why := w.frozen(); why != "192.0.2.2 starts slowly" || len(w.factors) > 0 {
		t.Errorf("frozen because %q, written %v", why, w.factors)
	}
	w.balance(calmFor + 45*time.Second)
	if len(w.factors) == 0 {
		t.Error("no factor is changed when it is over")
	}
}

// A plan shows the end of a slow start, and says how long it takes.
func TestPlanOfASlowStart(t *testing.T) {
	w := started(t, 1, slowly)
	d, addr, fresh := w.directors[0], testBackend(1), netip.MustParseAddr("192.0.2.0")
	over, none := 2*testStart, time.Duration(0)
	d.order(SetDown{Addr: addr, Down: true})
	for _, test := range []struct {
		op   Operation
		want time.Duration
	}{
		{SetDown{Addr: addr}, testStart}, {SetDown{Addr: addr, SlowStart: &none}, 0},
		{SetDown{Addr: addr, SlowStart: &over}, over}, {AddBackend{Addr: fresh}, testStart},
		{UpdateBackend{Addr: testBackend(2), VHosts: 7}, 0},
		{SetDown{Addr: testBackend(2), Down: true}, 0},
	} {
		p, err := d.core.Prospect(w.now, test.op)
		if err != nil {
			t.Fatal(err)
		}
		if p.SlowStart != test.want || p.After.Starting() {
			t.Errorf("%+v: over %v, want %v; at the end it starts: %v", test.op, p.SlowStart,
				test.want, p.After.Starting())
		}
	}
	d.order(SetDown{Addr: addr})
	p, err := d.core.Prospect(w.now, SetDown{Addr: addr, SlowStart: &none})
	if err != nil || !p.Before.Starting() || p.After.Starting() {
		t.Errorf("of what ends one: %+v, %v", p, err)
	}
}

// After a restart of all, from their disks, it goes on and ends.
func TestSlowStartOnDisk(t *testing.T) {
	w := onDisks(t, 2)
	over := testStart
	w.directors[0].order(SetDown{Addr: testBackend(1), SlowStart: &over})
	w.run(3 * time.Second)
	w.killAll(testStart / 3)
	w.run(time.Second)
	w.wantStart("after a restart", 50)
	w.run(testStart)
	w.wantStart("in the end", 0)
}

// A backend that starts slowly is ordered to start anew, before that director has heard that the
// one that acts for all has just written a step of the first start. The order holds.
func TestOrderOfAStartAsAnotherSteps(t *testing.T) {
	w := started(t, 2, slowly)
	w.noGossip = true
	d1, d2 := w.directors[0], w.directors[1]
	start := func() directory.Start {
		row, _ := d1.core.table.Row(testBackend(1))
		return row.Start.Value
	}
	w.run(time.Second) // no push/pull comes before the step
	d2.order(SetDown{Addr: testBackend(1), Down: true})
	d2.order(SetDown{Addr: testBackend(1)})
	first := start()
	w.run(testStart/3 - 200*time.Millisecond)
	var late []wire.Message
	w.lose = func(from, _ *director, m wire.Message) bool {
		if from == d2 {
			late = append(late, m)
		}
		return from == d2
	}
	over := testStart
	anew := d2.begin(SetDown{Addr: testBackend(1), SlowStart: &over})
	if start() != first {
		t.Fatal("the step is written already; the test shows nothing")
	}
	w.until("d1 writes a step", time.Second, func() bool { return start().Percent == 50 })
	w.lose = nil
	for _, m := range late {
		d1.hears(d2, m)
	}
	w.until("the order is carried out", time.Second, func() bool {
		_, done := d2.done[anew]
		return done
	})
	w.wantStart("ordered anew", 25)
	if err := d2.done[anew].Err; err != nil || start().Since == first.Since {
		t.Errorf("the order ended with %v, and the start is %+v", err, start())
	}
	w.run(testStart)
	w.wantStart("long after", 0)
}
