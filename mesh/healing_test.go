package mesh

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
)

// since returns the times of the dials so far, from a moment on.
func (d *diary) since(began time.Time) (all []time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, at := range d.when {
		all = append(all, at.Sub(began))
	}
	return all
}

// rounds returns when dials were that are more than a quarter of a second apart.
func rounds(dials []time.Duration) (all []time.Duration) {
	for i, at := range dials {
		if i == 0 || at-dials[i-1] > time.Second/4 {
			all = append(all, at)
		}
	}
	return all
}

// Until it has a peer, a director that is to join tries each second. One that has a peer, or joins
// nobody, looks for who is away every ten seconds or so.
func TestHowOftenPeersAreJoined(t *testing.T) {
	for _, test := range []struct {
		name        string
		join        bool // at an address where nobody is
		peer        bool // there is one
		least, most int  // rounds within 62 seconds
	}{
		{"joins", true, false, 60, 63},
		{"has joined", true, true, 4, 8},
		{"founds", false, false, 4, 8},
	} {
		synctest.Test(t, func(t *testing.T) {
			network := &diary{Network: netsim.New(1, netsim.Faults{}), to: testAddr(7)}
			if test.peer {
				simulated(t, nil, func(cfg *Config) {
					cfg.Network, cfg.Name, cfg.Bind, cfg.Seed = network, "d2", testAddr(2), 2
				})
			}
			n := simulated(t, nil, func(cfg *Config) {
				cfg.Network = network
				if test.peer {
					cfg.Join = append(cfg.Join, testAddr(2).String())
				}
				if test.join {
					cfg.Join = append(cfg.Join, testAddr(7).String())
				}
			})
			if !test.join {
				if err := n.WaitSynced(t.Context()); err != nil {
					t.Fatal(err)
				}
				op := replica.SetDirectorRemoved{Addr: testAddr(7)}
				if _, err := n.Do(t.Context(), op); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			time.Sleep(62 * time.Second)
			if got := rounds(network.since(began)); len(got) < test.least || len(got) > test.most {
				t.Errorf("%s: %d rounds at %v", test.name, len(got), got)
			}
		})
	}
}

// A director that has joined exchanges states with some peer once more, about two seconds later.
func TestSecondExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &counter{Network: netsim.New(1, netsim.Faults{}), to: testAddr(2)}
		simulated(t, nil, func(cfg *Config) {
			cfg.Network, cfg.Name, cfg.Bind, cfg.Seed = network, "d2", testAddr(2), 2
		})
		simulated(t, nil, func(cfg *Config) {
			cfg.Network, cfg.Join = network, []string{testAddr(2).String()}
		})
		time.Sleep(time.Second + settleJoin*4/5 - 1)
		before := network.dials.Load()
		time.Sleep(settleJoin*2/5 + 2)
		if got := network.dials.Load() - before; got != 1 {
			t.Errorf("%d dials in that time, %d before", got, before)
		}
	})
}

// counter counts the dials to an address.
type counter struct {
	Network
	to    netip.AddrPort
	dials atomic.Int64
}

func (c *counter) Dial(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	if to == c.to {
		c.dials.Add(1)
	}
	return c.Network.Dial(ctx, from, to)
}

