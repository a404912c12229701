package daemon

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/cli/api"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// A name that does not resolve never stops a director, and holds up its start once at most.
func TestNamesThatDoNotResolve(t *testing.T) {
	for list, want := range map[string]struct {
		backends   int
		unresolved []string
		asked      int
	}{
		"192.0.2.1":                           {1, nil, 0},
		"192.0.2.77 mail.example.org":         {1, nil, 1},
		"mail.example.org mail.example.org@x": {1, nil, 2},
		"mail.example.org":                    {1, nil, 1},
		"wrong.example.org mail.example.org": {
			1, []string{`"wrong.example.org": no such host`}, 2,
		},
		"late.example.org later.example.org@x 192.0.2.1": {1, []string{
			`"late.example.org": no answer`, `"later.example.org": no answer`,
		}, 1},
	} {
		env := testEnvironment(nil, nil)
		asked, resolve := 0, env.Resolve
		env.Resolve = func(name string) ([]ring.Target, error) {
			asked++
			if strings.HasPrefix(name, "late") {
				return nil, unanswered("no answer")
			}
			return resolve(name)
		}
		o, err := Load(map[string]string{"mail-servers": list}, "", env)
		if err != nil || len(o.Backends) != want.backends || asked != want.asked {
			t.Errorf("%q: %d backends, asked %d times, %v", list, len(o.Backends), asked, err)
		}
		if diff := cmp.Diff(want.unresolved, o.Names.Unresolved); diff != "" {
			t.Errorf("%q (-want +got):\n%s", list, diff)
		}
	}
}

// What can never be followed is wrong, whether names are followed or not.
func TestNamesInSettings(t *testing.T) {
	many := strings.Repeat("mail.example.org ", 2)
	for _, test := range []struct{ list, every, want string }{
		{"mail.example.org", "500ms", "is not in 1s to 2m0s"},
		{"mail.example.org", "3m", "is not in 1s to 2m0s"},
		{"mail.example.org", "x", "resolve-every"},
		{"10.0.0.9-", "30s", "range has no end"},
		{many, "30s", "is given twice"},
		{many, "0s", "give each address once"},
		{"mail.example.org", "0s", ""},
		{"mail.example.org 192.0.2.1 wrong.example.org@x", "5s", ""},
		{"wrong.example.org", "0s", "no such host"},
	} {
		o, err := Load(map[string]string{
			"mail-servers": test.list, "resolve-every": test.every,
		}, "", testEnvironment(nil, nil))
		if (err == nil) != (test.want == "") || err != nil &&
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%q every %s: %v, want %q", test.list, test.every, err, test.want)
		}
		watches := o.Names.forMesh()
		if (len(watches.Names) > 0) != (err == nil && test.every != "0s") {
			t.Errorf("%q every %s: watches %+v", test.list, test.every, watches)
		}
	}
	o, err := Load(map[string]string{"mail-servers": "mail.example.org@x wrong.example.org"}, "",
		testEnvironment(nil, nil))
	want := replica.NameWatch{Every: 30 * time.Second, Names: []replica.WatchedName{
		{Name: "mail.example.org", Tag: "x"}, {Name: "wrong.example.org"},
	}}
	if diff := cmp.Diff(want, o.Names.forMesh()); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if newNames(Options{}, nil, nil) != nil {
		t.Error("something is looked up without names")
	}
	if !onlyUnanswered(errors.Join(unanswered("x"))) || onlyUnanswered(nil) {
		t.Error("no error is one of a name that was not answered")
	}
}

func TestShowNames(t *testing.T) {
	var s replica.NamesStatus
	s.Watching, s.Count, s.Writer = []string{"d1"}, 2, true
	s.Alarms = []replica.NameAlarm{{Tag: "x", Gone: 2, Most: 1}}
	s.Names = []replica.NameStatus{{
		WatchedName: replica.WatchedName{Name: "imap.example.org", Tag: "x"},
		Directors:   []replica.NameSeen{{Director: "d1", Since: at, Reason: "timeout", Count: 1}},
		Addresses: []replica.NameAddress{{
			Target: ring.Target{Addr: addr1, VHosts: 7, Standby: true}, State: replica.NameConflict,
		}},
	}}
	want := api.Names{
		Watching: []string{"d1"}, Count: 2, Writer: true,
		Alarms: []api.NameAlarm{{Tag: "x", Gone: 2, Most: 1}},
		Names: []api.Name{{
			Name: "imap.example.org", Tag: "x",
			Directors: []api.NameDirector{{
				Director: "d1", Since: timeAt(at), Reason: "timeout", Addresses: 1,
			}},
			Addresses: []api.NameAddress{{
				IP: api.IP{Addr: addr1}, VHosts: 7, Standby: true, State: api.NameConflict,
				SeenBy: []string{},
			}},
		}},
	}
	d := testDirector(t, &fakeNode{names: s})
	if diff := cmp.Diff(want, d.Names(), equalIP, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	states := []string{
		api.NameUsed, api.NameMissing, api.NameGone, api.NameRetained, api.NameNew, api.NameReady,
		api.NameRemoved, api.NameByAddress, api.NameConflict,
	}
	for i, state := range replica.NameStates() {
		if state.String() != states[i] {
			t.Errorf("the API calls %v %s", state, states[i])
		}
	}
}
