package ring

import (
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// naiveRing is the ring as one would first write it: all points, sorted, searched from the start.
type naiveRing []naivePoint

type naivePoint struct {
	hash uint32
	addr netip.Addr
}

func newNaiveRing(backends []Backend) naiveRing {
	var r naiveRing
	for _, b := range backends {
		for i := 0; i < b.VHosts && !b.Down; i++ {
			sum := md5.Sum(fmt.Appendf(nil, "%s-%d", naiveText(b.Addr), i))
			r = append(r, naivePoint{
				uint32(sum[0])<<24 | uint32(sum[1])<<16 | uint32(sum[2])<<8 | uint32(sum[3]),
				b.Addr,
			})
		}
	}
	r.sort()
	return r
}

func (r naiveRing) sort() {
	sort.SliceStable(r, func(i, j int) bool {
		if r[i].hash != r[j].hash {
			return r[i].hash < r[j].hash
		}
		return r[i].addr.Less(r[j].addr)
	})
}

func (r naiveRing) lookup(h UserHash) (netip.Addr, bool) {
	for lo, hi := 0, len(r); lo < hi; { // the reference's search, whenever it meets an equal point
		mid := (lo + hi) / 2
		if r[mid].hash == uint32(h) {
			return r[mid].addr, true
		}
		if r[mid].hash < uint32(h) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for _, p := range r {
		if p.hash > uint32(h) {
			return p.addr, true
		}
	}
	if len(r) > 0 {
		return r[0].addr, true
	}
	return netip.Addr{}, false
}

// interestingHashes returns the ends of the hash range, the points and their neighbours, and some
// others.
func (r naiveRing) interestingHashes() []UserHash {
	random := rand.New(rand.NewPCG(1, 2))
	hashes := []UserHash{0, 1, 1<<32 - 1, 1 << 31, 1<<31 - 1}
	for _, p := range r {
		hashes = append(hashes, UserHash(p.hash)-1, UserHash(p.hash), UserHash(p.hash)+1,
			UserHash(random.Uint32()))
	}
	return hashes
}

func checkEqual(t interface{ Fatalf(string, ...any) }, got *Ring, want naiveRing) {
	for _, h := range want.interestingHashes() {
		gotAddr, gotOK := got.Lookup(h)
		wantAddr, wantOK := want.lookup(h)
		if gotAddr != wantAddr || gotOK != wantOK {
			t.Fatalf("hash %s belongs to %v (%v), want %v (%v)",
				h, gotAddr, gotOK, wantAddr, wantOK)
		}
	}
}

// drawBackends draws a table without double addresses.
func drawBackends(t *rapid.T, label string) []Backend {
	pool := rapid.SampledFrom([]string{
		"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "203.0.113.9",
		"2001:db8::1", "2001:db8::2", "::ffff:192.0.2.1", "::198.51.100.7", "::102",
	})
	backend := rapid.Custom(func(t *rapid.T) Backend {
		return Backend{
			Addr:   netip.MustParseAddr(pool.Draw(t, "address")),
			Tag:    rapid.SampledFrom([]Tag{"", "", "ssd"}).Draw(t, "tag"),
			VHosts: rapid.IntRange(0, 20).Draw(t, "vhosts"),
			Down:   rapid.SampledFrom([]bool{false, false, false, true}).Draw(t, "down"),
		}
	})
	return rapid.SliceOfNDistinct(backend, 0, 8, func(b Backend) netip.Addr { return b.Addr }).
		Draw(t, label)
}

// ringOptions let cmp see everything in a ring.
func ringOptions() cmp.Options {
	return cmp.Options{
		cmp.AllowUnexported(Ring{}, Rings{}),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	}
}

func TestRingEqualsNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		backends := drawBackends(t, "backends")
		checkEqual(t, New(backends), newNaiveRing(backends))
	})
}

// MD5 gives hardly any equal points, so this makes up points with many.
func TestRingWithSharedPointsEqualsNaive(t *testing.T) {
	place := rapid.SampledFrom([]uint32{0, 1, 2, 3, 1<<31 - 1, 1 << 31, 1<<32 - 2, 1<<32 - 1})
	points := rapid.SliceOfN(rapid.SliceOfN(place, 1, 12), 1, 5)
	rapid.Check(t, func(t *rapid.T) {
		var addrs []netip.Addr
		var naive naiveRing
		hashes := points.Draw(t, "points by backend")
		for i, own := range hashes {
			addrs = append(addrs, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
			for _, h := range own {
				naive = append(naive, naivePoint{h, addrs[i]})
			}
		}
		naive.sort()
		checkEqual(t, assemble(addrs, hashes), naive)
	})
}

func TestRingIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		backends := drawBackends(t, "backends")
		permuted := rapid.Permutation(backends).Draw(t, "permuted")
		if diff := cmp.Diff(New(backends), New(permuted), ringOptions()); diff != "" {
			t.Fatalf("the ring depends on the order of the backends:\n%s", diff)
		}
	})
}

