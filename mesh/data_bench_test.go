package mesh

import (
	"iter"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/directory"
	"directormesh/mesh/meshtest/metrictest"
	"directormesh/mesh/store"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// fillDisk makes a data directory of a mesh with so many users, at each call the same of a moment.
func fillDisk(b *testing.B, path string, users int, now time.Time) {
	b.Helper()
	d, err := store.Dir(path)
	if err != nil {
		b.Fatal(err)
	}
	backend := ring.Backend{Addr: netip.MustParseAddr("192.0.2.1"), VHosts: 100}
	table := directory.NewTable(7, "d1", []ring.Backend{backend})
	mark := &wire.Mark{
		MeshTime: directory.Micros(now.UnixMicro()), Wall: directory.Micros(now.UnixMicro()),
		Whole: directory.Time(now.UnixMilli()), Mesh: wire.MeshRank{ID: 7},
		Noted: directory.Time(now.UnixMilli()).Add(-time.Minute),
	}
	random := rand.New(rand.NewPCG(1, 1))
	hashes := make([]uint32, users)
	for i := range hashes {
		hashes[i] = random.Uint32()
	}
	slices.Sort(hashes)
	tick := directory.Time(now.UnixMilli()).Tick()
	source := func() iter.Seq[wire.Message] {
		return func(yield func(wire.Message) bool) {
			yield(mark)
			yield(&wire.Table{Change: table.Snapshot()})
			for part := range slices.Chunk(hashes, snapshotRows) {
				rows := make([]directory.Mapping, len(part))
				for i, h := range part {
					rows[i] = directory.Mapping{
						Hash: ring.UserHash(h), Backend: backend.Addr, Generation: 1,
						Activity: tick - directory.Tick(random.IntN(3000)), Stamp: tick - 3000,
					}
				}
				yield(&wire.Rows{Blocks: []wire.Block{wire.Pack("", rows)}})
			}
		}
	}
	ours := store.Identity{Mesh: "bench", Director: "d1"}
	s, _, err := store.Open(store.Config{FS: d, Identity: ours})
	if err != nil {
		b.Fatal(err)
	}
	s.Start(source, func(store.Status) {})
	for n := uint64(1); s.Status().Kept == 0; n++ {
		s.Put(n, mark)
		time.Sleep(10 * time.Millisecond)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkStartFromDisk is from the start of directors with data directories until all serve: one
// alone, and three together. They have 1 M users, or as many as DIRECTORMESH_MAPPINGS says.
func BenchmarkStartFromDisk(b *testing.B) {
	for _, directors := range []int{1, 3} {
		b.Run(strconv.Itoa(directors), func(b *testing.B) { startFromDisk(b, directors) })
	}
}

func startFromDisk(b *testing.B, directors int) {
	users := benchUsers(b)
	var join []string
	now := time.Now()
	paths := make([]string, directors)
	for i := range directors {
		paths[i] = b.TempDir()
		fillDisk(b, paths[i], users, now)
		join = append(join, benchAddr(i).String())
	}
	if directors == 1 {
		join = nil
	}
	var out, size float64
	for b.Loop() {
		nodes := make([]*Node, directors)
		registry := prometheus.NewRegistry()
		for i := range nodes {
			d, err := store.Dir(paths[i])
			if err != nil {
				b.Fatal(err)
			}
			cfg := Config{
				Name: "d" + strconv.Itoa(i+1), Mesh: "bench", Bind: benchAddr(i), Join: join,
				HashFormat: "%Lu", Expire: 24 * time.Hour, Log: zerolog.Nop(), Data: d,
			}
			if i == 0 {
				cfg.Registerer = registry
			}
			if nodes[i], err = New(cfg); err != nil {
				b.Fatal(err)
			}
		}
		for _, n := range nodes {
			for !n.Self().Synced {
				time.Sleep(time.Millisecond)
			}
		}
		b.StopTimer()
		for name, value := range metrictest.Values(b, registry) {
			if strings.HasPrefix(name, "director_mesh_stream_bytes_total sent ") {
				out += value
			}
		}
		for _, n := range nodes {
			if got := n.Self().Users; got < users*99/100 {
				b.Fatalf("%d users", got)
			}
			size = float64(n.Data().Bytes)
			if err := n.Close(); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		b.StartTimer()
	}
	b.ReportMetric(out/float64(b.N), "B-sent-by-d1")
	b.ReportMetric(size/float64(users), "B-on-disk/user")
}

// benchAddr is where a director of a benchmark listens.
func benchAddr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 77, byte(i + 1)}), 29_390)
}
