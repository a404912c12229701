package replica

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"directormesh/mesh/wire"
)

// BenchmarkUpdate is a change of a backend's vhost count, at a random director at a random moment:
// how long until a director has applied it, the median and the 99th percentile over all directors
// and changes, and the last director's; and how long until the barrier is over, all have confirmed
// and the command is answered. Milliseconds of virtual time: links take 1 ms to 1.5 ms, or 20 ms to
// 30 ms, what a director computes takes none. Each turn is one change.
func BenchmarkUpdate(b *testing.B) {
	for _, link := range []time.Duration{time.Millisecond, 20 * time.Millisecond} {
		for _, directors := range benchDirectors(b, 3, 10, 50, 200) {
			b.Run(fmt.Sprintf("link=%v/directors=%d", link, directors), func(b *testing.B) {
				f := newFleet(b, directors, 10, link, 15*time.Minute)
				rng := rand.New(rand.NewPCG(6, 6))
				var applied, last, barrier []time.Duration
				for b.Loop() {
					f.run(time.Duration(rng.Int64N(int64(200 * time.Millisecond))))
					at := f.members[rng.IntN(directors)]
					backend, vhosts := testBackend(1+rng.IntN(10)), 1+len(barrier)%500
					began := f.now
					took := f.update(at, backend, vhosts)
					applied = append(applied, took...)
					last = append(last, took[len(took)-1])
					barrier = append(barrier, f.now.Sub(began))
				}
				b.ReportMetric(percentile(applied, 0.5), "p50-ms")
				b.ReportMetric(percentile(applied, 0.99), "p99-ms")
				b.ReportMetric(percentile(last, 1), "last-ms")
				b.ReportMetric(percentile(barrier, 0.99), "barrier-p99-ms")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// update changes a backend's vhost count and runs until the command is answered. It returns when
// each other director had applied it.
func (f *fleet) update(at *member, backend netip.Addr, vhosts int) (took []time.Duration) {
	began := f.now
	lacking := make(map[*member]bool)
	for _, m := range f.members {
		lacking[m] = m != at
	}
	f.delivered = func(to *member, _ wire.Message) {
		if !lacking[to] {
			return
		}
		if row, _ := to.core.table.Row(backend); row.VHosts.Value == vhosts {
			lacking[to] = false
			took = append(took, f.now.Sub(began))
		}
	}
	id := at.do(UpdateBackend{Addr: backend, VHosts: vhosts})
	for end := f.now.Add(time.Minute); ; f.step() {
		done, ok := at.done[id]
		if done.Err != nil {
			f.b.Fatalf("%s: %v", at.name, done.Err)
		}
		if ok && len(took) == len(f.members)-1 {
			f.delivered = nil
			return took
		}
		if f.now > end {
			f.b.Fatalf("a change has reached %d directors in a minute", len(took))
		}
	}
}
