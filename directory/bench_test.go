package directory

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"directormesh/ring"
)

// benchMappings is how many mappings the benchmarks work on: a million, or
// what DIRECTORMESH_MAPPINGS says. Numbers worth comparing need ten million.
func benchMappings(b *testing.B) int {
	text := os.Getenv("DIRECTORMESH_MAPPINGS")
	if text == "" {
		return 1_000_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("DIRECTORMESH_MAPPINGS=%q: not a number of mappings", text)
	}
	return n
}

// snapshotChunk is how many rows a message of a snapshot has at least.
const snapshotChunk = 10_000

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

// perMapping reports what a pass over n mappings costs: of the clock, and of
// processor time, which is what counts on a machine that does other things.
func perMapping(b *testing.B, n int, pass func()) {
	b.Helper()
	used := processorTime(b)
	for b.Loop() {
		pass()
	}
	used = processorTime(b) - used
	all := float64(n) * float64(b.N)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/all, "ns/mapping")
	b.ReportMetric(float64(used.Nanoseconds())/all, "cpu-ns/mapping")
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkMemory(b *testing.B) {
	n := benchMappings(b)
	for b.Loop() {
		before := heap()
		d, hashes := filled(n)
		hashes = slices.Clip(hashes[:0:0])
		b.ReportMetric(float64(heap()-before)/float64(d.Len()), "B/mapping")
		runtime.KeepAlive(d)
		runtime.KeepAlive(hashes)
	}
}

// BenchmarkGrowth fills a directory and reports the worst memory for each
// mapping at any size from a tenth of the final one on: the slack of arrays is
// not the same at every size.
func BenchmarkGrowth(b *testing.B) {
	n := benchMappings(b)
	for b.Loop() {
		random := rand.New(rand.NewPCG(1, 2))
		before := heap()
		d, backends := New(0), benchBackends()
		d.SetBackends(backends)
		worst := 0.0
		for next := n / 10; next <= n; next += n / 10 {
			for d.Len() < next {
				for range 1000 {
					d.Assign("", ring.UserHash(random.Uint32()),
						backends[random.IntN(len(backends))].Addr, start)
				}
			}
			worst = max(worst, float64(heap()-before)/float64(d.Len()))
		}
		b.ReportMetric(worst, "B/mapping")
	}
}

func BenchmarkDirectory(b *testing.B) {
	n := benchMappings(b)
	d, hashes := filled(n)
	random := rand.New(rand.NewPCG(3, 4))
	random.Shuffle(len(hashes), func(i, j int) { hashes[i], hashes[j] = hashes[j], hashes[i] })
	backends := benchBackends()

	// What passes cost depends on what has happened since the one before. A
	// change of the table makes a sweep look at everything; digests then come
	// from what it has left behind.
	changes := 0
	changeTable := func() {
		changes++
		at := StampAt(start.Add(time.Duration(changes) * time.Minute))
		changed := presentRow(netip.AddrFrom4([4]byte{203, 0, 113, 1}), "", at)
		d.SetBackends(append(benchBackends(), changed))
	}
	digest := func(end Time) {
		for leaf := range 1 << 16 {
			d.DigestLeaf("", uint16(leaf), end)
		}
	}
	epochEnd := start - start%Time(EpochLength.Milliseconds())
	b.Run("SweepAll", func(b *testing.B) {
		perMapping(b, d.Len(), func() { changeTable(); sweepAll(d, start) })
	})
	b.Run("SweepIdle", func(b *testing.B) { perMapping(b, d.Len(), func() { sweepAll(d, start) }) })
	b.Run("Digest", func(b *testing.B) { perMapping(b, d.Len(), func() { digest(epochEnd) }) })
	b.Run("DigestUnprepared", func(b *testing.B) {
		perMapping(b, d.Len(), func() { digest(epochEnd + 1) })
	})

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
	b.Run("Snapshot", func(b *testing.B) {
		var rows []Mapping
		perMapping(b, d.Len(), func() {
			for leaf := range 1 << 16 {
				rows = d.Leaf("", uint16(leaf), start, rows[:0])
			}
		})
	})
	for name, each := range map[string]func(Mapping, Merged){
		"MergeSorted": nil, "MergeSortedReported": func(Mapping, Merged) {},
	} {
		b.Run(name, func(b *testing.B) {
			var rows []Mapping
			perMapping(b, d.Len(), func() {
				joiner := New(0)
				joiner.SetBackends(backends)
				rows = rows[:0]
				for leaf := range 1 << 16 {
					rows = d.Leaf("", uint16(leaf), start, rows)
					if len(rows) >= snapshotChunk || leaf == 1<<16-1 {
						joiner.Merge("", rows, start, each)
						rows = rows[:0]
					}
				}
			})
		})
	}
	// From here on the directory grows.
	b.Run("Assign", func(b *testing.B) {
		for b.Loop() {
			d.Assign("", ring.UserHash(random.Uint32()), backends[0].Addr, start)
		}
	})
	for _, batch := range []int{1, 750} {
		b.Run(fmt.Sprintf("MergeRandom%d", batch), func(b *testing.B) {
			rows := make([]Mapping, batch)
			perMapping(b, batch, func() {
				for i := range rows {
					rows[i] = benchRow(random, backends)
				}
				d.Merge("", rows, start, nil)
			})
		})
	}
}

// BenchmarkBeside times every single lookup while another goroutine works
// through the directory, and reports the slowest in a thousand and the slowest
// of all. It needs two cores to say something.
func BenchmarkBeside(b *testing.B) {
	d, hashes := filled(benchMappings(b))
	moments := 0
	for _, beside := range []struct {
		name string
		work func(leaf uint16)
	}{
		{"idle", nil},
		{"digest", func(leaf uint16) {
			d.DigestLeaf("", leaf, start.Add(time.Duration(leaf%7)*time.Second))
		}},
		{"snapshot", func(leaf uint16) { d.LeafToSend("", leaf, start, nil) }},
		{"expiry", func(leaf uint16) {
			// Each turn of all leaves a twentieth of the rows ends, and as many come.
			if leaf == 0 {
				moments++
			}
			d.SweepLeaf("", leaf,
				d.Ends(Mapping{Activity: start.Tick() - 1000 + Tick(50*moments)}).Add(deadKept))
			d.Assign("", ring.UserHash(uint32(leaf)<<16|rand.Uint32N(1<<16)),
				benchBackends()[0].Addr, start)
		}},
	} {
		b.Run(beside.name, func(b *testing.B) {
			var worker sync.WaitGroup
			stop := make(chan struct{})
			if beside.work != nil {
				worker.Go(func() {
					for leaf := uint16(0); ; leaf++ {
						select {
						case <-stop:
							return
						default:
							beside.work(leaf)
						}
					}
				})
			}
			var times []time.Duration
			for i := 0; b.Loop(); i++ {
				began := time.Now()
				d.Find("", hashes[i%len(hashes)], start)
				times = append(times, time.Since(began))
			}
			close(stop)
			worker.Wait()
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2]), "p50-ns")
			b.ReportMetric(float64(times[len(times)*999/1000]), "p99.9-ns")
			b.ReportMetric(float64(times[len(times)-1]), "max-ns")
		})
	}
}