// Whom a director joins next depends on its seed, and on nothing else.
func TestSeedSaysWhoIsJoined(t *testing.T) {
	for name, present := range map[string]bool{"present": true, "away": false} {
		synctest.Test(t, func(t *testing.T) {
			network := &stuckDials{Network: netsim.New(1, netsim.Faults{}),
				released: make(chan struct{})}
			n := simulated(t, nil, func(cfg *Config) { cfg.Network = network })
			synctest.Wait() // nobody else uses its random numbers
			for i := byte(10); i < 20; i++ {
				if present {
					n.members.set(testAddr(i).String(), testAddr(i))
				} else {
					n.seeds = append(n.seeds, seed{testAddr(i).Addr().String(), DefaultPort})
				}
			}
			joined := func(seed uint64) netip.AddrPort {
				h := newHealer(n)
				n.randMu.Lock()
				n.rand = newRand(seed)
				n.randMu.Unlock()
				if present {
					h.joinPresent()
				} else {
					h.joinAway(1)
				}
				h.mu.Lock()
				defer h.mu.Unlock()
				if len(h.busy) != 1 {
					t.Errorf("%s: %v are joined", name, h.busy)
				}
				return slices.Collect(maps.Keys(h.busy))[0]
			}
			first, others := joined(1), make(map[netip.AddrPort]bool)
			for seed := range uint64(20) {
				others[joined(seed+1)] = true
				if got := joined(1); got != first {
					t.Errorf("%s: %v is joined, then %v", name, first, got)
				}
			}
			if len(others) < 5 || others[n.advertise] {
				t.Errorf("%s: of ten directors only %v are joined", name, others)
			}
			close(network.released)
		})
	}
}

// A proven peer that is away gets a link and is joined, one whose name only is known neither: the
// core dials it. A link that is there goes on as it is.
func TestWhoIsLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		n, _ := named(t, network, "d1", 1)
		two, _ := named(t, network, "d2", 2)
		time.Sleep(5 * time.Second)
		if err := two.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		n.input(func(c *replica.Core, now mono.Time) {
			c.MemberJoined(now, "d9", testAddr(9), 9) // known by name
		})
		boot := func() (uint64, bool) {
			n.linksMu.Lock()
			defer n.linksMu.Unlock()
			l := n.links["d2"]
			if l == nil {
				return 0, false
			}
			return l.boot, true
		}
		before, ok := boot()
		if !ok {
			t.Fatal("d2 has no link")
		}
		h := newHealer(n)
		h.joinAway(10)
		if after, ok := boot(); after != before || !ok {
			t.Errorf("the link's peer was in life %d and is in %d", before, after)
		}
		if !h.busy[testAddr(2)] || h.busy[testAddr(9)] || len(h.busy) != 1 {
			t.Errorf("joined are %v", h.busy)
		}
		n.dropLinks([]string{"d2"})
		h.joinAway(0)
		if _, ok := boot(); !ok {
			t.Error("a proven peer has no link")
		}
	})
}

// That a name does not resolve is said, but not of a director that is closed.
func TestNamesThatDoNotResolve(t *testing.T) {
	for _, closed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			log := new(logBuffer)
			n := simulated(t, netsim.New(1, netsim.Faults{}), func(cfg *Config) {
				cfg.Log = zerolog.New(log)
				cfg.Resolve = func(context.Context, string) ([]netip.Addr, error) {
					return nil, errors.New("no such host")
				}
			})
			synctest.Wait()
			n.seeds = []seed{{"d9.example.org", 1}, {"192.0.2.9", 2}}
			if closed {
				_ = n.Close()
			}
			got := newHealer(n).configured()
			if len(got) != 1 || !got[netip.MustParseAddrPort("192.0.2.9:2")] {
				t.Errorf("closed %v: %v", closed, got)
			}
			if said := strings.Contains(log.String(), "cannot be resolved"); said == closed {
				t.Errorf("closed %v: the log has\n%s", closed, log)
			}
		})
	}
}

