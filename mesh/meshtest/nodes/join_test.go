package nodes

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/mesh/replica"
)

// TestJoinToManyUsers lets a director join a mesh that holds a million users over links of 1 MB/s.
// What an operator sees must tell how it goes, and every lookup at the joiner must be answered with
// what the mesh knows, from the first moment on.
func TestJoinToManyUsers(t *testing.T) {
	users, bandwidth := 1_000_000, 1_000_000
	leastSteps := 5 // in which an operator sees a number grow
	if testing.Short() {
		users, bandwidth, leastSteps = 25_000, 25_000, 0 // over before a number is seen
	}
	synctest.Test(t, func(t *testing.T) {
		c := Start(t, Options{Directors: 3, Seed: 4, Faults: lan, Trace: testing.Verbose()})
		c.WaitSynced(5 * time.Second)
		truth := make([]netip.Addr, users)
		for i := range users {
			var err error
			if truth[i], err = c.Directors[i%3].Lookup(t.Context(), "", User(i)); err != nil {
				t.Fatalf("lookup: %v", err)
			}
			if i%20_000 == 0 {
				time.Sleep(100 * time.Millisecond)
			}
		}
		c.WaitFor(5*time.Second, "all users known",
			func(d *Director) bool { return d.Directory().Len() >= users })

		time.Sleep(40 * time.Second) // until the logs are no longer kept for replay

		slow := lan
		slow.Bandwidth = bandwidth
		c.Network.SetFaults(slow)
		joiner := c.Add()
		began := time.Now()
		checked := checkLookups(t, joiner, truth)

		var seen []string
		note := func(what string) {
			if len(seen) == 0 || seen[len(seen)-1] != what {
				seen = append(seen, what)
				t.Logf("%s: %s", time.Since(began), what)
			}
		}
		received, sent := new(progress), new(progress)
		states := make(map[string][]replica.PeerState) // by who sees whom
		state := func(viewer, of string, s replica.PeerState) {
			key := of + " as " + viewer + " sees it"
			if n := len(states[key]); n == 0 || states[key][n-1] != s {
				states[key] = append(states[key], s)
			}
		}
		for !joiner.Self().Synced || Synced(joiner) < 4 {
			if time.Since(began) > time.Minute {
				t.Fatalf("not synced after %s: %+v %+v",
					time.Since(began), joiner.Self(), joiner.Peers())
			}
			for _, p := range joiner.Peers() {
				if p.Self {
					note(p.State.String())
				} else {
					state(joiner.Name, p.Name, p.State)
				}
				if p.State == replica.Handshaking {
					received.saw(p.Received)
				}
			}
			for _, d := range c.Live()[:3] {
				for _, p := range d.Peers() {
					if p.Name != joiner.Name {
						continue
					}
					state(d.Name, p.Name, p.State)
					if p.State == replica.Handshaking {
						sent.saw(p.Sent)
					}
				}
			}
			time.Sleep(lan.Delay) // the steps of a small join are short
		}
		t.Logf("synced with all after %s", time.Since(began))
		checked()
		for _, p := range []struct {
			what string
			*progress
		}{{"users received, at the joiner", received}, {"users sent, at the donor", sent}} {
			if p.steps < leastSteps || leastSteps > 0 && p.most < uint64(users)/2 {
				t.Errorf("%s: %d steps up to %d, want to see it grow", p.what, p.steps, p.most)
			}
		}
		// The donor sees the joiner go through all three; the others do not see when its snapshot
		// begins.
		complete := false
		for who, states := range states {
			t.Logf("%s: %v", who, states)
			n := len(states)
			if !slices.IsSorted(states) {
				t.Errorf("%s goes back: %v", who, states)
			}
			complete = complete || n >= 3 && slices.Equal(states[n-3:], []replica.PeerState{
				replica.Handshaking, replica.Syncing, replica.Synced,
			})
		}
		if !complete {
			t.Error("nobody saw handshaking, then syncing, then synced")
		}
		if len(seen) < 2 || seen[0] != "handshaking" || seen[len(seen)-1] != "synced" {
			t.Errorf("the joiner went through %v, want from handshaking to synced", seen)
		}
		if got := joiner.Directory().Len(); got < users {
			t.Errorf("the joiner holds %d users, want %d", got, users)
		}
	})
}

// progress watches a number grow.
type progress struct {
	most  uint64
	steps int
}

func (p *progress) saw(n uint64) {
	if n > p.most {
		p.most = n
		p.steps++
	}
}

// checkLookups asks a director for known users all the time until the returned function is called,
// which reports what went wrong.
func checkLookups(t *testing.T, d *Director, truth []netip.Addr) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	answered, wrong := 0, 0
	var slowest time.Duration
	go func() {
		defer close(done)
		rnd := rand.New(rand.NewPCG(1, 2))
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			<-ticker.C
			i := rnd.IntN(len(truth))
			start := time.Now()
			got, err := d.Lookup(ctx, "", User(i))
			if ctx.Err() != nil {
				return
			}
			slowest = max(slowest, time.Since(start))
			answered++
			if err != nil || got != truth[i] {
				wrong++
				t.Errorf("user %s: %s, %v; want %s", User(i), got, err, truth[i])
			}
		}
	}()
	return func() {
		cancel()
		<-done
		t.Logf("%d lookups at the joiner, %d wrong, the slowest took %s", answered, wrong, slowest)
		// A relayed lookup shares the link with the snapshot, so it takes a while; it must not wait
		// for the snapshot's end, which takes more than three seconds.
		if answered < 5 || slowest > 2*time.Second {
			t.Errorf("%d lookups were answered, the slowest after %s", answered, slowest)
		}
	}
}
