package replica

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/digests"
	"directormesh/ring"
)

// mostMappings bounds what the directors of one simulated mesh hold together: 3.6 GB.
const mostMappings = 200_000_000

// BenchmarkAntiEntropy is the background check in meshes of directors with as many mappings as
// DIRECTORMESH_MAPPINGS says, 1 M if it does not: equal ones, and such that the first lacks some
// rows. Each director exchanges states with another at random once a round, which is 15 s of
// virtual time, or more in larger meshes. Reports the bytes of an exchange, both ways, and those
// that a director sends in a round, beats not counted; what follows, until the first has all rows,
// included. And the CPU that a director takes for an epoch in which nobody logs in; see
// BenchmarkEpoch for one in which many do. Larger meshes are left out where their directors do not
// fit into memory.
func BenchmarkAntiEntropy(b *testing.B) {
	users := benchMappings(b)
	for _, directors := range benchDirectors(b, 2, 3, 10, 50) {
		if directors > 3 && directors*users > mostMappings {
			continue
		}
		b.Run(fmt.Sprintf("directors=%d", directors), func(b *testing.B) {
			f := newFleet(b, directors, activityBackends, time.Millisecond, time.Hour)
			f.fill(users, lastMinutes)
			f.epoch()
			b.Run("equal", func(b *testing.B) {
				f.meter()
				rounds, at, began := 0, f.now, cpuTime(b)
				for b.Loop() {
					f.round()
					rounds++
				}
				cpu := cpuTime(b) - began
				epochs := float64(f.now.Sub(at)) / float64(directory.EpochLength)
				f.reportRounds(b, rounds)
				b.ReportMetric(cpu.Seconds()*1000/epochs/float64(directors), "cpu-ms/epoch")
			})
			known := users
			for _, missing := range []int{10, 100, 1000} {
				if directors > 10 && missing > 10 {
					continue // most of a minute for beats that are not counted
				}
				b.Run(fmt.Sprintf("missing=%d", missing), func(b *testing.B) {
					f.meter()
					repairs, rounds := 0, 0
					for b.Loop() {
						t := f.members[0].core.MeshTime(f.now)
						rows := f.mappings(known, missing, t, lastMinutes)
						for _, m := range f.members[1:] {
							m.dir.Merge("", rows, t, func(directory.Mapping, directory.Merged) {})
						}
						known += missing
						f.epoch()
						for f.members[0].dir.Len() != f.members[1].dir.Len() {
							f.round()
							rounds++
						}
						repairs++
					}
					f.reportRounds(b, rounds)
					b.ReportMetric(float64(f.exchanged())/float64(repairs), "B/repair")
					b.ReportMetric(float64(rounds)/float64(repairs), "rounds")
				})
			}
		})
	}
}

// reportRounds reports what the exchanges since meter have taken.
func (f *fleet) reportRounds(b *testing.B, rounds int) {
	// one exchange a round is of a director's own choice
	each := float64(f.exchanged()) / float64(rounds*len(f.members))
	b.ReportMetric(each, "B/exchange")
	b.ReportMetric(0, "ns/op")
}

// exchanged is how many bytes all directors have sent, beats not counted.
func (f *fleet) exchanged() (bytes int) {
	for _, m := range f.members {
		bytes += m.sent - m.kinds["beat"]
	}
	return bytes
}

// fill gives all directors the same mappings.
func (f *fleet) fill(users int, age ageOf) {
	const part = 1 << 16
	t := f.members[0].core.MeshTime(f.now)
	for from := 0; from < users; from += part {
		rows := f.mappings(from, min(part, users-from), t, age)
		for _, m := range f.members {
			m.dir.Merge("", rows, t, func(directory.Mapping, directory.Merged) {})
		}
	}
}

// ageOf draws how long ago a user's activity was recorded, if the user has a mapping.
type ageOf func(*rand.Rand) (age time.Duration, mapped bool)

// lastMinutes are the ages of users all of whom logged in lately.
func lastMinutes(random *rand.Rand) (time.Duration, bool) {
	return time.Duration(random.Int64N(int64(10 * time.Minute))), true
}

// mappings returns those of n users.
func (f *fleet) mappings(from, n int, t directory.Time, age ageOf) []directory.Mapping {
	random := rand.New(rand.NewPCG(7, uint64(from)))
	rows := make([]directory.Mapping, 0, n)
	for i := range n {
		ago, mapped := age(random)
		if !mapped {
			continue
		}
		h := ring.UserHash(uint32(from+i) * 2654435761)
		backend, _ := f.members[0].core.barrier.Rings()[0].Lookup("", h)
		activity := t.Add(-ago)
		rows = append(rows, directory.Mapping{
			Hash: h, Backend: backend, Generation: 1, Activity: activity.Tick(),
			Stamp: activity.Add(-time.Duration(random.Int64N(int64(12 * time.Hour)))).Tick(),
		})
	}
	return rows
}

// epoch lets time pass until all directors have digests that show what has happened so far.
func (f *fleet) epoch() {
	f.run(2*directory.EpochLength + digests.SettleAfter + digests.PassLength)
}

// round lets each director exchange states with another at random, at some moment of the time that
// memberlist lets pass between two of its own exchanges, and runs until that is over.
func (f *fleet) round() {
	// see package mesh; memberlist scales above so many
	const interval, unscaled = 15 * time.Second, 32
	length := interval
	if n := len(f.members); n > unscaled {
		length *= time.Duration(1 + bits.Len(uint(n-1)/unscaled))
	}
	for i, m := range f.members {
		other := f.members[(i+1+f.rand.IntN(len(f.members)-1))%len(f.members)]
		delay := time.Duration(f.rand.Int64N(int64(length - 5*time.Second)))
		f.at(f.now.Add(delay), func() { f.pushPull(m, other) })
	}
	f.run(length)
}

// BenchmarkJoin is a director that joins another with as many mappings as DIRECTORMESH_MAPPINGS
// says: the bytes that it receives for each user until it is synced.
func BenchmarkJoin(b *testing.B) {
	users := benchMappings(b)
	var bytes int
	for b.Loop() {
		f := newFleet(b, 1, activityBackends, time.Millisecond, time.Hour)
		f.fill(users, lastMinutes)
		joiner := f.add()
		f.until("the joiner is synced", time.Minute, f.allSynced)
		bytes = joiner.received
	}
	b.ReportMetric(float64(bytes)/float64(users), "B/user")
	b.ReportMetric(0, "ns/op")
}
