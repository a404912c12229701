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
	lists    int
	talking  int // enders
	most     int // at once
	blinded  int
}

func newBusyDovecot(users int) *busyDovecot {
	d := &busyDovecot{listTime: time.Second, endTime: 2 * time.Millisecond, sessions: make(map[string]bool)}
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

func (d *busyDovecot) end(ctx context.Context, _ Target, chosen []session.Session, _ *session.List, _ bool) error {
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

// Recent implements Logins: nobody logs in.
func (d *busyDovecot) Recent(ring.UserHash, func(netip.Addr) bool) ([]string, bool) { return nil, true }

// kicker returns a kicker of its sessions with so many turns. It must be closed.
func (d *busyDovecot) kicker(turns int) (k testKicker, close func()) {
	hash := func(user string) (h ring.UserHash) { _, _ = fmt.Sscan(user, &h); return h }
	source := session.NewSource(d.list, hash, time.Now)
	tags := func(netip.Addr) (ring.Tag, bool) { return "", true }
	return testKicker{Dovecot: Dovecot{Sessions: source, Logins: d, Tag: tags, Turns: NewTurns(turns)}, by: d}, source.Close
}

// kickMany kicks users at the same time and returns how that ended for each.
func kickMany(ctx context.Context, k Kicker, users int) (results []Result, errs []error) {
	results, errs = make([]Result, users), make([]error, users)
	var kicking sync.WaitGroup
	for i := range users {
		kicking.Go(func() {
			results[i], errs[i] = k.Kick(ctx, Target{ByHash: true, Hash: ring.UserHash(i), Keep: newBackend})
		})
	}
	kicking.Wait()
	return results, errs
}

// However many kicks there are, they need two lists, beside one that was under way, and Dovecot is asked for few things at a time.
func TestManyKicksShareLists(t *testing.T) {
	for _, underWay := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const users, turns = 5000, 100
			d := newBusyDovecot(users)
			k, stop := d.kicker(turns)
			defer stop()
			if _, err := k.Sessions.Fresh(t.Context()); err != nil { // the source learns how long it takes
				t.Fatal(err)
			}
			time.Sleep(2 * listAge)
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
				t.Errorf("%d sessions are left, %d things were asked for at a time; want none, %d", len(d.sessions), d.most, turns)
			}
		})
	}
}

// A Dovecot that gives no lists costs each kick its time, not the sum of all; then they go on without, as many at a time as ever.
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
			t.Errorf("%d kicks without a list, %d at a time; want %d, %d", d.blinded, d.most, users, turns)
		}
	})
}
