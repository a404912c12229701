package session

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"directormesh/ring"
)

// BenchmarkLogins is what 900,000 logins cost that a director remembers, each for the first time
// and again, and how much memory they take: "B/login" is the heap after a collection.
func BenchmarkLogins(b *testing.B) {
	const logins = 900_000 // so that no shard is full
	var format ring.HashFormat
	names, hashes := make([][]byte, logins), make([]ring.UserHash, logins)
	for i := range names {
		names[i] = fmt.Appendf(nil, "user%d@example.org", i)
		hashes[i] = format.Hash(string(names[i]))
	}
	at := time.Unix(1000, 0)
	backend := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 50)}) }
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	answer := func(l *Logins) time.Duration {
		begin := time.Now()
		for i, name := range names {
			l.Answered(hashes[i], name, backend(i))
		}
		return time.Since(begin)
	}
	var first, again time.Duration
	var bytes float64
	for b.Loop() {
		before := heap()
		l := NewLogins(func() time.Time { return at })
		first += answer(l)
		again += answer(l)
		bytes = heap() - before
		runtime.KeepAlive(l)
	}
	each := func(d time.Duration) float64 {
		return float64(d.Nanoseconds()) / float64(b.N) / logins
	}
	b.ReportMetric(bytes/logins, "B/login")
	b.ReportMetric(each(first), "ns/first")
	b.ReportMetric(each(again), "ns/again")
}
