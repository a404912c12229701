package kick

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/cli/dovecot"
	"directormesh/cli/session"
	"directormesh/ring"
)

var (
	oldBackend = netip.MustParseAddr("192.0.2.1")
	newBackend = netip.MustParseAddr("192.0.2.2")
)

// slowDovecot has a user whose login is slow. It is its own ender.
type slowDovecot struct {
	mu       sync.Mutex
	sessions []dovecot.Connection
	current  netip.Addr // zero: no mapping
	idle     bool       // nobody has logged in lately
	broken   bool
	ended    int
}

func (d *slowDovecot) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *slowDovecot) Fresh(context.Context) (*session.List, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken {
		return nil, errors.New("broken")
	}
	return session.NewList(time.Now(), d.sessions, func(string) ring.UserHash { return 1 }), nil
}

func (d *slowDovecot) Latest(time.Duration) (*session.List, bool) { return nil, false }

func (d *slowDovecot) Recent(ring.UserHash, func(netip.Addr) bool) ([]string, bool) {
	if d.idle {
		return nil, true
	}
	return []string{"alice"}, true
}

func (d *slowDovecot) end(
	_ context.Context, _ Target, chosen []session.Session, _ *session.List, _ bool,
) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended += len(chosen)
	d.sessions = nil
	return nil
}

func (d *slowDovecot) endUnlisted(context.Context, []string, []int) (int, bool, error) {
	return 0, true, nil
}

func (d *slowDovecot) blind(context.Context, Target, []string) error { return nil }

// testKicker is a DovecotKicker.
type testKicker struct {
	Dovecot
	by ender
}

func (k testKicker) Kick(ctx context.Context, t Target) (Result, error) {
	return k.kick(ctx, t, k.by)
}

func (k testKicker) kickLate(ctx context.Context, targets []Target) error {
	return k.late(ctx, targets, k.by)
}

func TestLate(t *testing.T) {
	arrived := []dovecot.Connection{{User: "alice", Backend: oldBackend}}
	tests := []struct {
		name string
		keep netip.Addr
		// what happens at these times after the kick
		after map[time.Duration]func(d *slowDovecot)
		ended int
	}{
		{"nothing comes", newBackend, nil, 0},
		{"it comes late", newBackend, map[time.Duration]func(*slowDovecot){
			5 * time.Second: func(d *slowDovecot) { d.sessions = arrived },
		}, 1},
		{"it comes at the end", newBackend, map[time.Duration]func(*slowDovecot){
			30 * time.Second: func(d *slowDovecot) { d.sessions = arrived },
		}, 1},
		{"the list fails for a while", newBackend, map[time.Duration]func(*slowDovecot){
			time.Second:      func(d *slowDovecot) { d.sessions, d.broken = arrived, true },
			10 * time.Second: func(d *slowDovecot) { d.broken = false },
		}, 1},
		{"moved back meanwhile", newBackend, map[time.Duration]func(*slowDovecot){
			time.Second: func(d *slowDovecot) { d.sessions, d.current = arrived, oldBackend },
		}, 0},
		{"forgotten meanwhile", newBackend, map[time.Duration]func(*slowDovecot){
			time.Second: func(d *slowDovecot) { d.sessions, d.current = arrived, netip.Addr{} },
		}, 0},
		{"nothing to keep", netip.Addr{}, map[time.Duration]func(*slowDovecot){
			time.Second: func(d *slowDovecot) { d.sessions = arrived },
		}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &slowDovecot{current: newBackend}
				late := &Late{Current: func(ring.Tag, ring.UserHash) (netip.Addr, bool) {
					d.mu.Lock()
					defer d.mu.Unlock()
					return d.current, d.current.IsValid()
				}}
				tags := func(netip.Addr) (ring.Tag, bool) { return "", true }
				k := testKicker{Dovecot{Sessions: d, Logins: d, Tag: tags, Late: late}, d}
				ctx, stop := context.WithCancel(t.Context())
				failures := 0
				var running sync.WaitGroup
				running.Go(func() { late.Run(ctx, k, func(error) { failures++ }) })
				_, err := k.Kick(t.Context(), Target{ByHash: true, Hash: 1, Keep: tt.keep})
				if err != nil {
					t.Fatal(err)
				}
				for second := range 40 {
					if f := tt.after[time.Duration(second)*time.Second]; f != nil {
						d.set(func() { f(d) })
					}
					time.Sleep(time.Second)
				}
				stop()
				running.Wait()
				if d.ended != tt.ended {
					t.Errorf("%d sessions were ended, want %d", d.ended, tt.ended)
				}
				if len(late.users) > 0 {
					t.Errorf("%d users are still watched", len(late.users))
				}
				if failures > 1 {
					t.Errorf("%d failures were reported within a minute", failures)
				}
			})
		})
	}
}

// What a kick that failed has left is ended as soon as Dovecot answers again, unless the user has
// been moved on.
func TestLateAfterFailure(t *testing.T) {
	for _, tt := range []struct {
		name    string
		current netip.Addr
		ended   int
	}{{"still mapped", newBackend, 1}, {"moved on", oldBackend, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &slowDovecot{
					current: tt.current, idle: true, broken: true,
					sessions: []dovecot.Connection{{User: "alice", Backend: oldBackend}},
				}
				late := &Late{Current: func(ring.Tag, ring.UserHash) (netip.Addr, bool) {
					return d.current, true
				}}
				k := testKicker{Dovecot{
					Sessions: d, Logins: d,
					Tag: func(netip.Addr) (ring.Tag, bool) { return "", true }, Late: late,
				}, d}
				ctx, stop := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { late.Run(ctx, k, func(error) {}) })
				got, err := k.Kick(t.Context(), Target{ByHash: true, Hash: 1, Keep: newBackend})
				if err == nil || got.Known {
					t.Errorf("%+v, %v; want an error", got, err)
				}
				time.Sleep(5 * time.Second)
				d.set(func() { d.broken = false })
				time.Sleep(5 * time.Second)
				stop()
				running.Wait()
				if d.ended != tt.ended {
					t.Errorf("%d sessions were ended, want %d", d.ended, tt.ended)
				}
			})
		})
	}
}

// stubborn sessions never end, whatever is done: login processes that do not listen to kicks.
type stubborn struct{ *slowDovecot }

func (stubborn) end(context.Context, Target, []session.Session, *session.List, bool) error {
	return nil
}

// A kicker tells of sessions that it saw and could not end.
func TestSessionsThatStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &slowDovecot{idle: true, sessions: []dovecot.Connection{
			{User: "alice", Backend: oldBackend}, {User: "alice", Backend: oldBackend},
			{User: "alice", Backend: newBackend},
		}}
		k := testKicker{Dovecot{
			Sessions: d, Logins: d, Tag: func(netip.Addr) (ring.Tag, bool) { return "", true },
		}, stubborn{d}}
		for _, target := range []Target{
			{ByHash: true, Hash: 1, Keep: newBackend}, {Backend: oldBackend},
		} {
			if got, err := k.Kick(t.Context(), target); err != nil || got != (Result{Left: 2}) {
				t.Errorf("%+v: %+v, %v; want 2 sessions left", target, got, err)
			}
		}
	})
}
