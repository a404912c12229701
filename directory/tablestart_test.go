package directory

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"directormesh/ring"
)

const startOver = 300 * time.Second

// startsOf are the backends that start slowly, and how much of its weight each has.
func startsOf(t *Table) map[netip.Addr]int {
	starts := make(map[netip.Addr]int)
	for _, b := range t.Backends() {
		if b.Start != 0 {
			starts[b.Addr] = b.Start
		}
	}
	return starts
}

// A backend that comes into use starts slowly, whatever brings it into use. One that takes users
// already, or takes none afterwards, does not.
func TestWhoStartsSlowly(t *testing.T) {
	type change = func(t *Table, stamp Stamp) (Change, error)
	down := func(t *Table, s Stamp) (Change, error) { return t.SetDown(s, "d", b1, true) }
	up := func(t *Table, s Stamp) (Change, error) { return t.SetDown(s, "d", b1, false) }
	drain := func(t *Table, s Stamp) (Change, error) { return t.Drain(s, "d", b1, Task{}, true) }
	undrain := func(t *Table, s Stamp) (Change, error) { return t.Undrain(s, "d", b1) }
	fail := func(addr netip.Addr) change {
		return func(t *Table, s Stamp) (Change, error) { return t.Judge(s, "d", addr, true) }
	}
	good := func(t *Table, s Stamp) (Change, error) { return t.Judge(s, "d", b1, false) }
	vhosts := func(n int) change {
		return func(t *Table, s Stamp) (Change, error) { return t.Update(s, "d", b1, n, nil) }
	}
	remove := func(t *Table, s Stamp) (Change, error) { return t.Remove(s, "d", b1) }
	add := func(vhosts *int) change {
		return func(t *Table, s Stamp) (Change, error) {
			return t.Add(s, "d", b1, "", "", vhosts)
		}
	}
	for name, test := range map[string]struct {
		before []change
		comes  change
		starts bool
	}{
		"added":                          {[]change{remove}, add(nil), true},
		"added without vhosts":           {[]change{remove}, add(ptr(0)), false},
		"given more vhosts":              {nil, add(ptr(200)), false},
		"up again":                       {[]change{down}, up, true},
		"up, and was up":                 {nil, up, false},
		"up, and is drained":             {[]change{down, drain}, up, false},
		"undrained":                      {[]change{drain}, undrain, true},
		"undrained, and is down":         {[]change{drain, down}, undrain, false},
		"given vhosts after none":        {[]change{vhosts(0)}, vhosts(50), true},
		"good again":                     {[]change{fail(b1)}, good, true},
		"good again, and stayed in use":  {[]change{fail(b2), fail(b1)}, good, false},
		"failure cleared":                {[]change{fail(b1)}, up, true},
		"cleared, and stayed in use":     {[]change{fail(b2), fail(b1)}, up, false},
		"down":                           {nil, down, false},
		"down and up, while it has none": {[]change{vhosts(0), down}, up, false},
	} {
		table := NewTable(mesh1, "d", []ring.Backend{
			{Addr: b1, VHosts: 100}, {Addr: b2, VHosts: 100}, {Addr: b3, VHosts: 100},
		})
		stamp := StampAt(1_000_000)
		for _, c := range test.before {
			stamp++
			table.do(c(table, stamp))
		}
		stamp++
		c, err := test.comes(table, stamp)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		table.do(table.StartSlowly(c, stamp, "d", startOver, false))
		want := map[netip.Addr]int{}
		if test.starts {
			want[b1] = 25
		}
		if d := diff(want, startsOf(table)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// The weight grows in steps, each in its time, and stays whole in the end. What stands already is
// not written again.
func TestStepsOfASlowStart(t *testing.T) {
	table := NewTable(mesh1, "d1", configured())
	began := Time(1_000_000)
	c, err := table.Add(StampAt(began), "d1", b3, "", "", nil)
	c, err = table.StartSlowly(mustChange(t, c, err), StampAt(began), "d1", startOver, false)
	apply(t, table, c, err)
	row, _ := table.Row(b3)
	if ends := row.Start.Value.Ends(); ends != began.Add(startOver) || !table.Starting() {
		t.Errorf("it ends at %v, starting: %v", ends, table.Starting())
	}
	for _, step := range []struct {
		after time.Duration
		want  int // percent; 0: all
		write bool
	}{
		{-time.Second, 25, false}, // the clock was set back
		{0, 25, false}, {99 * time.Second, 25, false}, {100 * time.Second, 50, true},
		{101 * time.Second, 50, false}, {50 * time.Second, 50, false},
		{200 * time.Second, 75, true},
		{299 * time.Second, 75, false}, {300 * time.Second, 0, true}, {400 * time.Second, 0, false},
	} {
		digest := table.Digest()
		now := began.Add(step.after)
		c := table.StepStarts("d2", now, false)
		if written := !c.Empty(); written != step.write {
			t.Errorf("after %v: written %v", step.after, written)
		}
		table.Merge(c)
		want := map[netip.Addr]int{b3: step.want}
		if step.want == 0 {
			want = nil
		}
		if d := diff(want, startsOf(table)); d != "" {
			t.Errorf("after %v (-want +got):\n%s", step.after, d)
		}
		if step.write == (digest == table.Digest()) {
			t.Errorf("after %v: the digest says the same: %v", step.after, digest == table.Digest())
		}
	}
	row, _ = table.Row(b3)
	over := Start{Since: StampAt(began), Over: startOver}
	if row.Start.Value != over || over.Ends() != 0 || table.Starting() {
		t.Errorf("at the end: %+v", row.Start)
	}
}

// A step that was missed, as nobody was there to write it, is left out.
func TestLateStep(t *testing.T) {
	table := NewTable(mesh1, "d1", configured())
	c, err := table.SetDown(StampAt(1_000), "d1", b1, true)
	table.do(c, err)
	c, err = table.SetDown(StampAt(2_000), "d1", b1, false)
	table.do(table.StartSlowly(mustChange(t, c, err), StampAt(2_000), "d1", startOver, false))
	table.do(table.StepStarts("d2", 900_000, false), nil)
	if table.Starting() {
		t.Errorf("it goes on long after its end: %v", startsOf(table))
	}
}

func mustChange(t *testing.T, c Change, err error) Change {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What is asked for counts for a backend that is in use as well: it begins, anew, or ends. One
// that nobody ever started slowly has no such register, which an earlier release would not know.
func TestSlowStartThatIsAskedFor(t *testing.T) {
	table := NewTable(mesh1, "d", configured())
	for i, step := range []struct {
		over  time.Duration
		asked bool
		want  int
		set   bool // the change has the register
	}{
		{0, true, 0, false}, {startOver, false, 0, false}, {startOver, true, 25, true},
		{0, false, 25, false}, {0, true, 0, true}, {startOver, true, 25, true},
	} {
		stamp := StampAt(Time(1_000 * (i + 1)))
		c, err := table.SetDown(stamp, "d", b1, false)
		c, err = table.StartSlowly(mustChange(t, c, err), stamp, "d", step.over, step.asked)
		table.do(c, err)
		if got := startsOf(table)[b1]; got != step.want || c.Backends[0].Start.set() != step.set {
			t.Errorf("step %d: at %d %%, want %d; written: %v", i, got, step.want,
				c.Backends[0].Start.set())
		}
	}
	if c := table.StepStarts("d", 9_000, true); len(c.Backends) != 1 {
		t.Errorf("what ends all starts writes %+v", c)
	}
	for _, over := range []time.Duration{-time.Second, MaxSlowStart + time.Second} {
		_, err := table.StartSlowly(Change{}, 1, "d", over, true)
		if !errors.Is(err, ErrSlowStart) {
			t.Errorf("%v: %v", over, err)
		}
	}
}

// A backend that is taken out of use in the midst of a slow start and comes back without one has
// its whole weight.
func TestSlowStartIsCutShort(t *testing.T) {
	table := NewTable(mesh1, "d", configured())
	c, err := table.SetDown(StampAt(1_000), "d", b1, false)
	table.do(table.StartSlowly(mustChange(t, c, err), StampAt(1_000), "d", startOver, true))
	table.do(table.SetDown(StampAt(2_000), "d", b1, true))
	c, err = table.SetDown(StampAt(3_000), "d", b1, false)
	table.do(table.StartSlowly(mustChange(t, c, err), StampAt(3_000), "d", 0, false))
	if table.Starting() {
		t.Errorf("%v", startsOf(table))
	}
}

// Whatever a peer may send of a slow start, it ends.
func TestHostileStart(t *testing.T) {
	for _, s := range []Start{
		{Percent: 1}, {Percent: 99, Over: -1}, {Percent: -5, Since: 1, Over: 1},
		{Percent: 1000, Since: ^Stamp(0), Over: MaxSlowStart},
		{Percent: 1, Since: StampAt(1_000), Over: time.Nanosecond},
	} {
		for _, now := range []Time{0, 1_000, 1 << 40, 1 << 62} {
			_ = s.at(now) // does not panic
		}
		if got := s.at(Time(1<<47 + 1<<46)); got.Percent != 0 && s.Since != ^Stamp(0) {
			t.Errorf("%+v becomes %+v", s, got)
		}
	}
}
