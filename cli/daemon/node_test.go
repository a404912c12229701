package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/cli/api"
	"directormesh/directory"
	"directormesh/mesh"
	"directormesh/mesh/history"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// fakeNode answers with what its fields say.
type fakeNode struct {
	plan         mesh.Plan
	self         replica.SelfStatus
	waiting      map[string]int
	peers        []replica.PeerStatus
	backends     []replica.BackendStatus
	outOfContact bool
	keys         mesh.KeyringStatus
	pins         []replica.PinStatus
	changed      []keyChange
	keyOutcome   mesh.KeyOutcome
	configured   []ring.Backend
	user         replica.UserStatus
	flushes      []replica.FlushStatus
	dir          *directory.Directory
	now          directory.Time
	backend      netip.Addr
	outcome      replica.Outcome
	err          error
	did          []replica.Operation
	data         mesh.DataStatus
	health       replica.HealthStatus
	balancing    replica.BalanceStatus
	names        replica.NamesStatus
	noted        []*wire.AdminNote
	asked        wire.HistoryQuery
	told         []history.Answer
	silent       []mesh.Answer
	questions    []string                 // topic and body
	answers      map[string][]mesh.Answer // by topic
}

func (n *fakeNode) TryLookup(ring.Tag, ring.UserHash) (netip.Addr, bool) {
	return n.backend, n.err == nil
}
func (n *fakeNode) TryLookups(users []ring.Lookup) {
	for i := range users {
		users[i].Backend, _ = n.TryLookup(users[i].Tag, users[i].Hash)
	}
}
func (n *fakeNode) Lookup(context.Context, ring.Tag, ring.UserHash) (netip.Addr, error) {
	return n.backend, n.err
}
func (n *fakeNode) Do(_ context.Context, op replica.Operation) (replica.Outcome, error) {
	n.did = append(n.did, op)
	return n.outcome, n.err
}
func (n *fakeNode) Plan(_ context.Context, op replica.Operation) (mesh.Plan, error) {
	n.did = append(n.did, op)
	return n.plan, n.err
}
func (n *fakeNode) ChangeKeys(_ context.Context, op mesh.KeyOperation, without []string) (
	mesh.KeyOutcome, error,
) {
	n.changed = append(n.changed, keyChange{op, without})
	return n.keyOutcome, n.err
}
func (n *fakeNode) Self() replica.SelfStatus                        { return n.self }
func (n *fakeNode) Waiting() map[string]int                         { return n.waiting }
func (n *fakeNode) Peers() []replica.PeerStatus                     { return n.peers }
func (n *fakeNode) Backends() []replica.BackendStatus               { return n.backends }
func (n *fakeNode) OutOfContact() bool                              { return n.outOfContact }
func (n *fakeNode) Pins() []replica.PinStatus                       { return n.pins }
func (n *fakeNode) Keys() mesh.KeyringStatus                        { return n.keys }
func (n *fakeNode) Configured() []ring.Backend                      { return n.configured }
func (n *fakeNode) User(ring.Tag, ring.UserHash) replica.UserStatus { return n.user }
func (n *fakeNode) Flushes() []replica.FlushStatus                  { return n.flushes }
func (n *fakeNode) Directory() *directory.Directory                 { return n.dir }
func (n *fakeNode) MeshTime() directory.Time                        { return n.now }
func (n *fakeNode) Health() replica.HealthStatus                    { return n.health }
func (n *fakeNode) NamesStatus() replica.NamesStatus                { return n.names }
func (n *fakeNode) Balancing() replica.BalanceStatus                { return n.balancing }
func (n *fakeNode) Data() mesh.DataStatus                           { return n.data }
func (n *fakeNode) Ask(_ context.Context, topic string, question []byte) []mesh.Answer {
	n.questions = append(n.questions, topic+" "+string(question))
	return n.answers[topic]
}
func (n *fakeNode) NoteAdmin(note *wire.AdminNote) {
	n.noted = append(n.noted, note)
}
func (n *fakeNode) AskHistory(
	_ context.Context, q wire.HistoryQuery,
) ([]history.Answer, []mesh.Answer, error) {
	n.asked = q
	return n.told, n.silent, n.err
}

