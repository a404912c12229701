package probe

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// Each server is checked once in a round, at a moment of its own; one whose check hangs is reported
// once its time is over, and does not hold up the others.
func TestWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		seen := make(map[netip.Addr][]string)
		words := make(map[Word]int)
		hangs, refuses := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
		servers := []netip.Addr{server, hangs, refuses}
		moments := make(map[time.Duration]bool)
		began := time.Now()
		w := Watcher{
			Every: 5 * time.Second, Servers: func() []netip.Addr { return servers },
			Checks: []Check{mustParse(t, "tcp:143")}, Seed: 7,
			Prober: &Prober{Dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
				switch to.Addr() {
				case hangs:
					<-ctx.Done()
					return nil, ctx.Err()
				case refuses:
					return nil, syscall.ECONNREFUSED
				}
				mu.Lock()
				moments[time.Since(began)%(5*time.Second)] = true
				mu.Unlock()
				ours, _ := net.Pipe()
				return ours, nil
			}},
			Count: func(_ netip.Addr, word Word) { mu.Lock(); words[word]++; mu.Unlock() },
			Report: func(server netip.Addr, failure string) {
				mu.Lock()
				seen[server] = append(seen[server], failure)
				mu.Unlock()
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.Run(ctx); close(done) }()
		time.Sleep(100 * time.Second)
		cancel()
		<-done
		if n := len(seen[server]); n < 19 || n > 21 {
			t.Errorf("a good server was checked %d times in 20 rounds", n)
		}
		if len(moments) != 1 {
			t.Errorf("a server was checked at %v of a round", moments)
		}
		for addr, want := range map[netip.Addr]string{
			server: "", hangs: "tcp:143: no connection in time",
			refuses: "tcp:143: connection refused",
		} {
			if len(seen[addr]) < 9 {
				t.Errorf("%v was reported %d times", addr, len(seen[addr]))
			}
			for _, got := range seen[addr] {
				if got != want {
					t.Errorf("%v: %q, want %q", addr, got, want)
				}
			}
		}
		if words[""] == 0 || words[Timeout] == 0 || words[Refused] == 0 || len(words) != 3 {
			t.Errorf("counted %v", words)
		}
	})
}

// A watcher that ends while checks run reports nothing of them.
func TestWatcherEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := Watcher{
			Every: 5 * time.Second, Servers: func() []netip.Addr { return []netip.Addr{server} },
			Checks: []Check{mustParse(t, "tcp:143")}, Count: func(netip.Addr, Word) {},
			Prober: &Prober{Dial: func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}},
			Report: func(_ netip.Addr, failure string) { t.Errorf("reported %q", failure) },
		}
		ctx, cancel := context.WithTimeout(t.Context(), 4900*time.Millisecond)
		defer cancel()
		w.Run(ctx)
	})
}
