package authrelay

import (
	"fmt"
	"io"
	"testing"
	"time"
)

// All connections of one process together have a share of the requests and of the held replies.
func TestClientsShare(t *testing.T) {
	f, auths := newSocketFixture(t, Config{Protocol: Login})
	first := f.connect()
	await := func(links int) *claim {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
			f.server.mu.Lock()
			for client, c := range f.server.claims {
				if client.String() == "process" && c.links == links {
					f.server.mu.Unlock()
					return c
				}
			}
			n := len(f.server.claims)
			f.server.mu.Unlock()
			if n == 0 && links == 0 {
				return nil
			}
			<-time.After(time.Millisecond)
		}
		t.Fatalf("no process has %d connections", links)
		return nil
	}
	auth := <-auths
	defer auth.Close()
	second := f.connect()
	c := await(2)
	if c.mostRequests != maxRequests/4 || c.mostHeld != maxHeld/4 {
		t.Errorf("a process may have %d requests and %d held replies", c.mostRequests, c.mostHeld)
	}
	if _, err := io.WriteString(first, "AUTH\t1\tPLAIN\n"); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for ; c.requests.Load() != 1; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests are counted", c.requests.Load())
		}
	}
	auth.Close() // nobody waits for its answer
	first.Close()
	second.Close()
	await(0)
}

// One request or held reply too many of a client is refused on each of its connections, and on no
// other one.
func TestClientLeavesRoom(t *testing.T) {
	f, _ := newSocketFixture(t, Config{Protocol: Login})
	shared := &claim{mostRequests: 10, mostHeld: 10}
	one, two, other := unserved(f.server), unserved(f.server), unserved(f.server)
	one.claims, two.claims = []*claim{shared}, []*claim{shared}
	taken, held := 0, 0
	for i := range 8 {
		for _, l := range []*link{one, two} {
			if l.remember(fmt.Append(nil, i), plain) {
				taken++
			}
			if l.takeHeld() {
				held++
			}
		}
	}
	if taken != 10 || held != 10 || shared.requests.Load() != 10 || shared.held.Load() != 10 {
		t.Errorf("%d requests and %d held replies were taken, %d and %d are counted",
			taken, held, shared.requests.Load(), shared.held.Load())
	}
	if !other.remember([]byte("1"), plain) || !other.takeHeld() {
		t.Error("another client has no room")
	}
	for id := range one.open {
		one.forget([]byte(id))
	}
	for id := range two.open {
		two.forget([]byte(id))
	}
	if n := shared.requests.Load(); n != 0 {
		t.Errorf("%d requests stay", n)
	}
}
