package barrier

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/ring"
)

const now = mono.Time(time.Hour)

func backend(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }

// vhosts is a change of the vhost counts of some backends.
func vhosts(stamp directory.Stamp, backends ...int) (c directory.Change) {
	for _, n := range backends {
		row := directory.BackendRow{Addr: backend(n)}
		row.VHosts = directory.Register[int]{Value: 7, Stamp: stamp, Origin: "d1"}
		c.Backends = append(c.Backends, row)
	}
	return c
}

func removal(stamp directory.Stamp, n int) directory.Change {
	row := directory.DirectorRow{Addr: netip.AddrPortFrom(backend(n), 1)}
	row.Removed = directory.Register[bool]{Value: true, Stamp: stamp, Origin: "d1"}
	return directory.Change{Directors: []directory.DirectorRow{row}}
}

func rings(n int) *ring.Rings {
	return ring.Build([]ring.Backend{{Addr: backend(n), VHosts: 1}}, nil)
}

// peers are live, counted and not behind.
func peers(names ...string) (all []Peer) {
	for _, name := range names {
		all = append(all, Peer{Name: name, Counted: true})
	}
	return all
}

func settle(b *Barrier, peers ...Peer) []*Change {
	get := func(name string) Peer {
		if i := slices.IndexFunc(peers, func(p Peer) bool { return p.Name == name }); i >= 0 {
			return peers[i]
		}
		return Peer{}
	}
	return b.Settle(get, slices.Values(peers))
}

// What a peer says confirms a row if it is of the same row and not older. A change is confirmed
// when all of its rows are.
func TestConfirmation(t *testing.T) {
	both := vhosts(5, 1, 2)
	both.Directors = removal(5, 3).Directors
	for _, test := range []struct {
		name string
		said []directory.Change
		want bool
	}{
		{"nothing", nil, false},
		{"the change", []directory.Change{both}, true},
		{"in parts", []directory.Change{vhosts(5, 2), removal(5, 3), vhosts(5, 1)}, true},
		{"something newer", []directory.Change{vhosts(9, 1, 2, 8), removal(6, 3)}, true},
		{"a part", []directory.Change{vhosts(5, 1), removal(5, 3)}, false},
		{"no director", []directory.Change{vhosts(5, 1, 2)}, false},
		{"something older", []directory.Change{vhosts(4, 1, 2), removal(5, 3)}, false},
		{"of others", []directory.Change{vhosts(5, 7, 8), removal(5, 9)}, false},
	} {
		b := New(rings(1))
		c := NewChange(now, both, "d9", false)
		b.Add(c, rings(2))
		for _, said := range test.said {
			b.Confirm(Peer{Name: "d2"}, said)
		}
		p := peers("d2", "d9")
		if got := c.ConfirmedBy(p[0]); got != test.want || c.Awaits(p[0]) == test.want {
			t.Errorf("%s: confirmed %v, awaited %v", test.name, got, c.Awaits(p[0]))
		}
		if !c.ConfirmedBy(p[1]) {
			t.Errorf("%s: the peer from which it came has to confirm it", test.name)
		}
	}
}

// A peer of an earlier release confirms what it knows of a row, and nothing where it knows nothing.
func TestConfirmationOfAnEarlierRelease(t *testing.T) {
	drained := directory.BackendRow{Addr: backend(1)}
	drained.Drain = directory.Register[directory.Task]{Stamp: 5, Origin: "d1"}
	both := drained
	both.VHosts = vhosts(5, 1).Backends[0].VHosts
	change := func(row directory.BackendRow) directory.Change {
		return directory.Change{Backends: []directory.BackendRow{row}}
	}
	for _, test := range []struct {
		name         string
		applied      directory.BackendRow
		said         directory.Change
		older, newer bool // whether it counts as confirmed, by a peer of either release
	}{
		{"a register that only one knows", drained, directory.Change{}, true, false},
		{"that and another, silent", both, directory.Change{}, false, false},
		{"that and another, by half", both, vhosts(5, 1), true, false},
		{"that and another, by both", both, change(both), true, true},
	} {
		for registers, want := range map[int]bool{0: test.older, 1: test.newer} {
			b, p := New(rings(1)), Peer{Name: "d2", Counted: true, Registers: registers}
			b.Add(NewChange(now, change(test.applied), "", false), rings(2))
			b.Confirm(p, test.said)
			if got := b.Confirmed(p); got != want {
				t.Errorf("%s: %d registers known, confirmed %v", test.name, registers, got)
			}
			lacks := Lacking(now, change(test.applied), p, test.said) != nil
			if lacks == want {
				t.Errorf("%s: %d registers known, lacks %v", test.name, registers, lacks)
			}
		}
	}
}