func testDirector(t *testing.T, n *fakeNode) *director {
	t.Helper()
	options, err := Load(map[string]string{"node-name": "d1"}, "", testEnvironment(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	return &director{node: n, options: options, version: "1.2.3"}
}

var (
	addr1 = netip.MustParseAddr("192.0.2.1")
	addr2 = netip.MustParseAddr("192.0.2.2")
	// at is 2026-01-02 03:04:05 UTC.
	at      = directory.Time(1767323045000)
	equalIP = cmpopts.EquateComparable(api.IP{}, netip.Addr{}, netip.AddrPort{})
)

func timeAt(t directory.Time) *time.Time { w := wallTime(t); return &w }

func TestShowSelf(t *testing.T) {
	n := &fakeNode{self: replica.SelfStatus{
		Synced: true, Alone: true, Reason: "no peer answers",
		Mesh: wire.MeshRank{ID: 0xcafe, Age: 3_600_000}, Users: 3, Waiting: 3, Rings: 2,
	}, waiting: map[string]int{"barrier": 1, "moving": 2, "unsynced": 0}}
	d := testDirector(t, n)
	d.leaving.Store(true)
	want := api.Self{Name: "d1", Mesh: "director", Version: "1.2.3", UsernameHash: "%Lu",
		UserExpireMS: 900000, Synced: true, Alone: true, Leaving: true,
		Reason: "no peer answers", Users: 3, Waiting: 3,
		WaitingFor: []api.Wait{{Reason: "moving", Lookups: 2}, {Reason: "barrier", Lookups: 1}},
		Changing:   true, MeshID: "000000000000cafe", MeshAgeMS: 3_600_000, Missing: []string{}}
	if diff := cmp.Diff(want, d.Self()); diff != "" {
		t.Errorf("self (-want +got):\n%s", diff)
	}
	n.self = replica.SelfStatus{Rings: 1}
	if got := d.Self(); got.MeshID != "" || got.MeshAgeMS != 0 || got.Changing {
		t.Errorf("before there is a mesh: %+v", got)
	}
}

// What the data directory does not keep is said by the director itself, and in the list.
func TestShowDataDir(t *testing.T) {
	n := &fakeNode{
		self:  replica.SelfStatus{Missing: []string{"d2"}},
		peers: []replica.PeerStatus{{Name: "d1", Self: true}, {Name: "d3"}},
		data: mesh.DataStatus{
			On: true, Bytes: 7, Problem: errors.New("write segment-0000000001: no space left"),
		},
	}
	d := testDirector(t, n)
	want := &api.DataDir{Bytes: 7, Problem: "write segment-0000000001: no space left"}
	got := d.Self()
	if diff := cmp.Diff(want, got.DataDir); diff != "" {
		t.Errorf("self %+v (-want +got):\n%s", got, diff)
	}
	if !slices.Equal(got.Missing, n.self.Missing) {
		t.Errorf("missing %v", got.Missing)
	}
	all := d.Directors().Directors
	if all[0].Reason != "the data directory keeps nothing: "+want.Problem || all[1].Reason != "" {
		t.Errorf("list %+v", all)
	}
	n.data = mesh.DataStatus{On: true, Bytes: 7}
	if got := d.Self().DataDir; got == nil || got.Problem != "" {
		t.Errorf("without a problem: %+v", got)
	}
}

func TestShowDirectors(t *testing.T) {
	failed := time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600))
	ping := 1.5
	d := testDirector(t, &fakeNode{peers: []replica.PeerStatus{
		{Name: "d1", Addr: netip.MustParseAddrPort("192.0.2.101:9090"), Self: true,
			State: replica.Synced, Users: 4, Offset: -time.Millisecond},
		{Name: "d2", Addr: netip.MustParseAddrPort("192.0.2.102:9091"), Reachable: true,
			State: replica.Handshaking, Received: 5, Sent: 6,
			RoundTrip: 1500 * time.Microsecond, Skew: time.Second, LastFailed: failed},
		{Name: "d3", Addr: netip.MustParseAddrPort("192.0.2.103:9090"), Removed: true, Left: true,
			State: replica.Syncing, Reason: "x"},
		{Name: "d4", Addr: netip.MustParseAddrPort("192.0.2.104:9090"), Reachable: true,
			SilentSince: failed, State: replica.Synced},
	}})
	want := api.Directors{Directors: []api.Director{
		{Name: "d1", IP: api.IP{Addr: netip.MustParseAddr("192.0.2.101")}, Port: 9090, Type: "self",
			State: "synced", Users: 4, OffsetMS: -1},
		{Name: "d2", IP: api.IP{Addr: netip.MustParseAddr("192.0.2.102")}, Port: 9091, Type: "peer",
			State: "handshaking", UsersReceived: 5, UsersSent: 6,
			Reachable: true, PingMS: &ping, SkewMS: 1000, LastFailedAt: timeAt(at)},
		{Name: "d3", IP: api.IP{Addr: netip.MustParseAddr("192.0.2.103")}, Port: 9090,
			Type: "removed", State: "syncing", Left: true, Reason: "x"},
		{Name: "d4", IP: api.IP{Addr: netip.MustParseAddr("192.0.2.104")}, Port: 9090, Type: "peer",
			State: "synced", UnreachableSince: timeAt(at)},
	}}
	if diff := cmp.Diff(want, d.Directors(), equalIP); diff != "" {
		t.Errorf("directors (-want +got):\n%s", diff)
	}
}

