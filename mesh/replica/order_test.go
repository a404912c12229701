package replica

import (
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/admission"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// A moving row may come by gossip before the table change that makes its backend live. The user is
// held then, and not for ever, although nobody ever releases it.
func TestMoveComesBeforeItsBackend(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	back := testBackend(4)
	if _, err := d1.do(RemoveBackend{Addr: back}); err != nil {
		t.Fatal(err)
	}
	const h = 0x1234
	later := w.now.Add(2*time.Second - w.now.Sub(0)%time.Second) // than the add below
	stamp := d2.core.MeshTime(later).Tick()
	row := directory.Mapping{
		Hash: h, Backend: back, Generation: 3, Activity: stamp, Stamp: stamp, Moving: true,
	}
	d2.core.Gossip(w.now, d1.delta(directory.Change{}, row))
	if _, err := d1.do(AddBackend{Addr: back}); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	_, id := d2.ask(h)
	if id == 0 {
		t.Fatal("d2 does not hold the user")
	}
	w.run(moves.HoldFor + time.Second)
	if got, ok := d2.answers[id]; !ok || got.Err != nil || got.Backend != back {
		t.Errorf("d2 answers %+v, want %v", got, back)
	}
}

// A part of another mesh's table is no reason to give up serving, and nothing of it is applied.
func TestPartOfAnotherMeshIsNotJoined(t *testing.T) {
	w := newWorld(t)
	d1 := w.start("d1")
	d2 := w.start("d2")
	w.until("all synced", 5*time.Second, w.allSynced)
	mesh := d1.core.table.Mesh()
	stamp := directory.Stamp(d1.core.MeshTime(w.now)) << 16
	d1.core.Gossip(
		w.now, d2.delta(directory.Change{Mesh: mesh + 1, Backends: []directory.BackendRow{
			{Addr: testBackend(1),
				VHosts: directory.Register[int]{Value: 7, Stamp: stamp, Origin: "d9"}},
			{Addr: testBackend(5), Presence: directory.Register[directory.Presence]{
				Value: directory.Presence{Present: true}, Origin: "d9",
			}},
		}}))
	if self := d1.core.Self(w.now); !self.Synced || self.Mesh.ID != mesh {
		t.Errorf("d1 is %+v, want it synced in its own mesh", self)
	}
	backends := d1.core.Backends()
	if len(backends) != 4 || backends[0].Backend.VHosts != 100 {
		t.Errorf(
			"d1 has %+v, want its four backends as they were: that mesh may be another cluster",
			backends)
	}
}

// The way to a peer and back may take longer than until we ask it again.
func TestSlowWayIsAdmitted(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	w.split([]*director{d1}, []*director{d2})
	w.run(failAfter + time.Second)
	type late struct {
		at  mono.Time
		msg wire.Message
	}
	var slow []late
	w.filter = func(to *director, m wire.Message) bool {
		_, admitted := m.(*wire.Admitted)
		if admitted && to == d2 {
			slow = append(slow, late{w.now.Add(3 * admission.AskAgain / 2), reread(t, m)})
			return false
		}
		return true
	}
	w.heal()
	for end := w.now.Add(10 * time.Second); w.now < end && !w.allSynced(); {
		w.run(25 * time.Millisecond)
		for len(slow) > 0 && slow[0].at <= w.now {
			d2.inbox = append(d2.inbox, mail{d2.sessions["d1"], slow[0].msg})
			slow = slow[1:]
		}
	}
	if !w.allSynced() {
		t.Errorf("d2 is %+v after ten seconds", d2.core.Self(w.now))
	}
}

// A director that was cut off while another one recorded activity hears of it, even if that one
// dies right after the cut.
func TestActivityOfTheDeadReachesWhoWasAway(t *testing.T) {
	w := started(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	const h = 0x77
	d3.must(h)
	w.run(time.Second)
	w.split([]*director{d1}, []*director{d2, d3})
	w.run(directory.New(testExpire).Share()/2 + time.Second)
	d3.must(h) // records activity, which d1 does not hear of
	w.run(failAfter + 3*time.Second)
	w.heal()
	w.cut[[2]string{"d3", "d1"}] = true
	w.until("d1 and d2 in touch", time.Second, func() bool { return d1.core.peers.get("d2").live })
	d3.crash()
	w.run(failAfter + time.Second)
	want, _ := d2.dir.Find("", h, d2.core.MeshTime(w.now))
	got, status := d1.dir.Find("", h, d1.core.MeshTime(w.now))
	if status != directory.Live || got.Activity != want.Activity {
		t.Errorf("d1 has activity %d, want %d", got.Activity, want.Activity)
	}
}

// Where a mesh is given up for another one, the sessions on backends that this one does not have
// are ended.
func TestSessionsOfAGivenUpMeshEnd(t *testing.T) {
	w := newWorld(t)
	w.start("d1")
	w.run(time.Minute)
	other := ring.Backend{Addr: netip.MustParseAddr("198.51.100.7"), VHosts: 100}
	shared := ring.Backend{Addr: testBackend(1)}
	d2 := w.start("d2", func(c *Config) {
		c.Founder, c.Backends = true, []ring.Backend{shared, other}
	})
	w.until("one mesh", 10*time.Second, w.allSynced)
	for _, k := range d2.kicked {
		if k.Target.Backend == other.Addr {
			return
		}
	}
	t.Errorf("d2 kicked %+v, want the sessions on %v", d2.kicked, other.Addr)
}

// A peer that answers for us may not have heard yet of the move that we know of.
func TestRelayedAnswerThatLosesIsNotGiven(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	const h = 0x4711
	old := d1.must(h)
	w.run(time.Second)
	w.split([]*director{d1}, []*director{d2})
	w.run(failAfter + time.Second)
	w.filter = func(to *director, m wire.Message) bool { // d2 is not admitted again
		_, admitted := m.(*wire.Admitted)
		return !admitted || to != d2
	}
	w.heal()
	w.until("d2 in touch and not synced", 5*time.Second, func() bool {
		return d2.core.peers.get("d1").synced && d2.core.peers.get("d1").live && !d2.core.synced()
	})
	to := testBackend(1)
	if old == to {
		to = testBackend(2)
	}
	now := d2.core.MeshTime(w.now).Tick()
	row := directory.Mapping{Hash: h, Backend: to, Generation: 2, Activity: now, Stamp: now}
	d2.core.Gossip(w.now, d1.delta(directory.Change{}, row))
	_, id := d2.ask(h)
	w.run(time.Second)
	if got, ok := d2.answers[id]; ok && got.Backend != to {
		t.Errorf("d2 answers %v, which it knows to be superseded by %v", got.Backend, to)
	}
	if d2.core.Counters().Relayed == 0 {
		t.Error("nothing was relayed")
	}
}
