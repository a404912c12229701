package ring

import (
	"fmt"
	"net/netip"
	"testing"
)

// benchBackends returns count backends with the given vhosts, all of one tag.
func benchBackends(count, vhosts int) []Backend {
	backends := make([]Backend, count)
	for i := range backends {
		backends[i] = Backend{
			Addr: netip.AddrFrom4([4]byte{10, 12, byte(i >> 8), byte(i)}), VHosts: vhosts,
		}
	}
	return backends
}

func BenchmarkHash(b *testing.B) {
	for _, format := range []string{"%Lu", "%u", "%Ln", "%Ln@%Ld"} {
		f := mustFormat(b, format)
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.Hash("Alice.Liddell@example.org")
			}
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, size := range []struct{ backends, vhosts int }{{4, 100}, {100, 100}, {1000, 1000}} {
		rings := Build(benchBackends(size.backends, size.vhosts), nil)
		b.Run(fmt.Sprintf("%dx%d", size.backends, size.vhosts), func(b *testing.B) {
			b.ReportAllocs()
			h := UserHash(0)
			for b.Loop() {
				rings.Lookup("", h)
				h += 0x9e3779b1
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, size := range []struct{ backends, vhosts int }{{4, 100}, {100, 100}, {1000, 1000}} {
		backends := benchBackends(size.backends, size.vhosts)
		name := fmt.Sprintf("%dx%d", size.backends, size.vhosts)
		b.Run("anew/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Build(backends, nil)
			}
		})
		b.Run("one-down/"+name, func(b *testing.B) {
			before := Build(backends, nil)
			backends[0].Down = true
			b.ReportAllocs()
			for b.Loop() {
				Build(backends, before)
			}
			backends[0].Down = false
		})
	}
}
