package history

import (
	"net/netip"
	"testing"

	"directormesh/directory"
	"directormesh/mesh/store"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// BenchmarkLogins is what it costs to note new mappings, batch by batch, into files: the time and
// the bytes for each mapping. A user's change of a backend is a note of its own.
func BenchmarkLogins(b *testing.B) {
	const batch = 3000 // of 60,000 logins a second, every 50 ms
	rows := make([]directory.Mapping, batch)
	for i := range rows {
		rows[i] = directory.Mapping{
			Hash: ring.UserHash(uint32(i) * (1 << 32 / batch)), Generation: 1,
			Backend:  netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 50)}),
			Activity: 1_000_000, Stamp: 1_000_000,
		}
	}
	for name, notes := range map[string]func() []wire.Note{
		"logins": func() []wire.Note {
			return []wire.Note{&wire.LoginsNote{Director: "d1", Block: wire.Pack("", rows)}}
		},
		"changes": func() (all []wire.Note) {
			for _, m := range rows {
				all = append(all, &wire.UserNote{
					Hash: m.Hash, From: m.Backend, To: m.Backend, By: "d1", Generation: 7,
					Stamp: m.Stamp,
				})
			}
			return all
		},
	} {
		b.Run(name, func(b *testing.B) {
			fs, err := store.ExistingDir(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			h, err := Open(Config{FS: fs, Now: func() (mesh, wall directory.Time) {
				return directory.FirstTime, directory.FirstTime
			}})
			if err != nil {
				b.Fatal(err)
			}
			h.begun = directory.FirstTime
			var written int64
			for b.Loop() {
				for _, n := range notes() {
					h.Add(n)
				}
				before := h.Status().Bytes
				if err := h.write(false); err != nil {
					b.Fatal(err)
				}
				written += max(0, h.Status().Bytes-before)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/mapping")
			b.ReportMetric(float64(written)/float64(b.N*batch), "B/mapping")
			b.ReportMetric(float64(h.Status().Lost), "lost")
		})
	}
}
