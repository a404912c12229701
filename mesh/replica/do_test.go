package replica

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Each operation is carried out, or refused for what it lacks; none is unknown.
func TestEveryOperationIsKnown(t *testing.T) {
	w := started(t, 1)
	for _, op := range Operations() {
		_, err := w.directors[0].do(op)
		if err != nil && strings.Contains(err.Error(), "unknown operation") {
			t.Error(err)
		}
	}
}

// An operation that changes nothing waits all the same for a change that others are still to learn
// of: its answer says that it is in force.
func TestOperationThatChangesNothing(t *testing.T) {
	w := started(t, 3, func(c *Config) { c.Backends = nil })
	d1, d3 := w.directors[0], w.directors[2]
	if outcome, err := d1.do(Forget{}); err != nil || len(outcome.FailedPeers) > 0 {
		t.Errorf("with nothing under way: %+v, %v", outcome, err)
	}
	d3.stopped = true // hangs
	ids := []uint64{
		d1.begin(SetDirectorRemoved{Addr: netip.MustParseAddrPort("198.51.100.1:9090")}),
		d1.begin(SetDirectorRemoved{Addr: netip.MustParseAddrPort("198.51.100.2:9090")}),
		d1.begin(Forget{}),
	}
	w.run(2 * time.Second)
	for i, id := range ids {
		if _, done := d1.done[id]; done {
			t.Errorf("operation %d ended although d3 has not confirmed", i)
		}
	}
	if d1.core.ops[ids[2]].table != d1.core.ops[ids[1]].table {
		t.Error("it does not wait for the last change")
	}
	w.run(failAfter)
	want := Outcome{FailedPeers: []string{"d3"}}
	for i, id := range ids {
		if diff := cmp.Diff(want, d1.done[id].Outcome); diff != "" || d1.done[id].Err != nil {
			t.Errorf("operation %d ended with %v (-want +got):\n%s", i, d1.done[id].Err, diff)
		}
	}
	w.wantRest()
}

// It waits for all changes that are under way. The last one may have been confirmed before others.
func TestOperationThatChangesNothingWaitsForAll(t *testing.T) {
	w := started(t, 3, func(c *Config) { c.Backends = nil })
	w.noGossip = true
	d1, d3 := w.directors[0], w.directors[2]
	d1.begin(SetDirectorRemoved{Addr: netip.MustParseAddrPort("198.51.100.1:9090")})
	d3.begin(SetDirectorRemoved{Addr: netip.MustParseAddrPort("198.51.100.2:9090")})
	d3.carryOut()
	d3.stopped = true // hangs, before it hears of the change of d1
	w.run(time.Second)
	if got := d1.core.barrier; got.Len() != 2 || !got.Latest().ConfirmedBy(
		d1.core.peers.get("d3").barrierPeer()) {
		t.Fatalf("%d changes are under way; the test shows nothing", got.Len())
	}
	id := d1.begin(Forget{})
	w.run(2 * time.Second)
	if _, done := d1.done[id]; done {
		t.Error("it ended although d3 has not confirmed the first change")
	}
	w.run(failAfter)
	want := AdminDone{ID: id, Outcome: Outcome{FailedPeers: []string{"d3"}}}
	if diff := cmp.Diff(want, d1.done[id]); diff != "" {
		t.Errorf("it ended with (-want +got):\n%s", diff)
	}
	w.wantRest()
}

// Before its first sync a director refuses whatever it is told to do, and says why.
func TestOperationsBeforeTheFirstSync(t *testing.T) {
	w, joiner := relaying(t, 1)
	for _, op := range []Operation{
		Move{}, Flush{}, CancelFlush{}, KickUser{}, Import{}, SetDown{Addr: testBackend(1)},
		Forget{},
	} {
		_, err := joiner.do(op)
		want := "this director is not synced yet (joining); try again"
		if !errors.Is(err, ErrNotSynced) || err.Error() != want {
			t.Errorf("%T: %v, want %s", op, err, want)
		}
	}
	w.run(time.Second)
	if n := len(joiner.kicked) + len(joiner.core.ops); n != 0 {
		t.Errorf("%d kicks or operations are under way", n)
	}
}

