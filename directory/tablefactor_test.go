package directory

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"directormesh/ring"
)

// factorsOf are the factors that the ring goes by.
func factorsOf(t *Table) map[netip.Addr]int {
	factors := make(map[netip.Addr]int)
	for _, b := range t.Backends() {
		if b.Factor != 0 {
			factors[b.Addr] = b.Factor
		}
	}
	return factors
}

func diffFactors(want, got map[netip.Addr]int) string {
	return cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }))
}

func TestFactors(t *testing.T) {
	table := NewTable(mesh1, "d1", configured())
	before := table.Digest()
	c := table.SetFactors(10, "d1", map[netip.Addr]int{b1: 75, b2: 100, b3: 80})
	apply(t, table, c, nil)
	if len(c.Backends) != 1 {
		t.Errorf("%d rows written, want that of the one that is there and changes", len(c.Backends))
	}
	if diff := diffFactors(map[netip.Addr]int{b1: 75}, factorsOf(table)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if table.Digest() == before {
		t.Error("another factor leaves the digest: a plan would pass for one of this table")
	}
	if c = table.SetFactors(11, "d1", map[netip.Addr]int{b1: 75}); !c.Empty() {
		t.Errorf("the same factor is written again: %+v", c)
	}
	for given, want := range map[int]Factor{-75: ring.MinFactor, 49: ring.MinFactor,
		151: ring.MaxFactor} {
		c := table.SetFactors(11, "d1", map[netip.Addr]int{b1: given})
		if len(c.Backends) != 1 || c.Backends[0].Factor.Value != want {
			t.Errorf("%d %% becomes %+v, want %d", given, c, want)
		}
	}
	ssd := ring.Tag("ssd")
	apply(t, table, table.SetFactors(12, "d1", map[netip.Addr]int{b2: 150}), nil)
	c, err := table.ResetFactors(13, "d1", &ssd)
	apply(t, table, c, err)
	if diff := diffFactors(map[netip.Addr]int{b1: 75}, factorsOf(table)); diff != "" {
		t.Errorf("after a reset of another tag (-want +got):\n%s", diff)
	}
	c, err = table.ResetFactors(14, "d1", nil)
	apply(t, table, c, err)
	if diff := diffFactors(map[netip.Addr]int{}, factorsOf(table)); diff != "" {
		t.Errorf("after a reset (-want +got):\n%s", diff)
	}
	unknown := ring.Tag("none")
	if _, err := table.ResetFactors(15, "d1", &unknown); !errors.Is(err, ErrUnknownBackend) {
		t.Errorf("a tag without backends: error %v", err)
	}
}
