package directory

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"directormesh/ring"
)

// What is fetched are the rows that a search with a good guess looks at,
// wherever in a cache line the rows of the leaf begin.
func TestNearIsWhatIsSearched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(0, 600), rapid.IntRange(0, 3000)).Draw(t, "rows")
		spread := rapid.Uint64().Draw(t, "spread")
		random := rand.New(rand.NewPCG(spread, 1))
		hashes := make([]uint32, n)
		for i := range hashes {
			hashes[i] = random.Uint32N(1 << 16)
		}
		slices.Sort(hashes)
		s := shapeOf(rowsOf(hashes), n)
		h := uint32(rapid.Uint16().Draw(t, "hash"))
		begin := rapid.IntRange(0, rowsInLine-1).Draw(t, "begin")

		from, lines := s.near(h)
		firstLine := (begin + from) / rowsInLine
		for at := s.guess(h) - reach(n); at <= s.guess(h)+reach(n); at++ {
			if at < 0 || at >= n {
				continue
			}
			if line := (begin + at) / rowsInLine; line < firstLine || line >= firstLine+lines {
				t.Fatalf("row %d of %d is in line %d, fetched are %d from %d on",
					at, n, line, lines, firstLine)
			}
		}
	})
}

func TestCrowdedLeavesAreNotFetchedWhole(t *testing.T) {
	hashes := make([]uint32, 1<<16)
	for i := range hashes {
		hashes[i] = uint32(i)
	}
	if _, lines := shapeOf(rowsOf(hashes), len(hashes)).near(0x8000); lines != mostInReach {
		t.Errorf("%d lines, want %d", lines, mostInReach)
	}
}

// Prefetching is for any user at any time: unknown tags, leaves never used, and
// leaves that others are changing.
func TestPrefetchBesideChanges(t *testing.T) {
	d, backends := New(0), benchBackends()
	d.SetBackends(backends)
	const users = 4_000
	hashOf := func(i int) ring.UserHash { return ring.UserHash(i%4<<16 | i*7919&0xffff) }
	var writers sync.WaitGroup
	writers.Go(func() {
		for i := range users {
			d.Assign("", hashOf(i), backends[i%len(backends)].Addr, start)
		}
	})
	for i := range users {
		d.Prefetch("", hashOf(i))
		d.Prefetch("", ring.UserHash(i)<<16)
		d.Prefetch("unknown", hashOf(i))
		if m, status := d.Find("", hashOf(i), start); status == Live && m.Hash != hashOf(i) {
			t.Fatalf("%v was found for %v", m, hashOf(i))
		}
	}
	writers.Wait()
	if n := testing.AllocsPerRun(100, func() { d.Prefetch("", hashOf(1)) }); n > 0 {
		t.Errorf("Prefetch allocates %v times", n)
	}
}

// BenchmarkPrefetch is Find with and without Prefetch, by how many users are
// looked up together.
func BenchmarkPrefetch(b *testing.B) {
	d, hashes := filled(benchMappings(b))
	rand.Shuffle(len(hashes), func(i, j int) { hashes[i], hashes[j] = hashes[j], hashes[i] })
	perLookup := func(b *testing.B, hashes []ring.UserHash, batch int, fetch bool) {
		used, begin := processorTime(b), 0
		for b.Loop() {
			if begin+batch > len(hashes) {
				begin = 0
			}
			users := hashes[begin : begin+batch]
			begin += batch
			if fetch {
				for _, h := range users {
					d.Prefetch("", h)
				}
			}
			for _, h := range users {
				if _, status := d.Find("", h, start); status != Live {
					b.Fatalf("user %v is %v", h, status)
				}
			}
		}
		used = processorTime(b) - used
		b.ReportMetric(float64(used.Nanoseconds())/float64(b.N*batch), "cpu-ns/lookup")
	}
	b.Run("without", func(b *testing.B) { perLookup(b, hashes, 32, false) })
	for _, batch := range []int{4, 8, 16, 32, 64, 128} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			perLookup(b, hashes, batch, true)
		})
	}
	b.Run("cached", func(b *testing.B) { perLookup(b, hashes[:256], 32, false) })
}