// That a peer cannot be joined is said once, and again after it could be; of a director that is
// closed nothing is said, and nobody is joined.
func TestWhoCannotBeJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(logBuffer)
		network := netsim.New(1, netsim.Faults{})
		stuck := &stuckDials{Network: network, released: make(chan struct{})}
		n := simulated(t, network, func(cfg *Config) { cfg.Log = zerolog.New(log) })
		h := newHealer(n)
		join := func(want int) {
			t.Helper()
			h.join(testAddr(2))
			synctest.Wait()
			if got := strings.Count(log.String(), "peer cannot be joined"); got != want {
				t.Errorf("said %d times, want %d", got, want)
			}
			if !h.silent[testAddr(2)] || len(h.busy) > 0 {
				t.Errorf("silent %v, busy %v", h.silent, h.busy)
			}
		}
		join(1)
		join(1)
		two, _ := named(t, network, "d2", 2, func(cfg *Config) { cfg.Join = nil })
		h.join(testAddr(2))
		synctest.Wait()
		if len(h.silent) > 0 {
			t.Errorf("silent after it was joined: %v", h.silent)
		}
		_ = two.Close()
		h.join(testAddr(2))
		synctest.Wait()
		if got := strings.Count(log.String(), "peer cannot be joined"); got != 2 {
			t.Errorf("said %d times, want again", got)
		}
		n.cfg.Network, n.transport.network = stuck, stuck
		h.join(testAddr(9)) // ends with the director
		synctest.Wait()
		_ = n.Close()
		h.join(testAddr(8))
		if got := strings.Count(log.String(), "peer cannot be joined"); got != 2 ||
			len(h.busy) > 0 {
			t.Errorf("said %d times, busy %v", got, h.busy)
		}
		dials := stuck.dials.Load()
		if err := n.join(testAddr(8)); err == nil || stuck.dials.Load() > dials+1 {
			t.Errorf("%v, %d dials after the end", err, stuck.dials.Load()-dials)
		}
	})
}

// Why a director cannot be joined is found out by a stream of ours, which is closed then. Where
// that opens and no state is answered, large packets are to blame.
func TestWhyADirectorCannotBeJoined(t *testing.T) {
	const onlySmall = "peer answers small packets and no large ones"
	for _, test := range []struct {
		name   string
		says   []byte
		taken  error // of the deadline
		silent bool  // memberlist is neither answered nor closed
		want   string
		told   bool // that only small packets are answered
	}{
		{name: "another mesh", says: preamble(byte(otherMesh), "other"), want: reasonMesh.String()},
		{name: "another mesh, silent", says: preamble(byte(otherMesh), "other"), silent: true,
			want: reasonMesh.String()},
		{name: "ours", says: preamble(byte(accepted), "test")},
		{name: "ours, silent", says: preamble(byte(accepted), "test"), silent: true, told: true},
		{name: "no deadline", taken: errBroken, want: "broken"},
	} {
		synctest.Test(t, func(t *testing.T) {
			log := new(logBuffer)
			network := &stiffDials{Network: netsim.New(1, netsim.Faults{}), err: test.taken}
			n := simulated(t, nil, func(cfg *Config) {
				cfg.Network, cfg.Log = network, zerolog.New(log)
			})
			l, p, err := network.Listen(testAddr(2))
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			defer l.Close()
			var open atomic.Int64
			for range 2 {
				go func() {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					open.Add(1)
					first := make([]byte, 1)
					_, err = conn.Read(first)
					ours := err != nil || first[0] == streamMagic
					if ours {
						_, _ = conn.Write(test.says)
					}
					if ours || test.silent {
						_, _ = io.Copy(io.Discard, conn)
					} else {
						_ = conn.Close() // memberlist is told nothing
					}
					open.Add(-1)
				}()
			}
			err = n.join(testAddr(2))
			if got := reasonOf(err); err == nil || test.want != "" && got != test.want {
				t.Errorf("%s: %v, want %q", test.name, err, test.want)
			}
			synctest.Wait()
			if got := open.Load(); got != 0 {
				t.Errorf("%s: %d connections are open", test.name, got)
			}
			if told := strings.Contains(log.String(), onlySmall); told != test.told {
				t.Errorf("%s: the log has\n%s", test.name, log)
			}
		})
	}
}

// stiffDials is a network on whose connections the second deadline cannot be set.
type stiffDials struct {
	Network
	err   error
	dials atomic.Int64
}

func (s *stiffDials) Dial(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	conn, err := s.Network.Dial(ctx, from, to)
	if s.dials.Add(1) == 2 && s.err != nil && err == nil {
		return &stiffened{conn, s.err}, nil
	}
	return conn, err
}

type stiffened struct {
	net.Conn
	err error
}

func (s *stiffened) SetDeadline(time.Time) error { return s.err }
