package kick

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/cli/dovecot"
	"directormesh/cli/session"
	"directormesh/ring"
)

// busyDovecot has sessions of many users, their names being their hashes. It is its own ender.
type busyDovecot struct {
	listTime, endTime time.Duration
	stuck             bool // lists never come

	mu       sync.Mutex // guards what follows
	sessions map[string]bool
	logins   map[ring.UserHash]netip.Addr // lately
	lists    int
	talking  int // enders
	most     int // at once
	blinded  int
}

func newBusyDovecot(users int) *busyDovecot {
	d := &busyDovecot{
		listTime: time.Second, endTime: 2 * time.Millisecond, sessions: make(map[string]bool),
	}
	for i := range users {
		d.sessions[fmt.Sprint(i)] = true
	}
	return d
}

func (d *busyDovecot) list(ctx context.Context) ([]dovecot.Connection, error) {
	if d.stuck {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	d.mu.Lock()
	d.lists++
	var list []dovecot.Connection
	for user := range d.sessions {
		list = append(list, dovecot.Connection{User: user, Backend: oldBackend})
	}
	d.mu.Unlock()
	return list, sleep(ctx, d.listTime)
}

func (d *busyDovecot) talk(ctx context.Context, f func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.talking++
	d.most = max(d.most, d.talking)
	f()
	d.mu.Unlock()
	err := sleep(ctx, d.endTime)
	d.mu.Lock()
	d.talking--
	return err
}

func (d *busyDovecot) end(
	ctx context.Context, _ Target, chosen []session.Session, _ *session.List, _ bool,
) error {
	return d.talk(ctx, func() {
		for _, s := range chosen {
			delete(d.sessions, s.User)
		}
	})
}

func (d *busyDovecot) endUnlisted(ctx context.Context, _ []string, _ []int) (int, bool, error) {
	return 0, true, d.talk(ctx, func() {})
}

func (d *busyDovecot) blind(ctx context.Context, _ Target, _ []string) error {
	return d.talk(ctx, func() { d.blinded++ })
}

// Recent implements Logins.
func (d *busyDovecot) Recent(h ring.UserHash, counts func(netip.Addr) bool) ([]string, bool) {
	if backend, ok := d.logins[h]; ok && counts(backend) {
		return []string{fmt.Sprint(h)}, true
	}
	return nil, true
}

// kicker returns a kicker of its sessions with so many turns. It must be closed.
func (d *busyDovecot) kicker(turns int) (k testKicker, close func()) {
	hash := func(user string) (h ring.UserHash) { _, _ = fmt.Sscan(user, &h); return h }
	source := session.NewSource(d.list, hash, time.Now)
	tags := func(netip.Addr) (ring.Tag, bool) { return "", true }
	return testKicker{
		Dovecot: Dovecot{Sessions: source, Logins: d, Tag: tags, Turns: NewTurns(turns)}, by: d,
	}, source.Close
}

// kickMany kicks users at the same time and returns how that ended for each.
func kickMany(ctx context.Context, k Kicker, users int) (results []Result, errs []error) {
	results, errs = make([]Result, users), make([]error, users)
	var kicking sync.WaitGroup
	for i := range users {
		kicking.Go(func() {
			results[i], errs[i] = k.Kick(ctx, Target{
				ByHash: true, Hash: ring.UserHash(i), Keep: newBackend,
			})
		})
	}
	kicking.Wait()
	return results, errs
}

// However many kicks there are, they need two lists, beside one that was under way, and Dovecot is
// asked for few things at a time.
func TestManyKicksShareLists(t *testing.T) {
	for _, underWay := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const users, turns = 5000, 100
			d := newBusyDovecot(users)
			k, stop := d.kicker(turns)
			defer stop()
			// the source learns how long it takes
			if _, err := k.Sessions.Fresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * session.ListAge)
			want := users/turns*d.endTime + settleTime + 2*(d.listTime+d.listTime/4)
			if underWay {
				go k.Sessions.Fresh(t.Context())
				time.Sleep(d.listTime / 2)
				want += d.listTime - d.listTime/4
				synctest.Wait()
			}
			before := d.lists
			began := time.Now()
			results, errs := kickMany(t.Context(), k, users)
			took := time.Since(began)
			for i := range users {
				if want := (Result{Count: 1, Known: true}); errs[i] != nil || results[i] != want {
					t.Fatalf("user %d: %+v, %v; want %+v", i, results[i], errs[i], want)
				}
			}
			if took > want || d.lists-before != 2 {
				t.Errorf("took %v and %d lists, want at most %v and 2", took, d.lists-before, want)
			}
			if len(d.sessions) > 0 || d.most != turns {
				t.Errorf("%d sessions are left, %d things were asked for at a time; want none, %d",
					len(d.sessions), d.most, turns)
			}
		})
	}
}

// A Dovecot that gives no lists costs each kick its time, not the sum of all; then they go on
// without, as many at a time as ever.
func TestManyKicksWithoutList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users, turns = 5000, 100
		d := newBusyDovecot(users)
		d.stuck = true
		k, stop := d.kicker(turns)
		defer stop()
		began := time.Now()
		results, errs := kickMany(t.Context(), k, users)
		if took, want := time.Since(began), kickTime+users/turns*d.endTime; took > want {
			t.Errorf("took %v, want at most %v", took, want)
		}
		for i := range users {
			if errs[i] == nil || results[i].Known {
				t.Fatalf("user %d: %+v, %v; want an error", i, results[i], errs[i])
			}
		}
		if d.blinded != users || d.most != turns {
			t.Errorf("%d kicks without a list, %d at a time; want %d, %d",
				d.blinded, d.most, users, turns)
		}
	})
}

// What a recent list shows is ended at once, and another one tells that nothing is left: one list,
// not two. It is not trusted where the user has come back lately, to the backend to keep.
func TestKickByRecentList(t *testing.T) {
	for _, tt := range []struct {
		name       string
		age        time.Duration
		logins     map[ring.UserHash]netip.Addr
		endedAfter time.Duration
		lists      int
	}{
		{"recent", session.ListAge, nil, 0, 1},
		{"old", session.ListAge + 1, nil, 1250 * time.Millisecond, 2},
		{"came back", 0, map[ring.UserHash]netip.Addr{0: newBackend}, 1250 * time.Millisecond, 2},
		{"another one came", 0, map[ring.UserHash]netip.Addr{1: newBackend}, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newBusyDovecot(1)
				d.logins = tt.logins
				k, stop := d.kicker(1)
				defer stop()
				if _, err := k.Sessions.Fresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(tt.age - d.listTime) // it is as old as the question
				d.lists = 0
				left := func() int {
					d.mu.Lock()
					defer d.mu.Unlock()
					return len(d.sessions)
				}
				check := time.AfterFunc(tt.endedAfter+time.Millisecond, func() {
					if left() > 0 {
						t.Errorf("the session goes on after %v", tt.endedAfter)
					}
				})
				defer check.Stop()
				want := Result{Count: 1, Known: true}
				if got, err := k.Kick(t.Context(), Target{
					ByHash: true, Keep: newBackend,
				}); err != nil || got != want || d.lists != tt.lists {
					t.Errorf("%+v, %v, %d lists; want %+v, %d lists",
						got, err, d.lists, want, tt.lists)
				}
			})
		})
	}
}
