package webauth

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// bench compares passwords with plain text, a second each, and counts.
type bench struct {
	*passwords
	policy   *Policy
	compared atomic.Int32
}

func newBench(t *testing.T, users ...string) *bench {
	t.Helper()
	b := &bench{policy: &Policy{users: make(map[string][]byte), nobody: []byte("nobody")}}
	for _, user := range users {
		b.policy.users[user] = []byte("of " + user)
	}
	var err error
	b.passwords, err = newPasswords(time.Now, bytes.NewReader(make([]byte, 32)), 1,
		func(hash, password []byte) error {
			b.compared.Add(1)
			time.Sleep(time.Second)
			if !bytes.Equal(hash, password) {
				return errors.New("wrong")
			}
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) try(from, user, password string) string {
	right, err := b.check(b.policy, netip.MustParseAddr(from), user, password)
	switch {
	case errors.Is(err, tooMany{wait: time.Second, busy: true}):
		return "busy"
	case err != nil:
		return "too many"
	case right:
		return "right"
	}
	return "wrong"
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

const here, there = "192.0.2.1", "192.0.2.2"

// TestRemembered compares a right password once, until the file has another one.
func TestRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "alice")
		for _, from := range []string{here, there, here} {
			expect(t, b.try(from, "alice", "of alice"), "right")
		}
		if n := b.compared.Load(); n != 1 {
			t.Errorf("%d comparisons", n)
		}
		expect(t, b.try(here, "alice", "of bob"), "wrong")
		expect(t, b.try(here, "alice", ""), "wrong")
		expect(t, b.try(here, "nobody", "nobody"), "wrong")
		expect(t, b.try(here, "", "nobody"), "wrong")
		before := b.policy
		b.policy = &Policy{users: map[string][]byte{"alice": []byte("new")}, nobody: []byte("x")}
		b.forget(b.policy, before)
		if len(b.right) > 0 {
			t.Errorf("%d users are remembered whose password is another now", len(b.right))
		}
		expect(t, b.try(there, "alice", "of alice"), "wrong")
		expect(t, b.try(there, "alice", "new"), "right")
		b.policy = &Policy{nobody: []byte("new")}
		expect(t, b.try(there, "alice", "new"), "wrong") // even if nothing was forgotten
	})
}

// TestFiveFailures refuses an address after five failures, until a minute after the first. Who is
// remembered goes on from there, and others from elsewhere.
func TestFiveFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "alice", "bob", "carol")
		began := time.Now()
		expect(t, b.try(here, "alice", "of alice"), "right")
		for i := range maxFailures {
			expect(t, b.try(here, "mallory", fmt.Sprint(i)), "wrong")
		}
		before := b.compared.Load()
		expect(t, b.try(here, "mallory", "again"), "too many")
		expect(t, b.try(here, "bob", "of bob"), "too many") // nobody knows that one yet
		expect(t, b.try(here, "alice", "of alice"), "right")
		expect(t, b.try(there, "bob", "of bob"), "right")
		if n := b.compared.Load() - before; n != 1 {
			t.Errorf("%d comparisons after five failures", n)
		}
		time.Sleep(time.Until(began.Add(time.Second + failureTime)))
		expect(t, b.try(here, "carol", "of carol"), "right")
		expect(t, b.try(here, "mallory", "0"), "wrong")
	})
}

// TestNoOracle checks that an address that may not fail any more cannot guess a password that is
// remembered either.
func TestNoOracle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "alice", "bob")
		expect(t, b.try(there, "alice", "of alice"), "right")
		expect(t, b.try(there, "bob", "of bob"), "right")
		for i := range maxFailures {
			expect(t, b.try(here, "alice", fmt.Sprint(i)), "wrong")
		}
		for i := range 2 * maxFailures {
			expect(t, b.try(here, "alice", fmt.Sprint("more ", i)), "too many")
		}
		expect(t, b.try(here, "alice", "of alice"), "too many") // the guess after all of them
		expect(t, b.try(here, "bob", "of bob"), "right")
		expect(t, b.try(there, "alice", "of alice"), "right")
	})
}

// TestSameNetwork counts the addresses of one IPv6 network as one, and a mapped address as itself.
func TestSameNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "alice")
		for i := range maxFailures {
			expect(t, b.try(fmt.Sprintf("2001:db8::%d", i), "alice", fmt.Sprint(i)), "wrong")
			expect(t, b.try("::ffff:192.0.2.1", "alice", fmt.Sprint("x", i)), "wrong")
		}
		expect(t, b.try("2001:db8::ffff", "alice", "of alice"), "too many")
		expect(t, b.try(here, "alice", "of alice"), "too many")
		expect(t, b.try("2001:db8:0:1::1", "alice", "of alice"), "right")
	})
}

// TestTogether gives one password many times at once: it is compared once, and counts once.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "alice")
		for _, tt := range []struct{ password, want string }{
			{"of bob", "wrong"}, {"of alice", "right"},
		} {
			answers := make(chan string)
			for range 64 {
				go func() { answers <- b.try(here, "alice", tt.password) }()
			}
			for range 64 {
				expect(t, <-answers, tt.want)
			}
		}
		if n := b.compared.Load(); n != 2 {
			t.Errorf("%d comparisons", n)
		}
		for i := range maxFailures - 1 {
			expect(t, b.try(here, "alice", fmt.Sprint(i)), "wrong")
		}
	})
}

// TestCrowdOfStrangers tries passwords from many addresses at once: few are compared, one at a
// time, and who is remembered does not wait.
func TestCrowdOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "alice")
		expect(t, b.try(here, "alice", "of alice"), "right")
		answers := make(chan string)
		for i := range 1000 {
			from := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()
			go func() { answers <- b.try(from, "alice", from) }()
		}
		synctest.Wait()
		began := time.Now()
		expect(t, b.try(here, "alice", "of alice"), "right")
		if waited := time.Since(began); waited > 0 {
			t.Errorf("waited %v", waited)
		}
		count := make(map[string]int)
		for range 1000 {
			count[<-answers]++
		}
		if count["wrong"] != maxComparisons || count["busy"] != 1000-maxComparisons {
			t.Errorf("answers: %v", count)
		}
		if took := time.Since(began); took < (maxComparisons-1)*time.Second {
			t.Errorf("%d comparisons of a second took %v", maxComparisons, took)
		}
	})
}

// TestFailuresAreBounded fails from more addresses than are remembered.
func TestFailuresAreBounded(t *testing.T) {
	var f failures[int]
	now := time.Unix(0, 0)
	for range maxFailures {
		f.add(-1, now)
	}
	for i := range 2 * maxWindows {
		f.add(i, now.Add(time.Second))
	}
	if len(f.windows) != maxWindows || len(f.order) != maxWindows {
		t.Errorf("%d windows in an order of %d", len(f.windows), len(f.order))
	}
	if _, full := f.full(-1, now); full {
		t.Error("the oldest window stayed")
	}
	f.undo(-1) // has nothing to undo
	if f.expire(now.Add(time.Second + failureTime)); len(f.windows) != 0 || len(f.order) != 0 {
		t.Errorf("%d windows after a minute", len(f.windows))
	}
}
