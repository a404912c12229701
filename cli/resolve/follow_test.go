package resolve_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/dns/dnsmessage"

	"directormesh/cli/resolve"
	"directormesh/mesh"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

const (
	every     = 50 * time.Millisecond
	goneAfter = time.Second // 20 rounds, as ten minutes are of half a minute each
)

var imap = ring.HostName{Host: "imap.example.org."}

// following is a mesh of three directors with real sockets, each with a name server of its own.
type following struct {
	t       *testing.T
	nodes   []*mesh.Node
	servers []*dns

	mu    sync.Mutex
	kicks map[ring.UserHash]int // of the first director
}

// Kick implements mesh.Kicker.
func (f *following) Kick(
	_ context.Context, _ ring.Tag, target replica.KickTarget,
) (replica.KickResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if target.ByHash {
		f.kicks[target.Hash]++
	}
	return replica.KickResult{Known: true}, nil
}

func follow(t *testing.T) *following {
	t.Helper()
	f := &following{t: t, kicks: make(map[ring.UserHash]int)}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
		for _, n := range f.nodes {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	watched := replica.WatchedName{Name: imap.Host}
	for i := range 3 {
		server := serveDNS(t)
		server.say(func() (dnsmessage.RCode, []netip.Addr) {
			return dnsmessage.RCodeServerFailure, nil
		})
		f.servers = append(f.servers, server)
		cfg := mesh.Config{
			Name: fmt.Sprintf("d%d", i+1), Mesh: "names",
			Bind: netip.MustParseAddrPort("127.0.0.1:0"), HashFormat: "%Lu",
			Expire: 15 * time.Minute, KickDelay: 50 * time.Millisecond,
			Names: replica.NameWatch{
				Names: []replica.WatchedName{watched}, Every: every, GoneAfter: goneAfter,
			},
			Log: zerolog.Nop(),
		}
		if i == 0 {
			cfg.Kicker = f
		} else {
			cfg.Join = []string{f.nodes[0].Peers()[0].Addr.String()}
		}
		node, err := mesh.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		f.nodes = append(f.nodes, node)
		w := resolve.Watcher{
			Resolver: server.resolver(), Names: []ring.HostName{imap}, Every: every,
			Report: func(_ ring.HostName, found []ring.Target, problem string) {
				node.ObserveName(watched, found, problem)
			},
		}
		running.Go(func() { w.Run(ctx) })
	}
	f.await("all synced", func(n *mesh.Node) bool {
		return n.Self().Synced && len(n.Peers()) == 3 && n.Peers()[2].State == replica.Synced
	})
	return f
}

// await waits until something holds at all directors.
func (f *following) await(what string, is func(n *mesh.Node) bool) {
	f.t.Helper()
	end := time.Now().Add(30 * time.Second)
	for slices.ContainsFunc(f.nodes, func(n *mesh.Node) bool { return !is(n) }) {
		if time.Now().After(end) {
			f.t.Fatalf("%s: not yet; %s", what, table(f.nodes[0]))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stays checks at all directors for a while that the table stays as it is.
func (f *following) stays(what, want string, length time.Duration) {
	f.t.Helper()
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for i, n := range f.nodes {
			if got := table(n); got != want {
				f.t.Fatalf("%s: d%d has %s, want %s", what, i+1, got, want)
			}
		}
	}
}

// say has the name server of each director answer from now on.
func (f *following) say(answer func(director int) (dnsmessage.RCode, []netip.Addr)) {
	for i, s := range f.servers {
		s.say(func() (dnsmessage.RCode, []netip.Addr) { return answer(i) })
	}
}

// table is the backends of a director, with a mark behind those that are gone.
func table(n *mesh.Node) string {
	var all []string
	for _, b := range n.Backends() {
		text := fmt.Sprint(b.Backend.Addr.As4()[3])
		if b.Backend.Gone {
			text += "-"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func addrs(numbers ...int) (all []netip.Addr) {
	for _, i := range numbers {
		all = append(all, netip.AddrFrom4([4]byte{127, 1, 0, byte(i)}))
	}
	return all
}

// numbers are 1 to n without some, and text is them as a table shows them.
func numbers(n int, without ...int) (list []int, text string) {
	var all []string
	for i := 1; i <= n; i++ {
		if !slices.Contains(without, i) {
			list, all = append(list, i), append(all, fmt.Sprint(i))
		}
	}
	return list, strings.Join(all, " ")
}

// A name server gives each director other eight of twenty addresses each time, fails, answers with
// nothing; then addresses change. Backends never flap, what an operator removed stays out, and the
// users of what is gone are moved once, and nobody else.
func TestFollow(t *testing.T) {
	t.Parallel()
	f := follow(t)
	random := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex // of random: three name servers draw
	twenty, all := numbers(20)
	f.say(func(int) (dnsmessage.RCode, []netip.Addr) {
		mu.Lock()
		defer mu.Unlock()
		switch random.IntN(20) {
		case 0, 1:
			return dnsmessage.RCodeServerFailure, nil
		case 2:
			return dnsmessage.RCodeSuccess, nil
		}
		random.Shuffle(20, func(i, j int) { twenty[i], twenty[j] = twenty[j], twenty[i] })
		return dnsmessage.RCodeSuccess, addrs(twenty[:8]...)
	})
	f.await("all are added", func(n *mesh.Node) bool { return table(n) == all })
	places := make(map[ring.UserHash]netip.Addr)
	for i := range ring.UserHash(200) {
		h := (i + 1) * 20_000_003
		backend, err := f.nodes[i%3].Lookup(t.Context(), "", h)
		if err != nil {
			t.Fatal(err)
		}
		places[h] = backend
	}
	f.stays("random answers", all, 3*time.Second)

	removed, three := addrs(7)[0], addrs(1, 2, 3)
	if _, err := f.nodes[1].Do(t.Context(), replica.RemoveBackend{Addr: removed}); err != nil {
		t.Fatal(err)
	}
	_, left := numbers(20, 7)
	f.stays("one is removed", left, time.Second)

	f.say(func(int) (dnsmessage.RCode, []netip.Addr) {
		return dnsmessage.RCodeServerFailure, nil
	})
	f.stays("all fail", left, 3*goneAfter/2)
	f.say(func(director int) (dnsmessage.RCode, []netip.Addr) { // each has another view
		return dnsmessage.RCodeSuccess, addrs(21+director, 1+director)
	})
	f.stays("views", left, 2*goneAfter/3)

	changed, _ := numbers(23, 1, 2, 3)
	f.say(func(int) (dnsmessage.RCode, []netip.Addr) {
		return dnsmessage.RCodeSuccess, addrs(changed...)
	})
	_, rest := numbers(23, 1, 2, 3, 7)
	f.await("they have changed", func(n *mesh.Node) bool { return table(n) == "1- 2- 3- "+rest })
	f.await("nobody is left there", func(n *mesh.Node) bool {
		return !slices.ContainsFunc(n.Backends(), func(b replica.BackendStatus) bool {
			return b.Backend.Gone && b.Users > 0
		})
	})
	f.stays("afterwards", "1- 2- 3- "+rest, goneAfter)

	f.mu.Lock()
	defer f.mu.Unlock()
	for h, was := range places {
		u := f.nodes[2].User("", h)
		gone := slices.Contains(three, was)
		switch {
		case was == removed: // forgotten by that command
		case !u.Mapped || (u.Current != was) != gone:
			t.Errorf("user %v was on %v, and is %+v", h, was, u)
		case f.kicks[h] != map[bool]int{true: 1}[gone]:
			t.Errorf("the sessions of user %v on %v were ended %d times", h, was, f.kicks[h])
		}
	}
}
