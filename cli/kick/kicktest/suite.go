package kicktest

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/kick"
	"directormesh/ring"
)

// Setup makes the kicker under test for a world. With hang its Dovecot accepts connections and
// never answers; the kicker must end with its context all the same.
type Setup func(t *testing.T, w *World, hang bool) kick.Kicker

// ArriveTime is how long the kicker under test should give logins on the way.
const ArriveTime = 100 * time.Millisecond

// Run runs all tests against a kicker.
func Run(t *testing.T, setup Setup) {
	format, err := ring.ParseHashFormat("%Lu")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range cases(format) {
		t.Run(tt.name, func(t *testing.T) {
			w := NewWorld(format, tt.sessions...)
			k := setup(t, w, false)
			got, err := k.Kick(t.Context(), tt.target)
			if err != nil {
				t.Fatal(err)
			}
			want := (kick.Result{Count: len(tt.sessions) - len(tt.left), Known: true})
			if got != want {
				t.Errorf("result %+v, want %+v", got, want)
			}
			w.expect(t, tt.left...)
		})
	}
	t.Run("arriving", func(t *testing.T) { arriving(t, format, setup) })
	t.Run("arriving elsewhere", func(t *testing.T) { arrivingElsewhere(t, format, setup) })
	t.Run("arriving beside another", func(t *testing.T) { arrivingBeside(t, format, setup) })
	t.Run("at the same time", func(t *testing.T) { parallel(t, format, setup) })
	t.Run("hanging", func(t *testing.T) { hanging(t, format, setup) })
}

type testCase struct {
	name     string
	sessions []Session
	target   kick.Target
	left     []int // indexes of sessions that go on
}

func cases(format ring.HashFormat) []testCase {
	alice, bob := format.Hash("alice"), format.Hash("bob")
	some := []Session{
		{User: "alice", Backend: Backend1, PID: 1, Group: "a"},
		{User: "Alice", Backend: Backend1, PID: 2},
		{User: "alice", Backend: Backend2, PID: 3, Group: "b"},
		{User: "bob", Backend: Backend1, PID: 4, Group: "a"},
		{User: "alice", Backend: Foreign, PID: 5},
	}
	marked := []Session{
		{User: "shared", Backend: Backend1, PID: 1, Looked: alice},
		{User: "shared", Backend: Backend2, PID: 2, Looked: alice},
		{User: "bob", Backend: Backend1, PID: 3},
		{User: "alice", Backend: Backend1, PID: 4, Looked: bob},
	}
	tags := []Session{ // one process for all: nothing but the marks tells them apart
		{User: "alice", Backend: Backend1, PID: 1, Looked: alice},
		{User: "alice", Backend: Tagged, PID: 1, Looked: alice},
		{User: "alice", Backend: Backend2, PID: 1, Looked: alice},
	}
	return []testCase{
		{"nothing at all", nil, kick.Target{ByHash: true, Hash: alice}, nil},
		{"nobody of that hash", some[3:4], kick.Target{ByHash: true, Hash: alice}, []int{0}},
		{"by hash", some[:4], kick.Target{ByHash: true, Hash: alice}, []int{3}},
		{"by hash, with one to keep", some[:4],
			kick.Target{ByHash: true, Hash: alice, Keep: Backend2}, []int{2, 3}},
		{"by hash, all to keep", some[2:4], kick.Target{ByHash: true, Hash: alice, Keep: Backend2},
			[]int{0, 1}},
		{"by hash, of another tag", some[:4], kick.Target{ByHash: true, Hash: alice, Tag: "ssd"},
			[]int{0, 1, 2, 3}},
		{"by hash, not ours", some[3:], kick.Target{ByHash: true, Hash: alice}, []int{0, 1}},
		{"by hash, looked up by another name", marked, kick.Target{ByHash: true, Hash: alice},
			[]int{2, 3}},
		{"the same, with one to keep", marked,
			kick.Target{ByHash: true, Hash: alice, Keep: Backend2}, []int{1, 2, 3}},
		{"by hash, some with another name", marked,
			kick.Target{ByHash: true, Hash: bob, Keep: Backend2}, []int{0, 1}},
		{"by hash, the same name in another tag", tags, kick.Target{ByHash: true, Hash: alice},
			[]int{1}},
		{"the same from the other tag", tags, kick.Target{ByHash: true, Hash: alice, Tag: "ssd"},
			[]int{0, 2}},
		{"the same, with one to keep", tags, kick.Target{ByHash: true, Hash: alice, Keep: Backend2},
			[]int{1, 2}},
		{"backend", some, kick.Target{Backend: Backend1}, []int{2, 4}},
		{"user", some, kick.Target{Value: "alice"}, []int{1, 3}},
		{"user, in other letters", some, kick.Target{Value: "ALICE"}, []int{0, 1, 2, 3, 4}},
		{"field", some, kick.Target{Field: "user_group", Value: "a"}, []int{1, 2, 4}},
		{"unknown field", some, kick.Target{Field: "user_other", Value: "a"}, []int{0, 1, 2, 3, 4}},
	}
}

