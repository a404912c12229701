package mesh

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/directory"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// places is where each user of a directory is.
func places(n *Node) map[ring.User]netip.Addr {
	all := make(map[ring.User]netip.Addr)
	for tag, m := range n.dir.All(n.MeshTime()) {
		if m.Backend.IsValid() {
			all[ring.User{Tag: tag, Hash: m.Hash}] = m.Backend
		}
	}
	return all
}

// flushAll has all users moved to where they hash, and waits for it.
func flushAll(t *testing.T, n *Node, op replica.Operation) {
	t.Helper()
	if _, err := n.Do(t.Context(), op); err != nil {
		t.Fatal(err)
	}
	settle(n)
}

// settle waits until nobody is moved any more.
func settle(n *Node) {
	for range 20 { // a drain without another backend waits
		time.Sleep(time.Second)
		busy := false
		for _, f := range n.Flushes() {
			busy = busy || f.Ended == 0
		}
		for _, b := range n.Backends() {
			busy = busy || b.Rebalance.On || b.Drain.On && b.Users > 0
		}
		if !busy {
			return
		}
	}
}

// planned is how many tables and changes TestPlanIsWhatHappens tries; 1,000 were tried once.
func planned() int {
	if n, err := strconv.Atoi(os.Getenv("DIRECTORMESH_PLANS")); err == nil {
		return n
	}
	return 25
}

// TestPlanIsWhatHappens draws tables and changes, and compares each plan with what the change and a
// flush then do to the users.
func TestPlanIsWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(7, 14))
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(c *Config) {
			c.KickDelay, c.MaxParallelMoves = time.Millisecond, directory.MaxParallel
		})
		defer n.Close()
		if err := n.WaitSynced(t.Context()); err != nil {
			t.Fatal(err)
		}
		tags := []ring.Tag{"", "ssd"}
		addr := func() netip.Addr {
			return netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + random.IntN(8))})
		}
		vhosts := func() int { return []int{0, 1, 20, 100, 300}[random.IntN(5)] }
		moved := 0
		for i := range planned() {
			for range 2 + random.IntN(3) { // another table; what cannot be done is not
				tag, count := tags[random.IntN(2)], vhosts()
				_, _ = n.Do(t.Context(), replica.AddBackend{Addr: addr(), Tag: tag, VHosts: &count})
				_, _ = n.Do(t.Context(), replica.SetDown{Addr: addr(), Down: random.IntN(3) == 0})
			}
			for range 60 {
				n.TryLookup(tags[random.IntN(2)], ring.UserHash(random.Uint32()))
			}
			settle(n) // a drain may have waited for what was added now
			b, count := addr(), vhosts()
			var op, then replica.Operation
			row := n.core.Table()
			tagOf := func() (tag ring.Tag) {
				for _, r := range row.Backends {
					if r.Addr == b {
						tag = r.Presence.Value.Tag
					}
				}
				return tag
			}
			tag := tagOf()
			switch random.IntN(8) {
			case 0:
				op = replica.UpdateBackend{Addr: b, VHosts: count}
			case 1:
				op = replica.SetDown{Addr: b, Down: true}
			case 2:
				op = replica.SetDown{Addr: b}
			case 3:
				op = replica.AddBackend{Addr: b, Tag: tag, VHosts: &count}
			case 4:
				op = replica.Drain{Addr: b, Force: true}
			case 5:
				op = replica.Undrain{Addr: b}
			case 6:
				op = replica.Rebalance{}
			case 7:
				op = replica.Flush{Addr: b}
			}
			plan, err := n.Plan(t.Context(), op)
			if err != nil {
				if _, same := n.Do(t.Context(), op); same == nil {
					t.Fatalf("%d: no plan of %+v, %v, but it is done", i, op, err)
				}
				continue
			}
			before := places(n)
			switch op.(type) {
			case replica.Rebalance, replica.Flush, replica.Drain:
				then = op
			default:
				if _, err := n.Do(t.Context(), replica.IfTable{
					Digest: plan.Table, Operation: op,
				}); err != nil {
					t.Fatalf("%d: %+v: %v", i, op, err)
				}
				then = replica.Flush{}
			}
			flushAll(t, n, then)
			after := places(n)
			want := make(map[PlannedMoves]int)
			for _, m := range plan.Moves {
				want[PlannedMoves{Tag: m.Tag, From: m.From, To: m.To}] += m.Users
			}
			got := make(map[PlannedMoves]int)
			for u, was := range before {
				if after[u] != was {
					got[PlannedMoves{Tag: u.Tag, From: was, To: after[u]}]++
				}
			}
			if f, all := then.(replica.Flush); all && !f.Addr.IsValid() {
				for m := range got { // it is of all tags, the plan of one
					if m.Tag != tag {
						delete(got, m)
					}
				}
			}
			equal := cmpopts.EquateComparable(netip.Addr{}, PlannedMoves{})
			if diff := cmp.Diff(want, got, equal); diff != "" {
				t.Fatalf("%d: %+v (-planned +happened):\n%s", i, op, diff)
			}
			moved += plan.Users
		}
		if moved < planned() {
			t.Errorf("%d users were moved; the test shows nothing", moved)
		}
		t.Logf("%d changes, %d users moved", planned(), moved)
	})
}

