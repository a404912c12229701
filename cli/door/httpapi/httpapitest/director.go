// Package httpapitest serves a director that has nothing behind it: fixed answers for tests of
// clients. Only tests import it.
package httpapitest

import (
	"context"
	"iter"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi"
	"directormesh/cli/feed"
	"directormesh/ring"
)

// Director answers with what its fields say. Sample fills them; set what a test needs before
// serving.
type Director struct {
	SelfIs      api.Self
	DirectorsIs api.Directors
	BackendsIs  api.Backends
	PinsIs      api.Pins
	KeysIs      api.Keys
	HealthIs    api.Health
	BalanceIs   api.Balance
	NamesAre    api.Names
	UserIs      func(tag ring.Tag, h ring.UserHash) api.User
	// nil: every lookup might have to wait
	TryLookupIs func(tag ring.Tag, h ring.UserHash) (api.IP, bool)
	LookupIs    func(ctx context.Context, tag ring.Tag, h ring.UserHash) (api.IP, error)
	MappingsIs  []api.Mapping
	FlushesIs   func() api.Flushes
	PlanIs      api.Plan
	OutcomeIs   func(op api.Operation) (api.Outcome, error)
	HistoryIs   func(q api.HistoryQuery) (api.History, error)
	CheckupIs   api.Checkup
	SessionsAre api.Sessions
	EventsAre   *feed.Feed // nil: there are none
	// at is zero if no moment was asked for
	UserHistoryIs func(h ring.UserHash, at time.Time, q api.HistoryQuery) api.UserHistory

	mu    sync.Mutex
	done  []api.Operation
	noted []api.AdminChange
}

