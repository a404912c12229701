package ring

import (
	"net/netip"
	"testing"
)

func TestWeight(t *testing.T) {
	for _, test := range []struct{ vhosts, factor, start, want int }{
		{100, 0, 0, 100}, {100, 100, 0, 100}, {100, 75, 0, 75}, {100, 150, 0, 150}, {7, 50, 0, 4},
		{3, 117, 0, 4},
		{1, 50, 0, 1}, // one that is to get users gets some
		{0, 150, 0, 0}, {MaxVHosts, 150, 0, MaxVHosts}, {2 * MaxVHosts, 0, 0, MaxVHosts},
		{2 * MaxVHosts, 100, 0, MaxVHosts}, {100, 3, 0, MinFactor}, {100, 1000, 0, MaxFactor},
		{100, 0, 25, 25}, {100, 100, 75, 75}, {100, 50, 50, 25}, {100, 150, 25, 38}, {1, 0, 25, 1},
		{0, 0, 25, 0}, {100, 0, 100, 100}, {100, 0, 1000, 100}, {1000, 0, -7, 10},
	} {
		b := Backend{VHosts: test.vhosts, Factor: test.factor, Start: test.start}
		if got := b.Weight(); got != test.want {
			t.Errorf("%d vhosts at %d %%, starting at %d %%: weight %d, want %d", test.vhosts,
				test.factor, test.start, got, test.want)
		}
	}
}

// A ring with factors is the ring of the weights as vhost counts: what holds of those, and of
// Dovecot's director with them, holds of factors. A change of a factor changes the ring.
func TestRingOfWeights(t *testing.T) {
	addr := func(i byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, i}) }
	backends := []Backend{
		{Addr: addr(1), VHosts: 100, Factor: 75}, {Addr: addr(2), VHosts: 40, Factor: 150},
		{Addr: addr(3), VHosts: 100}, {Addr: addr(4), VHosts: 80, Start: 25},
	}
	weights := []Backend{
		{Addr: addr(1), VHosts: 75}, {Addr: addr(2), VHosts: 60}, {Addr: addr(3), VHosts: 100},
		{Addr: addr(4), VHosts: 20},
	}
	got, want := Build(backends, nil), Build(weights, nil)
	same := func(a, b *Rings) (same bool) {
		same = true
		for h := UserHash(1); h != 0 && h < 1<<31; h += 1 << 20 {
			x, _ := a.Lookup("", h)
			y, _ := b.Lookup("", h)
			same = same && x == y
		}
		return same
	}
	if !same(got, want) {
		t.Error("not the ring of the weights")
	}
	if again := Build(backends, got); again.of("") != got.of("") {
		t.Error("a ring that did not change was built again")
	}
	backends[0].Factor = 0
	if same(Build(backends, got), want) {
		t.Error("the ring goes by the factor of before")
	}
}