// A plan of a removal says who is forgotten, and where their next login goes. It changes nothing.
func TestPlanOfARemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		defer n.Close()
		if err := n.WaitSynced(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			b := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
			if _, err := n.Do(t.Context(), replica.AddBackend{Addr: b}); err != nil {
				t.Fatal(err)
			}
		}
		for h := range ring.UserHash(200) {
			n.TryLookup("", h*20_000_003)
		}
		from := n.Backends()[0]
		before, table := places(n), n.Table()
		plan, err := n.Plan(t.Context(), replica.RemoveBackend{Addr: from.Backend.Addr})
		if err != nil {
			t.Fatal(err)
		}
		if plan.Users != from.Users || plan.Forgotten != from.Users || plan.Users == 0 ||
			plan.Least != 0 {
			t.Errorf("the plan is %+v, want %d users forgotten", plan, from.Users)
		}
		equal := cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})
		if diff := cmp.Diff(table, n.Table(), equal); diff != "" {
			t.Errorf("the table is another one:\n%s", diff)
		}
		if diff := cmp.Diff(before, places(n), equal); diff != "" {
			t.Errorf("users are elsewhere:\n%s", diff)
		}
		if _, err := n.Do(t.Context(), replica.RemoveBackend{Addr: from.Backend.Addr}); err != nil {
			t.Fatal(err)
		}
		got := make(map[netip.Addr]int)
		for u, was := range before {
			if was != from.Backend.Addr {
				continue
			}
			to, err := n.Lookup(t.Context(), u.Tag, u.Hash)
			if err != nil {
				t.Fatal(err)
			}
			got[to]++
		}
		for _, m := range plan.Moves {
			if got[m.To] != m.Users {
				t.Errorf("%d users go to %v, planned were %d", got[m.To], m.To, m.Users)
			}
		}
		if _, err := n.Plan(t.Context(), replica.KickUser{Value: "a"}); !errors.Is(
			err, replica.ErrNoPlan) {
			t.Errorf("a plan of a kick: %v", err)
		}
	})
}

// A plan of a pin is of the one user, whom the pin moves; one of an unpin says where the next flush
// would move the user.
func TestPlanOfAPin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		defer n.Close()
		if err := n.WaitSynced(t.Context()); err != nil {
			t.Fatal(err)
		}
		b := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }
		do := func(op replica.Operation) {
			t.Helper()
			if _, err := n.Do(t.Context(), op); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
		}
		do(replica.AddBackend{Addr: b(1)})
		for h := range ring.UserHash(50) {
			n.TryLookup("", h*20_000_003)
		}
		do(replica.AddBackend{Addr: b(2)}) // half of the users would be moved by a flush
		user, alone := ring.UserHash(7*20_000_003), ring.UserHash(1_234_567)
		for _, step := range []struct {
			op       replica.Operation
			from, to netip.Addr // not valid: nobody is moved
		}{
			{op: replica.Pin{Hash: user, Backend: b(1)}}, // who is there
			{op: replica.Pin{Hash: user, Backend: b(2)}, from: b(1), to: b(2)},
			{op: replica.Pin{Hash: alone, Backend: b(2)}}, // has no mapping
			{op: replica.UpdateBackend{Addr: b(2), VHosts: 1}},
			{op: replica.Unpin{User: ring.User{Hash: user}}, from: b(2), to: b(1)},
		} {
			if _, weighs := step.op.(replica.UpdateBackend); weighs {
				do(step.op) // from now on the user hashes elsewhere
				continue
			}
			plan, err := n.Plan(t.Context(), step.op)
			if err != nil {
				t.Fatal(err)
			}
			var want []PlannedMoves
			if step.from.IsValid() {
				want = []PlannedMoves{{From: step.from, To: step.to, Users: 1}}
			}
			equal := cmpopts.EquateComparable(netip.Addr{})
			if diff := cmp.Diff(want, plan.Moves, equal); diff != "" || plan.Users != len(want) {
				t.Errorf("%+v, %d users (-want +got):\n%s", step.op, plan.Users, diff)
			}
			do(replica.IfTable{Digest: plan.Table, Operation: step.op})
			if is := places(n)[ring.User{Hash: user}]; step.from.IsValid() && is != step.to {
				if _, unpins := step.op.(replica.Unpin); !unpins || is != step.from {
					t.Errorf("after %+v the user is at %v", step.op, is)
				}
			}
		}
		if _, err := n.Plan(t.Context(), replica.Pin{Hash: user, Backend: b(9)}); !errors.Is(
			err, directory.ErrUnknownBackend) {
			t.Errorf("to nowhere: %v", err)
		}
		unpin := replica.Unpin{User: ring.User{Hash: 99}}
		if _, err := n.Plan(t.Context(), unpin); !errors.Is(err, directory.ErrNotPinned) {
			t.Errorf("of who is not pinned: %v", err)
		}
	})
}
