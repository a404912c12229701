package mesh

import (
	"bytes"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	gcmetrics "runtime/metrics"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"directormesh/ring"
)

// benchUsers is how many users a benchmark's director knows: a million, or what
// DIRECTORMESH_MAPPINGS says.
func benchUsers(b *testing.B) int {
	text := os.Getenv("DIRECTORMESH_MAPPINGS")
	if text == "" {
		return 1_000_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("DIRECTORMESH_MAPPINGS=%q: not a number of users", text)
	}
	return n
}

// appendName makes the name of a user in place, as a door finds it in a buffer that has just been
// read.
func appendName(buf []byte, i int) []byte {
	return append(strconv.AppendInt(append(buf, "user"...), int64(i), 10), "@example.org"...)
}

// BenchmarkTryLookup is the whole way of lookups in a running director, one by one and many
// together, from the name to the backend, clocks included. What it takes to make up a name is in
// it, and given beside it.
func BenchmarkTryLookup(b *testing.B) {
	users := benchUsers(b)
	cfg, _ := socketConfig("d1")
	cfg.Log = zerolog.Nop()
	n, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	var format ring.HashFormat
	var buf []byte
	for i := range users {
		buf = appendName(buf[:0], i)
		if _, err := n.Lookup(b.Context(), "", format.Hash(string(buf))); err != nil {
			b.Fatal(err)
		}
	}

	b.Run("name", func(b *testing.B) {
		random := rand.New(rand.NewPCG(1, 2))
		for b.Loop() {
			buf = appendName(buf[:0], random.IntN(users))
		}
	})
	b.Run("known", func(b *testing.B) {
		debug.FreeOSMemory() // collects garbage, too
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		before := pauses()
		waited := 0 // on a machine too busy to let the director tick once a second
		random := rand.New(rand.NewPCG(1, 2))
		b.ReportAllocs()
		used := processorTime(b)
		for b.Loop() {
			buf = appendName(buf[:0], random.IntN(users))
			if _, ok := n.TryLookup("", format.Hash(string(buf))); !ok {
				waited++
			}
		}
		b.ReportMetric(float64(processorTime(b)-used)/float64(b.N), "cpu-ns/lookup")
		b.ReportMetric(float64(waited), "waited")
		b.ReportMetric(longest(before, pauses())*1e6, "longest-gc-µs")
		b.ReportMetric(float64(stats.HeapAlloc)/float64(users), "heap-B/user")
		if rss := resident(); rss > 0 {
			b.ReportMetric(float64(rss)/float64(users), "rss-B/user")
		}
	})
	// As a door does with requests that are pipelined: all are hashed, then looked up together.
	b.Run("batch", func(b *testing.B) {
		var batch [32]ring.Lookup
		waited := 0
		random := rand.New(rand.NewPCG(1, 2))
		b.ReportAllocs()
		used := processorTime(b)
		for b.Loop() {
			for i := range batch {
				buf = appendName(buf[:0], random.IntN(users))
				batch[i].Hash = format.Hash(string(buf))
			}
			n.TryLookups(batch[:])
			for i := range batch {
				if !batch[i].Backend.IsValid() {
					waited++
				}
			}
		}
		b.ReportMetric(float64(processorTime(b)-used)/float64(b.N*len(batch)), "cpu-ns/lookup")
		b.ReportMetric(float64(waited), "waited")
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			random := rand.New(rand.NewPCG(rand.Uint64(), 2))
			var buf []byte
			for pb.Next() {
				buf = appendName(buf[:0], random.IntN(users))
				n.TryLookup("", format.Hash(string(buf)))
			}
		})
	})
}

// processorTime is what this process has used so far, which tells more than the clock on a machine
// that does other things.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// pauses returns how often the garbage collector has stopped the world, by duration.
func pauses() *gcmetrics.Float64Histogram {
	sample := []gcmetrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	gcmetrics.Read(sample)
	return sample[0].Value.Float64Histogram()
}

// longest returns the longest of the pauses between two readings, in seconds, 0 if there was none.
func longest(before, after *gcmetrics.Float64Histogram) float64 {
	for i := len(after.Counts) - 1; i >= 0; i-- {
		if after.Counts[i] > before.Counts[i] {
			return after.Buckets[i]
		}
	}
	return 0
}

// resident returns the process's resident memory in bytes, 0 where the system does not say.
func resident() int {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, err := strconv.Atoi(string(bytes.Fields(statm)[1]))
	if err != nil {
		return 0
	}
	return pages * os.Getpagesize()
}