func TestShowBackends(t *testing.T) {
	d := testDirector(t, &fakeNode{
		backends: []replica.BackendStatus{
			{Backend: ring.Backend{Addr: addr1, Name: "m1", Tag: "x", VHosts: 5, Down: true},
				ChangedAt: at, Users: 3},
			{Backend: ring.Backend{Addr: netip.MustParseAddr("192.0.2.5"), VHosts: 100}},
		},
		configured:   []ring.Backend{{Addr: addr1}, {Addr: addr2}},
		outOfContact: true,
	})
	want := api.Backends{
		Backends: []api.Backend{
			{IP: api.IP{Addr: addr1}, Name: "m1", Tag: "x", VHosts: 5, Factor: 100, State: "down",
				StateChangedAt: timeAt(at), Users: 3},
			{IP: api.IP{Addr: netip.MustParseAddr("192.0.2.5")}, VHosts: 100, Factor: 100,
				State: "up"},
		},
		Removed:      []api.IP{{Addr: addr2}},
		OutOfContact: true,
	}
	if diff := cmp.Diff(want, d.Backends(), equalIP); diff != "" {
		t.Errorf("backends (-want +got):\n%s", diff)
	}
}

// TestShowsAllOfABackend wants all that the core says of a backend in the API.
func TestShowsAllOfABackend(t *testing.T) {
	shown := func(b replica.BackendStatus) api.Backend {
		return testDirector(t, &fakeNode{
			backends: []replica.BackendStatus{b},
		}).Backends().Backends[0]
	}
	without := shown(replica.BackendStatus{})
	var each func(status *replica.BackendStatus, v reflect.Value, name string)
	each = func(status *replica.BackendStatus, v reflect.Value, name string) {
		switch {
		case v.Type() == reflect.TypeFor[netip.Addr]():
			v.Set(reflect.ValueOf(addr1))
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				each(status, v.Field(i), name+"."+v.Type().Field(i).Name)
			}
			return
		case v.Kind() == reflect.Bool:
			v.SetBool(true)
		case v.Kind() == reflect.String:
			v.SetString("x")
		case v.CanInt():
			v.SetInt(7)
		case v.CanUint():
			v.SetUint(7 << 20)
		default:
			t.Fatalf("%s: this test does not know how to fill a %s", name, v.Type())
		}
		if diff := cmp.Diff(without, shown(*status), equalIP); diff == "" {
			t.Errorf("the API does not show %s", name)
		}
		v.SetZero()
	}
	var status replica.BackendStatus
	each(&status, reflect.ValueOf(&status).Elem(), "BackendStatus")
}

