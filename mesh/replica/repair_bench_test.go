package replica

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/ring"
)

// BenchmarkAntiEntropy is the background check of two directors with as many mappings as DIRECTORY_BENCH_MAPPINGS says, 1 M if it does not: equal
// ones, and such that the second lacks some rows. A turn is one exchange of states and the repair that follows, 5 s of virtual time. Reports
// its bytes, both ways, beats not counted; and the CPU that one director takes for the digests of an epoch, which come every 10 s.
func BenchmarkAntiEntropy(b *testing.B) {
	users := benchMappings(b)
	f := newFleet(b, 2, activityBackends, time.Millisecond, time.Hour)
	f.fill(users)
	began, at := cpuTime(b), f.now
	f.epoch()
	perEpoch := (cpuTime(b) - began).Seconds() * 1000 / 2 * epochLength.Seconds() / (f.now - at).Seconds()
	b.Run("equal", func(b *testing.B) {
		bytes := 0
		for b.Loop() {
			bytes = max(bytes, f.round())
		}
		b.ReportMetric(float64(bytes), "B/round")
		b.ReportMetric(perEpoch, "cpu-ms/epoch")
		b.ReportMetric(0, "ns/op")
	})
	for _, missing := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("missing=%d", missing), func(b *testing.B) {
			// Rows that one has and the other has not: new users, about whom the other was not told.
			t := f.members[0].core.MeshTime(f.now)
			f.members[0].dir.Merge("", f.mappings(users, missing, t), t, func(directory.Mapping, directory.Merged) {})
			users += missing
			f.epoch()
			bytes, rounds := 0, 0
			for b.Loop() {
				for f.members[0].dir.Len() != f.members[1].dir.Len() {
					bytes += f.round()
					rounds++
				}
			}
			b.ReportMetric(float64(bytes), "B/repair")
			b.ReportMetric(float64(rounds), "rounds")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// fill gives all directors the same mappings.
func (f *fleet) fill(users int) {
	const part = 1 << 16
	t := f.members[0].core.MeshTime(f.now)
	for from := 0; from < users; from += part {
		rows := f.mappings(from, min(part, users-from), t)
		for _, m := range f.members {
			m.dir.Merge("", rows, t, func(directory.Mapping, directory.Merged) {})
		}
	}
}

// mappings returns those of n users, who logged in during the last minutes.
func (f *fleet) mappings(from, n int, t directory.Time) []directory.Mapping {
	rng := rand.New(rand.NewPCG(7, uint64(from)))
	rows := make([]directory.Mapping, n)
	for i := range rows {
		h := ring.UserHash(uint32(from+i) * 2654435761)
		backend, _ := f.members[0].core.rings[0].Lookup("", h)
		activity := t.Add(-time.Duration(rng.Int64N(int64(10 * time.Minute))))
		rows[i] = directory.Mapping{Hash: h, Backend: backend, Generation: 1, Activity: activity.Tick(),
			Stamp: activity.Add(-time.Duration(rng.Int64N(int64(12 * time.Hour)))).Tick()}
	}
	return rows
}

// epoch lets time pass until all directors have digests that show what has happened so far.
func (f *fleet) epoch() { f.run(2*epochLength + settleAfter + passLength) }

// round is one exchange of states between the first two directors, and what follows. It returns the bytes.
func (f *fleet) round() (bytes int) {
	f.meter()
	bytes = f.pushPull(f.members[0], f.members[1])
	f.run(5 * time.Second)
	for _, m := range f.members {
		bytes += m.sent - m.kinds["beat"]
	}
	return bytes
}

// BenchmarkJoin is a director that joins another with as many mappings as DIRECTORY_BENCH_MAPPINGS says: the bytes that it receives for each user
// until it is synced.
func BenchmarkJoin(b *testing.B) {
	users := benchMappings(b)
	var bytes int
	for b.Loop() {
		f := newFleet(b, 1, activityBackends, time.Millisecond, time.Hour)
		f.fill(users)
		joiner := f.add()
		f.until("the joiner is synced", time.Minute, f.allSynced)
		bytes = joiner.received
	}
	b.ReportMetric(float64(bytes)/float64(users), "B/user")
	b.ReportMetric(0, "ns/op")
}