// Nobody waits for a peer that does not count, nor takes the word of one that holds rows that we
// lack: nobody knows what it answered before it confirmed.
func TestWhoIsWaitedFor(t *testing.T) {
	for _, test := range []struct {
		peer             Peer
		confirmed, waits bool
	}{
		{Peer{Name: "d2", Counted: true}, true, false},
		{Peer{Name: "d2", Counted: true, Behind: true}, false, true},
		{Peer{Name: "d2", Behind: true}, false, false},
		{Peer{Name: "d3", Counted: true}, false, true},
		{Peer{Name: "d3"}, false, false},
	} {
		b := New(rings(1))
		if b.Awaits(test.peer) || !b.Confirmed(test.peer) {
			t.Errorf("%+v is waited for without a change", test.peer)
		}
		b.Add(NewChange(now, vhosts(5, 1), "d2", false), rings(2))
		if b.Confirmed(test.peer) != test.confirmed || b.Awaits(test.peer) != test.waits {
			t.Errorf("%+v: confirmed %v, waited for %v", test.peer,
				b.Confirmed(test.peer), b.Awaits(test.peer))
		}
	}
}

// What a peer lacks of our table only that peer has to confirm.
func TestWhatAPeerLacks(t *testing.T) {
	ours := vhosts(5, 1, 2)
	if c := Lacking(now, ours, Peer{Name: "d2"}, vhosts(5, 2, 1)); c != nil {
		t.Errorf("one that has all lacks %d rows", len(c.items))
	}
	c := Lacking(now, ours, Peer{Name: "d2"}, vhosts(5, 2))
	if c == nil || len(c.items) != 1 || c.items[0].backend.Addr != backend(1) {
		t.Fatalf("lacks %+v, want the first row", c)
	}
	p := peers("d2", "d3")
	if !c.Awaits(p[0]) || c.Awaits(p[1]) {
		t.Errorf("d2 is waited for: %v, d3: %v", c.Awaits(p[0]), c.Awaits(p[1]))
	}
}

// A change is settled when no peer that counts is waited for. It is dropped, with the ring before
// it, when all before it are, so that no ring of a change that somebody lacks is forgotten.
func TestSettledInOrder(t *testing.T) {
	b := New(rings(0))
	var added []*Change
	for n := range 3 {
		added = append(added, NewChange(now, vhosts(5, n+1), "", false))
		b.Add(added[n], rings(n+1))
	}
	if b.Latest() != added[2] || b.Len() != 3 || len(b.Rings()) != 4 {
		t.Fatalf("%d changes, %d rings", b.Len(), len(b.Rings()))
	}
	p := peers("d2", "d3")
	b.Confirm(Peer{Name: "d2"}, vhosts(5, 1, 2, 3))
	b.Confirm(Peer{Name: "d3"}, vhosts(5, 2))
	if got := settle(b, p...); !slices.Equal(got, added[1:2]) || b.Passed() != 0 {
		t.Errorf("%d changes are settled, %d passed; want the second alone", len(got), b.Passed())
	}
	if got := settle(b, p...); len(got) > 0 {
		t.Error("a change is settled twice")
	}
	b.Confirm(Peer{Name: "d3"}, vhosts(5, 1))
	p[1].Behind = true
	if got := settle(b, p...); len(got) > 0 {
		t.Error("a peer that is behind is believed")
	}
	p[1].Behind = false
	if got := settle(b, p...); !slices.Equal(got, added[:1]) || b.Passed() != 2 {
		t.Fatalf("%d changes are settled, %d passed", len(got), b.Passed())
	}
	today := b.Today()
	b.Drop(b.Passed())
	if b.Len() != 1 || len(b.Rings()) != 2 || b.Latest() != added[2] || b.Today() != today {
		t.Errorf("%d changes and %d rings are left", b.Len(), len(b.Rings()))
	}
	p[1].Counted = false
	if got := settle(b, p...); !slices.Equal(got, added[2:]) {
		t.Error("a peer that does not count is waited for")
	}
}

// Settling agrees with asking for each peer, whatever order confirmations come in and peers go.
func TestSettleIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := New(rings(0))
		all := peers("d2", "d3", "d4")
		var added []*Change
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			i := rapid.IntRange(0, len(all)-1).Draw(t, "peer")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				c := NewChange(now, vhosts(5, len(added)+1), "", false)
				added = append(added, c)
				b.Add(c, rings(1))
			case 1:
				b.Confirm(all[i], vhosts(5, rapid.IntRange(1, 9).Draw(t, "backend")))
			case 2:
				all[i].Counted = !all[i].Counted
			case 3:
				all[i].Behind = !all[i].Behind
			}
			var want []*Change
			for _, c := range added {
				if !c.done && !slices.ContainsFunc(all, c.Awaits) {
					want = append(want, c)
				}
			}
			if got := settle(b, all...); !slices.Equal(got, want) {
				t.Fatalf("%d changes are settled, want %d", len(got), len(want))
			}
			if n := b.Passed(); n > 0 {
				b.Drop(n)
			}
			if len(b.Rings()) != b.Len()+1 {
				t.Fatalf("%d rings for %d changes", len(b.Rings()), b.Len())
			}
		}
	})
}

