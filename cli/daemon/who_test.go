package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/api"
	"directormesh/cli/dovecot"
	"directormesh/cli/session"
	"directormesh/directory"
	"directormesh/mesh"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// listing returns what this host does about sessions, with Dovecots that list these.
func listing(t *testing.T, lists ...func() ([]dovecot.Connection, error)) *sessions {
	t.Helper()
	s := &sessions{}
	for _, list := range lists {
		source := session.NewSource(
			func(context.Context) ([]dovecot.Connection, error) { return list() },
			func(user string) ring.UserHash { return ring.UserHash(len(user)) }, time.Now)
		t.Cleanup(source.Close)
		s.sources = append(s.sources, source)
	}
	return s
}

func connections(all ...dovecot.Connection) func() ([]dovecot.Connection, error) {
	return func() ([]dovecot.Connection, error) { return all, nil }
}

// The sessions of a host are counted by user and backend, and chosen by either.
func TestAnswerWho(t *testing.T) {
	both := []func() ([]dovecot.Connection, error){
		connections(
			dovecot.Connection{User: "a", Backend: addr1},
			dovecot.Connection{User: "bb", Backend: addr1},
			dovecot.Connection{User: "bb", Backend: addr2},
		),
		connections(dovecot.Connection{User: "bb", Backend: addr2}),
	}
	broken := func() ([]dovecot.Connection, error) { return nil, errors.New("it hangs") }
	for name, test := range map[string]struct {
		lists    []func() ([]dovecot.Connection, error)
		question string
		want     map[netip.Addr]map[uint32]uint32
		sessions int
		problem  string
	}{
		"all": {both, `{}`, map[netip.Addr]map[uint32]uint32{
			addr1: {1: 1, 2: 1}, addr2: {2: 2}}, 4, ""},
		"user": {both, `{"hash":2}`, map[netip.Addr]map[uint32]uint32{
			addr1: {2: 1}, addr2: {2: 2}}, 3, ""},
		"backend": {both, `{"backend":"192.0.2.2"}`, map[netip.Addr]map[uint32]uint32{
			addr2: {2: 2}}, 2, ""},
		"one does not list": {append(both[1:], broken), `{}`, map[netip.Addr]map[uint32]uint32{
			addr2: {2: 1}}, 1, "listing sessions: it hangs"},
		"none": {nil, `{}`, map[netip.Addr]map[uint32]uint32{}, 0, ""},
	} {
		raw, err := listing(t, test.lists...).answerWho(t.Context(), []byte(test.question))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got whoAnswer
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		found := make(map[netip.Addr]map[uint32]uint32)
		for _, b := range got.Backends {
			found[b.Backend] = make(map[uint32]uint32)
			for _, u := range b.Users {
				found[b.Backend][u[0]] = u[1]
			}
		}
		if diff := cmp.Diff(test.want, found, equalIP); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got.Sessions != test.sessions || got.Problem != test.problem ||
			got.Lists != (len(test.lists) > 0) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := listing(t).answerWho(t.Context(), []byte("x")); err == nil {
		t.Error("nonsense is answered")
	}
}

// All directors are asked by hash, and who does not answer is named.
func TestSessions(t *testing.T) {
	n := &fakeNode{
		now: at, dir: directory.New(15 * time.Minute),
		backends: []replica.BackendStatus{{Backend: ring.Backend{Addr: addr1}},
			{Backend: ring.Backend{Addr: addr2}}},
		answers: map[string][]mesh.Answer{whoTopic: {
			{Director: "d1", Body: []byte(`{"lists":true,"sessions":3,"backends":[` +
				`{"backend":"192.0.2.2","users":[[7,1]]},` +
				`{"backend":"192.0.2.1","users":[[7,2]]}]}`)},
			{Director: "d2", Body: []byte(
				`{"lists":true,"sessions":9,"problem":"no \u001b list"}`)},
			{Director: "d3", Err: errors.New("it cannot be reached")},
			{Director: "d4", Body: []byte(`{"lists":[]`)},
		}},
	}
	present := directory.Register[directory.Presence]{
		Value: directory.Presence{Present: true}, Stamp: 1,
	}
	n.dir.SetBackends([]directory.BackendRow{{Addr: addr1, Presence: present}})
	n.dir.Merge("", []directory.Mapping{{Hash: 7, Backend: addr1, Generation: 1,
		Activity: at.Tick(), Stamp: at.Tick()}}, at, nil)
	hash := ring.UserHash(7)
	got, err := testDirector(t, n).Sessions(t.Context(), &hash, api.IP{Addr: addr2})
	if err != nil {
		t.Fatal(err)
	}
	ip := func(a netip.Addr) api.IP { return api.IP{Addr: a} }
	want := api.Sessions{
		Sessions: []api.UserSessions{
			{UserHash: 7, Backend: ip(addr1), Director: "d1", Sessions: 2, Mapped: ip(addr1)},
			{UserHash: 7, Backend: ip(addr2), Director: "d1", Sessions: 1, Mapped: ip(addr1)},
		},
		More: true,
		Directors: []api.SessionsDirector{
			{Name: "d1", Sessions: 3, Lists: true},
			{Name: "d2", Sessions: 9, Lists: true, Error: `no \x1b list`},
			{Name: "d3", Error: "it cannot be reached"},
			{Name: "d4", Error: "its answer cannot be read"},
		},
	}
	if diff := cmp.Diff(want, got, equalIP); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{`sessions {"hash":7,"backend":"192.0.2.2"}`},
		n.questions); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}
