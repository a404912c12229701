package store_test

import (
	"cmp"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/store"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// announced is rows as three directors announce them together.
func announced(r *rand.Rand, n int, at directory.Tick) *wire.Rows {
	rows := make([]directory.Mapping, n)
	for i := range rows {
		rows[i] = directory.Mapping{
			Hash: ring.UserHash(r.Uint32()), Backend: backend, Activity: at, Stamp: at - 1000,
			Generation: 1,
		}
	}
	slices.SortFunc(rows, func(a, b directory.Mapping) int { return cmp.Compare(a.Hash, b.Hash) })
	return &wire.Rows{Blocks: []wire.Block{wire.Pack("", rows)}}
}

func none() iter.Seq[wire.Message] { return func(func(wire.Message) bool) {} }

// BenchmarkWrite writes what a mesh of three with 60,000 logins a second gives a director to keep,
// on a real disk: 20 messages of each director in a second, and a mark. One iteration is a second
// of that; the metric is the share of a core that it takes.
func BenchmarkWrite(b *testing.B) {
	d, err := store.Dir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	s, _, err := store.Open(store.Config{FS: d, Identity: ours, QueueBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	s.Start(none, func(store.Status) {})
	random := rand.New(rand.NewPCG(1, 1))
	var second []wire.Message
	for i := range 60 {
		second = append(second, announced(random, 1000, directory.Tick(5000+i)))
	}
	mark := &wire.Mark{MeshTime: 1, Wall: 1, Whole: 1}
	n := uint64(0)
	before := processorTime(b)
	for b.Loop() {
		for _, m := range second {
			n++
			s.Put(n, m)
		}
		s.Put(n, mark)
		for s.Status().Kept < n {
			time.Sleep(100 * time.Microsecond)
		}
	}
	b.ReportMetric(100*(processorTime(b)-before).Seconds()/float64(b.N), "%core")
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLoad reads a directory of many mappings, as a start does before it merges them.
func BenchmarkLoad(b *testing.B) {
	mappings := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("DIRECTORMESH_MAPPINGS")); err == nil {
		mappings = n
	}
	d, err := store.Dir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	s, _, err := store.Open(store.Config{FS: d, Identity: ours})
	if err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	s.Start(func() iter.Seq[wire.Message] {
		return func(yield func(wire.Message) bool) {
			const chunk = 10_000
			for at := 0; at < mappings; at += chunk {
				yield(announced(random, min(chunk, mappings-at), 5000))
			}
		}
	}, func(store.Status) {})
	s.Put(1, &wire.Mark{})
	for s.Status().Kept < 1 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c, err := store.Inspect(d)
		if err != nil {
			b.Fatal(err)
		}
		rows := 0
		_, err = c.Each(func(k wire.Kind) bool { return k == wire.KindRows },
			func(m wire.Message) {
				for _, block := range m.(*wire.Rows).Blocks {
					for range block.All() {
						rows++
					}
				}
			})
		if err != nil || rows != mappings {
			b.Fatalf("%d rows, %v", rows, err)
		}
		b.SetBytes(c.Bytes)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(mappings), "ns/row")
}
