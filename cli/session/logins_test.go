package session

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"directormesh/ring"
)

func TestLogins(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLogins(func() time.Time { return now })
	expect := func(h ring.UserHash, complete bool, want ...string) {
		t.Helper()
		users, ok := l.Recent(h)
		slices.Sort(users)
		if !slices.Equal(users, want) || ok != complete {
			t.Errorf("after %v: %v, complete %v; want %v, %v", now.Sub(time.Unix(1000, 0)), users, ok, want, complete)
		}
	}
	expect(1, false) // another director may have been here before
	now = now.Add(LoginTime)
	expect(1, true)
	l.Answered(1, "alice")
	l.Answered(1, "alice")
	l.Answered(1, "alice*master")
	l.Answered(2, "bob")
	expect(1, true, "alice", "alice*master")
	expect(2, true, "bob")
	expect(3, true)

	now = now.Add(LoginTime)
	l.Answered(1, "alice")
	expect(1, true, "alice", "alice*master")
	expect(2, true, "bob")
	now = now.Add(LoginTime)
	expect(1, true, "alice")
	expect(2, true)
	now = now.Add(10 * LoginTime)
	expect(1, true)
}

// When there are too many logins some are forgotten early, and this is said until they would have been anyway.
func TestLoginsOverflow(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLogins(func() time.Time { return now })
	now = now.Add(LoginTime)
	for i := range 2 * maxLogins {
		l.Answered(ring.UserHash(i), "user")
	}
	if users, complete := l.Recent(0); !slices.Equal(users, []string{"user"}) || !complete {
		t.Errorf("nothing was to be forgotten yet: %v, %v", users, complete)
	}
	l.Answered(2*maxLogins, "user")
	if users, complete := l.Recent(0); len(users) > 0 || complete {
		t.Errorf("a login that was forgotten early: %v, complete %v", users, complete)
	}
	if n := len(l.current) + len(l.previous); n > 2*maxLogins {
		t.Errorf("%d users are remembered", n)
	}
	now = now.Add(LoginTime)
	if _, complete := l.Recent(1); !complete {
		t.Error("what was forgotten early still counts after its time")
	}
}

// Users whose hashes are the same, as all of a domain with %Ld, do not make it slow or big.
func TestLoginsOfOneHash(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLogins(func() time.Time { return now })
	now = now.Add(LoginTime)
	for i := range 10 * maxNames {
		l.Answered(1, fmt.Sprint(i))
	}
	users, complete := l.Recent(1)
	if len(users) != maxNames || complete {
		t.Errorf("%d users, complete %v; want %d, false", len(users), complete, maxNames)
	}
}