// Sample returns a director with a bit of everything.
func Sample() *Director {
	at := time.Date(2018, 2, 8, 10, 20, 35, 0, time.UTC)
	ping := 0.75
	return &Director{
		PlanIs: api.Plan{
			Table: "5ac0f1b2c3d4e5f6", Users: 2, LeastMS: 2000,
			Moves: []api.PlannedMoves{{From: IP("192.0.2.1"), To: IP("192.0.2.2"), Users: 2}},
			Backends: []api.PlannedBackend{
				{IP: IP("192.0.2.1"), Users: 2, Share: 0.5, ShareAfter: 0.25},
			},
		},
		SelfIs: api.Self{
			Name: "d1", Mesh: "mail", Version: "1.2.3", UsernameHash: "%Lu", UserExpireMS: 900000,
			Synced: true, Users: 3, MeshID: "00000000feedcafe", MeshAgeMS: 3_600_000,
			DataDir: &api.DataDir{Bytes: 98_304}, WaitingFor: []api.Wait{}, Missing: []string{},
		},
		DirectorsIs: api.Directors{Directors: []api.Director{
			{Name: "d1", IP: IP("127.0.1.1"), Port: 9090, Type: api.TypeSelf,
				State: api.StateSynced, Users: 3, OffsetMS: 0.5},
			{Name: "d2", IP: IP("127.0.1.2"), Port: 9090, Type: api.TypePeer,
				State: api.StateSynced, LastFailedAt: &at, Reachable: true, PingMS: &ping, Users: 3,
				SkewMS: -1.25},
			{Name: "d3", IP: IP("127.0.1.3"), Port: 19090, Type: api.TypePeer,
				State: api.StateHandshaking, UsersReceived: 5000, Reachable: true},
			{Name: "d4", IP: IP("127.0.1.4"), Port: 9090, Type: api.TypePeer,
				State: api.StateHandshaking, UsersSent: 7, UnreachableSince: &at},
			{Name: "", IP: IP("2001:db8::5"), Port: 9090, Type: api.TypeRemoved,
				State: api.StateHandshaking},
		}},
		BackendsIs: api.Backends{
			Backends: []api.Backend{
				{IP: IP("192.0.2.1"), VHosts: 100, Factor: 100, State: api.StateUp,
					Users: 2},
				{IP: IP("192.0.2.51"), Name: "ssd1.example.org", Tag: "ssd", VHosts: 50,
					Factor: 100, State: api.StateDown, StateChangedAt: &at, Users: 1},
				{IP: IP("::198.51.100.7"), VHosts: 0, Factor: 100, State: api.StateUp},
			},
			Removed: []api.IP{IP("192.0.2.9")},
		},
		PinsIs: api.Pins{Pins: []api.Pin{
			{UserHash: 3045693125, Backend: IP("192.0.2.1"), Since: at, Counts: true},
			{UserHash: 7, Tag: "ssd", Backend: IP("192.0.2.51"), Since: at},
		}},
		KeysIs: api.Keys{
			Keys: []api.Key{
				{ID: "5e0d1c3a", Primary: true, Streams: 4, Directors: []string{"d1", "d2"},
					Packets: 7340032},
				{ID: "91b04f27", Directors: []string{"d1"}},
			},
			Directors: []api.KeyDirector{
				{Name: "d1", Uses: "5e0d1c3a"}, {Name: "d2", Away: true, Uses: "5e0d1c3a"},
			},
			Rotation: &api.Rotation{
				New: "91b04f27", Old: "5e0d1c3a", By: "d1", Step: api.StepAdding,
				WaitsFor: []string{"d2 does not have the new key"},
			},
		},
		BalanceIs: api.Balance{
			Mode: api.BalanceOn, InCharge: "d1", Source: api.LoadSessions,
			Tags: []api.TagBalance{
				{NextAt: &at, Backends: []api.BackendBalance{
					{IP: IP("192.0.2.1"), VHosts: 100, Factor: 100, Load: new(1200.0),
						Wanted: new(85), Due: true},
				}},
				{Tag: "ssd", Frozen: "192.0.2.51 is down", Backends: []api.BackendBalance{
					{IP: IP("192.0.2.51"), VHosts: 50, Factor: 100},
				}},
			},
		},
		NamesAre: api.Names{
			Watching: []string{"d1", "d2"}, Count: 3, Writer: true, Alarms: []api.NameAlarm{},
			Names: []api.Name{{
				Name: "ssd1.example.org", Tag: "ssd",
				Directors: []api.NameDirector{
					{Director: "d1", Resolves: true, Since: &at, Settled: true, Addresses: 2},
					{Director: "d2", Since: &at, Reason: "no answer in time", Addresses: 1},
				},
				Addresses: []api.NameAddress{
					{IP: IP("192.0.2.51"), VHosts: 100, State: api.NameUsed,
						SeenBy: []string{"d1", "d2"}},
					{IP: IP("192.0.2.52"), VHosts: 100, State: api.NameNew,
						SeenBy: []string{"d1"}},
				},
			}},
		},
		HealthIs: api.Health{
			Watching: []string{"d1", "d2"}, Writer: true, Alarms: []api.HealthAlarm{},
			Backends: []api.BackendHealth{
				{IP: IP("192.0.2.1"), State: api.StateUp, Health: api.HealthFailed,
					Failure: &api.BackendFailure{Since: &at, By: "d1"},
					Flaps:   2, GoodForMS: 60_000,
					Observers: []api.Observer{
						{Director: "d1", Sees: api.HealthFailing, Since: &at,
							Reason: "imap:143: connection refused"},
						{Director: "d2", Sees: api.HealthGood, Since: &at},
					}},
				{IP: IP("192.0.2.51"), Tag: "ssd", State: api.StateDown, Health: api.HealthGood,
					Observers: []api.Observer{
						{Director: "d1", Sees: api.HealthGood, Since: &at},
						{Director: "d2", Sees: api.HealthUnseen},
					}},
				{IP: IP("::198.51.100.7"), State: api.StateUp, Health: api.HealthUnseen,
					Observers: []api.Observer{}},
			},
		},
		UserIs: func(tag ring.Tag, h ring.UserHash) api.User {
			return api.User{
				UserHash: uint32(h), Tag: string(tag), Mapped: true, Current: IP("192.0.2.1"),
				ExpiresAt: &at, Hashed: IP("192.0.2.2"), InitialConfig: IP("192.0.2.3"),
			}
		},
		LookupIs: func(context.Context, ring.Tag, ring.UserHash) (api.IP, error) {
			return IP("192.0.2.1"), nil
		},
		MappingsIs: []api.Mapping{
			{UserHash: 100, Backend: IP("192.0.2.1"), ExpiresAt: at},
			{UserHash: 3045693125, Backend: IP("192.0.2.1"), ExpiresAt: at.Add(time.Second),
				Moving: true},
			{Tag: "ssd", UserHash: 7, Backend: IP("192.0.2.51"),
				ExpiresAt: at.Add(1500 * time.Millisecond)},
		},
		FlushesIs: func() api.Flushes { return api.Flushes{Flushes: []api.Flush{}} },
		OutcomeIs: func(api.Operation) (api.Outcome, error) { return api.Outcome{}, nil },
		EventsAre: sampleEvents(),
		CheckupIs: api.Checkup{
			Verdict: api.VerdictProblem,
			Findings: []api.Finding{
				{Code: "alone", Severity: api.VerdictProblem, Director: "d2",
					Found:  "serves alone: no peer answers",
					Advice: "start the others, or correct --join"},
				{Code: "versions", Severity: api.VerdictWarning,
					Found:  "directors are of different releases: d1 1.2.3, d2 1.2.2",
					Advice: "upgrade the older ones"},
			},
			Directors: []api.CheckedDirector{
				{Name: "d1", Version: "1.2.3"}, {Name: "d2", Version: "1.2.2"},
				{Name: "d3", Error: "it cannot be reached"},
			},
		},
		SessionsAre: api.Sessions{
			Sessions: []api.UserSessions{
				{UserHash: 7, Backend: IP("192.0.2.51"), Director: "d1", Sessions: 2},
				{UserHash: 4227319470, Backend: IP("192.0.2.1"), Director: "d2", Sessions: 1,
					Mapped: IP("192.0.2.1")},
				{UserHash: 4227319470, Backend: IP("192.0.2.2"), Director: "d1", Sessions: 3,
					Mapped: IP("192.0.2.1")},
			},
			Directors: []api.SessionsDirector{
				{Name: "d1", Sessions: 5, Lists: true}, {Name: "d2", Sessions: 1, Lists: true},
				{Name: "d3", Error: "it cannot be reached"}, {Name: "d4"},
			},
		},
		HistoryIs: func(api.HistoryQuery) (api.History, error) { return sampleHistory(), nil },
		UserHistoryIs: func(h ring.UserHash, at time.Time, _ api.HistoryQuery) api.UserHistory {
			return sampleUserHistory(h, at)
		},
	}
}

