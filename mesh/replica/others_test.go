package replica

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/admission"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/hints"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// A peer that asked for the place of a user gets it only if there is one, and it is not being left.
func TestReplyToAPeer(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	now := d1.core.clock.At(w.now)
	for i, test := range []struct {
		name   string
		row    directory.Mapping
		failed bool
	}{
		{"a place", directory.Mapping{Backend: testBackend(1)}, false},
		{"being moved", directory.Mapping{Backend: testBackend(1), Moving: true}, true},
		{"forgotten", directory.Mapping{}, true},
		{"a removed backend", directory.Mapping{Backend: netip.MustParseAddr("192.0.2.99")}, true},
	} {
		u := ring.User{Hash: ring.UserHash(i + 1)}
		test.row.Hash, test.row.Generation = u.Hash, 1
		test.row.Activity, test.row.Stamp = now.Tick(), now.Tick()
		d1.dir.Merge("", []directory.Mapping{test.row}, now, nil)
		d1.core.Take()
		d1.core.reply(w.now, d1.core.peers.get("d2"), 5, u)
		got := sent[*wire.LookupReply](d1, d2)
		if len(got) != 1 || got[0].ID != 5 || got[0].Failed != test.failed ||
			(got[0].Block.Len() == 1) == test.failed {
			t.Errorf("%s: %+v, want one that failed: %v", test.name, got, test.failed)
		}
	}
}

// Where a row with another backend comes in, the sessions on all others are ended, and nobody is
// held unless the row is of a move.
func TestKickForARowFromElsewhere(t *testing.T) {
	for _, moving := range []bool{false, true} {
		w := started(t, 2)
		d1 := w.directors[0]
		before := d1.must(7)
		m, _ := d1.dir.Find("", 7, d1.core.clock.At(w.now))
		m.Generation, m.Backend, m.Moving = m.Generation+1, another(before), moving
		d1.core.Take()
		d1.core.mergeRows(w.now, []wire.Block{wire.Pack("", []directory.Mapping{m})}, nil)
		d1.core.reportKicks()
		var kicked []KickTarget
		for _, e := range d1.core.Take() {
			if k, ok := e.(Kick); ok {
				kicked = append(kicked, k.Target)
			}
		}
		want := KickTarget{ByHash: true, Hash: 7, Keep: m.Backend}
		if len(kicked) != 1 || kicked[0] != want {
			t.Errorf("moving %v: kicked %+v, want %+v", moving, kicked, want)
		}
		if held := d1.core.moves.Held.Has(ring.User{Hash: 7}); held != moving {
			t.Errorf("moving %v: held %v", moving, held)
		}
		m.Activity += 10 // the same row of one who has seen a later login
		d1.core.mergeRows(w.now, []wire.Block{wire.Pack("", []directory.Mapping{m})}, nil)
		if held := d1.core.moves.Held.Has(ring.User{Hash: 7}); held != moving {
			t.Errorf("moving %v: after a row with later activity held %v", moving, held)
		}
	}
}

// A director is found by its name among those that were only heard of, too.
func TestAddressOfANamedDirector(t *testing.T) {
	w := started(t, 2)
	c := w.directors[0].core
	heard := netip.MustParseAddrPort("127.0.0.9:9090")
	c.hints.Hear(w.now, hints.Hint{Name: "d9", Addr: heard})
	for name, want := range map[string]netip.AddrPort{
		"d1": c.cfg.Addr, "d2": c.peers.get("d2").addr, "d9": heard, "d8": {},
	} {
		got, err := c.directorNamed(name)
		if got != want || (err == nil) != want.IsValid() {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
	// Another name was seen at our own address. By ours we are meant all the same.
	c.hints.Hear(w.now, hints.Hint{Name: "d7", Addr: c.cfg.Addr})
	if got, err := c.directorNamed("d1"); got != c.cfg.Addr || err != nil {
		t.Errorf("ourselves: %v, %v", got, err)
	}
	if _, err := c.directorNamed("d7"); !errors.Is(err, ErrSharedAddress) {
		t.Errorf("another name at our address: %v", err)
	}
}

// The answers to holds that went out by a stream that broke are sent again, in order, while their
// originator can still want them.
func TestAnswersToHoldsAreRepeated(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	c, p := d1.core, d1.core.peers.get("d2")
	for id, at := range map[uint64]mono.Time{
		7: w.now, 3: w.now.Add(-moves.HoldFor + 1), 5: w.now.Add(-moves.HoldFor),
		9: w.now.Add(-time.Second),
	} {
		c.answers.Open(at, kicks.HoldID{By: p.life(), ID: id})
	}
	c.answers.Open(w.now, kicks.HoldID{By: logs.ID{Name: "d2", Boot: p.boot + 1}, ID: 8})
	c.Take()
	c.repeatAnswers(w.now, p)
	var ids []uint64
	for _, m := range sent[*wire.Held](d1, d2) {
		ids = append(ids, m.ID)
	}
	if len(ids) != 3 || ids[0] != 3 || ids[1] != 7 || ids[2] != 9 {
		t.Errorf("answers to holds %v are repeated, want 3, 7 and 9", ids)
	}
}

// What a barrier is told of a peer: it counts while it is live, and is behind by a gap in its log
// or by rows that its log does not bring.
func TestPeerOfABarrier(t *testing.T) {
	counted := admission.Peer{Counted: true}
	for _, test := range []struct {
		peer peer
		want barrier.Peer
	}{
		{peer{name: "d2", live: true, Peer: counted}, barrier.Peer{Name: "d2", Counted: true}},
		{peer{name: "d2", Peer: counted}, barrier.Peer{Name: "d2"}},
		{peer{name: "d2", live: true}, barrier.Peer{Name: "d2"}},
		{peer{name: "d2", gap: true}, barrier.Peer{Name: "d2", Behind: true}},
		{peer{name: "d2", lacking: true}, barrier.Peer{Name: "d2", Behind: true}},
	} {
		if got := test.peer.barrierPeer(); got != test.want {
			t.Errorf("%+v, want %+v", got, test.want)
		}
	}
}
