package replica

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/ring"
)

// The mesh of the budget: sixty thousand logins a second, users expire after 15 min, 50 backends.
const (
	activityLogins   = 60_000
	activityExpire   = 15 * time.Minute
	activityBackends = 50
)

// BenchmarkActivity is what logins cost the mesh: one, ten or thirty million users log in at random
// times, each at a random director. Each turn is a second of virtual time. Reports, for the busiest
// director, the bytes a second that it sends and receives, all messages of all streams included;
// for the mesh, the rows a second (logins that record activity or map a user) and the bytes a row;
// and the milliseconds of CPU that a director takes for a second: its lookups, sending and merging,
// codec included, encryption and sockets not.
func BenchmarkActivity(b *testing.B) {
	for _, users := range []int{1_000_000, 10_000_000, 30_000_000} {
		for _, directors := range benchDirectors(b, 3, 10, 50) {
			b.Run(fmt.Sprintf("users=%d/directors=%d", users, directors), func(b *testing.B) {
				benchActivity(b, users, directors)
			})
		}
	}
}

func benchActivity(b *testing.B, users, directors int) {
	f := newFleet(b, directors, activityBackends, time.Millisecond, activityExpire)
	l := &logins{f: f, users: users, rand: rand.New(rand.NewPCG(5, 5))}
	var cpu time.Duration
	f.meter()
	for b.Loop() {
		l.plan(time.Second)
		began := cpuTime(b)
		f.run(time.Second)
		cpu += cpuTime(b) - began
	}
	var out, in, rowBytes, rows int
	for _, m := range f.members {
		out, in = max(out, m.sent), max(in, m.received)
		rowBytes += m.kinds["rows"]
		rows += m.rows
	}
	turns := float64(b.N)
	b.ReportMetric(float64(out)/turns/1000, "outKB/s")
	b.ReportMetric(float64(in)/turns/1000, "inKB/s")
	b.ReportMetric(float64(rows)/turns, "rows/s")
	b.ReportMetric(float64(rowBytes)/float64(rows*(directors-1)), "B/row")
	b.ReportMetric(cpu.Seconds()*1000/turns/float64(directors), "cpu-ms/s")
	b.ReportMetric(0, "ns/op") // a turn's real time says nothing that the CPU time does not
}

// cpuTime returns the CPU time of this process.
func cpuTime(b testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// logins are the users of a fleet. Only those who log in are in its directories, put there just
// before, in the state that users who log in all day long have reached: what a login costs does not
// depend on the others.
type logins struct {
	f     *fleet
	users int
	rand  *rand.Rand
}

// plan lets users log in during the time to come.
func (l *logins) plan(d time.Duration) {
	f := l.f
	t := f.members[0].core.MeshTime(f.now)
	place := f.members[0].core.barrier.Rings()[0]
	var mappings []directory.Mapping
	for i := range int(activityLogins * d.Seconds()) {
		h := ring.UserHash(l.rand.Uint32N(uint32(l.users)) * 2654435761)
		if age, mapped := l.age(); mapped {
			backend, _ := place.Lookup("", h)
			stamp := t.Add(-age - time.Duration(l.rand.Int64N(int64(12*time.Hour)))).Tick()
			mappings = append(mappings, directory.Mapping{
				Hash: h, Backend: backend, Generation: 1, Activity: t.Add(-age).Tick(),
				Stamp: stamp,
			})
		}
		m := f.members[l.rand.IntN(len(f.members))]
		f.at(f.now.Add(d*time.Duration(i)/time.Duration(activityLogins*d.Seconds())), func() {
			if _, ok := m.core.TryLookup(f.now, "", h); !ok {
				f.b.Fatal("a lookup waits")
			}
		})
	}
	for _, m := range f.members {
		m.dir.Merge("", mappings, t, func(directory.Mapping, directory.Merged) {})
	}
}

// age draws how long ago activity was recorded of a user who logs in now. Logins come at random, of
// ten million users one's about every 170 s, and one within S/2 of the recorded activity records
// nothing: so the recorded activity is renewed after S/2 and the time to the next login.
func (l *logins) age() (age time.Duration, mapped bool) {
	quiet := activityExpire / 20 / 2
	between := time.Duration(l.users) * time.Second / activityLogins
	if l.rand.Int64N(int64(quiet+between)) < int64(quiet) {
		return time.Duration(l.rand.Int64N(int64(quiet))), true
	}
	age = quiet + time.Duration(l.rand.ExpFloat64()*float64(between))
	return age, age < activityExpire
}
