package mesh

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// The core's time is the clock's whenever it is asked, and never goes back.
func TestTimeOfTheCore(t *testing.T) {
	now := mono.Time(time.Hour)
	n := stillNode(t, func() mono.Time { return now })
	asked := func(kind string) (at mono.Time) {
		switch kind {
		case "query":
			return query(n, func(_ *replica.Core, now mono.Time) mono.Time { return now })
		default:
			n.input(func(_ *replica.Core, now mono.Time) { at = now })
			return at
		}
	}
	for _, kind := range []string{"query", "input"} {
		for _, step := range []time.Duration{0, time.Minute, -time.Second, time.Minute} {
			want := max(n.last, now.Add(step))
			now = now.Add(step)
			if got := asked(kind); got != want {
				t.Errorf("%s: %v, want %v", kind, got, want)
			}
		}
	}
}

// Lookups and operations that wait at the same time are answered each by itself.
func TestManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := lonely(t)
		const many = 5
		done := make(chan error, many)
		for i := range ring.UserHash(many) {
			go func() {
				_, err := n.Lookup(t.Context(), "", i)
				done <- err
			}()
		}
		synctest.Wait()
		if lookups, _ := kept(n); lookups != many {
			t.Errorf("%d lookups wait", lookups)
		}
		for range many {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if lookups, _ := kept(n); lookups > 0 {
			t.Errorf("%d lookups are kept", lookups)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		n, _ := named(t, netsim.New(1, netsim.Faults{}), "d1", 1, stubborn)
		done := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := n.Do(t.Context(), replica.KickUser{Value: "bob"})
				done <- err
			}()
		}
		synctest.Wait()
		if _, operations := kept(n); operations != 2 {
			t.Errorf("%d operations wait", operations)
		}
		for range 2 {
			<-done
		}
	})
}

// An operation whose context ends is given up in the core, too.
func TestDoCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := named(t, netsim.New(1, netsim.Faults{}), "d1", 1, stubborn)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _ = n.Do(ctx, replica.KickUser{Value: "bob"}) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		done := make(chan replica.AdminDone, 1)
		n.input(func(*replica.Core, mono.Time) { n.admin[n.nextID] = done })
		time.Sleep(time.Minute)
		if len(done) > 0 {
			t.Error("it ends all the same")
		}
	})
}

// A signal to who takes events waits for him, once.
func TestMailboxKeepsItsSignal(t *testing.T) {
	var m mailbox
	m.init()
	for range 3 {
		m.put(memberEvent{})
	}
	if len(m.wake) != 1 {
		t.Errorf("%d signals wait", len(m.wake))
	}
	if events, ok := m.take(); len(events) != 3 || !ok || m.length() != 0 {
		t.Errorf("%d events, %v; %d are left", len(events), ok, m.length())
	}
}
