package session

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"directormesh/cli/dovecot"
	"directormesh/ring"
)

var (
	backend1 = netip.MustParseAddr("192.0.2.1")
	backend2 = netip.MustParseAddr("192.0.2.2")
	compare  = cmpopts.EquateComparable(netip.Addr{})
)

// shortHash makes few hashes, so that users share some.
func shortHash(user string) ring.UserHash {
	h := ring.UserHash(0)
	for _, c := range []byte(user) {
		h = h*7 + ring.UserHash(c)%5
	}
	return h % 5
}

func TestMark(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := ring.UserHash(rapid.Uint32().Draw(t, "hash"))
		mark := Mark(h, backend1)
		if got, ok := parseMark(mark); !ok || got != h {
			t.Fatalf("mark %q is read as %d, %v", mark, got, ok)
		}
	})
	for _, value := range []string{
		"", "x", "1", "@", "x@192.0.2.1", "4294967296@192.0.2.1", "-1@192.0.2.1",
	} {
		if h, ok := parseMark(value); ok {
			t.Errorf("%q is a mark of %d", value, h)
		}
	}
}

func FuzzMark(f *testing.F) {
	f.Add("1@192.0.2.1")
	f.Add("@")
	f.Fuzz(func(t *testing.T, value string) {
		if h, ok := parseMark(value); ok {
			if again, ok := parseMark(Mark(h, backend1)); !ok || again != h {
				t.Errorf("%q is %d, whose mark is %d", value, h, again)
			}
		}
	})
}

func TestListMarked(t *testing.T) {
	mark := []dovecot.Field{{Name: MarkField, Value: Mark(77, backend1)}}
	bad := []dovecot.Field{{Name: MarkField, Value: "nonsense"}}
	list := NewList(time.Now(), []dovecot.Connection{
		{User: "alice", Backend: backend1, Fields: mark},
		{User: "alice", Backend: backend2},
		{User: "bob", Backend: backend2, Fields: bad},
	}, func(user string) ring.UserHash { return ring.UserHash(len(user)) })
	want := []Session{{
		Connection: dovecot.Connection{User: "alice", Backend: backend1, Fields: mark}, Hash: 77,
		Marked: true,
	}}
	if diff := cmp.Diff(want, list.Of(77), compare); diff != "" {
		t.Errorf("marked sessions (-want +got):\n%s", diff)
	}
	if got := list.Of(5); len(got) != 1 || got[0].Backend != backend2 || got[0].Marked {
		t.Errorf("sessions of alice herself: %+v", got)
	}
	if got := list.Of(3); len(got) != 1 || got[0].User != "bob" || got[0].Marked {
		t.Errorf("sessions with a field that is no mark: %+v", got)
	}
}

// Those of one login name are found, whatever their hashes.
func TestListNamed(t *testing.T) {
	marked := func(user string, h ring.UserHash) dovecot.Connection {
		return dovecot.Connection{
			User: user, Backend: backend1,
			Fields: []dovecot.Field{{Name: MarkField, Value: Mark(h, backend1)}},
		}
	}
	list := NewList(time.Now(), []dovecot.Connection{
		marked("bob", 9), marked("alice", 7), {User: "alice"}, marked("alice", 3),
		marked("carol", 1),
	},
		func(string) ring.UserHash { return 5 })
	for login, want := range map[string][]ring.UserHash{
		"alice": {3, 5, 7}, "bob": {9}, "carol": {1}, "dave": nil, "": nil,
	} {
		var got []ring.UserHash
		for _, s := range list.Named(login) {
			got = append(got, s.Hash)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", login, diff)
		}
	}
}

// Of gives exactly the sessions of a hash, in the order in which they were listed.
func TestListOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		users := rapid.SliceOf(rapid.StringMatching(`[a-e]{1,3}`)).Draw(t, "users")
		var connections []dovecot.Connection
		want := make(map[ring.UserHash][]int)
		for i, user := range users {
			connections = append(connections, dovecot.Connection{User: user, PID: i})
			h := shortHash(user)
			want[h] = append(want[h], i)
		}
		list := NewList(time.Now(), connections, shortHash)
		if list.Len() != len(users) {
			t.Fatalf("%d sessions of %d", list.Len(), len(users))
		}
		for h := range ring.UserHash(6) {
			var got []int
			for _, s := range list.Of(h) {
				got = append(got, s.PID)
			}
			if fmt.Sprint(got) != fmt.Sprint(want[h]) {
				t.Fatalf("hash %d: sessions %v, want %v", h, got, want[h])
			}
		}
	})
}

func TestSortedKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hash := rapid.OneOf(rapid.Uint32Range(0, 3), rapid.Uint32())
		hashes := rapid.SliceOf(hash).Draw(t, "hashes")
		var keys []sortKey
		for i, h := range hashes {
			keys = append(keys, newSortKey(h, i))
		}
		want := slices.Sorted(slices.Values(keys))
		if got := sortedKeys(keys); !slices.Equal(got, want) {
			t.Fatalf("%x, want %x", got, want)
		}
	})
}
