package mesh

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
)

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// A director joins within some round trips, not at the next beat, and neither of the two streams is
// opened twice: the second one would end the first.
func TestJoinIsPrompt(t *testing.T) {
	const delay = 10 * time.Millisecond // one way
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			network := netsim.New(seed, netsim.Faults{Delay: delay})
			var log lockedBuffer
			founded := time.Now()
			alike := func(cfg *Config) {
				cfg.Log = zerolog.New(&log)
				cfg.Wall = func() time.Time { return testStart.Add(time.Since(founded)) }
			}
			simulated(t, network, alike)
			time.Sleep(5*time.Second + time.Duration(seed)*77*time.Millisecond)
			began := time.Now()
			two := simulated(t, network, func(cfg *Config) {
				alike(cfg)
				cfg.Name, cfg.Bind, cfg.Seed = "d2", testAddr(2), seed
				cfg.Join = []string{testAddr(1).String()}
			})
			if err := two.WaitSynced(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 30*delay {
				t.Errorf("joined after %v, %v one way:\n%s", took, delay, log.String())
			}
			time.Sleep(time.Second)
			if strings.Contains(log.String(), "stream ended") {
				t.Errorf("a stream ended:\n%s", log.String())
			}
		})
	}
}

// A link does not dial where a contact is under way: that one may have reached the peer already,
// whose own stream made the link.
func TestLinkWaitsForContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &abyss{Network: netsim.New(1, netsim.Faults{Delay: time.Millisecond})}
		n := simulated(t, nil, func(cfg *Config) { cfg.Network = network })
		peer := netip.AddrPortFrom(nowhere.Addr().Next(), 9090)
		n.contacts.add(replica.Dial{Addr: peer, Trust: replica.Named})
		time.Sleep(time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { n.runLink(ctx, newLink("d2", peer, 7), nil) })
		time.Sleep(dialTime - 2*time.Second)
		if n := network.dialled(); n != 1 {
			t.Errorf("%d dials beside the contact's, want none", n-1)
		}
		time.Sleep(2 * time.Second)
		if network.dialled() < 2 {
			t.Error("the link does not dial after the contact has failed")
		}
		cancel()
		running.Wait()
	})
}