// IP parses an address.
func IP(text string) api.IP {
	addr, err := ring.ParseAddr(text)
	if err != nil {
		panic(err)
	}
	return api.IP{Addr: addr}
}

// Self implements httpapi.Director.
func (d *Director) Self() api.Self { return d.SelfIs }

// Directors implements httpapi.Director.
func (d *Director) Directors() api.Directors { return d.DirectorsIs }

// Backends implements httpapi.Director.
func (d *Director) Backends() api.Backends { return d.BackendsIs }

// Pins implements httpapi.Director.
func (d *Director) Pins() api.Pins { return d.PinsIs }

// Keys implements httpapi.Director.
func (d *Director) Keys() api.Keys { return d.KeysIs }

// Balance implements httpapi.Director.
func (d *Director) Balance() api.Balance { return d.BalanceIs }

// Names implements httpapi.Director.
func (d *Director) Names() api.Names { return d.NamesAre }

// Health implements httpapi.Director.
func (d *Director) Health() api.Health { return d.HealthIs }

// Flushes implements httpapi.Director.
func (d *Director) Flushes() api.Flushes { return d.FlushesIs() }

// Hash implements httpapi.Director, by the format %Lu.
func (d *Director) Hash(user string) ring.UserHash {
	format, err := ring.ParseHashFormat("%Lu")
	if err != nil {
		panic(err)
	}
	return format.Hash(user)
}

// User implements httpapi.Director.
func (d *Director) User(tag ring.Tag, h ring.UserHash) api.User { return d.UserIs(tag, h) }

// TryLookup implements httpapi.Director.
func (d *Director) TryLookup(tag ring.Tag, h ring.UserHash) (api.IP, bool) {
	if d.TryLookupIs == nil {
		return api.IP{}, false
	}
	return d.TryLookupIs(tag, h)
}

