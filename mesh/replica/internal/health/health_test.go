package health

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

var backend = netip.MustParseAddr("192.0.2.1")

func names(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("d%02d", i))
	}
	return all
}

func addr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }

// Each director observes about its share of the backends, and when one goes, only its backends get
// another observer.
func TestObservers(t *testing.T) {
	const backends, directors = 2000, 20
	all := names(directors)
	share := make(map[string]int)
	for i := range backends {
		before := Observers(addr(i), all)
		if len(before) != MostObservers {
			t.Fatalf("%d observers", len(before))
		}
		for _, name := range before {
			share[name]++
		}
		after := Observers(addr(i), all[1:])
		for _, name := range before {
			if name != all[0] && !slices.Contains(after, name) {
				t.Fatalf("%v: %v became %v without %s", addr(i), before, after, all[0])
			}
		}
	}
	for _, name := range all {
		if n := share[name]; n < 400 || n > 600 {
			t.Errorf("%s observes %d of %d backends, want about %d", name, n, backends,
				backends*MostObservers/directors)
		}
	}
	if few := Observers(backend, all[:3]); !slices.Equal(few, all[:3]) {
		t.Errorf("of three directors %v observe", few)
	}
}

func TestSights(t *testing.T) {
	s := make(Sights)
	good := wire.Observation{Backend: backend, Sight: wire.Good, Since: 5}
	failing := wire.Observation{Backend: backend, Sight: wire.Failing, Since: 6, Reason: "x"}
	for i, step := range []struct {
		o    wire.Observation
		news bool
		left int
	}{
		{wire.Observation{Backend: backend}, false, 0},
		{good, true, 1}, {good, false, 1}, {failing, true, 1},
		{wire.Observation{Backend: backend, Sight: 77}, true, 0}, // of a later release
		{wire.Observation{Backend: backend, Sight: 77}, false, 0},
	} {
		if news := s.Note(step.o); news != step.news || len(s) != step.left {
			t.Errorf("step %d: news %v, %d kept", i, news, len(s))
		}
	}
}

// What a hostile director says is bounded.
func TestSightsAreBounded(t *testing.T) {
	s := make(Sights)
	for i := range 3 * ring.MaxBackends {
		s.Note(wire.Observation{
			Backend: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}),
			Sight:   wire.Good,
		})
	}
	if len(s) != 2*ring.MaxBackends {
		t.Errorf("%d observations are kept", len(s))
	}
	known := wire.Observation{
		Backend: netip.AddrFrom4([4]byte{10, 0, 0, 1}), Sight: wire.Failing,
	}
	if !s.Note(known) || s[known.Backend].Sight != wire.Failing {
		t.Error("what is seen of a known backend does not change any more")
	}
}

// All that is seen fits into messages, whatever the reasons, and the first voids what was before.
func TestMessages(t *testing.T) {
	for _, n := range []int{0, 1, wire.MaxObservations, wire.MaxObservations + 1, 2500} {
		s := make(Sights)
		for i := range n {
			s.Note(wire.Observation{
				Backend: addr(i), Sight: wire.Failing, Reason: strings.Repeat("x", wire.MaxReason),
			})
		}
		got := make(Sights)
		most := max(1, (n+wire.MaxObservations-1)/wire.MaxObservations)
		if messages := len(s.Messages()); messages != most {
			t.Errorf("%d backends take %d messages, want %d", n, messages, most)
		}
		for i, m := range s.Messages() {
			if m.Whole != (i == 0) {
				t.Errorf("%d backends: message %d is whole: %v", n, i, m.Whole)
			}
			if _, err := wire.Encode(m); err != nil {
				t.Errorf("%d backends: %v", n, err)
			}
			for _, o := range m.Backends {
				got.Note(o)
			}
		}
		if diff := cmp.Diff(s, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%d backends (-seen +sent):\n%s", n, diff)
		}
	}
}

// The time of an agreement begins when most come to see it so, and anew after a tie.
func TestAgreements(t *testing.T) {
	var a Agreements
	observers := []string{"d1", "d2", "d3", "d4"}
	for i, step := range []struct {
		sees string // of each observer: g, f, or - for one that does not count
		want wire.Sight
		at   mono.Time // since when
	}{
		{"----", wire.Unseen, 0}, {"g---", wire.Good, 1}, {"ggff", wire.Unseen, 2},
		{"ggf-", wire.Good, 3}, {"gggf", wire.Good, 3}, {"gff-", wire.Failing, 5},
		{"ffff", wire.Failing, 5}, {"gf--", wire.Unseen, 7}, {"f---", wire.Failing, 8},
	} {
		a.Count(mono.Time(i), backend, observers, func(director string) wire.Sight {
			switch step.sees[slices.Index(observers, director)] {
			case 'g':
				return wire.Good
			case 'f':
				return wire.Failing
			}
			return wire.Unseen
		})
		if got := a.Get(backend); got != (Agreement{step.want, step.at}) {
			t.Errorf("step %d, %s: %+v", i, step.sees, got)
		}
	}
	a.Keep(func(netip.Addr) bool { return false })
	if got := a.Get(backend); got != (Agreement{}) {
		t.Errorf("forgotten: %+v", got)
	}
}

// Directors of all releases choose the same observers: what this release chooses must stay.
func TestObserversStay(t *testing.T) {
	for i, want := range []string{
		"d18 d03 d10 d13 d00", "d05 d17 d15 d07 d00", "d03 d01 d00 d13 d06", "d17 d04 d06 d16 d14",
	} {
		a := addr(i * 77)
		if i == 3 {
			a = netip.MustParseAddr("2001:db8::1")
		}
		if got := strings.Join(Observers(a, names(20)), " "); got != want {
			t.Errorf("%v: %q, want %q", a, got, want)
		}
	}
}
