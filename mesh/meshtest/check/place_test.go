package check

import (
	"net/netip"
	"testing"
)

// TestPlaces compares the naive ring with places that Dovecot 2.3 was seen to give.
func TestPlaces(t *testing.T) {
	addr := netip.MustParseAddr
	four := []usable{
		{addr: addr("127.0.2.1"), vhosts: 100}, {addr: addr("127.0.2.2"), vhosts: 100},
		{addr: addr("127.0.2.3"), vhosts: 100}, {addr: addr("127.0.2.4"), vhosts: 100},
	}
	weighted := []usable{
		{addr: addr("127.0.2.1"), vhosts: 50}, {addr: addr("127.0.2.2"), vhosts: 100},
		{addr: addr("127.0.2.3"), vhosts: 200},
	}
	tests := []struct {
		backends []usable
		hash     uint32
		want     string
	}{
		{four, 3963345591, "127.0.2.2"},
		{four, 1884430298, "127.0.2.4"},
		{four, 194001729, "127.0.2.2"},
		{four, 0, "127.0.2.3"},
		{weighted, 1896796525, "127.0.2.1"},
		{weighted, 2868802445, "127.0.2.1"},
		{weighted, 370329025, "127.0.2.3"},
	}
	p := make(places)
	for _, test := range tests {
		if got := p.of(test.backends, test.hash); got != addr(test.want) {
			t.Errorf("place of %d on %v is %v, want %s", test.hash, test.backends, got, test.want)
		}
	}
	if got := p.of(nil, 1); got.IsValid() {
		t.Errorf("place without backends is %v", got)
	}
}
