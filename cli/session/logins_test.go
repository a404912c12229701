package session

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/ring"
)

func anywhere(netip.Addr) bool { return true }

func TestLogins(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLogins(func() time.Time { return now })
	expect := func(h ring.UserHash, complete bool, want ...string) {
		t.Helper()
		users, ok := l.Recent(h, anywhere)
		slices.Sort(users)
		if !slices.Equal(users, want) || ok != complete {
			t.Errorf("after %v: %v, complete %v; want %v, %v",
				now.Sub(time.Unix(1000, 0)), users, ok, want, complete)
		}
	}
	expect(1, false) // another director may have been here before
	now = now.Add(rememberTime)
	expect(1, true)
	l.Answered(1, []byte("alice"), backend1)
	l.Answered(1, []byte("alice"), backend1)
	l.Answered(1, []byte("alice*master"), backend1)
	l.Answered(2, []byte("bob"), backend1)
	expect(1, true, "alice", "alice*master")
	expect(2, true, "bob")
	expect(3, true)

	now = now.Add(rememberTime)
	l.Answered(1, []byte("alice"), backend1)
	expect(1, true, "alice", "alice*master")
	expect(2, true, "bob")
	now = now.Add(rememberTime)
	expect(1, true, "alice")
	expect(2, true)
	now = now.Add(10 * rememberTime)
	expect(1, true)
}

// A login is remembered until a list that was asked for before it, and is as old as may be, shows
// its session.
func TestLoginsOutlastLists(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLogins(func() time.Time { return now })
	for after := range LoginTime / time.Second { // the beginning of a half
		now = now.Add(10 * rememberTime)
		l.Answered(1, []byte("bob"), backend1)
		now = now.Add(after * time.Second)
		at := now
		l.Answered(1, []byte("alice"), backend1)
		now = now.Add(LoginTime + ListAge - time.Millisecond)
		if users, _ := l.Recent(1, anywhere); !slices.Contains(users, "alice") {
			t.Errorf("%v after a login at %v it is forgotten",
				now.Sub(at), at.Sub(time.Unix(1000, 0)))
		}
	}
}

// When there are too many logins some are forgotten early, and this is said until they would have
// been anyway.
func TestLoginsOverflow(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLogins(func() time.Time { return now })
	now = now.Add(rememberTime)
	for i := range 2 * maxLogins {
		l.Answered(ring.UserHash(i), []byte("user"), backend1)
	}
	if users, complete := l.Recent(0, anywhere); !slices.Equal(users, []string{"user"}) ||
		!complete {
		t.Errorf("nothing was to be forgotten yet: %v, %v", users, complete)
	}
	l.Answered(2*maxLogins, []byte("user"), backend1)
	if users, complete := l.Recent(0, anywhere); len(users) > 0 || complete {
		t.Errorf("a login that was forgotten early: %v, complete %v", users, complete)
	}
	n := 0
	for i := range l.shards {
		n += l.shards[i].current.count + l.shards[i].previous.count
	}
	if n > 2*maxLogins {
		t.Errorf("%d users are remembered", n)
	}
	now = now.Add(rememberTime)
	if _, complete := l.Recent(1, anywhere); !complete {
		t.Error("what was forgotten early still counts after its time")
	}
}

// Users whose hashes are the same, as all of a domain with %Ld, do not make it slow or big.
func TestLoginsOfOneHash(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLogins(func() time.Time { return now })
	now = now.Add(rememberTime)
	for i := range 10 * maxNames {
		l.Answered(1, fmt.Append(nil, i), backend1)
	}
	users, complete := l.Recent(1, anywhere)
	if len(users) != maxNames || complete {
		t.Errorf("%d users, complete %v; want %d, false", len(users), complete, maxNames)
	}
}

// Only logins to backends that count are returned, whenever they were.
func TestLoginsElsewhere(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLogins(func() time.Time { return now })
	l.Answered(1, []byte("alice"), backend1)
	now = now.Add(rememberTime)
	l.Answered(1, []byte("alice"), backend2)
	l.Answered(1, []byte("Alice"), backend2)
	for backend, want := range map[netip.Addr][]string{
		backend1: {"alice"}, backend2: {"Alice", "alice"},
	} {
		users, complete := l.Recent(1, func(b netip.Addr) bool { return b == backend })
		slices.Sort(users)
		if !slices.Equal(users, want) || !complete {
			t.Errorf("logins to %v: %v, %v; want %v", backend, users, complete, want)
		}
	}
}

// Those who log in again and again cost nothing.
func TestKnownLoginsDoNotAllocate(t *testing.T) {
	l := NewLogins(time.Now)
	user := []byte("alice@example.org")
	if n := testing.AllocsPerRun(100, func() { l.Answered(1, user, backend1) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	user[0] = 'A' // the next batch is read into the same buffer
	if users, _ := l.Recent(1, anywhere); !slices.Equal(users, []string{"alice@example.org"}) {
		t.Errorf("remembered %v", users)
	}
}

// Names of any length are remembered, but not more of them than there is room for.
func TestLongLoginNames(t *testing.T) {
	l := NewLogins(time.Now)
	const most = 2 * loginShards * maxLogins / loginShards * nameRoom
	user := make([]byte, 16<<10)
	for i := range 2 * most / len(user) {
		l.Answered(ring.UserHash(i), user, backend1)
	}
	bytes := 0
	for i := range l.shards {
		bytes += len(l.shards[i].current.records) + len(l.shards[i].previous.records)
	}
	if bytes > most || bytes < most/4 {
		t.Errorf("%d bytes of names are remembered; the most is %d", bytes, most)
	}
}

// After a burst of logins their memory is given back; while users log in it is kept for the next
// half.
func TestLoginsGiveMemoryBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLogins(time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go l.Run(ctx)
		slots := func() (n int) {
			for i := range l.shards {
				s := &l.shards[i]
				s.mu.Lock()
				n += len(s.current.slots) + len(s.previous.slots)
				s.mu.Unlock()
			}
			return n
		}
		const users = 10_000
		burst := func() {
			for h := range ring.UserHash(users) {
				l.Answered(h, []byte("alice"), backend1)
			}
		}
		for range 6 { // two halves, and one more
			burst()
			time.Sleep(rememberTime / 2)
		}
		if n := slots(); n < 2*users {
			t.Errorf("%d slots while users log in, want %d", n, 2*users)
		}
		time.Sleep(2*rememberTime + 3*tidyEvery)
		if n := slots(); n != 0 {
			t.Errorf("%d slots after the burst, want none", n)
		}
	})
}
