package directory

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"directormesh/ring"
)

// benchMappings is how many mappings the benchmarks work on: a million, or
// what DIRECTORY_BENCH_MAPPINGS says. Numbers worth comparing need ten million.
func benchMappings(b *testing.B) int {
	text := os.Getenv("DIRECTORY_BENCH_MAPPINGS")
	if text == "" {
		return 1_000_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("DIRECTORY_BENCH_MAPPINGS=%q: not a number of mappings", text)
	}
	return n
}

// benchBackends is a table of 50 backends.
func benchBackends() (rows []BackendRow) {
	for i := range 50 {
		rows = append(rows, presentRow(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), "", 0))
	}
	return rows
}

func benchRow(random *rand.Rand, backends []BackendRow) Mapping {
	return Mapping{
		Hash:       ring.UserHash(random.Uint32()),
		Backend:    backends[random.IntN(len(backends))].Addr,
		Activity:   start.Tick() - Tick(random.IntN(1000)),
		Stamp:      start.Tick() - Tick(random.IntN(2000)),
		Generation: 1,
	}
}

// filled returns a directory that has been filled by single logins in random
// order, which leaves the slack of a directory in use.
func filled(n int) (*Directory, []ring.UserHash) {
	random := rand.New(rand.NewPCG(1, 2))
	d, backends := New(0), benchBackends()
	d.SetBackends(backends)
	var hashes []ring.UserHash
	for len(hashes) < n {
		r := benchRow(random, backends)
		if _, ok := d.Assign("", r.Hash, r.Backend, start); ok && len(hashes) < 1<<20 {
			hashes = append(hashes, r.Hash)
		} else if ok {
			n-- // enough samples
		}
	}
	return d, hashes
}

func BenchmarkMemory(b *testing.B) {
	n := benchMappings(b)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := heap()
		d, hashes := filled(n)
		hashes = slices.Clip(hashes[:0:0])
		b.ReportMetric(float64(heap()-before)/float64(d.Len()), "B/mapping")
		runtime.KeepAlive(d)
		runtime.KeepAlive(hashes)
	}
}

func BenchmarkDirectory(b *testing.B) {
	n := benchMappings(b)
	d, hashes := filled(n)
	random := rand.New(rand.NewPCG(3, 4))
	random.Shuffle(len(hashes), func(i, j int) { hashes[i], hashes[j] = hashes[j], hashes[i] })
	backends := benchBackends()

	b.Run("Find", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, status := d.Find("", hashes[i%len(hashes)], start); status != Live {
				b.Fatalf("user %v is %v", hashes[i%len(hashes)], status)
			}
		}
	})
	b.Run("FindParallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for i := rand.IntN(len(hashes)); pb.Next(); i++ {
				d.Find("", hashes[i%len(hashes)], start)
			}
		})
	})
	b.Run("Touch", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			m, _ := d.Find("", hashes[i%len(hashes)], start)
			if _, ok := d.Touch("", m, start+1000); !ok {
				b.Fatalf("%+v was not touched", m)
			}
		}
	})
	b.Run("Assign", func(b *testing.B) {
		for b.Loop() {
			d.Assign("", ring.UserHash(random.Uint32()), backends[0].Addr, start)
		}
	})
	for _, batch := range []int{1, 750} {
		b.Run(fmt.Sprintf("MergeRandom%d", batch), func(b *testing.B) {
			rows := make([]Mapping, batch)
			merged := 0
			for b.Loop() {
				for i := range rows {
					rows[i] = benchRow(random, backends)
				}
				d.Merge("", rows, start, nil)
				merged += batch
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(merged), "ns/mapping")
		})
	}
	b.Run("Digest", func(b *testing.B) {
		for b.Loop() {
			sum := uint64(0)
			for leaf := range 1 << 16 {
				sum += d.DigestLeaf("", uint16(leaf), start.Add(10*time.Second))
			}
			if sum == 0 {
				b.Fatal("no digest")
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(d.Len()), "ns/mapping")
	})
	b.Run("Sweep", func(b *testing.B) {
		for b.Loop() {
			sweepAll(d, start)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(d.Len()), "ns/mapping")
	})
	b.Run("Snapshot", func(b *testing.B) {
		var rows []Mapping
		for b.Loop() {
			for leaf := range 1 << 16 {
				rows = d.Leaf("", uint16(leaf), start, rows[:0])
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(d.Len()), "ns/mapping")
	})
	for name, each := range map[string]func(Mapping, Merged){"MergeSorted": nil, "MergeSortedReported": func(Mapping, Merged) {}} {
		b.Run(name, func(b *testing.B) {
			var rows []Mapping
			for b.Loop() {
				joiner := New(0)
				joiner.SetBackends(backends)
				for leaf := range 1 << 16 {
					rows = d.Leaf("", uint16(leaf), start, rows[:0])
					joiner.Merge("", rows, start, each)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(d.Len()), "ns/mapping")
		})
	}
}