// TryLookups implements httpapi.Director.
func (d *Director) TryLookups(users []ring.Lookup) {
	for i := range users {
		u := &users[i]
		if backend, ok := d.TryLookup(u.Tag, u.Hash); ok {
			u.Backend = backend.Addr
		} else {
			u.Backend = netip.Addr{}
		}
	}
}

// Lookup implements httpapi.Director.
func (d *Director) Lookup(ctx context.Context, tag ring.Tag, h ring.UserHash) (api.IP, error) {
	return d.LookupIs(ctx, tag, h)
}

// Mappings implements httpapi.Director.
func (d *Director) Mappings() iter.Seq[api.Mapping] {
	return func(yield func(api.Mapping) bool) {
		for _, m := range d.MappingsIs {
			if !yield(m) {
				return
			}
		}
	}
}

// Do implements httpapi.Director and remembers the operation.
func (d *Director) Do(_ context.Context, op api.Operation) (api.Outcome, error) {
	d.mu.Lock()
	d.done = append(d.done, op)
	d.mu.Unlock()
	return d.OutcomeIs(op)
}

// DoIf implements httpapi.Director: the table is that of Plan.
func (d *Director) DoIf(
	ctx context.Context, op api.Operation, table string,
) (api.Outcome, error) {
	if table != d.PlanIs.Table {
		return api.Outcome{}, api.Errorf(api.CodeOtherTable, "the table has changed since the plan")
	}
	return d.Do(ctx, op)
}

// Plan implements httpapi.Director.
func (d *Director) Plan(context.Context, api.Operation) (api.Plan, error) { return d.PlanIs, nil }

// NoteChange implements httpapi.Director.
func (d *Director) NoteChange(c api.AdminChange) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.noted = append(d.noted, c)
}

// Noted returns the admin changes that were put into the history.
func (d *Director) Noted() []api.AdminChange {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]api.AdminChange(nil), d.noted...)
}

// History implements httpapi.Director.
func (d *Director) History(_ context.Context, q api.HistoryQuery) (api.History, error) {
	return d.HistoryIs(q)
}

// UserHistory implements httpapi.Director.
func (d *Director) UserHistory(
	_ context.Context, h ring.UserHash, at time.Time, q api.HistoryQuery,
) (api.UserHistory, error) {
	return d.UserHistoryIs(h, at, q), nil
}

// Sessions implements httpapi.Director.
func (d *Director) Sessions(
	_ context.Context, user *ring.UserHash, backend api.IP,
) (api.Sessions, error) {
	out := d.SessionsAre
	out.Sessions = slices.DeleteFunc(slices.Clone(out.Sessions), func(s api.UserSessions) bool {
		return user != nil && s.UserHash != uint32(*user) ||
			backend.IsValid() && s.Backend != backend
	})
	return out, nil
}

// Settings implements httpapi.Director.
func (d *Director) Settings() api.Settings {
	return api.Settings{Settings: []api.SettingValue{
		{Name: "user-expire", Value: "15m"},
		{Name: "event-url", Value: "https://hooks.example.org/…", Set: true},
	}}
}

// Doctor implements httpapi.Director.
func (d *Director) Doctor(context.Context) (api.Checkup, error) { return d.CheckupIs, nil }

// Done returns the operations that were asked for.
func (d *Director) Done() []api.Operation {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]api.Operation(nil), d.done...)
}

// Serve serves a director on a unix socket until the test ends, and returns the path.
func Serve(t testing.TB, d httpapi.Director, log zerolog.Logger) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "d") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "director.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ServeOn(t, d, log, l)
	return path
}

// ServeTCP serves a director on the loopback until the test ends, and returns host:port.
func ServeTCP(t testing.TB, d httpapi.Director) string {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	ServeOn(t, d, zerolog.Nop(), l)
	return l.Addr().String()
}

// ServeOn serves a director on a listener until the test ends.
func ServeOn(t testing.TB, d httpapi.Director, log zerolog.Logger, l net.Listener) {
	t.Helper()
	serveOn(t, httpapi.Config{Director: d, Log: log}, l)
}

func serveOn(t testing.TB, cfg httpapi.Config, l net.Listener) {
	t.Helper()
	if d, ok := cfg.Director.(*Director); ok {
		cfg.Events = d.EventsAre
	}
	server, err := httpapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("closing the server: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
}
