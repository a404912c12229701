package replica

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/ring"
)

// benchMappings is the size of the benchmarks' directory: 1 M, or what DIRECTORMESH_MAPPINGS
// says.
func benchMappings(b *testing.B) int {
	text := os.Getenv("DIRECTORMESH_MAPPINGS")
	if text == "" {
		return 1_000_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatalf("DIRECTORMESH_MAPPINGS: %v", err)
	}
	return n
}

// BenchmarkTryLookup is the whole way of a lookup in the process, from the name to the backend: of
// users known and active, of known users whose activity is recorded, and of new users. Reports
// bytes per mapping of the whole process.
func BenchmarkTryLookup(b *testing.B) {
	users := benchMappings(b)
	format, err := ring.ParseHashFormat("%Lu")
	if err != nil {
		b.Fatal(err)
	}
	now := mono.Time(time.Hour)
	dir := directory.New(15 * time.Minute)
	core := New(Config{
		Name: "d1", Boot: 1, Mesh: "bench", HashFormat: "%Lu",
		Addr:   netip.MustParseAddrPort("127.0.0.1:9090"),
		Expire: 15 * time.Minute, KickDelay: 2 * time.Second, Backends: testBackends(50),
		Founder: true,
		Wall:    trueTime(0), Rand: rand.New(rand.NewPCG(1, 1)), Directory: dir,
	}, now)
	name := func(buf []byte, i int) []byte {
		return append(strconv.AppendInt(append(buf[:0], "user"...), int64(i), 10),
			"@example.org"...)
	}
	var buf []byte
	for i := range users {
		buf = name(buf, i)
		if _, ok := core.TryLookup(now, "", format.Hash(string(buf))); !ok {
			b.Fatal("a new user waits")
		}
		if i%100_000 == 0 {
			core.outbox.Take()
		}
	}
	core.outbox.Take()
	core.Take()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	perMapping := float64(stats.HeapAlloc) / float64(users)
	random := rand.New(rand.NewPCG(2, 2))

	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = name(buf, random.IntN(users))
			if _, ok := core.TryLookup(now, "", format.Hash(string(buf))); !ok {
				b.Fatal("a known user waits")
			}
		}
		b.ReportMetric(perMapping, "B/mapping")
	})
	i, at := 0, now // go on from run to run, so that every lookup has something to record
	b.Run("recorded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if i++; i%min(users, 1<<20) == 1 {
				at = at.Add(dir.Share()/2 + time.Second)
				core.lookups.NoteInput(at)
				core.outbox.Take()
			}
			buf = name(buf, int(uint64(i)*2654435761%uint64(users))) // each once before any twice
			if _, ok := core.TryLookup(at, "", format.Hash(string(buf))); !ok {
				b.Fatal("a known user waits")
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		i, at := users, core.lookups.LastInput()
		for b.Loop() {
			buf = name(buf, i)
			if i++; i&0xffff == 0 {
				core.outbox.Take()
			}
			if _, ok := core.TryLookup(at, "", format.Hash(string(buf))); !ok {
				b.Fatal("a new user waits")
			}
		}
	})
}
