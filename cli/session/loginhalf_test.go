package session

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"directormesh/ring"
)

// A half gives back exactly the logins that were added to it since it was cleared.
func TestLoginHalf(t *testing.T) {
	name := func(r *rand.Rand) string {
		switch i := r.IntN(1000); r.IntN(6) {
		case 0:
			return "a@" + strings.Repeat("d", 250+i%10) // some are too long to be kept once
		case 1:
			return strings.Repeat("l", 120+i%20)
		case 2:
			return fmt.Sprintf("a@b@%d", i%3)
		default:
			return fmt.Sprintf("%d@%d.example", i, i) // more than are kept once
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		f := newLoginHalf()
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		hashes := rapid.Uint32Range(1, 100).Draw(t, "hashes")
		for range rapid.IntRange(1, 3).Draw(t, "rounds") {
			f.clear()
			want := make(map[ring.UserHash][]string)
			for range rapid.IntRange(0, 1000).Draw(t, "logins") {
				user := name(r)
				h := ring.UserHash(r.Uint32N(hashes))<<shardBits | 5
				if r.IntN(2) == 0 {
					h |= 0xff000000
				}
				backend := netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(256))})
				text := fmt.Sprintf("%s on %v", user, backend)
				known := slices.Contains(want[h], text)
				if !f.add(h, []byte(user), backend) {
					if known || len(want[h]) < maxNames {
						t.Fatalf("%s is refused", text)
					}
				} else if !known {
					want[h] = append(want[h], text)
				}
			}
			count := 0
			for h, logins := range want {
				var got []string
				for l := range f.of(f.key(h)) {
					backend := f.addrs[l.backend]
					got = append(got, fmt.Sprintf("%s%s on %v", l.local, l.suffix, backend))
				}
				slices.Sort(got)
				slices.Sort(logins)
				if !slices.Equal(got, logins) {
					t.Fatalf("hash %d: %q, want %q", h, got, logins)
				}
				count += len(got)
			}
			if f.count != count || f.count*5 > len(f.slots)*4 {
				t.Fatalf("%d logins counted, %d there, %d slots", f.count, count, len(f.slots))
			}
		}
	})
}
