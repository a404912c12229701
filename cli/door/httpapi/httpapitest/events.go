package httpapitest

import (
	"time"

	"directormesh/cli/api"
	"directormesh/cli/feed"
)

// sampleEvents has an event of each kind, and some that differ in what they have.
func sampleEvents() *feed.Feed {
	f := feed.New(feed.Config{
		Director: "d1", Life: 0xd1, Now: func() time.Time { return noon },
	})
	move := sampleMove()
	failed := move
	failed.Action, failed.Error, failed.Details = "update", "doesn't exist", []api.ChangeDetail{
		{Name: "backend", Value: "192.0.2.9"}, {Name: "vhosts", Value: "5"},
	}
	ssd, none := "ssd", ""
	ip := func(text string) *api.IP { a := IP(text); return &a }
	number := func(n int) *int { return &n }
	lost := uint64(12)
	events := []api.Event{
		{Kind: api.KindDirector, What: api.EventNotSynced, Reason: "it has just started"},
		{Kind: api.KindDirector, What: api.EventSynced},
		{Kind: api.KindDirector, What: api.EventAlone, Reason: "no peer answers"},
		{Kind: api.KindPeer, What: "reachable", Peer: "d2", IP: ip("127.0.1.2"), Port: 9090},
		{Kind: api.KindTable, What: "update", Backend: ip("192.0.2.1"), VHosts: number(50),
			By: "d2"},
		{Kind: api.KindTable, What: "add", Tag: &ssd, Backend: ip("2001:db8::7"), By: "d1"},
		{Kind: api.KindTable, What: "ring remove", IP: ip("127.0.1.4"), Port: 9090, By: "d1"},
		{Kind: api.KindChange, What: "move", Asked: &move},
		{Kind: api.KindChange, What: "update", Asked: &failed},
		{Kind: api.KindMoved, What: "move", Tag: &none, From: ip("192.0.2.1"),
			To: ip("192.0.2.2"), By: "d1", UserHashes: []uint32{4227319470}},
		{Kind: api.KindMoved, What: "flush", Tag: &ssd, From: ip("192.0.2.1"),
			To: ip("192.0.2.2"), By: "d1", UserHashes: []uint32{7, 4227319470, 19}},
		{Kind: api.KindConflict, What: "conflict", Tag: &none, From: &api.IP{},
			To: ip("192.0.2.2"), UserHashes: []uint32{11}},
		{Kind: api.KindHealth, What: api.HealthFailed, Was: api.HealthFailing, Tag: &none,
			Backend: ip("192.0.2.1"), Reason: "imap:143: connection refused"},
		{Kind: api.KindAlarm, What: api.EventBegun, Tag: &ssd, Failing: number(3),
			Most: number(1)},
		{Kind: api.KindAlarm, What: api.EventEnded, Tag: &ssd, Failing: number(0),
			Most: number(1)},
		{Kind: api.KindFlush, What: api.EventBegun, Backend: &api.IP{}, By: "d1",
			Flush: &api.FlushEvent{Director: "d1", ID: 3, Runner: "d1"}},
		{Kind: api.KindFlush, What: api.EventEnded, Backend: ip("192.0.2.1"), By: "d1",
			Flush: &api.FlushEvent{Director: "d1", ID: 4, Runner: "d2", Moved: 500, Failed: 1}},
		{Kind: api.KindDrain, What: api.EventBegun, Backend: ip("192.0.2.1"), By: "d1"},
		{Kind: api.KindDrain, What: api.EventDone, Tag: &none, Backend: ip("192.0.2.1")},
		{Kind: api.KindRebalance, What: api.EventDone, Backend: ip("192.0.2.2"), By: "d1"},
		{Kind: api.KindKeys, What: "added", Key: "91b04f27"},
		{Kind: api.KindKeys, What: "rotation begun", Key: "91b04f27", By: "d1"},
		{Kind: api.KindMissed, What: api.MissedLost, Missed: &lost},
	}
	for i := range events {
		at := noon.Add(time.Duration(i) * time.Second)
		events[i].At, events[i].WallAt, events[i].Director = at, at, "d1"
	}
	f.Add(events)
	return f
}
