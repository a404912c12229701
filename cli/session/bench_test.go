package session

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"directormesh/cli/dovecot"
	"directormesh/ring"
)

// BenchmarkList is what the kicks that share a list of 100,000 sessions do with it, parsing left
// out: sort it, and look up one user and one login name.
func BenchmarkList(b *testing.B) {
	const sessions = 100_000
	var format ring.HashFormat
	connections := make([]dovecot.Connection, sessions)
	for i := range connections {
		connections[i] = dovecot.Connection{
			User: fmt.Sprintf("user%d@example.org", i*7919%sessions), PID: i,
			Backend: netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 50)}),
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		list := NewList(time.Time{}, connections, format.Hash)
		login := "user42@example.org"
		if len(list.Of(format.Hash(login))) != 1 || len(list.Named(login)) != 1 {
			b.Fatal("the user is not found")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sessions, "ns/session")
}
