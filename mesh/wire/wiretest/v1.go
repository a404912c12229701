package wiretest

import (
	"net/netip"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Moments of the samples: on 2026-03-01, shortly after 10:00 UTC.
const (
	now   directory.Time  = 1_772_359_200_000
	stamp directory.Stamp = directory.Stamp(now)<<16 | 7
)

var (
	backend1 = netip.MustParseAddr("192.0.2.1")
	backend2 = netip.MustParseAddr("2001:db8::2")
	blue     = wire.MeshRank{ID: 0xfeed_0000_0000_cafe, Grown: true, Age: 86_400_000}
)

// V1 returns one message of every kind of version 1, in the order of the kinds: what the frozen
// files in testdata/golden/v1 of package wire hold. So nothing here changes any more but names. A
// field that was appended later is zero. The messages are the caller's.
func V1() []wire.Message {
	return []wire.Message{
		hello(),
		&wire.Refuse{
			From: director(2), Reason: `mesh name: "blue" here, "green" there`, Up: 61_000,
			Stranger: blue.ID, Change: change(),
		},
		&wire.Beat{
			SentAt: 81_000_000_123, Echo: 79_000_000_456, EchoDelay: 1_500_000,
			MeshTime: now.Micros() + 123, Wall: now.Micros() + 456_789,
			Synced: true, Counted: true, Seq: 70_000, Users: 10_000_000, Mesh: blue, Majority: true,
		},
		&wire.Table{Seq: 70_001, Change: change()},
		&wire.Rows{Seq: 70_002, Stamp: stamp, Blocks: blocks()},
		&wire.Hold{Seq: 70_003, ID: 12, Blocks: blocks()},
		&wire.Held{ID: 12, Beaten: blocks()},
		&wire.Kicked{ID: 12, Kicks: []wire.KickCount{
			{Tag: "green", Hash: 0x12345678, Count: 2, Known: true},
			{Tag: "blue", Hash: 0xfffffff0, Count: 1, Left: 3, Blind: true},
		}},
		&wire.AdmitRequest{
			Nonce: 0xfeed_0000_0000_beef, Stopped: true, Member: true, Holds: true,
			Since: 0x0123_4567,
		},
		&wire.Admitted{
			Nonce: 0xfeed_0000_0000_beef, Pending: true, Member: true, Change: change(),
			Moving: blocks(),
			Live:   []wire.Peer{director(1), director(2)},
		},
		&wire.Exclude{Reason: "no confirmation of a table change for 5s"},
		&wire.SnapshotRequest{ID: 13, Since: 365_511_200},
		&wire.SnapshotChunk{
			ID: 13, Index: 4, Last: true, Busy: true, Total: 10_000_000,
			Covers: []wire.Position{{Name: "d1", Boot: 1001, Seq: 70_002}, position()},
			Blocks: blocks(),
		},
		&wire.SnapshotAck{ID: 13, Index: 4},
		&wire.LookupRequest{ID: 14, Tag: "green", Hash: 0x12345678},
		&wire.LookupReply{ID: 14, Block: wire.Pack("green", rows()[:1])},
		&wire.KickUser{ID: 15, Field: "original_user", Value: "alice@example.org"},
		&wire.KickUserDone{
			ID: 15, Count: 3, Known: true, Error: "anvil: connection refused", Left: 2, Blind: true,
		},
		&wire.LeafDigests{Epoch: 177_235_920, Tag: "green", Group: 200, Leaves: digests(1)},
		&wire.LeafRequest{Tag: "green", Leaves: []uint16{1, 513, 65_535}},
		&wire.LeafRows{Blocks: blocks()},
		&wire.FlushProgress{
			ID: 16, Backend: backend1, Total: 100_000, Scanning: true, Moved: 60_000, Moving: 100,
			Failed: 3,
			Done:   true, Canceled: true, Started: now - 8_000, Ended: now, Left: 7, Blind: true,
		},
		&wire.FlushCancel{ID: 16},
		&wire.Leaving{},
		&wire.Delta{Origin: "d1", Boot: 1001, N: 17, Change: change(), Blocks: blocks()},
		&wire.PushPull{
			Hello: *hello(), Change: change(), Epoch: 177_235_920,
			Digests: []wire.GroupDigests{
				{Tag: "blue", Groups: digests(2)}, {Tag: "green", Groups: digests(3)},
			},
		},
		&wire.GonePositions{Logs: []wire.Position{position(), {Name: "d3", Boot: 1003}}},
		&wire.LogRequest{Has: position()},
		&wire.LogPart{Name: "d2", Boot: 1002, From: 10, Short: true, Entries: []wire.Message{
			&wire.Table{Seq: 10, Change: change()},
			&wire.Rows{Seq: 11, Stamp: stamp, Blocks: blocks()},
			&wire.Hold{Seq: 12, ID: 12, Blocks: blocks()},
		}},
		&wire.Counting{
			Whole:  true,
			Counts: []wire.Life{{Name: "d1", Boot: 1001}, {Name: "d2", Boot: 1002}},
			Gone:   []wire.Life{{Name: "d2", Boot: 1000}},
		},
		&wire.Waiting{For: []wire.Peer{director(1), director(2)}},
		&wire.Meeting{Change: change()},
	}
}

func position() wire.Position {
	islands := []wire.Span{{From: 13, To: 20}, {From: 22, To: 22}}
	return wire.Position{Name: "d2", Boot: 1002, Seq: 9, Islands: islands, Gone: 5_250}
}

func hello() *wire.Hello {
	return &wire.Hello{
		Settings: wire.Settings{Protocol: 2, Mesh: "blue", HashFormat: "%Lu", Expire: 900_000},
		From:     director(1),
		To:       director(2),
		Mesh:     blue,
		MeshTime: now.Micros() + 123,
		Up:       59_000,
		TakesIn:  true,
		Resume:   69_990,
		Answers:  1002,
	}
}

// director returns the director named d1, d2, ….
func director(n byte) wire.Peer {
	return wire.Peer{
		Name: "d" + string('0'+n),
		Boot: 1000 + uint64(n),
		Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 100 + n}), 9090),
	}
}