func TestChangingOneBackendMovesOnlyItsUsers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		others := drawBackends(t, "others")
		changed := netip.MustParseAddr("198.51.100.1")
		vhosts := rapid.IntRange(0, 30)
		before, after := vhosts.Draw(t, "vhosts before"), vhosts.Draw(t, "vhosts after")
		with := func(count int) (*Ring, naiveRing) {
			backends := append(slices.Clone(others), Backend{Addr: changed, VHosts: count})
			return New(backends), newNaiveRing(backends)
		}
		old, naive := with(before)
		next, naiveNext := with(after)
		for _, h := range append(naive.interestingHashes(), naiveNext.interestingHashes()...) {
			from, _ := old.Lookup(h)
			to, _ := next.Lookup(h)
			switch {
			case from == to:
			case after > before && to == changed: // it grows
			case after < before && from == changed: // it shrinks
			default:
				t.Fatalf("hash %s moved from %v to %v when %v went from %d to %d vhosts",
					h, from, to, changed, before, after)
			}
		}
	})
}

func TestShareFollowsVHosts(t *testing.T) {
	small, large := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	r := New([]Backend{{Addr: small, VHosts: 200}, {Addr: large, VHosts: 600}})
	random := rand.New(rand.NewPCG(3, 4))
	counts := make(map[netip.Addr]int)
	const users = 100_000
	for range users {
		a, _ := r.Lookup(UserHash(random.Uint32()))
		counts[a]++
	}
	if share := float64(counts[small]) / users; share < 0.20 || share > 0.30 {
		t.Errorf("a backend with a quarter of the vhosts gets %.0f%% of the users", 100*share)
	}
}

func TestNewNormalises(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for _, c := range []struct {
		name       string
		given, are []Backend
	}{
		{"down", []Backend{{Addr: a, VHosts: 5}, {Addr: b, VHosts: 5, Down: true}},
			[]Backend{{Addr: a, VHosts: 5}}},
		{"no vhosts", []Backend{{Addr: a, VHosts: 5}, {Addr: b}}, []Backend{{Addr: a, VHosts: 5}}},
		{"negative vhosts", []Backend{{Addr: a, VHosts: 5}, {Addr: b, VHosts: -1}},
			[]Backend{{Addr: a, VHosts: 5}}},
		{"too many vhosts", []Backend{{Addr: a, VHosts: 1 << 30}},
			[]Backend{{Addr: a, VHosts: MaxVHosts}}},
		{"no address", []Backend{{Addr: a, VHosts: 5}, {VHosts: 5}},
			[]Backend{{Addr: a, VHosts: 5}}},
		{"address twice", []Backend{
			{Addr: a, VHosts: 5}, {Addr: a, VHosts: 7}, {Addr: a, VHosts: 6},
		}, []Backend{{Addr: a, VHosts: 7}}},
		{"other tags and names", []Backend{
			{Addr: a, VHosts: 5, Tag: "ssd", Name: "mail.example.org"},
		}, []Backend{{Addr: a, VHosts: 5}}},
	} {
		if diff := cmp.Diff(New(c.are), New(c.given), ringOptions()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestEmptyRing(t *testing.T) {
	for name, r := range map[string]*Ring{
		"nil":         nil,
		"zero":        {},
		"no backends": New(nil),
		"only one down": New([]Backend{
			{Addr: netip.MustParseAddr("192.0.2.1"), VHosts: 100, Down: true},
		}),
	} {
		if a, ok := r.Lookup(1); ok || a.IsValid() {
			t.Errorf("%s: hash 1 belongs to %v (%v), want nobody", name, a, ok)
		}
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	rings := Build([]Backend{
		{Addr: netip.MustParseAddr("192.0.2.1"), VHosts: 100},
		{Addr: netip.MustParseAddr("2001:db8::1"), VHosts: 100, Tag: "ssd"},
	}, nil)
	h := UserHash(0)
	if n := testing.AllocsPerRun(100, func() {
		rings.Lookup("", h)
		rings.Lookup("ssd", h)
		h += 0x01234567
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestHeavyRing checks that no table makes a ring of more points than a cluster needs.
func TestHeavyRing(t *testing.T) {
	var backends []Backend
	addr := netip.MustParseAddr("10.0.0.1")
	for range 2*MaxPoints/MaxVHosts + 1 {
		backends = append(backends, Backend{Addr: addr, VHosts: MaxVHosts})
		addr = addr.Next()
	}
	backends = append(backends, Backend{Addr: addr, VHosts: 1})
	r := New(backends)
	if n := len(r.points); n > MaxPoints || n < MaxPoints/2 {
		t.Errorf("%d points, want at most %d", n, MaxPoints)
	}
	if n := len(r.hashes[len(backends)-1]); n != 1 {
		t.Errorf("the lightest backend has %d points", n)
	}
}
