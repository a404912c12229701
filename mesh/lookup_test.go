package mesh

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

var (
	errEnough   = errors.New("enough")
	testBackend = ring.Backend{Addr: netip.MustParseAddr("192.0.2.1"), VHosts: 100}
)

// lonely starts a director whose only peer is away. It serves nobody for its first seconds.
func lonely(t *testing.T) *Node {
	t.Helper()
	return simulated(t, netsim.New(1, netsim.Faults{}), func(cfg *Config) {
		cfg.Join = []string{testAddr(2).String()}
		cfg.Backends = []ring.Backend{testBackend}
	})
}

// kept returns how many lookups and operations a node keeps that wait for their end.
func kept(n *Node) (lookups, operations int) {
	n.coreMu.Lock()
	defer n.coreMu.Unlock()
	return len(n.waits), len(n.admin)
}

// A call that cannot be answered yet waits until it is, until its context ends, or until the
// director is closed; whatever comes first. Nothing is kept of it.
func TestCallsThatWait(t *testing.T) {
	lookup := func(ctx context.Context, n *Node) error {
		got, err := n.Lookup(ctx, "", 7)
		if (err == nil) != (got == testBackend.Addr) {
			return errors.New("an answer that is none: " + got.String())
		}
		return err
	}
	synced := func(ctx context.Context, n *Node) error { return n.WaitSynced(ctx) }
	for _, test := range []struct {
		name string
		call func(ctx context.Context, n *Node) error
		end  func(cancel context.CancelCauseFunc, n *Node)
		want error
	}{
		{"lookup, answered", lookup, nil, nil},
		{"lookup, given up", lookup, func(cancel context.CancelCauseFunc,
			_ *Node) {
			cancel(errEnough)
		}, errEnough},
		{"lookup, closed", lookup, func(_ context.CancelCauseFunc, n *Node) { _ = n.Close() },
			ErrClosed},
		{"synced", synced, nil, nil},
		{"synced, given up", synced, func(cancel context.CancelCauseFunc,
			_ *Node) {
			cancel(errEnough)
		}, errEnough},
		{"synced, closed", synced, func(_ context.CancelCauseFunc, n *Node) { _ = n.Close() },
			ErrClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := lonely(t)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				done := make(chan error, 1)
				go func() { done <- test.call(ctx, n) }()
				time.Sleep(time.Second)
				select {
				case err := <-done:
					t.Fatalf("did not wait: %v", err)
				default:
				}
				if test.end != nil {
					test.end(cancel, n)
					synctest.Wait()
				} else {
					time.Sleep(25 * time.Second)
				}
				select {
				case err := <-done:
					if err != test.want {
						t.Errorf("ended with %v, want %v", err, test.want)
					}
				default:
					t.Error("waits on")
				}
				if lookups, operations := kept(n); lookups+operations > 0 {
					t.Errorf("%d lookups and %d operations are kept", lookups, operations)
				}
				time.Sleep(time.Second) // until the core looks at those that wait
				if got := n.Self().Waiting; got > 0 && n.ctx.Err() == nil {
					t.Errorf("%d lookups wait in the core", got)
				}
			})
		})
	}
}

// stubborn is a kicker that ends only with its context.
func stubborn(cfg *Config) {
	cfg.Kicker = kickerFunc(func(ctx context.Context, _ replica.KickTarget) (replica.KickResult,
		error) {
		<-ctx.Done()
		return replica.KickResult{}, ctx.Err()
	})
}

// Nobody waits for an operation any more whose context has ended, or whose director is closed.
func TestOperationsThatWait(t *testing.T) {
	for _, closed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, _ := named(t, netsim.New(1, netsim.Faults{}), "d1", 1, stubborn)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			done := make(chan error, 1)
			go func() {
				_, err := n.Do(ctx, replica.KickUser{Value: "bob"})
				done <- err
			}()
			synctest.Wait()
			if _, operations := kept(n); operations != 1 {
				t.Fatalf("%d operations wait", operations)
			}
			want := errEnough
			if closed {
				want = ErrClosed
				_ = n.Close()
			} else {
				cancel(errEnough)
			}
			synctest.Wait()
			if err := <-done; err != want {
				t.Errorf("ended with %v, want %v", err, want)
			}
			if _, operations := kept(n); operations != 0 {
				t.Errorf("%d operations are kept", operations)
			}
		})
	}
}

// What a director shows of itself is what its core says.
func TestWhatADirectorShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := named(t, netsim.New(1, netsim.Faults{}), "d1", 1)
		backend := testBackend.Addr
		compare := cmp.Options{
			cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}), cmpopts.EquateEmpty(),
		}
		if got := n.Configured(); len(got) != 1 || got[0].Addr != backend {
			t.Errorf("configured: %+v", got)
		}
		if got := n.User("", 7); got.Mapped || got.Current != backend || got.Initial != backend {
			t.Errorf("before the lookup the user is %+v", got)
		}
		if _, err := n.Lookup(t.Context(), "", 7); err != nil {
			t.Fatal(err)
		}
		if got := n.User("", 7); !got.Mapped || got.Current != backend {
			t.Errorf("after the lookup the user is %+v", got)
		}
		if got := n.Flushes(); len(got) != 0 {
			t.Errorf("flushes: %+v", got)
		}
		if n.Directory() != n.dir || n.Advertise() != testAddr(1) {
			t.Errorf("another directory, or the address %v", n.Advertise())
		}
		table := query(n, func(c *replica.Core, _ mono.Time) any { return c.Table() })
		if diff := cmp.Diff(table, any(n.Table()), compare); diff != "" {
			t.Errorf("table (-core +shown):\n%s", diff)
		}
		before := n.MeshTime()
		time.Sleep(time.Second)
		if got := n.MeshTime() - before; got < 990 || got > 1010 {
			t.Errorf("mesh time went on by %v ms in a second", got)
		}
	})
}

// A session that lives keeps its user's mapping; one of a user without a mapping makes one.
func TestLiveSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := named(t, netsim.New(1, netsim.Faults{}), "d1", 1)
		if _, err := n.Lookup(t.Context(), "", 7); err != nil {
			t.Fatal(err)
		}
		n.Adopt("", 8, testBackend.Addr)
		for range 4 {
			time.Sleep(5 * time.Minute)
			n.Refresh(7)
			n.Refresh(9)
		}
		time.Sleep(time.Second)
		for hash, want := range map[ring.UserHash]bool{7: true, 8: false, 9: false} {
			if got := n.User("", hash).Mapped; got != want {
				t.Errorf("user %v after 20 minutes: %v, want %v", hash, got, want)
			}
		}
		n.Adopt("", 8, testBackend.Addr)
		time.Sleep(time.Second)
		if got := n.User("", 8); !got.Mapped || got.Current != testBackend.Addr {
			t.Errorf("a user with a session is %+v", got)
		}
	})
}
