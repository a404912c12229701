// Package pagetest has meshes in all the states that the page must show, without any mesh: for
// tests of the page's text and for looking at it in a browser.
package pagetest

import (
	"fmt"
	"hash/crc32"
	"net/netip"
	"time"

	"directormesh/cli/api"
	"directormesh/ring"
)

// Now is when the states are looked at.
var Now = time.Date(2026, 2, 8, 12, 20, 35, 0, time.UTC)

// State is a mesh as one director sees it. It is a page.Source.
type State struct {
	Name string

	self      api.Self
	directors []api.Director
	backends  []api.Backend
	health    api.Health
	flushes   []api.Flush
	events    []api.Event

	outOfContact bool // with so many that this director moves nobody by itself
}

// Self implements page.Source.
func (s *State) Self() api.Self { return s.self }

// Directors implements page.Source.
func (s *State) Directors() api.Directors { return api.Directors{Directors: s.directors} }

// Backends implements page.Source.
func (s *State) Backends() api.Backends {
	return api.Backends{Backends: s.backends, OutOfContact: s.outOfContact}
}

// Health implements page.Source.
func (s *State) Health() api.Health { return s.health }

// Flushes implements page.Source.
func (s *State) Flushes() api.Flushes { return api.Flushes{Flushes: s.flushes} }

// Events are past events.
func (s *State) Events(api.EventQuery) []api.Event { return s.events }

// Hash implements page.Source.
func (s *State) Hash(user string) ring.UserHash {
	return ring.UserHash(crc32.ChecksumIEEE([]byte(user)))
}

// User implements page.Source.
func (s *State) User(tag ring.Tag, h ring.UserHash) api.User {
	if len(s.backends) < 2 {
		return api.User{UserHash: uint32(h), Tag: string(tag)}
	}
	expires := Now.Add(11 * time.Minute)
	return api.User{
		UserHash: uint32(h), Tag: string(tag), Mapped: true, Current: s.backends[0].IP,
		Hashed: s.backends[1].IP, ExpiresAt: &expires, Pinned: s.backends[0].IP,
	}
}

// States are all of them, anew.
func States() []*State {
	return []*State{
		healthy(), split(), alone(), flushing(), draining(), failed(), kept(), starting(), large(),
		empty(), hostile(),
	}
}

func sample(name string, directors int, vhosts ...int) *State {
	s := &State{Name: name, self: api.Self{
		Name: "d1", Mesh: "mail", Version: "1.2.3", Synced: true, DataDir: &api.DataDir{},
	}}
	for i := range directors {
		ping := 0.4 + float64(i)/10
		d := api.Director{
			Name: fmt.Sprintf("d%d", i+1), IP: ip(192, 0, 2, byte(200+i)), Port: 9090,
			Type: api.TypePeer, State: api.StateSynced, Reachable: true, PingMS: &ping,
			SkewMS: float64(i) - 1.5,
		}
		if i == 0 {
			d.Type, d.PingMS = api.TypeSelf, nil
		}
		s.directors = append(s.directors, d)
	}
	for i, n := range vhosts {
		users := 30*n + 7*(i%5)
		s.backends = append(s.backends, api.Backend{
			IP: ip(198, 51, byte(100+i/200), byte(1+i%200)), VHosts: n, State: api.StateUp,
			Users: users,
		})
		s.self.Users += users
	}
	for i := range s.directors {
		s.directors[i].Users = uint64(s.self.Users)
	}
	s.events = []api.Event{
		{At: Now.Add(-9 * time.Minute), Kind: api.KindPeer, What: "reachable", Peer: "d2"},
		{At: Now.Add(-9 * time.Minute), Kind: api.KindDirector, What: api.EventSynced,
			Director: "d1"},
	}
	return s
}

func ip(a, b, c, d byte) api.IP { return api.IP{Addr: netip.AddrFrom4([4]byte{a, b, c, d})} }

func healthy() *State {
	s := sample("healthy", 3, 100, 100, 150, 50)
	s.backends[2].Name = "mail3.example.org"
	ssd := api.Backend{IP: ip(203, 0, 113, 1), Tag: "ssd", VHosts: 100, State: api.StateUp,
		Users: 1234}
	spare := ssd
	spare.IP, spare.Standby, spare.Idle, spare.Users = ip(203, 0, 113, 2), true, true, 0
	fresh := ssd
	fresh.IP, fresh.SlowStart, fresh.Users = ip(203, 0, 113, 3), &api.SlowStart{Percent: 25}, 80
	s.backends = append(s.backends, ssd, spare, fresh)
	return s
}

func split() *State {
	s := sample("split", 5, 100, 100, 100)
	s.lose(2)
	return s
}

// alone is a director on the smaller side of a split, while a backend is drained.
func alone() *State {
	s := sample("alone", 5, 100, 100, 100)
	s.lose(4)
	began := Now.Add(-2 * time.Minute)
	s.backends[0].Drain = &api.Task{On: true, Since: &began}
	s.backends[0].Users = 1811
	s.outOfContact, s.health.OutOfContact = true, true
	return s
}

