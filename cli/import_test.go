package cli

import (
	"context"
	"errors"
	"iter"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/doveadm"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/logtest"
)

var equalIP = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// importFrom serves a director to import from, and returns its address.
func importFrom(t *testing.T, d doveadm.Director) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := doveadm.New(doveadm.Config{Director: d, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// taking is a director that takes all mappings it is given.
func taking() *httpapitest.Director {
	d := httpapitest.Sample()
	d.OutcomeIs = func(op api.Operation) (api.Outcome, error) {
		if op, ok := op.(api.ImportMappings); ok {
			return api.Outcome{Count: len(op.Mappings)}, nil
		}
		return api.Outcome{}, nil
	}
	return d
}

// Backends are made the same, users are handed over with tag, backend and expiry.
func TestImport(t *testing.T) {
	ip := httpapitest.IP
	theirs := httpapitest.Sample()
	theirs.BackendsIs.Backends = append(theirs.BackendsIs.Backends,
		api.Backend{IP: ip("192.0.2.60"), Tag: "new", VHosts: 7, State: api.StateDown})
	theirs.BackendsIs.Backends[2].VHosts = 9
	theirs.MappingsIs = append(theirs.MappingsIs, api.Mapping{
		Tag: "z", UserHash: 1, Backend: ip("192.0.2.99"), ExpiresAt: time.Unix(1518085235, 0),
	})
	ours := taking()
	ours.BackendsIs.Backends[1].State = api.StateUp
	ours.BackendsIs.Backends = append(ours.BackendsIs.Backends,
		api.Backend{IP: ip("192.0.2.70"), VHosts: 100, State: api.StateUp})
	socket, from := httpapitest.Serve(t, ours, zerolog.Nop()), importFrom(t, theirs)

	r := runCommand(t, "", "import", "-a", socket, "--from", from)
	want := result{stderr: "Warning: 192.0.2.70 is a backend of the mesh, " +
		"but not of the other director; if it should not get users: director remove 192.0.2.70\n" +
		"4 backends, 4 mappings: 3 taken, 1 on backends that are not listed; took 192.0.2.51 " +
		"down; updated ::198.51.100.7; added 192.0.2.60@new; took 192.0.2.60 down\n"}
	if diff := cmp.Diff(want, r, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	at := time.Unix(1518085235, 0).UTC()
	tag, vhosts := "new", 7
	wantOps := []api.Operation{
		api.BackendDown{IP: ip("192.0.2.51")},
		api.UpdateBackend{IP: ip("::198.51.100.7"), VHosts: 9},
		api.AddBackend{IP: ip("192.0.2.60"), Tag: &tag, VHosts: &vhosts},
		api.BackendDown{IP: ip("192.0.2.60")},
		api.ImportMappings{Mappings: []api.ImportedMapping{
			{UserHash: 100, Backend: ip("192.0.2.1"), ExpiresAt: at},
			{UserHash: 3045693125, Backend: ip("192.0.2.1"), ExpiresAt: at.Add(time.Second)},
			{Tag: "ssd", UserHash: 7, Backend: ip("192.0.2.51"), ExpiresAt: at.Add(time.Second)},
		}},
		api.ImportMappings{Mappings: []api.ImportedMapping{}, Keep: true},
	}
	utc := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
	if diff := cmp.Diff(wantOps, ours.Done(), equalIP, utc); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

// Many users go in several requests, none twice; what the mesh does not take is counted. JSON tells
// the same.
func TestImportMany(t *testing.T) {
	theirs := httpapitest.Sample()
	theirs.MappingsIs = nil
	for n := range 2*api.MaxImport + 5 {
		theirs.MappingsIs = append(theirs.MappingsIs, api.Mapping{
			UserHash: uint32(n), Backend: httpapitest.IP("192.0.2.1"),
			ExpiresAt: time.Now().Add(time.Hour),
		})
	}
	ours := taking()
	seen := make(map[uint32]bool)
	ours.OutcomeIs = func(op api.Operation) (api.Outcome, error) {
		if op, ok := op.(api.ImportMappings); ok {
			for _, m := range op.Mappings {
				if seen[m.UserHash] {
					t.Errorf("user %d comes twice", m.UserHash)
				}
				seen[m.UserHash] = true
			}
			if op.Keep {
				return api.Outcome{NotKept: []string{"d2"}, KeptByNone: true}, nil
			}
			return api.Outcome{Count: len(op.Mappings) - 1}, nil
		}
		return api.Outcome{}, nil
	}
	socket, from := httpapitest.Serve(t, ours, zerolog.Nop()), importFrom(t, theirs)
	r := runCommand(t, "", "import", "-a", socket, "--from", from, "--json")
	want := "{\n  \"backends\": 3,\n  \"changes\": [],\n  \"mappings\": 8197,\n" +
		"  \"taken\": 8194,\n  \"refused\": 3,\n  \"homeless\": 0,\n" +
		"  \"not_kept\": [\n    \"d2\"\n  ],\n  \"kept_by_none\": true\n}\n"
	onNoDisk := strings.Contains(r.stderr, "no director has it on its disk")
	if r.status != 75 || !onNoDisk || r.stdout != want || len(seen) != len(theirs.MappingsIs) {
		t.Errorf("%d users, %+v", len(seen), r)
	}
	if err := description(t).Check("PrintedImport", r.stdout); err != nil {
		t.Error(err)
	}
	if !strings.Contains(r.stderr, "give all directors its director_user_expire as --user-expire") {
		t.Errorf("nothing is said of the longer life there: %q", r.stderr)
	}
}

func TestImportFailures(t *testing.T) {
	socket := httpapitest.Serve(t, taking(), zerolog.Nop())
	refusing := httpapitest.Sample()
	refusing.OutcomeIs = func(api.Operation) (api.Outcome, error) {
		return api.Outcome{}, api.Errorf(api.CodeNotSynced,
			"this director is not synced yet, try again")
	}
	otherTag := httpapitest.Sample()
	otherTag.BackendsIs.Backends[1].Tag = "hdd"
	otherTag.BackendsIs.Backends = otherTag.BackendsIs.Backends[:2]
	none := filepath.Join(t.TempDir(), "none")
	for _, test := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"nothing to import from", []string{"-a", socket},
			64, "say with --from where to import from"},
		{"both forms", []string{"-a", socket, "--from", "x:1", "--json", "--follow"},
			64, `{"error":{"code":"usage","message":"give only one of --follow and --json`},
		{"an argument", []string{"-a", socket, "--from", "x:1", "y"},
			64, "Extraneous arguments found: y"},
		{"no socket", []string{"-a", socket, "--from", none}, 75,
			"cannot import from " + none + ": no such file or directory; is that director running"},
		{"our API", []string{"-a", socket, "--from", socket},
			76, "name the director-admin socket of a Dovecot director"},
		{"no director of ours", []string{"-a", none, "--from", importFrom(t, httpapitest.Sample())},
			75, "cannot reach director at " + none},
		{"refused", []string{
			"-a", httpapitest.Serve(t, refusing, zerolog.Nop()), "--from",
			importFrom(t, httpapitest.Sample()),
		}, 75, "not synced yet"},
		{"another tag", []string{"-a", socket, "--from", importFrom(t, otherTag)}, 65,
			`backend 192.0.2.51 has tag "ssd" in the mesh and "hdd" at the other director; ` +
				"remove it"},
	} {
		r := runCommand(t, "", append([]string{"import"}, test.args...)...)
		said := strings.HasPrefix(r.stderr, "Error: ") || wantsJSON(test.args)
		if r.status != test.status || r.stdout != "" || !said ||
			!strings.Contains(r.stderr, test.want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: %+v, want status %d and %q", test.name, r, test.status, test.want)
		}
	}
}

func TestBackendChanges(t *testing.T) {
	ip := httpapitest.IP
	backend := func(addr, tag string, vhosts int, state string) api.Backend {
		return api.Backend{IP: ip(addr), Tag: tag, VHosts: vhosts, State: state}
	}
	up, down := api.StateUp, api.StateDown
	a, b := backend("192.0.2.1", "", 100, up), backend("192.0.2.2", "x", 50, down)
	tests := []struct {
		name         string
		theirs, ours []api.Backend
		before       map[netip.Addr]bool
		changes      []string
		extra        []api.IP
	}{
		{name: "nothing"},
		{name: "same", theirs: []api.Backend{a, b}, ours: []api.Backend{a, b}},
		{name: "all new", theirs: []api.Backend{a, b},
			changes: []string{"added 192.0.2.1", "added 192.0.2.2@x", "took 192.0.2.2 down"}},
		{name: "up and vhosts", theirs: []api.Backend{backend("192.0.2.2", "x", 0, up)},
			ours: []api.Backend{b}, changes: []string{"updated 192.0.2.2", "took 192.0.2.2 up"}},
		{name: "listed twice", theirs: []api.Backend{a, a}, changes: []string{"added 192.0.2.1"}},
		{name: "only ours", theirs: []api.Backend{a}, ours: []api.Backend{a, b},
			extra: []api.IP{b.IP}},
		{name: "removed there", theirs: []api.Backend{a}, ours: []api.Backend{a, b},
			before:  map[netip.Addr]bool{a.IP.Addr: true, b.IP.Addr: true},
			changes: []string{"removed 192.0.2.2"}},
	}
	for _, test := range tests {
		changes, extra, err := plannedOperations(test.theirs, test.ours, test.before)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		var texts []string
		for _, c := range changes {
			texts = append(texts, c.text)
		}
		diff := cmp.Diff(test.changes, texts) + cmp.Diff(test.extra, extra, equalIP)
		if diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// changing is a director to import from whose users and backends change from one look to the next.
type changing struct {
	*httpapitest.Director
	looks    int
	backends func(look int) api.Backends
	mappings func(look int) []api.Mapping
}

func (d *changing) Backends() api.Backends {
	d.looks++
	return d.backends(d.looks)
}

func (d *changing) Mappings() iter.Seq[api.Mapping] {
	return func(yield func(api.Mapping) bool) {
		for _, m := range d.mappings(d.looks) {
			if !yield(m) {
				return
			}
		}
	}
}

// A run after the first hands over what has changed, and removes what was removed.
func TestImportAgain(t *testing.T) {
	ip := httpapitest.IP
	sample := httpapitest.Sample()
	theirs := &changing{Director: sample,
		backends: func(look int) api.Backends {
			if look < 3 {
				return sample.BackendsIs
			}
			return api.Backends{Backends: sample.BackendsIs.Backends[:2]}
		},
		mappings: func(look int) []api.Mapping {
			list := append([]api.Mapping(nil), sample.MappingsIs...)
			if look > 1 {
				list[0].Backend = ip("::198.51.100.7")
				list[1].ExpiresAt = list[1].ExpiresAt.Add(time.Minute)
			}
			if look > 2 {
				list = list[1:]
			}
			return list
		},
	}
	ours := taking()
	client, err := api.NewClient(httpapitest.Serve(t, ours, zerolog.Nop()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	inv := &invocation{}
	i := &importer{
		client: client, from: importFrom(t, theirs), show: inv.newImportProgress(true),
		remark: t.Logf, taken: map[importedUser]importedTo{},
	}
	for look, want := range []string{
		"3 backends, 3 mappings: all taken",
		"3 backends, 3 mappings: 2 changed",
		"2 backends, 2 mappings: 0 changed; removed ::198.51.100.7",
	} {
		r, err := i.run(t.Context())
		if err != nil || r.String() != want {
			t.Errorf("look %d: %s, %v, want %s", look+1, r, err, want)
		}
	}
	var sent [][]uint32
	for _, op := range ours.Done() {
		if op, ok := op.(api.ImportMappings); ok {
			var hashes []uint32
			for _, m := range op.Mappings {
				hashes = append(hashes, m.UserHash)
			}
			if op.Keep != (len(hashes) == 0) {
				t.Errorf("%d users, to be kept: %v", len(hashes), op.Keep)
			}
			sent = append(sent, hashes)
		}
	}
	// Each look at which something came ends with the wait for the disks.
	wantSent := [][]uint32{{100, 3045693125, 7}, nil, {100, 3045693125}, nil, nil}
	if diff := cmp.Diff(wantSent, sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	// What a batch is not taken of is sent again.
	ours.OutcomeIs = func(api.Operation) (api.Outcome, error) { return api.Outcome{Count: 0}, nil }
	theirs.looks = 0
	for range 2 {
		before := len(ours.Done())
		theirs.looks = 0
		if _, err := i.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(ours.Done()) == before {
			t.Error("refused users are not sent again")
		}
	}
}

// following ends without an error when it is interrupted, and goes on when the other director does
// not answer for a while.
func TestImportFollow(t *testing.T) {
	ours := taking()
	client, err := api.NewClient(httpapitest.Serve(t, ours, zerolog.Nop()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	inv := &invocation{}
	ctx, interrupt := context.WithCancel(t.Context())
	i := &importer{
		client: client, from: importFrom(t, httpapitest.Sample()),
		show: inv.newImportProgress(true), remark: t.Logf,
	}
	var out logtest.Buffer
	inv.Stderr = &out
	done := make(chan error, 1)
	go func() { done <- inv.follow(ctx, i) }()
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(out.String(), "following until interrupted") {
		if time.Now().After(deadline) {
			t.Fatalf("does not follow: %s", out.String())
		}
		time.Sleep(pollInterval)
	}
	interrupt()
	if err := <-done; err != nil {
		t.Errorf("%v after an interrupt", err)
	}
	// The first look must succeed.
	i.from = filepath.Join(t.TempDir(), "none")
	var exit *exitError
	if err := inv.follow(t.Context(), i); !errors.As(err, &exit) || exit.status != exitTemporary {
		t.Errorf("nothing there: %v", err)
	}
}
