package event

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/directory"
	"directormesh/mesh/history"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

var (
	backend1 = netip.MustParseAddr("192.0.2.1")
	backend2 = netip.MustParseAddr("192.0.2.2")
	compare  = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})}
)

const noon = directory.Time(1_772_366_400_000)

func user(hash ring.UserHash, to netip.Addr, cause wire.Cause) *wire.UserNote {
	return &wire.UserNote{
		Noted: wire.Noted{At: noon, Wall: noon + 1}, Hash: hash, From: backend1, To: to,
		Cause: cause, By: "d1",
	}
}

// Notes of a round are events in their order; users of one way are one, wherever they stand.
func TestNoted(t *testing.T) {
	admin := &wire.AdminNote{Noted: wire.Noted{At: noon}, Director: "d1", Action: "update"}
	got := Noted([]wire.Note{
		user(1, backend2, wire.CauseFlush),
		admin,
		user(2, backend2, wire.CauseFlush),
		user(3, backend2, wire.CauseMove),
		&wire.TableNote{Change: directory.Change{Backends: []directory.BackendRow{{
			Addr:   backend1,
			VHosts: directory.Register[int]{Value: 50, Stamp: 7, Origin: "d2"},
			Verdict: directory.Register[directory.Verdict]{
				Value: directory.Verdict{Failed: true, Since: 7}, Stamp: 7, Origin: "d2",
			},
		}}}},
		user(4, backend2, wire.CauseFlush),
	})
	moved := func(cause wire.Cause, users ...ring.UserHash) Event {
		return Event{At: noon, Wall: noon + 1, Moved: &Moved{
			From: backend1, To: backend2, Cause: cause, By: "d1", Users: users,
		}}
	}
	want := []Event{
		moved(wire.CauseFlush, 1, 2, 4),
		{At: noon, Admin: admin},
		moved(wire.CauseMove, 3),
		{Table: &history.TableEvent{
			Backend: backend1, What: history.TableVHosts, VHosts: 50, Stamp: 7, Origin: "d2",
		}},
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// No user is lost, however many there are, and no event has too many.
func TestManyUsersAreSeveralEvents(t *testing.T) {
	var notes []wire.Note
	for i := range 2*MaxUsers + 1 {
		notes = append(notes, user(ring.UserHash(i), backend2, wire.CauseFlush))
	}
	events := Noted(notes)
	if len(events) != 3 {
		t.Fatalf("%d events, want 3", len(events))
	}
	next := ring.UserHash(0)
	for _, e := range events {
		for _, h := range e.Moved.Users {
			if h != next {
				t.Fatalf("user %d where %d should be", h, next)
			}
			next++
		}
	}
	if int(next) != len(notes) {
		t.Errorf("%d of %d users told", next, len(notes))
	}
}

// A full queue counts what it has no room for; a note that is no event takes none.
func TestFullQueue(t *testing.T) {
	var q Queue
	for range maxQueued + 3 {
		q.Put(user(1, backend2, wire.CauseFlush))
		q.Put(&wire.LoginsNote{})
		q.Put(&wire.LapseNote{})
	}
	if waiting, lost := q.Status(); waiting != maxQueued || lost != 3 {
		t.Errorf("%d wait and %d are lost, want %d and 3", waiting, lost, maxQueued)
	}
	notes, lost := q.Take()
	if len(notes) != maxQueued || lost != 3 {
		t.Errorf("took %d, %d lost", len(notes), lost)
	}
	if notes, lost = q.Take(); notes != nil || lost != 0 {
		t.Errorf("the next round has %d notes and %d lost", len(notes), lost)
	}
	if _, lost := q.Status(); lost != 3 {
		t.Errorf("%d lost in all, want 3", lost)
	}
}
