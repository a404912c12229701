package kick

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"directormesh/cli/dovecot"
	"directormesh/cli/session"
	"directormesh/ring"
)

// A login name is used to end sessions only if that ends no others.
func TestSortOut(t *testing.T) {
	const alice, other = ring.UserHash(1), ring.UserHash(2)
	plain := dovecot.Connection{User: "alice", Backend: oldBackend}
	elsewhere := dovecot.Connection{User: "alice", Backend: newBackend}
	marked := func(c dovecot.Connection, h ring.UserHash) dovecot.Connection {
		c.Fields = []dovecot.Field{{Name: session.MarkField, Value: session.Mark(h, c.Backend)}}
		return c
	}
	for name, tt := range map[string]struct {
		list                  []dovecot.Connection // those on oldBackend of user alice are chosen
		marks, users, sharers int
	}{
		"all": {list: []dovecot.Connection{plain, plain}, users: 1},
		"not all": {
			list: []dovecot.Connection{plain, elsewhere}, sharers: 1,
		},
		"another's, marked": {
			list: []dovecot.Connection{plain, marked(plain, other)}, sharers: 1,
		},
		"the same user's, marked, elsewhere": {
			list: []dovecot.Connection{plain, marked(elsewhere, alice)}, sharers: 1,
		},
		"the same user's, marked and chosen": {
			list: []dovecot.Connection{plain, marked(plain, alice)}, marks: 1, users: 1,
		},
		"marks only": {list: []dovecot.Connection{
			marked(plain, alice), marked(plain, alice), marked(elsewhere, alice),
		}, marks: 1},
	} {
		list := session.NewList(time.Now(), tt.list, func(string) ring.UserHash { return alice })
		var chosen []session.Session
		for _, s := range list.Of(alice) {
			if s.Backend == oldBackend {
				chosen = append(chosen, s)
			}
		}
		v := planKicks(chosen, list)
		if len(v.marks) != tt.marks || len(v.users) != tt.users || len(v.shared) != tt.sharers {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// The names for Dovecot 2.3 fit into its lines, and all are sent.
func TestFitting(t *testing.T) {
	short, long := strings.Repeat("x", 19), strings.Repeat("y", 250)
	for name, tt := range map[string]struct {
		users []string
		want  int
	}{
		"one":           {[]string{"alice"}, 1},
		"short ones":    {slices.Repeat([]string{short}, 100), 45},
		"long ones":     {slices.Repeat([]string{long}, 100), 3},
		"one too long":  {[]string{strings.Repeat(long, 10), short}, 1},
		"exactly":       {[]string{strings.Repeat("x", maxKickBytes-20), short, short}, 2},
		"one byte more": {[]string{strings.Repeat("x", maxKickBytes-19), short}, 1},
	} {
		if got := fitting(tt.users); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

// A login process gets a login name only if all its sessions of that name were chosen.
func TestAlone(t *testing.T) {
	at := func(pid int, user string, backend netip.Addr) dovecot.Connection {
		return dovecot.Connection{PID: pid, User: user, Backend: backend}
	}
	list := session.NewList(time.Now(), []dovecot.Connection{
		at(1, "alice", oldBackend), at(1, "alice", oldBackend), at(1, "bob", newBackend),
		at(2, "alice", oldBackend), at(2, "alice", newBackend),
		at(3, "alice", newBackend),
	}, func(user string) ring.UserHash { return ring.UserHash(len(user)) })
	var chosen []session.Session
	for s := range list.All() {
		if s.Backend == oldBackend {
			chosen = append(chosen, s)
		}
	}
	direct, rest := alone(chosen, list)
	if !slices.Equal(direct, []inProcess{{1, "alice"}}) || len(rest) != 1 || rest[0].PID != 2 {
		t.Errorf("direct %v, rest %+v", direct, rest)
	}
}
