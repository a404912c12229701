package hints

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/mono"
)

const start = mono.Time(time.Hour)

func addr(n uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, 1}), n)
}

func namesOf(list []*Hint) (names []string) {
	for _, h := range list {
		names = append(names, h.Name)
	}
	return names
}

func nobodyRemoved(netip.AddrPort) bool { return false }

// Of too many directors that were named, one that is trusted less and was heard of longest ago
// makes room; of several, the first by name.
func TestRoom(t *testing.T) {
	for _, test := range []struct {
		name  string
		trust Trust
		left  []string
		ok    bool
	}{
		{"heard of", Heard, []string{"a", "b", "c", "d"}, false},
		{"named", Named, []string{"a", "c", "d"}, true},
	} {
		s := Set{byName: map[string]*Hint{
			"a": {Name: "a", Trust: Named, heardAt: 1}, "b": {Name: "b", heardAt: 5},
			"c": {Name: "c", heardAt: 5}, "d": {Name: "d", heardAt: 6},
		}}
		ok := s.makeRoom(test.trust)
		if diff := cmp.Diff(test.left, namesOf(s.Sorted())); diff != "" || ok != test.ok {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, ok, diff)
		}
	}
	var s Set
	for i := range Max {
		if _, ok := s.Hear(start, Hint{Name: fmt.Sprint(i), Addr: addr(1)}); !ok {
			t.Fatalf("no room for number %d", i)
		}
	}
	if dial, ok := s.Hear(start, Hint{Name: "more", Addr: addr(1)}); ok || dial != nil ||
		s.Len() != Max {
		t.Errorf("%d are kept", s.Len())
	}
	if dial, ok := s.Hear(start, Hint{Name: "more", Addr: addr(1), Trust: Named}); !ok ||
		dial == nil || s.Len() != Max {
		t.Errorf("one that is trusted more finds no room among %d", s.Len())
	}
}

// A director that was named is dialled once more when it moves, but not on the word of one that is
// trusted less.
func TestAddresses(t *testing.T) {
	for _, test := range []struct {
		name          string
		before, after Trust
		addr, want    netip.AddrPort
		dialled       bool
	}{
		{"the same", Heard, Heard, addr(1), addr(1), false},
		{"the same, trusted more", Heard, Named, addr(1), addr(1), false},
		{"moved", Heard, Heard, addr(2), addr(2), true},
		{"moved, trusted more", Heard, Named, addr(2), addr(2), true},
		{"moved, trusted less", Named, Heard, addr(2), addr(1), false},
	} {
		var s Set
		s.Hear(start, Hint{Name: "d9", Addr: addr(1), Trust: test.before})
		s.Failed("d9", 7)
		s.Failed("d8", 7)
		dial, ok := s.Hear(start.Add(1), Hint{Name: "d9", Addr: test.addr, Trust: test.after})
		h := s.Get("d9")
		if !ok || (dial != nil) != test.dialled || h.Addr != test.want || s.Len() != 1 ||
			h.Trust != max(test.before, test.after) || h.LastFailed != directory.Time(7) {
			t.Errorf("%s: dialled %v, %+v", test.name, dial != nil, h)
		}
	}
}

// A hint is dialled at growing intervals, and forgotten when nobody repeats it; what memberlist
// holds alive is kept.
func TestDials(t *testing.T) {
	var s Set
	s.Hear(start, Hint{Name: "b", Addr: addr(2)})
	s.Hear(start, Hint{Name: "a", Addr: addr(1), Member: true})
	var at []time.Duration // dials of b
	for now := start; now <= start.Add(KeptFor+time.Second); now = now.Add(50 * time.Millisecond) {
		for _, h := range s.Review(now, nobodyRemoved) {
			if h.Name == "b" {
				at = append(at, now.Sub(start))
			}
		}
	}
	want := []time.Duration{
		250 * time.Millisecond, 750 * time.Millisecond, 1750 * time.Millisecond,
		3750 * time.Millisecond, 7750 * time.Millisecond, 15750 * time.Millisecond,
		25750 * time.Millisecond,
	}
	if diff := cmp.Diff(want, at); diff != "" {
		t.Errorf("dials (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a"}, namesOf(s.Sorted())); diff != "" {
		t.Errorf("left after a while (-want +got):\n%s", diff)
	}
	s.Review(start.Add(time.Hour), func(at netip.AddrPort) bool { return at == addr(1) })
	if s.Len() != 0 || s.Review(start, nobodyRemoved) != nil {
		t.Errorf("a removed director is kept")
	}
}

func TestDueAreByName(t *testing.T) {
	var s Set
	for _, name := range []string{"c", "a", "b"} {
		s.Hear(start, Hint{Name: name, Addr: addr(1)})
	}
	due := namesOf(s.Review(start.Add(firstTry), nobodyRemoved))
	if diff := cmp.Diff([]string{"a", "b", "c"}, due); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestForgetting(t *testing.T) {
	for _, test := range []struct {
		name   string
		forget func(s *Set)
		left   []string
	}{
		{"by name", func(s *Set) { s.Forget("a"); s.Forget("x") }, []string{"b", "c"}},
		{"member", func(s *Set) { s.ForgetMember("b") }, []string{"a", "c"}},
		{"no member", func(s *Set) { s.ForgetMember("a"); s.ForgetMember("x") },
			[]string{"a", "b", "c"}},
		{"at an address", func(s *Set) { s.ForgetAt(addr(1), "a") }, []string{"a", "c"}},
	} {
		var s Set
		s.Hear(start, Hint{Name: "a", Addr: addr(1)})
		s.Hear(start, Hint{Name: "b", Addr: addr(1), Member: true})
		s.Hear(start, Hint{Name: "c", Addr: addr(2)})
		test.forget(&s)
		if diff := cmp.Diff(test.left, namesOf(s.Sorted())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// Other names of our address are news once each, as many as there is room for, and shown for a
// while; for as long as memberlist holds them alive.
func TestAliases(t *testing.T) {
	var a Aliases
	news := 0
	for range 2 {
		for i := range MaxAliases + 2 {
			if a.Hear(start, fmt.Sprint("x", i), i == 0) {
				news++
			}
		}
	}
	if a.Hear(start, "x0", false); news != MaxAliases {
		t.Errorf("%d names are news, want %d", news, MaxAliases)
	}
	all := []string{"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"}
	for ago, want := range map[time.Duration][]string{AliasFor: all, AliasFor + 1: {"x0"}} {
		if diff := cmp.Diff(want, a.Shown(start.Add(ago))); diff != "" {
			t.Errorf("%v later (-want +got):\n%s", ago, diff)
		}
	}
	a.MemberFailed("x0")
	a.MemberFailed("unknown")
	if got := a.Shown(start.Add(AliasFor + 1)); got != nil {
		t.Errorf("after memberlist has given it up %q is shown", got)
	}
}