// What an operation on the table cannot do ends at once with its error.
func TestOperationsThatCannotBeDone(t *testing.T) {
	w := started(t, 2)
	unknown := netip.MustParseAddr("198.51.100.1")
	tag := ring.Tag("ssd")
	for _, test := range []struct {
		op   Operation
		want error
	}{
		{UpdateBackend{Addr: unknown, VHosts: 5}, directory.ErrUnknownBackend},
		{RemoveBackend{unknown}, directory.ErrUnknownBackend},
		{SetDown{Addr: unknown, Down: true}, directory.ErrUnknownBackend},
		{Forget{unknown}, directory.ErrUnknownBackend},
		{AddBackend{Addr: testBackend(1), Tag: tag}, directory.ErrTagDiffers},
		{UpdateBackend{Addr: testBackend(1), Tag: &tag}, directory.ErrTagDiffers},
		{SetDirectorRemoved{Addr: netip.MustParseAddrPort("198.51.100.1:9090"), Removed: true},
			ErrUnknownDirector},
		{SetDirectorRemoved{Name: "nobody", Removed: true}, ErrUnknownDirector},
	} {
		if _, err := w.directors[0].do(test.op); !errors.Is(err, test.want) {
			t.Errorf("%+v: %v, want %v", test.op, err, test.want)
		}
	}
	if diff := cmp.Diff(untouched, w.directors[1].vhosts()); diff != "" {
		t.Errorf("backends (-want +got):\n%s", diff)
	}
	w.wantRest()
}