// expect compares the sessions that are left.
func (w *World) expect(t *testing.T, want ...int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []int
	for _, s := range w.sessions {
		got = append(got, s.index)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sessions that are left (-want +got):\n%s", diff)
	}
}

// A session that was on the way when the kick began is ended too, under whatever name it logs in.
func arriving(t *testing.T, format ring.HashFormat, setup Setup) {
	for _, looked := range []ring.UserHash{0, format.Hash("other")} {
		w := NewWorld(format, Session{User: "bob", Backend: Backend1, PID: 1})
		k := setup(t, w, false)
		late := Session{User: "alice", Backend: Backend1, PID: 2, Looked: looked}
		w.arrive(late, ArriveTime/2)
		target := kick.Target{ByHash: true, Hash: w.hash(late)}
		got, err := k.Kick(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		if want := (kick.Result{Count: 1, Known: true}); got != want {
			t.Errorf("result %+v, want %+v", got, want)
		}
		w.expect(t, 0)
	}
}

// A session that has been looked up just now and has reached a backend of another tag, or the one
// to keep, goes on.
func arrivingElsewhere(t *testing.T, format ring.HashFormat, setup Setup) {
	for _, backend := range []netip.Addr{Tagged, Backend2} {
		w := NewWorld(format, Session{
			User: "alice", Backend: Backend1, PID: 1, Looked: format.Hash("alice"),
		})
		k := setup(t, w, false)
		w.arrive(Session{User: "alice", Backend: backend, PID: 1, Looked: format.Hash("alice")}, 0)
		got, err := k.Kick(t.Context(), kick.Target{
			ByHash: true, Hash: format.Hash("alice"), Keep: Backend2,
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := (kick.Result{Count: 1, Known: true}); got != want {
			t.Errorf("result %+v, want %+v", got, want)
		}
		w.expect(t, 1)
	}
}

// A session on the way is ended, and one of the user of the same name in another tag, in the same
// process, is not.
func arrivingBeside(t *testing.T, format ring.HashFormat, setup Setup) {
	w := NewWorld(format, Session{
		User: "alice", Backend: Tagged, PID: 1, Looked: format.Hash("alice"),
	})
	k := setup(t, w, false)
	w.arrive(Session{User: "alice", Backend: Backend1, PID: 1, Looked: format.Hash("alice")},
		ArriveTime/2)
	got, err := k.Kick(t.Context(), kick.Target{ByHash: true, Hash: format.Hash("alice")})
	if err != nil || got.Count != 1 {
		t.Errorf("result %+v, %v; want one session", got, err)
	}
	w.expect(t, 0)
}

// Many kicks at a time end what each is to end.
func parallel(t *testing.T, format ring.HashFormat, setup Setup) {
	const users = 15
	var sessions []Session
	for i := range 3 * users {
		sessions = append(sessions, Session{
			User: fmt.Sprint("user", i%users), Backend: Backend1, PID: i + 1,
		})
	}
	sessions = append(sessions, Session{
		User: "bystander", Backend: Backend1, PID: len(sessions) + 1,
	})
	w := NewWorld(format, sessions...)
	k := setup(t, w, false)
	var kicking sync.WaitGroup
	for i := range users {
		kicking.Go(func() {
			got, err := k.Kick(t.Context(), kick.Target{
				ByHash: true, Hash: format.Hash(fmt.Sprint("user", i)),
			})
			if want := (kick.Result{Count: 3, Known: true}); err != nil || got != want {
				t.Errorf("result %+v, %v; want %+v", got, err, want)
			}
		})
	}
	kicking.Wait()
	w.expect(t, len(sessions)-1)
}

// Whatever hangs, a kick ends with its context, and knows nothing.
func hanging(t *testing.T, format ring.HashFormat, setup Setup) {
	w := NewWorld(format, Session{User: "alice", Backend: Backend1, PID: 1})
	k := setup(t, w, true)
	for _, target := range []kick.Target{
		{ByHash: true, Hash: format.Hash("alice")},
		{Backend: Backend1},
		{Value: "alice"},
		{Field: "user_group", Value: "a"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		began := time.Now()
		got, err := k.Kick(ctx, target)
		cancel()
		if err == nil || got.Known {
			t.Errorf("%+v: result %+v, %v; want an error, and that it does not know",
				target, got, err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%+v: ended after %v", target, took)
		}
	}
}