func TestShowUserAndFlushes(t *testing.T) {
	n := &fakeNode{
		user: replica.UserStatus{
			Mapped: true, Current: addr1, Expires: at, Moving: true, Hashed: addr2, Initial: addr1,
		},
		flushes: []replica.FlushStatus{
			{ID: replica.FlushID{Director: "d2", ID: 4}, Backend: addr1, Total: 9, Scanning: true,
				Moved: 3, Moving: 2, Failed: 1, Started: at},
			{ID: replica.FlushID{Director: "d1", ID: 5}, Started: at, Ended: at + 1000,
				Canceled: true, Lost: true},
		},
	}
	d := testDirector(t, n)
	user := api.User{
		UserHash: 7, Tag: "x", Mapped: true, Moving: true, Current: api.IP{Addr: addr1},
		ExpiresAt: timeAt(at), Hashed: api.IP{Addr: addr2}, InitialConfig: api.IP{Addr: addr1},
	}
	if diff := cmp.Diff(user, d.User("x", 7), equalIP); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	n.user.Mapped = false
	if got := d.User("x", 7); got.ExpiresAt != nil {
		t.Errorf("a user without a mapping expires at %v", got.ExpiresAt)
	}
	flushes := api.Flushes{Flushes: []api.Flush{
		{Director: "d2", ID: 4, Backend: api.IP{Addr: addr1}, Total: 9, Scanning: true, Moved: 3,
			Moving: 2, Failed: 1, StartedAt: wallTime(at)},
		{Director: "d1", ID: 5, StartedAt: wallTime(at), EndedAt: timeAt(at + 1000),
			Cancelled: true, Lost: true},
	}}
	if diff := cmp.Diff(flushes, d.Flushes(), equalIP); diff != "" {
		t.Errorf("flushes (-want +got):\n%s", diff)
	}
}

// The mappings of a real directory come by tag and hash, without users that were forgotten.
func TestMappings(t *testing.T) {
	dir := directory.New(15 * time.Minute)
	table := directory.NewTable(
		1, "d1", []ring.Backend{{Addr: addr1, VHosts: 100}, {Addr: addr2, Tag: "x", VHosts: 100}})
	dir.SetBackends(table.Snapshot().Backends)
	for _, u := range []struct {
		tag     ring.Tag
		hash    ring.UserHash
		backend netip.Addr
	}{{"x", 5, addr2}, {"", 0xfffffff0, addr1}, {"", 9, addr1}} {
		if _, ok := dir.Assign(u.tag, u.hash, u.backend, at); !ok {
			t.Fatalf("user %d is not assigned", u.hash)
		}
	}
	if _, ok := dir.Assign("", 10, addr1, at); !ok {
		t.Fatal("user 10 is not assigned")
	}
	dir.Supersede("", 10, netip.Addr{}, false, at, 0)
	d := testDirector(t, &fakeNode{dir: dir, now: at})
	ends := wallTime(at.Tick().Time().Add(15 * time.Minute))
	want := []api.Mapping{
		{UserHash: 9, Backend: api.IP{Addr: addr1}, ExpiresAt: ends},
		{UserHash: 0xfffffff0, Backend: api.IP{Addr: addr1}, ExpiresAt: ends},
		{Tag: "x", UserHash: 5, Backend: api.IP{Addr: addr2}, ExpiresAt: ends},
	}
	var got []api.Mapping
	for m := range d.Mappings() {
		got = append(got, m)
	}
	if diff := cmp.Diff(want, got, equalIP); diff != "" {
		t.Errorf("mappings (-want +got):\n%s", diff)
	}
	for range d.Mappings() { // stops when asked to
		break
	}
}

// translated is an operation of the API with what it is to the mesh.
type translated struct {
	op   api.Operation
	want replica.Operation
}

