package replica

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/admission"
)

// Questions about all peers are answered by the peers that count for each.
func TestQuestionsAboutPeers(t *testing.T) {
	here := netip.MustParseAddrPort("198.51.100.1:9")
	there := netip.MustParseAddrPort("198.51.100.2:9")
	nowhere := netip.MustParseAddrPort("198.51.100.3:9")
	counted := admission.Peer{Counted: true}
	var excluded admission.Peer
	excluded.Exclude(0)
	l := peerList{
		{name: "d2", boot: 2, addr: here, Peer: counted, out: true},             // failed
		{name: "d3", boot: 3, addr: here, live: true, out: true, Peer: counted}, // well
		{name: "d4", boot: 4, addr: there, live: true, in: 7, Peer: counted},    // not dialled
		{name: "d5", boot: 5, addr: there, left: true, out: true},               // left
		{name: "d6", boot: 6, live: true, Peer: excluded, out: true},            // excluded
		{name: "d7"}, // only heard of
		{name: "d8", boot: 8, stranger: true},
	}
	if diff := cmp.Diff([]string{"d2", "d3", "d5", "d6"}, l.streams()); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
	if n := l.live(); n != 3 {
		t.Errorf("%d are live, want 3", n)
	}
	if p := l.holder(here); p != l[1] || l.holder(there) != nil {
		t.Errorf("%v answers at %v, %v at %v", p, here, l.holder(there), there)
	}
	if !l.anyAt(here) || !l.anyAt(there) || l.anyAt(nowhere) {
		t.Errorf("at %v: %v, at %v: %v, at %v: %v",
			here, l.anyAt(here), there, l.anyAt(there), nowhere, l.anyAt(nowhere))
	}
	var asked []string
	every := l.everyCounted(func(name string) bool { asked = append(asked, name); return true })
	if diff := cmp.Diff([]string{"d3", "d4"}, asked); diff != "" || !every {
		t.Errorf("every one: %v; asked (-want +got):\n%s", every, diff)
	}
	if l.everyCounted(func(name string) bool { return name != "d4" }) {
		t.Error("every one, and d4 did not")
	}
	removed := func(addr netip.AddrPort) bool { return addr == nowhere }
	l = append(l, &peer{name: "da", boot: 10, addr: nowhere}) // removed
	s := peers{all: l, unmet: []string{"d6", "d9"}}
	got := s.failed([]string{"d6"}, removed, func(*peer) bool { return true })
	if diff := cmp.Diff([]string{"d6", "d9", "d2"}, got); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
}

// A director that we had not met is known once, also when we have met it and have not looked again
// whom we miss: in a large mesh that is for seconds.
func TestMetAndStillMissed(t *testing.T) {
	s := peers{unmet: []string{"d4"}, apart: []string{"d5"}}
	majority := func() bool { return s.majority(func(netip.AddrPort) bool { return false }) }
	counted := admission.Peer{Counted: true}
	s.add(&peer{name: "d2", boot: 2, live: true, Peer: counted})
	if majority() {
		t.Error("two of four are most")
	}
	s.add(&peer{name: "d3", boot: 3, live: true, Peer: counted})
	for _, comes := range []string{"", "d4", "d5"} {
		if comes != "" {
			s.add(&peer{name: comes, boot: 4, live: true})
		}
		if !majority() {
			t.Errorf("three of five are not most when %q comes", comes)
		}
	}
}

// Whether a peer is away, near or in sight changes with each fact about it.
func TestPeersAwayAndNear(t *testing.T) {
	const now = mono.Time(time.Hour)
	for _, test := range []struct {
		name                string
		change              func(p *peer)
		away, near, inSight bool
	}{
		{"seen just now", func(*peer) {}, true, true, true},
		{"live", func(p *peer) { p.live = true }, false, false, true},
		{"left", func(p *peer) { p.left = true }, false, false, true},
		{"barred", func(p *peer) { p.Fail(nil) }, true, false, false},
		{"only heard of", func(p *peer) { p.boot = 0 }, false, false, false},
		{"of boot id 1", func(p *peer) { p.boot = 1 }, true, true, true},
		{"as long ago as may be", func(p *peer) { p.seenAt = now.Add(-failAfter) }, true,
			true, true},
		{"too long ago", func(p *peer) { p.seenAt = now.Add(-failAfter - 1) }, true, false, false},
	} {
		p := &peer{name: "d2", boot: 2, seenAt: now}
		test.change(p)
		l := peerList{p}
		away, near, inSight := l.someAway(), l.someNear(now), l.someInSight(now)
		if away != test.away || near != test.near || inSight != test.inSight {
			t.Errorf("%s: away %v, near %v, in sight %v", test.name, away, near, inSight)
		}
	}
	if l := (peerList)(nil); l.someAway() || l.someNear(now) || l.someInSight(now) {
		t.Error("of no peers one is away, near or in sight")
	}
}

// Peers are found by name and listed by name, and a loop over them is not disturbed by peers that
// come and go.
func TestPeersComeAndGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s peers
		want := make(map[string]*peer)
		name := rapid.SampledFrom([]string{"d1", "d10", "d2", "d3", "x"})
		for range rapid.IntRange(0, 20).Draw(t, "changes") {
			before := slices.Clone(s.all)
			list := s.all
			name := name.Draw(t, "name")
			if p := want[name]; p != nil {
				s.remove(p)
				delete(want, name)
			} else {
				want[name] = &peer{name: name}
				s.add(want[name])
			}
			if !slices.Equal(list, before) {
				t.Fatalf("a loop over the peers is disturbed when %s comes or goes", name)
			}
		}
		names := slices.Sorted(maps.Keys(want))
		if len(s.all) != len(want) || len(s.named) != len(want) {
			t.Fatalf("%d are listed and %d are named, want %d", len(s.all), len(s.named), len(want))
		}
		for i, p := range s.all {
			if p.name != names[i] || p != want[p.name] || s.get(p.name) != p {
				t.Errorf("%s is number %d, want %s", p.name, i, names[i])
			}
		}
	})
}