// lose takes the last n directors out of reach.
func (s *State) lose(n int) {
	since := Now.Add(-40 * time.Second)
	for i := range n {
		d := &s.directors[len(s.directors)-n+i]
		d.Reachable, d.UnreachableSince, d.LastFailedAt, d.PingMS = false, &since, &since, nil
		s.events = append(s.events, api.Event{At: since, Kind: api.KindPeer,
			What: "failed: no answer", Peer: d.Name})
	}
}

func flushing() *State {
	s := sample("flush", 3, 100, 100, 20)
	began, ended := Now.Add(-95*time.Second), Now.Add(-20*time.Minute)
	s.flushes = []api.Flush{
		{Director: "d2", ID: 7, Backend: s.backends[2].IP, Total: 4000, Moved: 2600, Moving: 100,
			StartedAt: began, Runner: "d2"},
		{Director: "d1", ID: 6, Total: 120, Moved: 118, Failed: 2,
			StartedAt: ended.Add(-time.Minute), EndedAt: &ended, Runner: "d3", UsersLeft: 1},
	}
	s.events = append(s.events, api.Event{At: began, Kind: api.KindFlush, What: api.EventBegun,
		Backend: &s.backends[2].IP, By: "d2"})
	return s
}

func draining() *State {
	s := sample("drain", 3, 100, 100, 100)
	began, by := Now.Add(-2*time.Minute), Now.Add(3*time.Minute)
	s.backends[0].Drain = &api.Task{On: true, Since: &began, By: &by}
	s.backends[0].Users = 1811
	s.backends[1].Drain = &api.Task{On: true, Since: &began, LateMS: 61_000}
	s.backends[1].Gone = true
	s.backends[2].Rebalance = &api.Task{On: true, Since: &began, Waits: true}
	return s
}

func failed() *State {
	s := sample("failed", 3, 100, 100, 100)
	fail(s, 1, false)
	return s
}

func fail(s *State, i int, kept bool) {
	since := Now.Add(-31 * time.Second)
	b := &s.backends[i]
	b.Failure = &api.BackendFailure{Since: &since, By: "d1", Kept: kept}
	b.Users = 800
	state := api.HealthFailed
	if kept {
		state = api.HealthKept
	}
	s.health.Backends = append(s.health.Backends, api.BackendHealth{
		IP: b.IP, State: api.StateUp, Health: state, Failure: b.Failure,
		Observers: []api.Observer{
			{Director: "d1", Sees: api.HealthFailing, Since: &since,
				Reason: "imap:143: connection refused"},
			{Director: "d2", Sees: api.HealthFailing, Since: &since,
				Reason: "lmtp:24: no answer in time"},
			{Director: "d3", Sees: api.HealthGood, Since: &since},
		},
	})
	s.events = append(s.events, api.Event{At: since, Kind: api.KindHealth, What: state,
		Was: api.HealthFailing, Backend: &b.IP, Reason: "2 of 3 directors see it failing"})
}

// kept has more failed backends than may be out.
func kept() *State {
	s := sample("kept", 3, 100, 100, 100)
	fail(s, 0, false)
	fail(s, 1, true)
	s.health.Alarms = []api.HealthAlarm{{Failing: 2, Most: 1}}
	s.self.DataDir.Problem = "no space left on device"
	return s
}

func starting() *State {
	s := sample("starting", 3, 100, 100)
	s.self.Synced, s.self.Reason, s.self.Changing = false, "joining", true
	s.self.Waiting = 14
	s.self.WaitingFor = []api.Wait{
		{Reason: "unsynced", Lookups: 12}, {Reason: "barrier", Lookups: 2},
	}
	s.directors[1].State = api.StateSyncing
	s.directors[2].State, s.directors[2].Left = api.StateHandshaking, true
	return s
}

// large has 200 backends, 50 directors and ten million users.
func large() *State {
	vhosts := make([]int, 200)
	for i := range vhosts {
		vhosts[i] = 50 + 25*(i%4)
	}
	s := sample("large", 50, vhosts...)
	s.self.Users = 0
	for i := range s.backends {
		s.backends[i].Users = 50_000 + 37*((i*7919)%400)
		s.backends[i].Name = fmt.Sprintf("mail%03d.example.org", i+1)
		s.self.Users += s.backends[i].Users
	}
	for i := range s.directors {
		s.directors[i].Users = uint64(s.self.Users)
	}
	return s
}

// Saying is a healthy mesh with a text wherever one comes from outside.
func Saying(text string) *State {
	s := healthy()
	s.directors[1].Name, s.backends[0].Name, s.backends[0].Tag = text, text+".", "t"+text
	fail(s, 1, false)
	s.health.Backends[0].Observers[0].Reason = text
	s.events = append(s.events, api.Event{At: Now, Kind: text, What: text})
	return s
}

func empty() *State { return sample("empty", 1) }

// hostile has markup and control characters wherever text comes from outside.
func hostile() *State {
	const evil = `<script>alert(1)</script>"'` + "\x1b[31m"
	s := sample("hostile", 2, 100, 100)
	s.self.Mesh, s.self.Name, s.self.Reason, s.self.Synced = evil, evil, evil, false
	s.directors[1].Name = evil
	s.backends[0].Name, s.backends[0].Tag = evil, evil
	fail(s, 1, false)
	s.health.Backends[0].Observers[0].Reason = evil
	s.events = append(s.events, api.Event{At: Now, Kind: evil, What: evil})
	return s
}
