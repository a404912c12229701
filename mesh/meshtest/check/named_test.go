package check

import (
	"net/netip"
	"slices"
	"testing"
)

// A backend may be gone only if its name has lost it; from then on users may or may not hash there,
// whatever operators order.
func TestRenamed(t *testing.T) {
	c := New(Rules{Backends: []Backend{{Addr: b1, VHosts: 10}, {Addr: b2, VHosts: 10}}})
	places := func() []netip.Addr {
		found, _ := c.table.placesOf(User{Hash: 7}, sec(9), sec(9), everyone)
		return found
	}
	before := places()
	if len(before) != 1 {
		t.Fatalf("a user hashes to %v", before)
	}
	has := Table{b1: {Present: true, VHosts: 10}, b2: {Present: true, VHosts: 10}}
	has[before[0]] = Row{Present: true, VHosts: 10, Gone: true}
	if problems := c.table.judge(has, sec(5), everyone); len(problems) != 1 {
		t.Errorf("gone before its name has lost it: %q", problems)
	}
	for range 2 {
		c.renamed(sec(3), before[0])
	}
	if got := places(); len(got) != 2 || !slices.Contains(got, before[0]) {
		t.Errorf("a user may hash to %v", got)
	}
	if problems := c.table.judge(has, sec(5), everyone); len(problems) != 0 {
		t.Errorf("gone: %q", problems)
	}
}

// TestMovedByName judges users of a backend that is gone from its name: they may be moved, also
// after an operator has undrained it once.
func TestMovedByName(t *testing.T) {
	testStories(t, []tale{
		{"gone, undrained, and gone again", func(s *story) {
			s.add(Renamed{At(calm), b1})
			s.order("d2", calm+sec(5), calm+sec(5.1), Op{Kind: OpUndrain, Backend: b1})
			s.login("d1", sec(60), alice, b1)
			s.login("d1", sec(70), alice, placeWithout(b1))
		}, "", ""},
		{"another backend's name", func(s *story) {
			s.add(Renamed{At(calm), b2})
			s.login("d1", sec(60), alice, b1)
			s.login("d1", sec(70), alice, placeWithout(b1))
		}, "G2", "d1 answered"},
	})
}
