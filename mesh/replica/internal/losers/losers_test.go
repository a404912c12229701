package losers

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/ring"
)

const start = mono.Time(time.Hour)

func row(hash ring.UserHash, stamp directory.Tick) directory.Mapping {
	return directory.Mapping{
		Hash: hash, Backend: netip.AddrFrom4([4]byte{192, 0, 2, 1}), Generation: 2, Stamp: stamp,
	}
}

// list is the rows that are remembered, as a tag, a hash and a stamp.
func list(s *Set, now mono.Time) (found [][3]any) {
	for _, b := range s.Blocks(now) {
		for m := range b.All() {
			found = append(found, [3]any{string(b.Tag), int(m.Hash), int(m.Stamp)})
		}
	}
	return found
}

// A row is remembered for ten seconds since it lost first, and for each user the last one that
// lost.
func TestSet(t *testing.T) {
	var s Set
	note := func(tenths int, tag ring.Tag, hash ring.UserHash, stamp directory.Tick) {
		at := start.Add(time.Duration(tenths) * 100 * time.Millisecond)
		s.Note(at, ring.User{Tag: tag, Hash: hash}, row(hash, stamp))
	}
	note(0, "", 7, 10)
	note(10, "", 3, 10)
	note(20, "ssd", 7, 10)
	note(30, "", 7, 10) // it lost again
	note(40, "", 3, 11) // another one
	note(50, "", 3, 9)  // one that was made before that
	for _, step := range []struct {
		tenth int
		want  [][3]any
	}{
		{99, [][3]any{{"", 3, 11}, {"", 7, 10}, {"ssd", 7, 10}}},
		{100, [][3]any{{"", 3, 11}, {"ssd", 7, 10}}},
		{119, [][3]any{{"", 3, 11}, {"ssd", 7, 10}}},
		{120, [][3]any{{"", 3, 11}}},
		{140, nil},
	} {
		got := list(&s, start.Add(time.Duration(step.tenth)*100*time.Millisecond))
		if diff := cmp.Diff(step.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("after %d tenths of a second (-want +got):\n%s", step.tenth, diff)
		}
	}
	note(150, "", 1, 1)
	if s.Clear(); s.Len() != 0 || list(&s, start) != nil {
		t.Errorf("%d rows are left", s.Len())
	}
}

// There is room for so many users; who is remembered may lose otherwise, others when there is room
// again.
func TestMost(t *testing.T) {
	var s Set
	for hash := range ring.UserHash(Most + 5) {
		s.Note(start, ring.User{Hash: hash}, row(hash, 1))
	}
	s.Note(start, ring.User{Hash: 1}, row(1, 2))
	if got := list(&s, start); len(got) != Most || got[1] != [3]any{"", 1, 2} {
		t.Errorf("%d rows are remembered, the second is %v", len(got), got[1])
	}
	s.Note(start.Add(Kept), ring.User{Hash: Most}, row(Most, 3))
	if got := list(&s, start.Add(Kept)); len(got) != 1 || got[0] != [3]any{"", Most, 3} {
		t.Errorf("when their time is over there are %v", got)
	}
}
