package check

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

func standing(n int, written uint64, change ...func(*Standing)) Standing {
	s := Standing{
		Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), VHosts: 100, Failed: written != 0,
		Written: written,
	}
	for _, f := range change {
		f(&s)
	}
	return s
}

func TestLawfulOut(t *testing.T) {
	down := func(s *Standing) { s.Down = true }
	drained := func(s *Standing) { s.Drained = true }
	light := func(s *Standing) { s.VHosts = 0 }
	for _, test := range []struct {
		name string
		all  []Standing
		want []byte
	}{
		{"none failed", []Standing{standing(1, 0), standing(2, 0)}, nil},
		{"one of two", []Standing{standing(1, 0), standing(2, 9)}, []byte{2}},
		{"the first of two of five", []Standing{
			standing(1, 8), standing(2, 7), standing(3, 0), standing(4, 0), standing(5, 0),
		}, []byte{2}},
		{"two of six", []Standing{
			standing(1, 8), standing(2, 7), standing(3, 9), standing(4, 0), standing(5, 0),
			standing(6, 0),
		}, []byte{1, 2}},
		{"by address where they were written at once", []Standing{
			standing(2, 7), standing(1, 7), standing(3, 0),
		}, []byte{1}},
		{"down ones do not count", []Standing{
			standing(1, 7, down), standing(2, 8), standing(3, 0),
		}, []byte{1, 2}},
		{"no other is up", []Standing{standing(1, 7), standing(2, 0, down)}, nil},
		{"no other takes users", []Standing{standing(1, 7), standing(2, 0, drained)}, nil},
		{"no other has vhosts", []Standing{standing(1, 7), standing(2, 0, light)}, nil},
	} {
		var got []byte
		for _, addr := range lawfulOut(test.all) {
			got = append(got, addr.As4()[3])
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v are out, want %v", test.name, got, test.want)
		}
	}
}

// What breaks the rules of verdicts is reported, and what does not is not.
func TestVerdictsAreJudged(t *testing.T) {
	ms := func(d time.Duration) uint64 { return uint64(d.Milliseconds()) << 16 }
	healthy := standing(2, 0)
	verdict := func(at time.Duration, failed bool) Standing {
		s := standing(1, ms(at))
		s.Failed, s.Out, s.By = failed, failed, "d1"
		return s
	}
	seen := func(at time.Duration) Event {
		return Seen{At: At(at), Director: "d1", Backend: standing(1, 0).Addr, Failing: true}
	}
	judged := func(at time.Duration, s Standing) Event {
		return Judged{At: At(at), Director: "d1", Backends: []Standing{s, healthy}}
	}
	for _, test := range []struct {
		name   string
		events []Event
		breach bool
	}{
		{"seen", []Event{
			seen(20 * time.Second), judged(25*time.Second, verdict(25*time.Second, true)),
		}, false},
		{"seen by nobody", []Event{judged(25*time.Second, verdict(25*time.Second, true))}, true},
		{"begun with", []Event{
			Stop{At: At(20 * time.Second), Director: "d1"},
			Start{At: At(21 * time.Second), Director: "d1"},
			judged(21*time.Second, verdict(19*time.Second, true)),
		}, false},
		{"seen long ago", []Event{
			seen(20 * time.Second), judged(50*time.Second, verdict(50*time.Second, true)),
		}, true},
		{"twice", []Event{
			seen(20 * time.Second), judged(25*time.Second, verdict(25*time.Second, true)),
			judged(30*time.Second, verdict(30*time.Second, false)),
			judged(34*time.Second, verdict(34*time.Second, true)),
		}, true},
		{"moved with the clock", []Event{
			seen(20 * time.Second), judged(25*time.Second, verdict(25*time.Second, true)),
			judged(45*time.Second, verdict(24*time.Second, true)),
			judged(50*time.Second, verdict(26*time.Second, true)),
		}, false},
		{"in time by a clock that was set back", []Event{
			judged(25*time.Second, verdict(25*time.Second, false)),
			judged(30*time.Second, verdict(22*time.Second, false)),
			seen(30 * time.Second), judged(36*time.Second, verdict(33*time.Second, true)),
		}, false},
		{"twice by a clock that was set ahead", []Event{
			judged(25*time.Second, verdict(25*time.Second, false)),
			judged(26*time.Second, verdict(28*time.Second, false)),
			seen(30 * time.Second), judged(34*time.Second, verdict(37*time.Second, true)),
		}, true},
		{"not out although it may be", []Event{
			seen(20 * time.Second), judged(25*time.Second, func() Standing {
				s := verdict(25*time.Second, true)
				s.Out = false
				return s
			}()),
		}, true},
		{"out without a failure", []Event{judged(25*time.Second, func() Standing {
			s := verdict(25*time.Second, false)
			s.Out = true
			return s
		}())}, true},
	} {
		c := New(Rules{Expire: time.Minute})
		c.Event(Start{Director: "d1"})
		c.Event(judged(0, standing(1, 0)))
		c.Event(Synced{At: At(time.Second), Director: "d1", Synced: true})
		for _, e := range test.events {
			c.Event(e)
		}
		if found := len(c.Breaches()) > 0; found != test.breach {
			t.Errorf("%s: breaches %v", test.name, c.Breaches())
		}
	}
}