// fieldsNeverSet names the fields that are zero in all operations: a translation may lose them, or
// never give them.
func fieldsNeverSet(tests []translated) []string {
	unset := make(map[string]bool)
	for _, tt := range tests {
		for _, op := range []any{tt.op, tt.want} {
			for _, field := range reflect.VisibleFields(reflect.TypeOf(op)) {
				name := fmt.Sprintf("%T.%s", op, field.Name)
				if _, seen := unset[name]; !seen {
					unset[name] = true
				}
				if !reflect.ValueOf(op).FieldByIndex(field.Index).IsZero() {
					unset[name] = false
				}
			}
		}
	}
	maps.DeleteFunc(unset, func(_ string, never bool) bool { return !never })
	return slices.Sorted(maps.Keys(unset))
}

// Every change reaches the mesh as what was asked for.
func TestOperations(t *testing.T) {
	ip := api.IP{Addr: addr1}
	tag, rtag, vhosts, hash := "x", ring.Tag("x"), 5, uint32(77)
	peers := []replica.PeerStatus{
		{Addr: netip.MustParseAddrPort("192.0.2.101:9095"), Self: true},
		{Addr: netip.MustParseAddrPort("192.0.2.102:9091")},
		{Addr: netip.MustParseAddrPort("192.0.2.103:9091")},
		{Addr: netip.MustParseAddrPort("192.0.2.103:9092")},
		{Addr: netip.MustParseAddrPort("192.0.2.104:9092"), Removed: true},
	}
	at := func(text string) api.IP { return api.IP{Addr: netip.MustParseAddr(text)} }
	slow, over := new(int64(90_000)), 90*time.Second
	tests := []translated{
		{api.AddBackend{IP: ip}, replica.AddBackend{Addr: addr1}},
		{api.AddBackend{IP: ip, Tag: &tag, VHosts: &vhosts, Standby: new(true), SlowStartMS: slow},
			replica.AddBackend{
				Addr: addr1, Tag: "x", VHosts: &vhosts, Standby: new(true), SlowStart: &over,
			}},
		{api.UpdateBackend{IP: ip, VHosts: 5, SlowStartMS: slow},
			replica.UpdateBackend{Addr: addr1, VHosts: 5, SlowStart: &over}},
		{api.UpdateBackend{IP: ip, Tag: &tag, VHosts: 5},
			replica.UpdateBackend{Addr: addr1, Tag: &rtag, VHosts: 5}},
		{api.RemoveBackend{IP: ip}, replica.RemoveBackend{Addr: addr1}},
		{api.BackendUp{IP: ip}, replica.SetDown{Addr: addr1}},
		{api.BackendUp{IP: ip, SlowStartMS: slow}, replica.SetDown{Addr: addr1, SlowStart: &over}},
		{api.BackendDown{IP: ip}, replica.SetDown{Addr: addr1, Down: true}},
		{api.Move{User: "user1", Backend: ip, Wait: true},
			replica.Move{Hash: 617210206, Backend: addr1, Wait: true}},
		{api.Move{UserHash: &hash, Backend: ip}, replica.Move{Hash: 77, Backend: addr1}},
		{api.KickUser{User: "a", Field: "f"}, replica.KickUser{Field: "f", Value: "a"}},
		{api.FlushUsers{Backend: ip, MaxParallel: 3}, replica.Flush{Addr: addr1, MaxParallel: 3}},
		{api.FlushUsers{}, replica.Flush{}},
		{api.CancelFlush{Backend: ip}, replica.CancelFlush{Addr: addr1}},
		{api.Forget{Backend: ip}, replica.Forget{Addr: addr1}},
		{
			api.ImportMappings{
				Mappings: []api.ImportedMapping{
					{Tag: "x", UserHash: 77, Backend: ip, ExpiresAt: time.UnixMilli(1_000_000)},
				},
				Keep: true,
			},
			replica.Import{Mappings: []replica.ImportedMapping{{
				Tag: "x", Hash: 77, Backend: addr1, Activity: 100_000, // 15 minutes earlier
			}}, Keep: true},
		},
		{api.DrainBackend{IP: ip, OverMS: 5000, MaxParallel: 7, Force: true}, replica.Drain{
			Addr: addr1, Pace: replica.Pace{Over: 5 * time.Second, MaxParallel: 7}, Force: true,
		}},
		{api.DrainBackend{IP: ip, By: new(time.UnixMilli(7000))},
			replica.Drain{Addr: addr1, Pace: replica.Pace{By: 7000}}},
		{api.UndrainBackend{IP: ip, SlowStartMS: slow},
			replica.Undrain{Addr: addr1, SlowStart: &over}},
		{api.Rebalance{Tag: &tag, OverMS: 5000, MaxParallel: 7}, replica.Rebalance{
			Tag: &rtag, Pace: replica.Pace{Over: 5 * time.Second, MaxParallel: 7},
		}},
		{api.Rebalance{By: new(time.UnixMilli(7000))},
			replica.Rebalance{Pace: replica.Pace{By: 7000}}},
		{api.PinUser{User: "user1", Backend: ip, Wait: true},
			replica.Pin{Hash: 617210206, Backend: addr1, Wait: true}},
		{api.PinUser{UserHash: &hash, Backend: ip}, replica.Pin{Hash: 77, Backend: addr1}},
		{api.UnpinUser{User: "user1", Tag: "x"},
			replica.Unpin{User: ring.User{Tag: "x", Hash: 617210206}}},
		{api.UnpinUser{UserHash: &hash}, replica.Unpin{User: ring.User{Hash: 77}}},
		{api.ResetBalance{Tag: &tag}, replica.ResetFactors{Tag: &rtag}},
		{api.AddDirector{IP: at("192.0.2.109"), Port: 1},
			replica.SetDirectorRemoved{Addr: netip.MustParseAddrPort("192.0.2.109:1")}},
		{api.AddDirector{IP: at("192.0.2.109")},
			replica.SetDirectorRemoved{Addr: netip.MustParseAddrPort("192.0.2.109:9095")}},
		{api.AddDirector{Name: "d9"}, replica.SetDirectorRemoved{Name: "d9"}},
		{api.RemoveDirector{Name: "d9"}, replica.SetDirectorRemoved{Name: "d9", Removed: true}},
		{api.RemoveDirector{IP: at("192.0.2.103"), Port: 9092}, replica.SetDirectorRemoved{
			Addr: netip.MustParseAddrPort("192.0.2.103:9092"), Removed: true,
		}},
		{api.RemoveDirector{IP: at("192.0.2.102")}, replica.SetDirectorRemoved{
			Addr: netip.MustParseAddrPort("192.0.2.102:9091"), Removed: true,
		}},
	}
	ordered, given := make(map[string]bool), make(map[string]bool)
	for _, tt := range tests {
		ordered[fmt.Sprintf("%T", tt.op)], given[fmt.Sprintf("%T", tt.want)] = true, true
	}
	for _, c := range keyChanges() {
		ordered[fmt.Sprintf("%T", c.op)] = true
	}
	ordered["api.Reload"] = true // it does not reach the mesh
	for _, op := range api.Operations() {
		if !ordered[fmt.Sprintf("%T", op)] {
			t.Errorf("this test does not order %T", op)
		}
	}
	for _, op := range replica.Operations() {
		if _, condition := op.(replica.IfTable); condition {
			continue // of any operation: TestConditionOnTheTable
		}
		if !given[fmt.Sprintf("%T", op)] {
			t.Errorf("no operation of the API becomes %T", op)
		}
	}
	for _, name := range fieldsNeverSet(tests) {
		if name == "replica.AddBackend.Name" {
			continue // commands give addresses
		}
		t.Errorf("this test never sets %s", name)
	}
	for _, tt := range tests {
		n := &fakeNode{peers: peers, outcome: replica.Outcome{
			Mapped: 4, Flush: replica.FlushID{Director: "d1", ID: 3}, Count: 2, Known: true,
		}}
		outcome, err := testDirector(t, n).Do(t.Context(), tt.op)
		if err != nil {
			t.Errorf("%+v: %v", tt.op, err)
			continue
		}
		if diff := cmp.Diff([]replica.Operation{tt.want}, n.did, equalIP); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.op, diff)
		}
		want := api.Outcome{Users: 4, Count: 2, Known: true}.Complete()
		if _, ok := tt.op.(api.FlushUsers); ok {
			want.Flush = &api.FlushID{Director: "d1", ID: 3}
		}
		if diff := cmp.Diff(want, outcome); diff != "" {
			t.Errorf("outcome of %+v (-want +got):\n%s", tt.op, diff)
		}
	}

	refused := []struct {
		op   api.Operation
		code api.Code
	}{
		{api.RemoveDirector{IP: at("192.0.2.103")}, api.CodeBadRequest}, // two directors
		{api.RemoveDirector{IP: at("192.0.2.104")}, api.CodeNotFound},   // removed already
		{nil, api.CodeBadRequest},
	}
	for _, tt := range refused {
		n := &fakeNode{peers: peers}
		_, err := testDirector(t, n).Do(t.Context(), tt.op)
		var e *api.Error
		if !errors.As(err, &e) || e.Code != tt.code || len(n.did) > 0 {
			t.Errorf("%+v: %v and did %v; want %s", tt.op, err, n.did, tt.code)
		}
	}
}