// A director is removed by its address or by its name, also itself, and one that is known only
// because it was added.
func TestDirectorsThatCanBeRemoved(t *testing.T) {
	added := netip.MustParseAddrPort("198.51.100.1:9090")
	for _, op := range []SetDirectorRemoved{
		{Addr: netip.MustParseAddrPort("127.0.0.2:9090"), Removed: true},
		{Name: "d2", Removed: true},
		{Addr: netip.MustParseAddrPort("127.0.0.1:9090"), Removed: true},
		{Addr: added, Removed: true},
	} {
		w := started(t, 3)
		if _, err := w.directors[0].do(SetDirectorRemoved{Addr: added}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.directors[0].do(op); err != nil {
			t.Errorf("%+v: %v", op, err)
		}
		addr := op.Addr
		if !addr.IsValid() {
			addr = netip.MustParseAddrPort("127.0.0.2:9090")
		}
		w.run(time.Second)
		if !w.directors[2].core.table.Removed(addr) {
			t.Errorf("%+v: d3 does not know", op)
		}
	}
}

// The only director cannot be removed: nobody could let it in again. One that was removed says how.
func TestOnlyDirectorStays(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	self := SetDirectorRemoved{Addr: d2.core.cfg.Addr, Removed: true}
	if _, err := d1.do(self); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	_, err := d2.do(SetDirectorRemoved{Addr: d2.core.cfg.Addr})
	if !errors.Is(err, ErrRemoved) ||
		!strings.Contains(err.Error(), "director ring add 127.0.0.2 9090") {
		t.Errorf("removed: %v", err)
	}
	self.Addr = d1.core.cfg.Addr
	if _, err := d1.do(self); !errors.Is(err, ErrOnlyDirector) || !d1.core.synced() {
		t.Errorf("the only one: %v, synced %v", err, d1.core.synced())
	}
}

// Down tells how many users are still there.
func TestDownTellsHowManyUsersAreMapped(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	for h := range ring.UserHash(50) {
		d2.must(h * 80_000_007)
	}
	w.run(100 * time.Millisecond)
	users := d1.dir.Users(testBackend(1))
	outcome, err := d1.do(SetDown{Addr: testBackend(1), Down: true})
	if diff := cmp.Diff(Outcome{Mapped: users}, outcome); diff != "" || err != nil || users == 0 {
		t.Errorf("%v; outcome (-want +got):\n%s", err, diff)
	}
}

// A forget, and a removal, kill also the mappings that were made in the tick after the forget
// before: those carry the next tick, which has not come yet.
func TestForgetTwiceInATick(t *testing.T) {
	for _, op := range []Operation{
		Forget{}, Forget{testBackend(1)}, RemoveBackend{testBackend(1)},
	} {
		w := started(t, 2)
		d1 := w.directors[0]
		h := ring.UserHash(1)
		for d1.must(h) != testBackend(1) {
			h += 0x01000000
		}
		w.until(
			"a tick begins", time.Second, func() bool { return d1.core.MeshTime(w.now)%250 < 25 })
		if _, err := d1.do(Forget{}); err != nil {
			t.Fatal(err)
		}
		d1.must(h)
		w.deliver()
		made := d1.live(h)
		if made.Stamp <= d1.core.MeshTime(w.now).Tick() {
			t.Fatal("the mapping is not stamped ahead; the test shows nothing")
		}
		if _, err := d1.do(op); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		for _, d := range w.directors {
			if m, status := d.dir.Find("", h, d.core.MeshTime(w.now)); status == directory.Live {
				t.Errorf("%+v: %s still has %+v", op, d.name, m)
			}
		}
	}
}

// Forgetting one backend leaves the users of others alone.
func TestForgetOneBackend(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	for h := range ring.UserHash(40) {
		d1.must(h * 90_000_011)
	}
	w.run(time.Second)
	kept := d1.dir.Len() - d1.dir.Users(testBackend(1))
	if _, err := d1.do(Forget{testBackend(1)}); err != nil {
		t.Fatal(err)
	}
	w.run(12 * time.Second) // sweeps
	for _, d := range w.directors {
		if got := d.dir.Len(); got != kept || d.dir.Users(testBackend(1)) != 0 {
			t.Errorf("%s has %d users, %d on the backend; want %d and none",
				d.name, got, d.dir.Users(testBackend(1)), kept)
		}
		if len(d.kicked) != 0 {
			t.Errorf("%s kicked %d times", d.name, len(d.kicked))
		}
	}
}

// A director that failed is in touch again, and nobody has admitted it yet. It may lack what is
// acknowledged now, so the answer names it.
func TestOneNotYetAdmittedAgainIsNamed(t *testing.T) {
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	w.split(w.directors[:2], w.directors[2:])
	w.run(failAfter + time.Second)
	w.lose = func(from, to *director, m wire.Message) bool {
		_, beat := m.(*wire.Beat)
		return !beat && (from == d3 || to == d3)
	}
	w.heal()
	w.until("d3 is in touch", 5*time.Second, func() bool { return d1.core.peers.get("d3").live })
	for _, op := range []Operation{
		SetDown{Addr: testBackend(1), Down: true}, Move{Hash: 7, Backend: testBackend(2)},
	} {
		out, err := d1.do(op)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(out.FailedPeers, []string{"d3"}) {
			t.Errorf("%T: done although %v failed, want d3", op, out.FailedPeers)
		}
	}
	w.lose = nil
	w.until("all synced", 20*time.Second, w.allSynced)
	out, err := d1.do(SetDown{Addr: testBackend(1), Down: false})
	if err != nil || len(out.FailedPeers) > 0 {
		t.Errorf("when all are synced: %v failed, error %v", out.FailedPeers, err)
	}
}

// Two of five come back from a split, where they are the ones that ask. What they were told to do
// in the split still waits for something of theirs, and ends before they are admitted: it names the
// others, who have heard of nothing.
func TestThoseWhoComeBackNameTheOthers(t *testing.T) {
	for _, test := range []struct {
		op    Operation
		loses func(d2, d1 *director) func(from, to *director, m wire.Message) bool
	}{
		{UpdateBackend{Addr: testBackend(1), VHosts: 5}, losing[*wire.Table]},
		{Pin{Hash: 7, Backend: testBackend(1)}, losing[*wire.Table]},
		{Move{Hash: 7, Backend: testBackend(2)}, losing[*wire.Held]},
		{KickUser{Value: "jane"}, losing[*wire.KickUserDone]},
	} {
		w := started(t, 5)
		w.noGossip = true
		d1, d2 := w.directors[0], w.directors[1]
		w.split(w.directors[:2], w.directors[2:])
		w.run(failAfter + time.Second)
		loses, waits := test.loses(d2, d1), true
		w.lose = func(from, to *director, m wire.Message) bool {
			_, beat := m.(*wire.Beat)
			return !beat && w.apart(from, to, 2) || waits && loses(from, to, m)
		}
		id := d1.begin(test.op)
		w.run(time.Second)
		w.heal()
		w.until("all are in touch", 4*time.Second, func() bool {
			return d1.core.peers.all.live() == 4
		})
		if _, done := d1.done[id]; done {
			t.Fatalf("%T ended in the split; the test shows nothing", test.op)
		}
		waits = false
		w.breakStream(d1, d2)
		w.breakStream(d2, d1)
		w.until(fmt.Sprintf("the end of %T", test.op), 3*time.Second, func() bool {
			_, done := d1.done[id]
			return done
		})
		if got := d1.done[id]; got.Err != nil ||
			!slices.Equal(got.Outcome.FailedPeers, []string{"d3", "d4", "d5"}) {
			t.Errorf("%T ended with %+v, want d3, d4 and d5 named", test.op, got)
		}
	}
}

// One that steps mesh time begins another life, and what it is asked to apply may not have reached
// it. It counts as failed in that too, until it is admitted.
func TestOneThatHasSteppedIsNamed(t *testing.T) {
	w := started(t, 3)
	w.noGossip = true
	d1, d3 := w.directors[0], w.directors[2]
	w.run(time.Second)
	w.lose = func(from, to *director, m wire.Message) bool {
		_, beat := m.(*wire.Beat)
		return !beat && (from == d3 || to == d3)
	}
	d3.core.step(w.now, time.Second)
	w.until("d3 is in touch", 5*time.Second, func() bool {
		p := d1.core.peers.get("d3")
		return p.boot == d3.core.boot && p.live
	})
	out, err := d1.do(UpdateBackend{Addr: testBackend(1), VHosts: 5})
	if err != nil || !slices.Equal(out.FailedPeers, []string{"d3"}) {
		t.Errorf("done although %v failed, error %v; want d3 named", out.FailedPeers, err)
	}
}

// apart reports whether one of two directors is among the first n, and the other one is not.
func (w *world) apart(a, b *director, n int) bool {
	return slices.Contains(w.directors[:n], a) != slices.Contains(w.directors[:n], b)
}
