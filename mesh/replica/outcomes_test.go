package replica

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// The outcome of an operation names, in order, who could not end sessions and who has no kicker;
// "" is this director.
func TestReportOfKicksIsTold(t *testing.T) {
	var k kicks.Report
	k.Note("d3", KickResult{Left: 2})
	k.Note("", KickResult{Left: 1, Blind: true})
	k.Note("d2", KickResult{Blind: true})
	k.Note("d4", KickResult{Count: 7, Known: true})
	k.Note("d0", KickResult{Blind: true})
	o := &operationState{}
	c := &Core{ops: map[uint64]*operationState{1: o}, cfg: Config{Name: "d1"}}
	c.assemble()
	c.reportKicked(2, k) // ended meanwhile
	if len(o.outcome.Left)+len(o.outcome.Blind) > 0 {
		t.Errorf("another operation is told %+v", o.outcome)
	}
	c.reportKicked(1, k)
	want := Outcome{Left: []SessionsLeft{{"d1", 1}, {"d3", 2}}, Blind: []string{"d0", "d1", "d2"}}
	if d := cmp.Diff(want.Left, o.outcome.Left) + cmp.Diff(want.Blind, o.outcome.Blind); d != "" {
		t.Errorf("outcome (-want +got):\n%s", d)
	}
}

// Directors are listed in the order of their addresses.
func TestPeersAreInOrder(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"d4", "d1", "d5", "d3", "d2"} {
		w.start(name)
	}
	w.until("all synced", 20*time.Second, w.allSynced)
	for _, d := range w.directors {
		var names []string
		for _, p := range d.core.Peers(w.now) {
			names = append(names, p.Name)
		}
		if want := []string{"d4", "d1", "d5", "d3", "d2"}; !slices.Equal(names, want) {
			t.Errorf("%s lists %v, want %v", d.name, names, want)
		}
	}
}

// A user is moved only to a backend that is in the table.
func TestMoveToNoBackend(t *testing.T) {
	w := started(t, 1)
	d := w.directors[0]
	d.must(7)
	if _, err := d.do(RemoveBackend{Addr: testBackend(2)}); err != nil {
		t.Fatal(err)
	}
	for name, op := range map[string]Move{
		"removed": {
			Hash: 7, Backend: testBackend(2),
		}, "never there": {Hash: 7, Backend: testBackend(9)},
	} {
		if _, err := d.do(op); !errors.Is(err, directory.ErrUnknownBackend) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a director leaves behind when it leaves its cluster for another: everything.
func TestGivingAMeshUp(t *testing.T) {
	w := started(t, 2)
	c := w.directors[0].core
	backend := w.directors[0].must(7)
	w.directors[1].begin(Move{Hash: 7, Backend: another(backend)})
	w.run(100 * time.Millisecond)
	if _, err := w.directors[1].do(UpdateBackend{Addr: testBackend(3)}); err != nil {
		t.Fatal(err)
	}
	w.directors[0].begin(Flush{Addr: testBackend(4)})
	if c.moves.Held.Len() == 0 || len(c.flushes.Own()) == 0 {
		t.Fatal("nothing is held, or flushed, that could be left behind")
	}
	left, boot := c.table.Mesh(), c.boot
	c.admission.coldSince, c.admission.cold = w.now, map[string]bool{"d2": true}
	c.giveMeshUp(w.now, c.peers.get("d2"))
	if c.admission.coldSince != 0 || len(c.admission.cold) > 0 {
		t.Errorf("it goes on with a cold start: %+v", c.admission)
	}
	if c.admission.bootstrapped || len(c.admission.named) > 0 || c.table.Mesh() != 0 ||
		c.boot == boot {
		t.Errorf("it keeps %+v of mesh %v, boot id %x after %x",
			c.admission, c.table.Mesh(), c.boot, boot)
	}
	if c.moves.Held.Len()+len(c.flushes.Own())+c.moves.Len() > 0 || len(c.barrier.Rings()) != 1 {
		t.Errorf("%d held, %d flushes, %d moves, %d rings are left",
			c.moves.Held.Len(), len(c.flushes.Own()), c.moves.Len(), len(c.barrier.Rings()))
	}
	if _, ok := c.strangers[left]; !ok {
		t.Error("the cluster that it left is not strange to it")
	}
	configured := ring.Build(c.cfg.Backends, nil)
	for h := range ring.UserHash(100) {
		got, _ := c.barrier.Today().Lookup("", h<<24)
		if want, _ := configured.Lookup("", h<<24); got != want {
			t.Errorf("user %v hashes to %v, configured is %v", h<<24, got, want)
		}
	}
}

// When a peer was heard of last, and when it failed.
func TestPeerIsStamped(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	p := d1.core.peers.get("d2")
	w.now = w.now.Add(10 * time.Millisecond)
	d1.hears(d2, &wire.Counting{})
	if p.seenAt != w.now {
		t.Errorf("heard of at %v, want %v", p.seenAt, w.now)
	}
	d1.core.ProbeFailed(w.now, "d9")
	if p.lastFailed != 0 {
		t.Errorf("failed at %v, but that was another", p.lastFailed)
	}
	d1.core.ProbeFailed(w.now, "d2")
	if p.lastFailed != d1.core.MeshTime(w.now) {
		t.Errorf("failed at %v, want %v", p.lastFailed, d1.core.MeshTime(w.now))
	}
	p.left, p.lastFailed = true, 0
	if d1.core.ProbeFailed(w.now, "d2"); p.lastFailed != 0 {
		t.Errorf("failed at %v, but it had left", p.lastFailed)
	}
}
