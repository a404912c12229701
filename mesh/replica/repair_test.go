package replica

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

func TestDigestsFindWhatOneDirectorMissed(t *testing.T) {
	w := started(t, 3)
	d2 := w.directors[1]
	const h = 0xabcdef01
	lost := directory.Mapping{Hash: h, Backend: testBackend(3), Generation: 1}
	lost.Stamp = d2.core.MeshTime(w.now).Tick()
	lost.Activity = lost.Stamp
	// as if the message to the others were lost
	d2.dir.Merge("", []directory.Mapping{lost}, d2.core.MeshTime(w.now), nil)
	w.until("the others have the row", 45*time.Second, func() bool {
		for _, d := range w.directors {
			m, status := d.dir.Find("", h, d.core.MeshTime(w.now))
			if status != directory.Live || m.Backend != lost.Backend {
				return false
			}
		}
		return true
	})
	w.until("all synced", 30*time.Second, w.allSynced)
}

// A peer is shown as syncing for digests that differ until it has answered, even if it has nothing
// to give: it lacked the row.
func TestDigestsThatDifferAreSettledAtOnce(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	lost := directory.Mapping{Hash: 0xabcdef01, Backend: testBackend(3), Generation: 1}
	lost.Stamp = d2.core.MeshTime(w.now).Tick()
	lost.Activity = lost.Stamp
	// as if the message to d1 were lost
	d2.dir.Merge("", []directory.Mapping{lost}, d2.core.MeshTime(w.now), nil)
	w.lose = func(from, to *director, m wire.Message) bool { // only d2 asks
		_, asks := m.(*wire.LeafDigests)
		return asks && from == d1
	}
	w.until("d1 has the row", 45*time.Second, func() bool {
		_, status := d1.dir.Find("", lost.Hash, d1.core.MeshTime(w.now))
		return status == directory.Live
	})
	if d2.core.peers.get("d1").differs {
		t.Error("d2 still waits for d1, which had nothing to give")
	}
}