// The outcome names sessions that directors could not end. Where nothing can end sessions, the
// outcome of "remove" says so too.
func TestSessionsLeft(t *testing.T) {
	n := &fakeNode{outcome: replica.Outcome{
		Left: []replica.SessionsLeft{{Director: "d2", Sessions: 3}}, Blind: []string{"d3"},
	}}
	d := testDirector(t, n)
	got, err := d.Do(t.Context(), api.KickUser{User: "alice"})
	want := api.Outcome{
		SessionsLeft: []api.SessionsLeft{{Director: "d2", Sessions: 3}}, NoKicker: []string{"d3"},
	}.Complete()
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("kick: %v (-want +got):\n%s", err, diff)
	}
	d = testDirector(t, &fakeNode{})
	d.noKicker = true
	got, err = d.Do(t.Context(), api.RemoveBackend{IP: api.IP{Addr: addr1}})
	diff := cmp.Diff(api.Outcome{NoKicker: []string{"d1"}}.Complete(), got)
	if err != nil || diff != "" {
		t.Errorf("remove: %v (-want +got):\n%s", err, diff)
	}
}

// Away names directors that were away when a change began, not those that failed meanwhile.
func TestAwayDirectors(t *testing.T) {
	long, lately := time.UnixMilli(int64(at)).Add(-time.Hour), time.UnixMilli(int64(at))
	n := &fakeNode{
		now: at,
		peers: []replica.PeerStatus{
			{Name: "d1", Self: true}, {Name: "d2", SilentSince: long},
			{Name: "d3", SilentSince: lately}, {Name: "d4"},
			{Name: "d5", SilentSince: long},
		},
		outcome: replica.Outcome{FailedPeers: []string{"d2", "d3", "d4"}},
	}
	outcome, err := testDirector(t, n).Do(t.Context(), api.BackendUp{IP: api.IP{Addr: addr1}})
	if err != nil {
		t.Fatal(err)
	}
	want := api.Outcome{
		FailedDirectors: []string{"d2", "d3", "d4"},
		Away:            []api.AwayDirector{{Director: "d2", Since: long.UTC()}},
	}.Complete()
	if diff := cmp.Diff(want, outcome); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An outcome says what disks have not kept.
func TestShowNotKept(t *testing.T) {
	n := &fakeNode{outcome: replica.Outcome{NotKept: []string{"d2"}, KeptByNone: true}}
	outcome, err := testDirector(t, n).Do(t.Context(), api.BackendUp{IP: api.IP{Addr: addr1}})
	want := api.Outcome{NotKept: []string{"d2"}, KeptByNone: true}.Complete()
	if diff := cmp.Diff(want, outcome); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		err  error
		code api.Code
		text string
	}{
		{&replica.TemporaryError{Reason: "no usable backend"}, api.CodeTemporary,
			"temporary failure: no usable backend"},
		{fmt.Errorf("%w \"192.0.2.1\"", directory.ErrUnknownBackend), api.CodeNotFound,
			"doesn't exist"},
		{fmt.Errorf("%w: it has another", directory.ErrTagDiffers), api.CodeTagDiffers,
			"host tag can't be changed: it has another"},
		{fmt.Errorf("%w too large: 1001; give 0 to 1000", directory.ErrVHosts), api.CodeVHosts,
			"vhost count too large: 1001; give 0 to 1000"},
		{replica.ErrTryAgain, api.CodeTryAgain, "user is already being moved"},
		{replica.ErrNotSynced, api.CodeNotSynced, "this director is not synced yet, try again"},
		{replica.ErrUnknownDirector, api.CodeNotFound, "no such director"},
		{replica.ErrNothingToCancel, api.CodeNotFound, "no such flush is running"},
		{context.DeadlineExceeded, api.CodeTimeout, "not every director has confirmed in time"},
		{context.Canceled, api.CodeTemporary, "this director is stopping, ask another one"},
		{api.Errorf(api.CodeForbidden, "no"), api.CodeForbidden, "no"},
		{errors.New("odd"), api.CodeInternal, "odd"},
	}
	for _, tt := range tests {
		d := testDirector(t, &fakeNode{err: tt.err})
		want := api.Errorf(tt.code, "%s", tt.text)
		_, err := d.Lookup(t.Context(), "", 1)
		if diff := cmp.Diff(error(want), err); diff != "" {
			t.Errorf("lookup with %v (-want +got):\n%s", tt.err, diff)
		}
		_, err = d.Do(t.Context(), api.BackendUp{})
		if diff := cmp.Diff(error(want), err); diff != "" {
			t.Errorf("change with %v (-want +got):\n%s", tt.err, diff)
		}
	}
	got, err := testDirector(t, &fakeNode{backend: addr1}).Lookup(t.Context(), "", 1)
	if err != nil || got.Addr != addr1 {
		t.Errorf("lookup: %v, %v", got, err)
	}
}

