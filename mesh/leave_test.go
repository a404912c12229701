package mesh

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
)

// A director that leaves is forgotten by its peers at once, is not called failed, and takes no
// longer than the farewell needs.
func TestLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		one, log := named(t, network, "d1", 1)
		two, twoLog := named(t, network, "d2", 2)
		time.Sleep(5 * time.Second)
		began := time.Now()
		if err := two.Leave(t.Context()); err != nil {
			t.Errorf("leave: %v", err)
		}
		if took := time.Since(began); took < spreadTime || took > farewellTime+spreadTime {
			t.Errorf("the farewell took %s", took)
		}
		time.Sleep(100 * time.Millisecond)
		if one.members.count() != 1 || strings.Contains(twoLog.String(), "did not spread") {
			t.Errorf("memberlist does not spread the farewell:\n%s", twoLog)
		}
		time.Sleep(time.Second)
		if got := one.Peers(); len(got) != 1 || strings.Contains(log.String(), "peer failed") {
			t.Errorf("d1 sees %+v, and its log is\n%s", got, log)
		}
		if _, err := two.Lookup(t.Context(), "", 7); !errors.Is(err, ErrClosed) {
			t.Errorf("a lookup after the end: %v", err)
		}
		if err := two.Leave(t.Context()); err != nil {
			t.Errorf("leaving again: %v", err)
		}
	})
}

// Nobody has to hear the farewell of a director that is alone.
func TestLeavingAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := named(t, netsim.New(1, netsim.Faults{}), "d1", 1)
		began := time.Now()
		if err := n.Leave(t.Context()); err != nil || time.Since(began) > 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// When the farewell must end early the director is closed all the same, and says who may not know.
func TestLeavingInAHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		named(t, network, "d1", 1)
		two, log := named(t, network, "d2", 2)
		time.Sleep(5 * time.Second)
		var out *outStream
		two.input(func(*replica.Core, mono.Time) { out = two.out["d1"] })
		network.Block(func(_, _ netip.Addr) bool { return true })
		if err := out.add(make([]byte, maxQueueBytes/2)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errEnough)
		defer cancel()
		began := time.Now()
		err := two.Leave(ctx)
		if !errors.Is(err, errEnough) || !strings.HasPrefix(err.Error(),
			"leave: not all peers have heard of it") {
			t.Errorf("leave: %v", err)
		}
		if took := time.Since(began); took > time.Second || two.ctx.Err() == nil {
			t.Errorf("closed %v after %s", two.ctx.Err() != nil, took)
		}
		if !strings.Contains(log.String(), "memberlist did not spread the farewell") {
			t.Errorf("memberlist's part of the farewell is not said to fail:\n%s", log)
		}
	})
}

// A generator of a seed repeats itself, one without is another each time.
func TestGenerators(t *testing.T) {
	if newRand(1).Uint64() != newRand(1).Uint64() || newRand(7).Uint64() == newRand(8).Uint64() {
		t.Error("a seed does not say what comes")
	}
	if newRand(0).Uint64() == newRand(0).Uint64() {
		t.Error("two generators without a seed give the same")
	}
}

// A second reason to end does not wait for somebody to read the first.
func TestFatalOnce(t *testing.T) {
	n := stillNode(t, func() mono.Time { return mono.Time(time.Hour) })
	n.fail(errEnough)
	n.fail(errBroken)
	if err := <-n.Fatal(); err != errEnough || len(n.Fatal()) > 0 {
		t.Errorf("%v, and %d more", err, len(n.Fatal()))
	}
}

// What is done each interval is done until the director is closed.
func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := stillNode(t, func() mono.Time { return 0 })
		times := 0
		n.wg.Go(func() { n.every(time.Second, func() { times++ }) })
		time.Sleep(3*time.Second + 1)
		n.cancel()
		n.wg.Wait()
		if times != 3 {
			t.Errorf("%d times in three seconds", times)
		}
		if n.pause(time.Second) {
			t.Error("a pause of a closed director goes on")
		}
	})
}

// Who meets a director only while it leaves would not hear that it goes, so no stream is opened any
// more, in either direction.
func TestNoStreamsWhileLeaving(t *testing.T) {
	n := stillNode(t, func() mono.Time { return mono.Time(time.Hour) })
	s := new(secureStream)
	if err := n.unfit(s); err != nil {
		t.Errorf("before: %v", err)
	}
	n.leaving = true
	if err := n.unfit(s); err != errLeaving {
		t.Errorf("while it leaves: %v", err)
	}
	n.leaving = false
	s.secret = []byte{1}
	if err := n.unfit(s); err != errKeyRemoved {
		t.Errorf("with a key that it does not have: %v", err)
	}
}