func TestDeadDirectorsLastRowsAreLevelled(t *testing.T) {
	w := started(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	w.cut[[2]string{"d3", "d2"}] = true // d3's stream to d2 is down for a moment
	d3.core.OutClosed(w.now, "d2", nil)
	d2.core.InClosed(w.now, d2.sessions["d3"], nil)
	const h = 4321
	place := d3.must(h)
	w.run(200 * time.Millisecond)
	if _, status := d2.dir.Find("", h, d2.core.MeshTime(w.now)); status != directory.None {
		t.Fatal("d2 has the row already; the test shows nothing")
	}
	d3.crash()
	w.run(failAfter + time.Second)
	for _, d := range []*director{d1, d2} {
		if m, status := d.dir.Find("", h, d.core.MeshTime(w.now)); status != directory.Live ||
			m.Backend != place {
			t.Errorf("%s has %v %v, want live on %v", d.name, status, m.Backend, place)
		}
	}
}

func TestLookupsWhileJoiningAreRelayed(t *testing.T) {
	long(t)
	w := newWorld(t)
	w.chunkRows = 4000
	d1 := w.start("d1")
	w.run(100 * time.Millisecond)
	const users = 60_000
	for h := range ring.UserHash(users) {
		d1.must(h*71503 + 1)
	}
	if _, err := d1.do(UpdateBackend{Addr: testBackend(1), VHosts: 0}); err != nil {
		t.Fatal(err) // so that the ring no longer says where the users are
	}
	w.run(31 * time.Second) // the log is not kept for so long
	w.chunks = 1
	d2 := w.start("d2")
	var received, sent []uint64
	states := []PeerState{}
	for i := 0; !w.allSynced(); i++ {
		if i > 400 {
			t.Fatal("not synced after 10 s")
		}
		w.now = w.now.Add(25 * time.Millisecond)
		w.step()
		h := ring.UserHash(i%users)*71503 + 1
		backend, id := d2.ask(h)
		w.deliver()
		if id != 0 {
			backend = d2.answers[id].Backend
		}
		if want := d1.must(h); backend.IsValid() && backend != want {
			t.Fatalf("d2 answers %v, d1 %v", backend, want)
		}
		for _, p := range d2.core.Peers(w.now) {
			if p.Name == "d1" {
				states = append(states, p.State)
				received = append(received, p.Received)
			}
		}
		for _, p := range d1.core.Peers(w.now) {
			if p.Name == "d2" {
				sent = append(sent, p.Sent)
			}
		}
	}
	if !growing(received) || !growing(sent) {
		t.Errorf("users received %v and sent %v, want them to grow", received, sent)
	}
	for i := 1; i < len(states); i++ {
		if states[i] < states[i-1] {
			t.Errorf("state goes back: %v", states)
		}
	}
	if d2.core.Counters().Relayed == 0 {
		t.Error("nothing was relayed")
	}
}

// growing reports whether at least two different counts other than 0 were seen, in order.
func growing(counts []uint64) bool {
	distinct := 0
	var last uint64
	for _, n := range counts {
		if n > last {
			distinct++
			last = n
		}
	}
	return distinct >= 2
}

func TestLeaveIsNoFailure(t *testing.T) {
	w := started(t, 3)
	d3 := w.directors[2]
	d3.core.Leave(w.now)
	w.deliver()
	d3.crash()
	w.run(failAfter + time.Second)
	for _, d := range w.directors[:2] {
		for _, p := range d.core.Peers(w.now) {
			if p.Name == "d3" || !p.LastFailed.IsZero() {
				t.Errorf("%s still shows %+v", d.name, p)
			}
		}
	}
	id := w.directors[0].begin(UpdateBackend{Addr: testBackend(1), VHosts: 7})
	w.deliver()
	if _, done := w.directors[0].done[id]; !done {
		t.Error("an update waits for a director that left")
	}
}

// A stream that was being opened when a director left does not bring it back.
func TestLeftStaysAway(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	hello := d2.core.Hello(w.now, Dial{Name: "d1", Addr: d1.core.cfg.Addr})
	answer := d2.core.hello(w.now)
	answer.Answers = d1.core.boot
	d2.core.Leave(w.now)
	w.deliver()
	const want = "director d2 has left"
	if _, _, err := d1.core.Accept(w.now, hello); err == nil || err.Error() != want {
		t.Errorf("it opens a stream: %v, want %s", err, want)
	}
	err := d1.core.Opened(w.now, Dial{Name: "d2", Addr: d2.core.cfg.Addr}, answer)
	if err == nil || err.Error() != want {
		t.Errorf("a stream to it is opened: %v, want %s", err, want)
	}
	if peers := d1.core.Peers(w.now); len(peers) != 1 {
		t.Errorf("d1 shows %+v", peers)
	}
	hello.From.Boot++
	if _, _, err := d1.core.Accept(w.now, hello); err != nil {
		t.Errorf("it is not let in again in another life: %v", err)
	}
}

func TestRemovedDirectorIsRefusedUntilAdded(t *testing.T) {
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	_, err := d1.do(SetDirectorRemoved{
		Addr: netip.MustParseAddrPort("127.0.0.99:9090"), Removed: true,
	})
	if err != ErrUnknownDirector {
		t.Errorf("removing an unknown director gives %v", err)
	}
	if _, err := d1.do(SetDirectorRemoved{Addr: d3.core.cfg.Addr, Removed: true}); err != nil {
		t.Fatal(err)
	}
	w.run(10 * time.Second)
	if self := d3.core.Self(w.now); self.Synced || !strings.Contains(self.Reason, "removed") {
		t.Errorf("d3 goes on: %+v", self)
	}
	if _, id := d3.ask(1); id == 0 {
		t.Error("d3 still answers")
	}
	removed := false
	for _, p := range d1.core.Peers(w.now) {
		removed = removed || p.Name == "d3" && p.Removed
	}
	if !removed {
		t.Errorf("d1 does not show d3 as removed: %+v", d1.core.Peers(w.now))
	}
	if _, err := d1.do(SetDirectorRemoved{Addr: d3.core.cfg.Addr, Removed: false}); err != nil {
		t.Fatal(err)
	}
	w.until("d3 is back", 10*time.Second, w.allSynced)
}

func TestMeshesMeet(t *testing.T) {
	w := newWorld(t)
	w.start("d1")
	w.run(time.Minute)
	other := ring.Backend{Addr: netip.MustParseAddr("198.51.100.7"), VHosts: 100}
	shared := ring.Backend{Addr: testBackend(1)}
	d2 := w.start("d2", func(c *Config) {
		c.Founder, c.Backends = true, []ring.Backend{shared, other}
	})
	w.cut[[2]string{"d1", "d2"}], w.cut[[2]string{"d2", "d1"}] = true, true
	w.run(time.Second)
	if got := d2.must(5); got != other.Addr {
		t.Fatalf("d2 alone answers %v", got)
	}
	w.heal()
	w.until("one mesh", 10*time.Second, w.allSynced)
	for _, d := range w.directors {
		if n := len(d.core.Backends()); n != 4 {
			t.Errorf("%s has %d backends, want the four of the mesh that stays", d.name, n)
		}
		if got := d.must(5); got == other.Addr {
			t.Errorf("%s answers a backend of the configuration of the mesh that joined", d.name)
		}
	}
}

func TestWhoDoesNotConfirmIsExcluded(t *testing.T) {
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	// d3 lives, but the holds do not reach it, as if it had a defect.
	w.filter = func(to *director, m wire.Message) bool {
		_, hold := m.(*wire.Hold)
		return !hold || to != d3 || d3.core.Counters().Excluded > 0
	}
	const h = 77
	to := testBackend(1)
	if d1.must(h) == to {
		to = testBackend(2)
	}
	id := d1.begin(Move{Hash: h, Backend: to})
	w.run(confirmWithin - time.Second)
	if _, done := d1.done[id]; done {
		t.Fatal("the move ended although d3 has not confirmed")
	}
	w.until("the move ends", 2*time.Second, func() bool { _, done := d1.done[id]; return done })
	if d1.core.Counters().Exclusions == 0 || d3.core.Counters().Excluded == 0 {
		t.Error("d3 was not excluded")
	}
	w.until("all synced", 10*time.Second, w.allSynced)
	w.run(5 * time.Second)
	if got := d3.must(h); got != to {
		t.Errorf("d3 answers %v after its new admission, want %v", got, to)
	}
}

func TestClocksAgree(t *testing.T) {
	w := newWorld(t)
	for i, skew := range []time.Duration{0, 20 * time.Second, -25 * time.Second, 3 * time.Second} {
		w.start([]string{"d1", "d2", "d3", "d4"}[i], func(c *Config) { c.Wall = c.Wall.Add(skew) })
	}
	w.until("all synced", 10*time.Second, w.allSynced)
	first := w.directors[0].core.MeshTime(w.now)
	for _, d := range w.directors {
		if off := d.core.MeshTime(w.now).Sub(first); off.Abs() > 100*time.Millisecond {
			t.Errorf("%s is %v off d1", d.name, off)
		}
	}
}

func TestDifferentSettingsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*wire.Hello){
		"mesh name differs":        func(h *wire.Hello) { h.Settings.Mesh = "other" },
		"username hash differs":    func(h *wire.Hello) { h.Settings.HashFormat = "%Ln" },
		"user expire differs":      func(h *wire.Hello) { h.Settings.Expire++ },
		"protocol version differs": func(h *wire.Hello) { h.Settings.Protocol++ },
		"used by two directors":    func(h *wire.Hello) { h.From.Name = "d1" },
		"no boot id":               func(h *wire.Hello) { h.From.Boot = 0 },
	} {
		w := newWorld(t)
		d1 := w.start("d1")
		h := d1.core.Hello(w.now, Dial{})
		h.From = wire.Peer{Name: "d2", Boot: 5, Addr: netip.MustParseAddrPort("127.0.0.2:9090")}
		change(h)
		_, _, err := d1.core.Accept(w.now, h)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: accepted with %v", name, err)
		}
		if err := d1.core.MergePushPull(w.now, &wire.PushPull{Hello: *h}); err == nil {
			t.Errorf("%s: state merged", name)
		}
	}
}
