//go:build e2e

package dovecot

import (
	"net/netip"
	"os"
	"sync"
	"testing"
)

// addressPool is the loopback addresses of this test process: a part of a /24 in 127.64.0.0/10 of
// its own, so that test processes that run at the same time do not get in each other's way. Tests
// that run at the same time have different ones.
type addressPool struct {
	mu    sync.Mutex // guards the others
	taken [256]bool
	given int // how many were given out
}

var freeAddresses addressPool

// newAddress returns an address that nobody else uses until the test has ended, and that has not
// been used for long: a director of another test may still look for the one that was there.
func newAddress(t *testing.T) netip.Addr {
	t.Helper()
	p := &freeAddresses
	p.mu.Lock()
	defer p.mu.Unlock()
	const first, count = 100, 155 // of three digits: none is the beginning of another
	for range count {
		n := first + p.given%count
		p.given++
		if p.taken[n] {
			continue
		}
		p.taken[n] = true
		t.Cleanup(func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.taken[n] = false
		})
		pid := os.Getpid()
		return netip.AddrFrom4([4]byte{127, byte(64 | pid>>8&0x3f), byte(pid), byte(n)})
	}
	t.Fatal("all addresses are in use")
	return netip.Addr{}
}
