package replica

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// peer is how a director sees another, or itself.
func (d *director) peer(name string) PeerStatus {
	d.w.t.Helper()
	all := d.core.Peers(d.w.now)
	i := slices.IndexFunc(all, func(p PeerStatus) bool { return p.Name == name })
	if i < 0 {
		d.w.t.Fatalf("%s does not show %s", d.name, name)
	}
	return all[i]
}

func TestBackendsAreShown(t *testing.T) {
	tagged := ring.Backend{Addr: testBackend(2), Tag: "ssd", VHosts: 50, Name: "mail2"}
	w := started(t, 2, func(c *Config) { c.Backends = []ring.Backend{tagged, testBackends(1)[0]} })
	d1, d2 := w.directors[0], w.directors[1]
	for h := range ring.UserHash(5) {
		d2.must(h << 28)
	}
	w.run(time.Second)
	begun := d1.core.MeshTime(w.now)
	w.down(1)
	down := testBackends(1)[0]
	down.Down = true
	want := []BackendStatus{{Backend: down, Users: 5}, {Backend: tagged}}
	got := d1.core.Backends()
	diff := cmp.Diff(want, got, compareAddrs, cmpopts.IgnoreFields(BackendStatus{}, "ChangedAt"))
	if diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if at := got[0].ChangedAt; at < begun || at > d1.core.MeshTime(w.now) || got[1].ChangedAt != 0 {
		t.Errorf("changed at %v and %v, want %v and never", at, got[1].ChangedAt, begun)
	}
	if diff := cmp.Diff([]ring.Backend{tagged, testBackends(1)[0]}, d1.core.Configured(),
		compareAddrs); diff != "" {
		t.Errorf("configured (-want +got):\n%s", diff)
	}
}

func TestUserIsShown(t *testing.T) {
	w := started(t, 1)
	d1 := w.directors[0]
	const h = 5
	show := func() UserStatus { return d1.core.User(w.now, "", h) }
	initial := show().Initial
	want := UserStatus{Hashed: initial, Current: initial, Initial: initial}
	if diff := cmp.Diff(want, show(), compareAddrs); diff != "" {
		t.Errorf("before the first login (-want +got):\n%s", diff)
	}
	d1.must(h)
	want.Mapped, want.Expires = true, d1.core.MeshTime(w.now).Tick().Time().Add(testExpire)
	if diff := cmp.Diff(want, show(), compareAddrs); diff != "" {
		t.Errorf("mapped (-want +got):\n%s", diff)
	}
	w.run(time.Second)
	if _, err := d1.do(UpdateBackend{Addr: initial, VHosts: 0}); err != nil {
		t.Fatal(err)
	}
	if got := show(); got.Hashed == initial || got.Current != initial || got.Initial != initial {
		t.Errorf("hashed elsewhere it is %+v", got)
	}
	d1.begin(Move{Hash: h, Backend: another(initial)})
	if got := show(); !got.Moving || got.Current != another(initial) {
		t.Errorf("while it is moved it is %+v", got)
	}
	w.down(4)
	w.run(testExpire + d1.dir.Share() + 3*time.Second)
	got := show()
	if got.Current.IsValid() || got.Hashed.IsValid() || got.Mapped || got.Initial != initial {
		t.Errorf("without a backend it is %+v", got)
	}
}

// What a director says of itself on the way from its start to being synced, and out again.
func TestOwnState(t *testing.T) {
	w := newWorld(t)
	d1 := w.start("d1", func(c *Config) { c.Founder = false })
	w.run(time.Second)
	d1.core.Refused(w.now, &wire.Refuse{From: wire.Peer{Name: "d9"}, Reason: "mesh name differs"})
	if self := d1.core.Self(w.now); self.Synced ||
		self.Reason != "refused by a peer: mesh name differs" {
		t.Errorf("refused: %+v", self)
	}
	if p := d1.peer("d1"); p.State != Handshaking ||
		p.Reason != "refused by a peer: mesh name differs" || !p.Self || !p.Reachable {
		t.Errorf("refused it shows itself as %+v", p)
	}
	w.run(failAfter + time.Second)
	self := d1.core.Self(w.now)
	if !self.Synced || !self.Alone || self.Reason == "" {
		t.Errorf("alone: %+v", self)
	}
	d2 := w.start("d2")
	w.until("all synced", 10*time.Second, w.allSynced)
	if self := d1.core.Self(w.now); !self.Synced || self.Alone || self.Reason != "" {
		t.Errorf("with another: %+v", self)
	}
	if p := d1.peer("d1"); p.State != Synced || p.Reason != "" {
		t.Errorf("synced it shows itself as %+v", p)
	}
	d2.hears(d1, &wire.Exclude{Reason: "a test"})
	if p := d2.peer("d2"); p.State != Syncing || p.Reason != "not yet admitted by d1" {
		t.Errorf("excluded it shows itself as %+v", p)
	}
}

