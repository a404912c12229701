package replica

import (
	"math/rand/v2"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/digests"
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
	const deadKept = time.Minute // by the directory
	// Then there are as many dead rows as there will be.
	f.run(digests.PassLength + digests.SettleAfter + deadKept)
	l.meter()
	epochs, began := 0, cpuTime(b)
	for b.Loop() {
		f.run(directory.EpochLength)
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
// sweeps as ever; of the second's each is measured by itself.
type steadyLogins struct {
	f     *fleet
	rand  *rand.Rand
	users int

	epochs          time.Duration // CPU of digests and sweeps of the first director
	digests, sweeps time.Duration // of the second
}

func newSteadyLogins(b *testing.B, users int) *steadyLogins {
	l := &steadyLogins{
		f:    newFleet(b, 2, activityBackends, time.Millisecond, activityExpire),
		rand: rand.New(rand.NewPCG(8, 8)), users: users,
	}
	l.f.fill(users, l.age)
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
	t := m.core.MeshTime(f.now)
	if m == f.members[0] {
		began := cpuTime(f.b)
		m.core.digests.Step(f.now, t, m.dir)
		l.epochs += cpuTime(f.b) - began
		return
	}
	m.core.digests.Step(f.now, t, meteredRows{m.dir, l})
}

// meteredRows measures the CPU of sweeps and digests.
type meteredRows struct {
	*directory.Directory
	l *steadyLogins
}

func (r meteredRows) SweepGroup(tag ring.Tag, group uint8, now directory.Time) int {
	began := cpuTime(r.l.f.b)
	defer func() { r.l.sweeps += cpuTime(r.l.f.b) - began }()
	return r.Directory.SweepGroup(tag, group, now)
}

func (r meteredRows) DigestGroup(tag ring.Tag, group uint8, epochEnd directory.Time) [256]uint64 {
	began := cpuTime(r.l.f.b)
	defer func() { r.l.digests += cpuTime(r.l.f.b) - began }()
	return r.Directory.DigestGroup(tag, group, epochEnd)
}

func (l *steadyLogins) meter() { l.epochs, l.digests, l.sweeps = 0, 0, 0 }
