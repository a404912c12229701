package replica

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"directormesh/ring"
)

// BenchmarkEpoch is what an epoch of 10 s costs a director of two to which 60,000 users a second
// log in, half of them with each director, chosen at random among as many as
// DIRECTORMESH_MAPPINGS says, 1 M if it does not. Their mappings begin as such logins leave them
// after hours, and users expire after 15 min; in larger directories many do all the time. Each turn
// is an epoch of virtual time. Reports the milliseconds of CPU of a director: for digests and
// sweeps together, which its core takes; for each of the two, as measured on the other director,
// where they are taken one after the other, so that sweeps, which come first, bring the rows into
// the processor's cache; and for the logins, which is all the rest: looking up, telling the other,
// merging what it tells.
func BenchmarkEpoch(b *testing.B) {
	l := newSteadyLogins(b, benchMappings(b))
	f := l.f
	const deadKept = time.Minute               // by the directory
	f.run(passLength + settleAfter + deadKept) // then there are as many dead rows as there will be
	l.meter()
	epochs, began := 0, cpuTime(b)
	for b.Loop() {
		f.run(epochLength)
		epochs++
	}
	all := cpuTime(b) - began
	perEpoch := func(cpu time.Duration) float64 { return cpu.Seconds() * 1000 / float64(epochs) }
	b.ReportMetric(perEpoch(l.epochs), "cpu-ms/epoch")
	b.ReportMetric(perEpoch(l.digests), "digests-ms/epoch")
	b.ReportMetric(perEpoch(l.sweeps), "sweeps-ms/epoch")
	b.ReportMetric(perEpoch(all-l.epochs-l.digests-l.sweeps)/2, "logins-ms/epoch")
	b.ReportMetric(float64(f.members[0].dir.Len()), "rows")
	b.ReportMetric(0, "ns/op")
}

// steadyLogins are logins to the two directors of a fleet. The core of the first takes digests and
// sweeps; those of the second are taken here, in the same rhythm, so that they can be told from
// each other.
type steadyLogins struct {
	f     *fleet
	rand  *rand.Rand
	users int
	group int // next of the second director, counted from the beginning

	epochs          time.Duration // CPU of digests and sweeps of the first director
	digests, sweeps time.Duration // of the second
}

func newSteadyLogins(b *testing.B, users int) *steadyLogins {
	l := &steadyLogins{f: newFleet(b, 2, activityBackends, time.Millisecond, activityExpire), rand: rand.New(rand.NewPCG(8, 8)), users: users}
	l.f.fill(users, l.age)
	l.f.members[1].core.digests.taken = []digestSet{{epoch: math.MaxInt64}} // nothing is due any more
	l.f.members[1].core.digests.pass = nil
	l.group = l.due()
	for _, m := range l.f.members {
		m.beforeTick = l.step
	}
	return l
}

// age draws how long ago activity was recorded of a user, at any moment. Of one who logs in about
// once in the time between, it is recorded anew at the first login after S/2.
func (l *steadyLogins) age(random *rand.Rand) (age time.Duration, mapped bool) {
	quiet := activityExpire / 20 / 2
	between := time.Duration(l.users) * time.Second / activityLogins
	if random.Int64N(int64(quiet+between)) < int64(quiet) {
		return time.Duration(random.Int64N(int64(quiet))), true
	}
	age = quiet + time.Duration(random.ExpFloat64()*float64(between))
	return age, age < activityExpire+activityExpire/20
}

// step lets as many users log in to a director as do between two of its ticks, and does and
// measures what the tick would do about epochs.
func (l *steadyLogins) step(m *member) {
	f := l.f
	for range int(activityLogins*fleetTick/time.Second) / len(f.members) {
		h := ring.UserHash(l.rand.IntN(l.users)) * 2654435761
		if _, ok := m.core.TryLookup(f.now, "", h); !ok {
			f.b.Fatal("a lookup waits")
		}
	}
	began := cpuTime(f.b)
	if m == f.members[0] {
		m.core.stepDigests(f.now)
		l.epochs += cpuTime(f.b) - began
		return
	}
	t := m.core.MeshTime(f.now)
	epoch := int64(t.Add(-settleAfter))/epochLength.Milliseconds() - 1
	for ; l.group < l.due(); l.group++ {
		m.dir.SweepGroup("", uint8(l.group), t)
		swept := cpuTime(f.b)
		leaves := m.core.leafDigests("", uint8(l.group), epoch)
		foldDigests(&leaves)
		done := cpuTime(f.b)
		l.sweeps += swept - began
		l.digests += done - swept
		began = done
	}
}

// due is up to which group the second director has to be.
func (l *steadyLogins) due() int { return int(int64(l.f.now) * groups / int64(epochLength)) }

func (l *steadyLogins) meter() { l.epochs, l.digests, l.sweeps = 0, 0, 0 }