// A director that is alone for want of an answer says so; one that was refused says that.
func TestReasonToBeAlone(t *testing.T) {
	for refused, want := range map[bool]string{
		false: "no peer answers, serving alone", true: "refused by a peer: mesh name differs",
	} {
		w := newWorld(t)
		d1 := w.start("d1", func(c *Config) { c.Founder = false })
		w.run(startWait + time.Second)
		if refused {
			d1.core.Refused(w.now, &wire.Refuse{
				From: wire.Peer{Name: "d9"}, Reason: "mesh name differs",
			})
		}
		if self := d1.core.Self(w.now); !self.Alone || self.Reason != want {
			t.Errorf("refused %v: %+v, want %q", refused, self, want)
		}
	}
}

// How a peer is seen: handshaking until its first snapshot is through, syncing while anything is
// missing between the two, else synced.
func TestPeerStates(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(w *world, d1, d2 *director, p *peer)
		want PeerState
	}{
		{"as it should be", func(*world, *director, *director, *peer) {}, Synced},
		{"failed", func(_ *world, _, _ *director, p *peer) { p.live = false }, Handshaking},
		{"its snapshot is under way", func(_ *world, d1, _ *director, p *peer) {
			p.synced = false
			d1.core.donations.Begin(0, "d2", 1, 0, nil, nil)
		}, Handshaking},
		{"of no mesh", func(_ *world, _, _ *director, p *peer) { p.synced, p.mesh.ID = false, 0 },
			Handshaking},
		{"our first snapshot is under way", func(_ *world, d1, _ *director, _ *peer) {
			d1.core.receiver.Begin(0, snapshots.Snapshot{Peer: "d2"})
			d1.core.admission.bootstrapped = false
		}, Handshaking},
		{"not synced", func(_ *world, _, _ *director, p *peer) { p.synced = false }, Syncing},
		{"we are not",
			func(_ *world, d1, _ *director, _ *peer) { d1.core.admission.synced = false }, Syncing},
		{"not counted", func(_ *world, _, _ *director, p *peer) { p.Counted = false }, Syncing},
		{"a gap", func(_ *world, _, _ *director, p *peer) { p.gap = true }, Syncing},
		{"digests differ", func(_ *world, _, _ *director, p *peer) { p.differs = true }, Syncing},
		{"a repair from it", func(_ *world, d1, _ *director, _ *peer) {
			d1.core.receiver.Begin(0, snapshots.Snapshot{Peer: "d2"})
		}, Syncing},
		{"a repair from another", func(_ *world, d1, _ *director, _ *peer) {
			d1.core.receiver.Begin(0, snapshots.Snapshot{Peer: "d3"})
		}, Synced},
		{"a repair of its own", func(_ *world, d1, _ *director, _ *peer) {
			d1.core.donations.Begin(0, "d2", 1, 0, nil, nil)
		}, Syncing},
		{"our stream is down", func(_ *world, _, _ *director, p *peer) { p.out = false }, Syncing},
		{"its stream is down", func(_ *world, _, _ *director, p *peer) { p.in = 0 }, Syncing},
		{"not heard since we are synced", func(w *world, d1, _ *director, p *peer) {
			d1.core.admission.syncedAt = p.beatAt.Add(1)
		}, Syncing},
		{"a change not confirmed", func(_ *world, d1, _ *director, _ *peer) {
			d1.begin(UpdateBackend{Addr: testBackend(1), VHosts: 7})
		}, Syncing},
	} {
		w := started(t, 2)
		d1, d2 := w.directors[0], w.directors[1]
		test.do(w, d1, d2, d1.core.peers.get("d2"))
		if got := d1.peer("d2").State; got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// Whatever fails with a peer stamps it: a probe, a dial, a stream; but not if it has left.
func TestLastFailed(t *testing.T) {
	for name, fails := range map[string]func(c *Core, now mono.Time){
		"probe":   func(c *Core, now mono.Time) { c.ProbeFailed(now, "d2") },
		"dial":    func(c *Core, now mono.Time) { c.DialFailed(now, "d2", nil) },
		"member":  func(c *Core, now mono.Time) { c.MemberFailed(now, "d2") },
		"stream":  func(c *Core, now mono.Time) { c.OutClosed(now, "d2", nil) },
		"silence": func(c *Core, now mono.Time) { c.fail(now, c.peers.get("d2"), "a test") },
	} {
		w := started(t, 2)
		d1 := w.directors[0]
		if p := d1.peer("d2"); !p.LastFailed.IsZero() {
			t.Fatalf("%s: failed at %v before", name, p.LastFailed)
		}
		fails(d1.core, w.now)
		got, want := d1.peer("d2").LastFailed, d1.core.MeshTime(w.now)
		if got.UnixMilli() != int64(want) {
			t.Errorf("%s: failed at %v, want %v", name, got, want)
		}
		for _, unknown := range []func(string){
			func(name string) { d1.core.ProbeFailed(w.now, name) },
			func(name string) { d1.core.DialFailed(w.now, name, nil) },
			func(name string) { d1.core.MemberFailed(w.now, name) },
			func(name string) { d1.core.OutClosed(w.now, name, nil) },
		} {
			unknown("nobody")
		}
		if n := len(d1.core.Peers(w.now)); n != 2 {
			t.Errorf("%s: %d directors are shown", name, n)
		}
		w = started(t, 2)
		d1 = w.directors[0]
		w.directors[1].core.Leave(w.now)
		w.deliver()
		if name != "silence" {
			fails(d1.core, w.now)
		}
		if p := d1.core.peers.get("d2"); p.lastFailed != 0 {
			t.Errorf("%s: a director that has left is stamped as failed", name)
		}
	}
}

// Directors that no stream has proven are shown as handshaking, those that an operator named as
// removed or not, each once.
func TestDirectorsThatWereNeverMet(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	addr := func(i byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, i}), 9090)
	}
	for i := range byte(2) {
		if _, err := d1.do(SetDirectorRemoved{Addr: addr(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d1.do(SetDirectorRemoved{Addr: addr(1), Removed: true}); err != nil {
		t.Fatal(err)
	}
	d1.core.MemberJoined(w.now, "x0", addr(0), 5) // also added
	d1.core.MemberJoined(w.now, "x2", addr(2), 5)
	d1.core.MemberJoined(w.now, "x3", addr(2), 5) // another at that address
	d1.core.DialFailed(w.now, "x2", nil)
	failed := time.UnixMilli(int64(d1.core.MeshTime(w.now)))
	want := []PeerStatus{
		{Name: "x0", Addr: addr(0), State: Handshaking},
		{Addr: addr(1), Removed: true},
		{Name: "x2", Addr: addr(2), State: Handshaking, LastFailed: failed},
	}
	if diff := cmp.Diff(want, d1.core.Peers(w.now)[2:], compareAddrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := d1.core.Peers(w.now)[0]; !got.Self || got.Users != 0 {
		t.Errorf("this one is shown as %+v", got)
	}
}

// A peer from whom no beat comes is shown as silent long before it counts as failed.
func TestSilentPeer(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	if p := d1.peer("d2"); !p.SilentSince.IsZero() {
		t.Errorf("silent since %v", p.SilentSince)
	}
	d2.stopped = true
	heard := d1.core.peers.get("d2").beatAt
	w.now = heard.Add(3 * beatEvery)
	d1.core.Tick(w.now)
	if p := d1.peer("d2"); !p.SilentSince.IsZero() {
		t.Errorf("three beats later silent since %v", p.SilentSince)
	}
	w.now = w.now.Add(25 * time.Millisecond)
	d1.core.Tick(w.now)
	want := int64(d1.core.clock.At(heard))
	if got := d1.peer("d2").SilentSince.UnixMilli(); got != want {
		t.Errorf("silent since %v, want %v", got, want)
	}
}

// A peer whose stream has broken is shown as silent at once.
func TestSilentFromTheFirstMoment(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	d1.core.InClosed(w.now, d1.sessions["d2"], nil)
	want := int64(d1.core.clock.At(d1.core.peers.get("d2").beatAt))
	if got := d1.peer("d2").SilentSince.UnixMilli(); got != want {
		t.Errorf("silent since %v, want %v", got, want)
	}
}
