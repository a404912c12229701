package mesh

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/directory"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// carryOut lets a node carry out effects as if its core had asked for them.
func carryOut(n *Node, effects ...replica.Effect) effectRun {
	var r effectRun
	n.coreMu.Lock()
	for _, e := range effects {
		n.carryOut(e, &r)
	}
	n.coreMu.Unlock()
	for _, o := range r.streams {
		o.push(nil)
	}
	return r
}

// connected returns a node with an open outgoing stream, as the node has it, and the far end of
// that.
func connected(t *testing.T, n *Node, peer string) (*outStream, *secureStream) {
	t.Helper()
	o, _, far := plainOut(t)
	n.coreMu.Lock()
	defer n.coreMu.Unlock()
	n.out[peer] = o
	return o, far
}

func TestSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		_, two := connected(t, n, "d2")
		_, three := connected(t, n, "d3")
		r := carryOut(n,
			replica.Send{To: []string{"d2", "d3", "d4"}, Message: &wire.Exclude{Reason: "first"}},
			replica.Send{To: []string{"d3"}, Message: &wire.Exclude{Reason: "second"}},
			replica.Send{
				To: []string{"d2"}, Message: &wire.KickUser{Field: strings.Repeat("x", 300)},
			},
		)
		for _, want := range []struct {
			s       *secureStream
			reasons []string
		}{{two, []string{"first"}}, {three, []string{"first", "second"}}} {
			for _, reason := range want.reasons {
				m, err := receiveMessage(want.s, wire.MaxMessage)
				if got, ok := m.(*wire.Exclude); err != nil || !ok || got.Reason != reason {
					t.Errorf("got %+v, %v; want %q", m, err, reason)
				}
			}
		}
		if got := counted(t, n.metrics.drops[dropNoStream]); got != 1 {
			t.Errorf("%g messages without a stream, want 1", got)
		}
		if got := counted(t, n.metrics.drops[dropUnencodable]); got != 1 || len(r.lines) != 1 {
			t.Errorf("%g messages that do not fit, %d lines; want one of each", got, len(r.lines))
		}
	})
}

// TestSendOverflow fills one peer's queue: its stream is given up, the core is told, the other peer
// gets everything.
func TestSendOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		stuck, _ := connected(t, n, "d2")
		_, reading := connected(t, n, "d3")
		received := make(chan int)
		const messages = 40
		go func() {
			for got := range messages {
				if _, err := receiveMessage(reading, wire.MaxMessage); err != nil {
					t.Errorf("message %d: %v", got, err)
					break
				}
			}
			close(received)
		}()
		// Half a MiB each: more than a queue holds, sent no faster than d3 reads.
		large := &wire.KickUser{ID: 1, Value: "user"}
		encoded, err := wire.Encode(large)
		if err != nil {
			t.Fatal(err)
		}
		overflowed := false
		for range messages {
			if err := stuck.add(bytes.Repeat(encoded, 500_000/len(encoded))); err != nil {
				overflowed = true
			}
			r := carryOut(n, replica.Send{To: []string{"d2", "d3"}, Message: large})
			for _, next := range r.inputs {
				n.input(next)
			}
		}
		<-received
		n.coreMu.Lock()
		_, open := n.out["d2"]
		n.coreMu.Unlock()
		if got := counted(t, n.metrics.drops[dropOverflow]); got != 1 {
			t.Errorf("%g overflows are counted, want one", got)
		}
		if !overflowed || open {
			t.Errorf("overflowed %v, still open %v; want the stuck peer's stream gone",
				overflowed, open)
		}
	})
}

func TestCloseStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		n := simulated(t, network, func(*Config) {})
		visiting, _ := visitor(t, network, func(*wire.Hello) {})
		out, _ := connected(t, n, "d9")
		_, other := connected(t, n, "d3")
		r := carryOut(n, replica.CloseStream{Peer: "d9", Reason: "excluded"},
			replica.Send{To: []string{"d3"}, Message: &wire.Leaving{}})
		for _, next := range r.inputs {
			n.input(next)
		}
		n.input(func(c *replica.Core, now mono.Time) {
			c.Receive(now, 1, &wire.Leaving{}) // by the core's number of the stream that came in
			if peers := c.Peers(now); len(n.in) > 0 || n.out["d9"] != nil || len(peers) != 2 {
				t.Errorf("the core still listens: %v, %v, %v", n.in, n.out, peers)
			}
		})
		if took := ended(t, visiting); took != 0 {
			t.Errorf("the incoming stream was closed after %s", took)
		}
		if cause := out.cause(); cause == nil || cause.Error() != "closed: excluded" {
			t.Errorf("the outgoing stream was closed because of %v", cause)
		}
		if _, err := receiveMessage(other, 100); err != nil {
			t.Errorf("another peer's stream: %v", err)
		}
	})
}

type hookFunc func(ctx context.Context, run replica.RunHook) (bool, error)

func (f hookFunc) Run(ctx context.Context, run replica.RunHook) (bool, error) { return f(ctx, run) }

// TestHook runs more hooks than there may be at once, and one that hangs, which is cut off.
func TestHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most, ran atomic.Int64
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(cfg *Config) {
			cfg.Hook = hookFunc(func(ctx context.Context, run replica.RunHook) (bool, error) {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				ran.Add(1)
				switch {
				case run.Hash == 0:
					<-ctx.Done()
					return false, ctx.Err()
				case run.Old.Addr != testAddr(1).Addr():
					return false, errors.New("the old backend is missing")
				}
				time.Sleep(time.Second)
				return true, nil
			})
		})
		start := time.Now()
		for i := range 201 {
			run := replica.RunHook{
				ID: uint64(i), Old: directory.BackendRow{Addr: testAddr(1).Addr()},
				Cutoff: 5 * time.Second,
			}
			if i > 0 {
				run.Hash = 1
			}
			carryOut(n, run)
			synctest.Wait()
		}
		time.Sleep(10*time.Second - time.Since(start))
		if ran.Load() != 201 || most.Load() > maxHooks || running.Load() != 0 {
			t.Errorf("%d ran, %d at once, %d still run; want 201, at most %d, none",
				ran.Load(), most.Load(), running.Load(), maxHooks)
		}
		if failed := counted(t, n.metrics.hooksFailed); failed != 1 {
			t.Errorf("%g counted as failed, want the one that hung", failed)
		}
	})
}
