// Package wiretest has sample messages for the tests of packages that handle
// messages of package wire.
package wiretest

import (
	"bytes"
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

var key1, key2 = wire.KeyID{1, 2, 3, 4}, wire.KeyID{5, 6, 7, 8}

// Samples returns one message of every kind, in the order of the kinds. No field of them is zero
// where another value is possible: what was added after version 1 is set here. The messages are the
// caller's.
func Samples() []wire.Message {
	all := V1()
	for _, m := range all {
		switch m := m.(type) {
		case *wire.Beat:
			m.Loading, m.Keeps, m.Kept, m.StandsBack = true, true, 69_990, true
		case *wire.FlushCancel:
			m.Director = "d3"
		case *wire.FlushProgress:
			m.Parallel, m.Director = 250, "d3"
		case *wire.Hello:
			m.Registers = 7
		case *wire.PushPull:
			m.Hello.Registers = 7
			addRegisters(&m.Change)
		case *wire.Refuse:
			m.Differs = true
			addRegisters(&m.Change)
		case *wire.Table:
			addRegisters(&m.Change)
		case *wire.Admitted:
			addRegisters(&m.Change)
			m.Apart = []wire.Apart{{Director: director(3), Together: now - 3_600_000}}
		case *wire.Delta:
			addRegisters(&m.Change)
		case *wire.Meeting:
			addRegisters(&m.Change)
		case *wire.LogPart:
			addRegisters(&m.Entries[0].(*wire.Table).Change)
		case *wire.SnapshotRequest:
			m.Compare = wire.Comparison{
				Assigned: now - 20_000, Alive: now, From: "blue", To: "red",
				Digests: []wire.GroupDigests{{Tag: "green", Groups: digests(3)}},
			}
			m.Leaves = []wire.TagLeaves{{Tag: "green", Leaves: []uint16{2, 1025}}}
		case *wire.SnapshotChunk:
			m.Differ = []wire.GroupLeaves{{Tag: "green", Group: 200, Leaves: digests(4)}}
			m.Flushes = []wire.FlushProgress{
				{ID: 17, Total: 40, Moved: 30, Started: now - 9_000, Parallel: 8, Director: "d3"},
				{ID: 18, Done: true, Started: now - 8_000, Ended: now, Director: "d1"},
			}
		}
	}
	today := change()
	addRegisters(&today)
	return append(all, &wire.Mark{
		MeshTime: now.Micros() + 123, Wall: now.Micros() + 456_789, Whole: now - 250, Mesh: blue,
		Live: []wire.Peer{director(1), director(2)}, Noted: now - 3_600_000,
		Late: []wire.LateRows{{At: now - 60_000, Oldest: (now - 900_000).Tick()}},
		Logs: []wire.Position{
			{Name: "d3", Boot: 7, Seq: 70_000}, {Name: "d3", Boot: 6, Seq: 9, Gone: 61_000},
		},
		Apart: []wire.Peer{director(3)},
	}, &wire.Keyring{
		Mesh: blue.ID, Whole: true, Digest: 0xfeed_0000_0000_beef,
		Keys: []wire.Key{
			{ID: key1, Secret: bytes.Repeat([]byte{7}, wire.KeySize)}, {ID: key2, Removed: true},
		},
		Primary: wire.PrimaryKey{Version: wire.Version{Count: 300, By: "d1"}, Key: key1},
		Rotation: wire.Rotation{
			Begun:   wire.Version{Count: 290, By: "d1"},
			Version: wire.Version{Count: 301, By: "d2"}, New: key1, Old: key2, FromFile: true,
			Ended: true,
		},
		Holders: []wire.KeyHolder{
			{
				Name: "d1", Version: wire.Version{Count: 302, By: "d1"},
				Keys: []wire.HeldKey{{ID: key1, Packets: 1 << 31}}, Uses: key1,
				Rotation: wire.Version{Count: 290, By: "d1"},
				Problem:  "no space left on device",
			},
			{Name: "d2", Version: wire.Version{Count: 303, By: "d1"}, Gone: true},
		},
	}, &wire.Observations{Whole: true, Backends: []wire.Observation{
		{Backend: backend1, Sight: wire.Good, Since: now - 60_000},
		{Backend: backend2, Sight: wire.Failing, Since: now, Reason: "imap:143: refused"},
	}}, &wire.Loads{
		Balance: wire.BalanceOn, Source: wire.BackendSessions, Known: true,
		Backends: []wire.Load{{Backend: backend1, Load: 70_000}, {Backend: backend2, Load: 3}},
	}, &wire.Names{Whole: true, Names: []wire.NameSight{
		{Name: "imap.example.org", Tag: "green", Resolves: true, Settled: true, Since: now - 7,
			Targets: []ring.Target{
				{Addr: backend1, VHosts: 100}, {Addr: backend2, VHosts: 20, Standby: true},
			}},
		{Name: "_imap._tcp.example.org", Since: now - 9, Reason: "server failure"},
	}}, &wire.Question{
		ID: 18, Topic: "history", Within: 5_000, Body: []byte{1, 2, 3},
	}, &wire.AnswerPart{
		ID: 18, Index: 2, Last: true, Error: "busy", Body: []byte{4, 5},
	}, &wire.HistoryQuery{
		User: true, Hash: 0x12345678, Since: now - 60_000, Until: now, Limit: 100,
	}, &wire.HistoryFound{
		Since: now - 3_600_000, More: true, Memory: true, Problem: "input/output error",
		Rows: blocks(),
	}, &wire.AdminNote{
		Noted: noted(1), Director: "d1", Who: "user:alice", From: "192.0.2.77:4711", Door: "http",
		Action: "update", Details: []wire.Detail{{Name: "backend", Value: "192.0.2.1"}},
		Took: 12, Error: "unknown backend", Failed: []string{"d2"}, NotKept: []string{"d3"},
	}, &wire.UserNote{
		Noted: noted(2), Tag: "green", Hash: 0x12345678, From: backend1, To: backend2,
		Cause: wire.CauseFlush, By: "d1", Generation: 7, Stamp: now.Tick(), Flushed: backend1,
	}, &wire.LoginsNote{
		Noted: noted(3), Director: "d1", Block: wire.Pack("green", rows()),
	}, &wire.TableNote{
		Noted: noted(4), Change: today,
	}, &wire.LapseNote{
		Noted: noted(5), Since: now - 8_000, Lost: 3, Why: wire.LapseLost,
	})
}

// addRegisters sets the registers of the backends that were added after version 1: of the first
// all, of the second the last. It does so with the fields of the change that were added too.
func addRegisters(c *directory.Change) {
	c.Dropped = stamp - 1<<30
	row := &c.Backends[0]
	row.Drain = directory.Register[directory.Task]{
		Value: directory.Task{
			On: true, Since: stamp, By: now + 3_600_000, Parallel: 250,
		}, Stamp: stamp + 3, Origin: "d3",
	}
	row.Rebalance = directory.Register[directory.Task]{
		Value: directory.Task{
			On: true, Since: stamp - 1, By: now + 7_200_000, Parallel: 100,
		}, Stamp: stamp + 4, Origin: "d4",
	}
	row.Verdict = directory.Register[directory.Verdict]{
		Value: directory.Verdict{Failed: true, Since: stamp - 2, Cleared: true, Flaps: 3},
		Stamp: stamp + 5, Origin: "d5",
	}
	row.Factor = directory.Register[directory.Factor]{Value: 75, Stamp: stamp + 6, Origin: "d6"}
	row.Standby = directory.Register[bool]{Value: true, Stamp: stamp + 8, Origin: "d7"}
	row.Start = directory.Register[directory.Start]{
		Value: directory.Start{Since: stamp - 3, Over: 5 * time.Minute, Percent: 50},
		Stamp: stamp + 9, Origin: "d8",
	}
	row.Listing = directory.Register[directory.Listing]{
		Value: directory.Listing{Gone: true}, Stamp: stamp + 10, Origin: "d9",
	}
	c.Backends[1].Listing = row.Listing
	c.Pins = []directory.PinRow{{
		User: ring.User{Tag: "green", Hash: 0x12345678},
		Backend: directory.Register[netip.Addr]{
			Value: backend1, Stamp: stamp + 6, Origin: "d1",
		},
	}, {
		User:    ring.User{Hash: 0x87654321},
		Backend: directory.Register[netip.Addr]{Stamp: stamp + 7, Origin: "d6"},
	}}
	c.DroppedPins = stamp - 1<<20
}

func noted(n uint64) wire.Noted {
	return wire.Noted{N: n, At: now - 250, Wall: now + 1_250}
}
