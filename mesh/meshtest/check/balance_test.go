package check

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWeight(t *testing.T) {
	for _, test := range []struct{ vhosts, percent, start, want int }{
		{100, 100, 100, 100}, {100, 75, 100, 75}, {7, 50, 100, 4}, {3, 117, 100, 4},
		{1, 50, 100, 1}, {0, 150, 100, 0}, {1000, 150, 100, 1000}, {2, 74, 100, 1},
		{100, 100, 25, 25}, {100, 150, 25, 38}, {100, 50, 50, 25}, {1, 50, 25, 1}, {0, 100, 25, 0},
	} {
		if got := weight(test.vhosts, test.percent, test.start); got != test.want {
			t.Errorf("%d at %d and %d %%: %d, want %d", test.vhosts, test.percent, test.start, got,
				test.want)
		}
	}
}

// A factor is possible from when some director has it until none has.
func TestPossibleFactors(t *testing.T) {
	var f factors
	if got := f.possible(0, forever); !slices.Equal(got, []int{noFactor}) {
		t.Errorf("before anything is known: %v", got)
	}
	second := time.Second
	f.note(0, "d1", 100)
	f.note(0, "d2", 100)
	f.note(10*second, "d1", 75)
	f.note(11*second, "d2", 75)
	f.end(20*second, "d2")
	for _, test := range []struct {
		since, until time.Duration
		want         []int
	}{
		{0, 9 * second, []int{100}}, {5 * second, 15 * second, []int{100, 75}},
		{11 * second, 11 * second, []int{100, 75}}, {12 * second, 30 * second, []int{75}},
	} {
		if got := f.possible(test.since, test.until); !slices.Equal(got, test.want) {
			t.Errorf("%v to %v: %v, want %v", test.since, test.until, got, test.want)
		}
	}
}

// What breaks the rules of balancing is reported, and what does not is not.
func TestFactorsAreJudged(t *testing.T) {
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	stamp := func(at time.Duration) uint64 { return uint64(at.Milliseconds())<<16 + 1 }
	judged := func(at time.Duration, change func(a, b *Standing)) Event {
		a, b := Standing{Addr: one, VHosts: 100}, Standing{Addr: two, VHosts: 100}
		change(&a, &b)
		return Judged{At: At(at), Director: "d1", Backends: []Standing{a, b}}
	}
	write := func(s *Standing, percent int, at time.Duration, by string) {
		s.Factor, s.FactorWritten, s.FactorBy = percent, stamp(at), by
	}
	for _, test := range []struct {
		name   string
		events []Event
		breach string
	}{
		{"as it should be", []Event{
			judged(25*time.Second, func(a, _ *Standing) { write(a, 75, 25*time.Second, "d1") }),
			judged(90*time.Second, func(a, b *Standing) {
				write(a, 75, 25*time.Second, "d1")
				write(b, 120, 90*time.Second, "d1")
			}),
		}, ""},
		{"out of bounds", []Event{
			judged(25*time.Second, func(a, _ *Standing) { write(a, 151, 25*time.Second, "d1") }),
		}, "out of bounds"},
		{"too soon", []Event{
			judged(25*time.Second, func(a, _ *Standing) { write(a, 75, 25*time.Second, "d1") }),
			judged(60*time.Second, func(a, b *Standing) {
				write(a, 75, 25*time.Second, "d1")
				write(b, 120, 60*time.Second, "d1")
			}),
		}, "35s after that of"},
		{"moved with the clock", []Event{
			judged(25*time.Second, func(a, _ *Standing) { write(a, 75, 25*time.Second, "d1") }),
			judged(30*time.Second, func(a, _ *Standing) { write(a, 75, 26*time.Second, "d1") }),
			judged(31*time.Second, func(a, b *Standing) {
				write(a, 75, 24*time.Second, "d1")
				b.Drained = true
			}),
			judged(90*time.Second, func(a, b *Standing) {
				write(a, 75, 24*time.Second, "d1")
				write(b, 120, 84*time.Second, "d1")
			}),
		}, ""},
		{"too soon by a clock that was set ahead", []Event{
			judged(25*time.Second, func(a, _ *Standing) { write(a, 75, 25*time.Second, "d1") }),
			judged(30*time.Second, func(a, _ *Standing) { write(a, 75, 40*time.Second, "d1") }),
			judged(90*time.Second, func(a, b *Standing) {
				write(a, 75, 40*time.Second, "d1")
				write(b, 120, 99*time.Second, "d1")
			}),
		}, "59s after that of"},
		{"in a drain", []Event{judged(25*time.Second, func(a, b *Standing) {
			write(a, 75, 25*time.Second, "d1")
			b.Drained = true
		})}, "changes the factor of 192.0.2.1 to 75 %"},
		{"in a drain of another tag", []Event{judged(25*time.Second, func(a, b *Standing) {
			write(a, 75, 25*time.Second, "d1")
			b.Drained, b.Tag = true, "t"
		})}, ""},
		{"in a drain, by another", []Event{judged(25*time.Second, func(a, b *Standing) {
			write(a, 75, 20*time.Second, "d2")
			b.Drained = true
		})}, ""},
	} {
		c := New(Rules{Expire: time.Minute})
		c.Event(Start{Director: "d1"})
		c.Event(Synced{At: At(time.Second), Director: "d1", Synced: true})
		for _, e := range test.events {
			c.Event(e)
		}
		var texts []string
		for _, b := range c.Breaches() {
			texts = append(texts, b.String())
		}
		text := strings.Join(texts, "; ")
		if (text == "") != (test.breach == "") || !strings.Contains(text, test.breach) {
			t.Errorf("%s: %q, want %q", test.name, text, test.breach)
		}
	}
}
