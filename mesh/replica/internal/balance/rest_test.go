package balance

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/mono"
)

// days returns a cluster of that many backends, with sessions of two hours.
func days(backends int, zipf float64, l law) cluster {
	return cluster{
		backends: backends, users: max(20_000, 300*backends), days: 4, zipf: zipf, law: l,
		last: 2 * time.Hour, slow: -1,
	}
}

// Four days of users of whom a few log in far more often than most. After the first day factors
// rest, and the load is more even than with static weights. With the laws that the package does not
// go by factors do not rest, which shows that this test would see it.
func TestRest(t *testing.T) {
	t.Log("                                            changes of a factor")
	t.Log("backends zipf law      busiest spread first day later a day swings a day")
	sizes := []int{3, 30, 300}
	if testing.Short() {
		sizes = sizes[:2]
	}
	for _, n := range sizes {
		for _, zipf := range []float64{0.6, 0.8, 1} {
			results := make(map[law]outcome)
			for _, l := range []law{static, balanced, byLoad, inSteps} {
				o := days(n, zipf, l).run(1)
				results[l] = o
				t.Logf("%8d %4.1f %-8v %7.2f %6.2f %9.2f %11.2f %12.2f", n, zipf, l, o.busiest,
					o.spread, o.changes, o.later, o.swings)
			}
			o := results[balanced]
			if o.later > 0.4 || o.swings > 0.2 {
				t.Errorf("%d backends, exponent %v: the factor of a backend changes %.2f times a "+
					"day, %.2f times back", n, zipf, o.later, o.swings)
			}
			if was := results[static]; o.busiest > was.busiest || o.spread > 0.98*was.spread {
				t.Errorf("%d backends, exponent %v: static weights are as good", n, zipf)
			}
			for _, l := range []law{byLoad, inSteps} {
				if n > 3 && results[l].later < 8*o.later {
					t.Errorf("%d backends, exponent %v: %v rests", n, zipf, l)
				}
			}
		}
	}
}

// A backend is slow for a day, from 10:00 of the second day on: it has less load than with a static
// weight, and when it is over, as much as the others again.
func TestSlowBackend(t *testing.T) {
	t.Log("backends slow            law      slow one busiest changes a day swings a day")
	for _, n := range []int{3, 30} {
		for _, how := range []struct {
			name           string
			longer, dearer float64
			gain           float64 // at least, of the load that is too much
		}{{"sessions twice as long", 2, 1, 0.1}, {"sessions twice as dear", 1, 2, 0.3}} {
			results := make(map[law]outcome)
			for _, l := range []law{static, balanced} {
				c := days(n, 0.6, l)
				c.slow, c.longer, c.dearer = 1, how.longer, how.dearer
				o := c.run(1)
				results[l] = o
				t.Logf("%8d %-23s %-8v %7.2f %7.2f %13.2f %12.2f", n, how.name, l, o.slow,
					o.busiest, o.later, o.swings)
			}
			before, after := results[static].slow-1, results[balanced].slow-1
			if after > before*(1-how.gain) {
				t.Errorf("%d backends, %s: the slow one has %.2f times the average, static %.2f",
					n, how.name, after+1, before+1)
			}
		}
	}
}

func at(minutes int) mono.Time { return mono.Time(minutes) * mono.Time(time.Minute) }

func addr(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }

func TestWanted(t *testing.T) {
	type backends = []Backend
	for _, test := range []struct {
		name string
		is   backends
		want []int
	}{
		{"even",
			backends{{VHosts: 100, Factor: 100, Load: 7}, {VHosts: 50, Factor: 100, Load: 3.5}},
			[]int{100, 100}},
		{"one has twice the load", backends{
			{VHosts: 100, Factor: 100, Load: 20}, {VHosts: 100, Factor: 100, Load: 10},
			{VHosts: 100, Factor: 100, Load: 10},
		}, []int{50, 100, 100}},
		{"it has half the weight for it", backends{
			{VHosts: 100, Factor: 50, Load: 10}, {VHosts: 100, Factor: 100, Load: 10},
			{VHosts: 100, Factor: 100, Load: 10},
		}, []int{50, 100, 100}},
		{"bounds", backends{
			{VHosts: 100, Factor: 100, Load: 90}, {VHosts: 100, Factor: 100, Load: 10},
			{VHosts: 100, Factor: 100, Load: 0},
		}, []int{50, 100, 150}},
		{"one alone", backends{{VHosts: 100, Factor: 75, Load: 3}}, []int{100}},
	} {
		for i := range test.is {
			test.is[i].Addr = addr(i)
		}
		var a Averages
		a.Note(at(0), time.Hour, test.is)
		wanted := a.Wanted()
		var got []int
		for i := range test.is {
			got = append(got, wanted[addr(i)])
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// Averages are over the memory: what was before counts less and less, and who is gone not at all.
func TestAverages(t *testing.T) {
	var a Averages
	if a.Wanted() != nil {
		t.Error("factors are wanted before anything is known")
	}
	note := func(minute int, loads ...float64) {
		var all []Backend
		for i, load := range loads {
			all = append(all, Backend{Addr: addr(i), VHosts: 100, Factor: 100, Load: load})
		}
		a.Note(at(minute), time.Hour, all)
	}
	note(0, 10, 10, 10)
	for minute := 1; minute <= 60; minute++ {
		note(minute, 20, 10, 10) // 1.5 and 0.75 times the average
	}
	if got := a.Wanted()[addr(0)]; got < 50 || got > 55 {
		t.Errorf("after an hour %d %% are wanted", got)
	}
	for minute := 61; minute <= 120; minute++ {
		note(minute, 10, 10, 10)
	}
	if got := a.Wanted()[addr(0)]; got < 70 || got > 85 {
		t.Errorf("an hour later %d %% are wanted; about a third of before should count", got)
	}
	note(121, 10, 10)
	if got := len(a.Wanted()); got != 2 {
		t.Errorf("factors of %d backends are wanted, two are left", got)
	}
	a.Forget()
	if a.Wanted() != nil {
		t.Error("something is known after all was forgotten")
	}
}

func TestDue(t *testing.T) {
	for _, test := range []struct {
		has, wanted int
		want        bool
	}{
		{100, 91, false}, {100, 90, true}, {100, 110, true}, {100, 109, false},
		{80, 70, true}, {80, 71, false}, {80, 94, false}, {80, 95, true},
		{120, 130, true}, {120, 106, false}, {120, 105, true}, {150, 50, true},
	} {
		if got := Due(test.has, test.wanted); got != test.want {
			t.Errorf("from %d to %d is due: %v", test.has, test.wanted, got)
		}
	}
}

func TestEnough(t *testing.T) {
	few := []Backend{{Load: 5}, {Load: 14}}
	if Enough(few) || !Enough(append(few, Backend{Load: 11})) {
		t.Error("not by the average load")
	}
}