// Those that fail before they confirm are remembered, once, in the order in which they did.
func TestWhoFailed(t *testing.T) {
	b := New(rings(0))
	c := NewChange(now, vhosts(5, 1), "", false)
	b.Add(c, rings(1))
	b.Confirm(Peer{Name: "d3"}, vhosts(5, 1))
	for _, name := range []string{"d4", "d2", "d3", "d4"} {
		b.NoteFailed(Peer{Name: name})
	}
	settle(b, peers("d3")...)
	b.NoteFailed(Peer{Name: "d5"}) // too late
	if diff := cmp.Diff([]string{"d4", "d2"}, c.Failed()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.ConfirmAll("d4")
	if !b.Confirmed(Peer{Name: "d4"}) || b.Confirmed(Peer{Name: "d2"}) {
		t.Error("one that answers nothing until it has our table confirms it")
	}
}

// Changes are overdue when they have waited for long enough; the oldest come first. A pause of ours
// is not their fault.
func TestOverdue(t *testing.T) {
	b := New(rings(0))
	for n := range 3 {
		b.Add(NewChange(now.Add(time.Duration(n)*time.Second), vhosts(5, n+1), "", false),
			rings(n+1))
	}
	const limit = 5 * time.Second
	overdue := func(at mono.Time) int { return len(b.Overdue(at, limit)) }
	for at, want := range map[mono.Time]int{
		now.Add(limit): 0, now.Add(limit + 1): 1, now.Add(limit + time.Second): 1,
		now.Add(time.Minute): 3,
	} {
		if got := overdue(at); got != want {
			t.Errorf("after %v %d are overdue, want %d", at.Sub(now), got, want)
		}
	}
	b.Postpone(time.Minute)
	if n := overdue(now.Add(time.Minute + limit)); n > 0 {
		t.Errorf("%d are overdue after a pause", n)
	}
	if n := overdue(now.Add(time.Minute + limit + 1)); n != 1 {
		t.Errorf("%d are overdue some time after the pause", n)
	}
	const later = 2 * now
	b.Restart(later)
	if n := overdue(later.Add(limit)); n > 0 {
		t.Errorf("%d are overdue although all began anew", n)
	}
}

// A ring is unknown up to the last change before which nobody knows it: who lacks an older change
// may go by it too.
func TestUnknownRing(t *testing.T) {
	for _, test := range []struct {
		name    string
		unknown []bool // by change
		said    directory.Change
		want    string
	}{
		{"all rings are known", []bool{false, false}, directory.Change{}, ""},
		{"the second is not", []bool{false, true}, directory.Change{}, "d2"},
		{"the first is not", []bool{true, false}, directory.Change{}, "d2"},
		{"the first is not, and is confirmed", []bool{true, false}, vhosts(5, 1), "d3"},
	} {
		b := New(rings(0))
		for n, unknown := range test.unknown {
			b.Add(NewChange(now, vhosts(5, n+1), "", unknown), rings(n+1))
		}
		b.Confirm(Peer{Name: "d2"}, test.said)
		if got := b.OfUnknownRing(slices.Values(peers("d2", "d3"))); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if b.Abandon(); b.Len() > 0 || len(b.Rings()) != 1 {
			t.Errorf("%s: %d changes, %d rings are left", test.name, b.Len(), len(b.Rings()))
		}
	}
	b := New(rings(0))
	b.Add(NewChange(now, vhosts(5, 1), "", true), rings(1))
	b.Confirm(Peer{Name: "d2"}, vhosts(5, 1))
	settle(b, peers("d2")...)
	if got := b.OfUnknownRing(slices.Values(peers("d3"))); got != "" {
		t.Errorf("%q may go by the ring before a change that is settled", got)
	}
}

// In another mesh nobody need confirm a register that was configured here; one that a command wrote
// stays to be confirmed, whichever of them it is, and so does a director.
func TestWhatStaysToBeConfirmedInAnotherMesh(t *testing.T) {
	for name, set := range map[string]func(r *directory.BackendRow, stamp directory.Stamp){
		"presence": func(r *directory.BackendRow, stamp directory.Stamp) {
			r.Presence = directory.Register[directory.Presence]{Stamp: stamp, Origin: "d1"}
		},
		"vhost count": func(r *directory.BackendRow, stamp directory.Stamp) {
			r.VHosts = directory.Register[int]{Stamp: stamp, Origin: "d1"}
		},
		"state": func(r *directory.BackendRow, stamp directory.Stamp) {
			r.State = directory.Register[directory.State]{Stamp: stamp, Origin: "d1"}
		},
	} {
		for stamp, want := range map[directory.Stamp]int{0: 0, 5: 1} {
			row := directory.BackendRow{Addr: backend(1)}
			set(&row, stamp)
			tr := &Change{items: []*item{{backend: row}}}
			if tr.leaveMesh(); len(tr.items) != want || want == 1 && tr.items[0].backend != row {
				t.Errorf("%s of stamp %d: %d items, want %d", name, stamp, len(tr.items), want)
			}
		}
	}
	tr := &Change{items: []*item{{}}} // of a director
	if tr.leaveMesh(); len(tr.items) != 1 {
		t.Error("a director need not be confirmed")
	}
}