// change has a backend whose registers are all set, one with a single register,
// and a director of each address family.
func change() directory.Change {
	return directory.Change{
		Mesh: blue.ID,
		Backends: []directory.BackendRow{
			{
				Addr: backend1,
				Presence: directory.Register[directory.Presence]{
					Value: directory.Presence{
						Present: true, Tag: "green", Name: "imap1.example.org",
					}, Stamp: stamp, Origin: "d1",
				},
				VHosts: directory.Register[int]{Value: 50, Stamp: stamp + 1, Origin: "d2"},
				State: directory.Register[directory.State]{
					Value: directory.State{Down: true, Since: stamp}, Stamp: stamp + 2,
					Origin: "d1",
				},
				Forgotten: stamp - 1,
			},
			{Addr: backend2, VHosts: directory.Register[int]{Value: 100, Origin: "d1"}},
		},
		Directors: []directory.DirectorRow{
			{
				Addr:    netip.MustParseAddrPort("192.0.2.103:9090"),
				Removed: directory.Register[bool]{Value: true, Stamp: stamp, Origin: "d2"},
			},
			{
				Addr:    netip.MustParseAddrPort("[2001:db8::104]:9091"),
				Removed: directory.Register[bool]{Stamp: stamp, Origin: "d2"},
			},
		},
	}
}

// blocks has a sorted block, an unsorted one, and one without rows.
func blocks() []wire.Block {
	sorted := rows()
	unsorted := []directory.Mapping{sorted[2], sorted[0], sorted[1]}
	return []wire.Block{wire.Pack("green", sorted), wire.Pack("blue", unsorted), wire.Pack("", nil)}
}

// rows are sorted by hash; the last one is of a user that was forgotten.
func rows() []directory.Mapping {
	tick := now.Tick()
	return []directory.Mapping{
		{Hash: 0x00000001, Backend: backend1, Activity: tick, Stamp: tick - 28_000, Generation: 1},
		{Hash: 0x12345678, Backend: backend2, Activity: tick - 900, Stamp: tick - 901,
			Generation: 2, Moving: true},
		{Hash: ring.UserHash(0xfffffff0), Activity: tick - 3, Stamp: tick - 2,
			Generation: directory.MaxGeneration},
	}
}

func digests(seed uint64) (d [256]uint64) {
	for i := range d {
		seed = seed*6_364_136_223_846_793_005 + 1_442_695_040_888_963_407
		d[i] = seed
	}
	return d
}