// A condition on the table, and a plan, reach the mesh with the change that they are about.
func TestConditionOnTheTable(t *testing.T) {
	ip := api.IP{Addr: addr1}
	n := &fakeNode{plan: mesh.Plan{
		Table: "5ac0", Users: 3, Due: 1, Forgotten: 2, Least: time.Second,
		Moves: []mesh.PlannedMoves{{Tag: "x", From: addr1, To: addr2, Users: 3}},
		Backends: []mesh.PlannedBackend{{
			Backend: ring.Backend{Addr: addr1, Tag: "x"}, Users: 3, UsersAfter: 0, Share: 0.5,
			ShareAfter: 0.25,
		}},
	}}
	d := testDirector(t, n)
	got, err := d.Plan(t.Context(), api.BackendDown{IP: ip})
	if err != nil {
		t.Fatal(err)
	}
	want := api.Plan{
		Table: "5ac0", Users: 3, Due: 1, Forgotten: 2, LeastMS: 1000,
		Moves:    []api.PlannedMoves{{Tag: "x", From: ip, To: api.IP{Addr: addr2}, Users: 3}},
		Backends: []api.PlannedBackend{{IP: ip, Tag: "x", Users: 3, Share: 0.5, ShareAfter: 0.25}},
	}
	if diff := cmp.Diff(want, got, equalIP); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if _, err := d.DoIf(t.Context(), api.BackendDown{IP: ip}, "5ac0"); err != nil {
		t.Fatal(err)
	}
	down := replica.SetDown{Addr: addr1, Down: true}
	asked := []replica.Operation{down, replica.IfTable{Digest: "5ac0", Operation: down}}
	if diff := cmp.Diff(asked, n.did, equalIP); diff != "" {
		t.Errorf("asked of the mesh (-want +got):\n%s", diff)
	}
}
