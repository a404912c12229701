package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// playSplit: one of three is cut off, both sides answer and change what they can, then they meet.
func playSplit(t *transcript) {
	w := t.w
	all := t.mesh([]string{"d1", "d2", "d3"})
	d1, d2, d3 := all[0], all[1], all[2]
	t.fill(d1, 5)
	w.run(200 * time.Millisecond)
	t.part("d3 is cut off")
	w.split(all[:2], all[2:])
	t.does(d1, UpdateBackend{Addr: testBackend(1), VHosts: 30})
	w.run(failAfter + time.Second)
	t.part("both sides answer")
	t.asks(d1, 5)
	t.asks(d3, 5, 6, 70_000_003)
	t.does(d3, SetDown{Addr: testBackend(2), Down: true})
	t.does(d2, SetDown{Addr: testBackend(3), Down: true})
	w.run(time.Second)
	t.part("they meet")
	w.heal()
	t.settled(10 * time.Second)
	w.run(time.Second)
	t.where(5, 6, 70_000_003)
	t.part("d1 is cut off from d2 alone, for a moment and for long")
	w.split(all[:1], all[1:2])
	w.run(2 * time.Second)
	w.heal()
	w.run(2 * time.Second)
	w.split(all[:1], all[1:2])
	t.does(d1, UpdateBackend{Addr: testBackend(1), VHosts: 40})
	w.run(2 * failAfter)
	t.asks(d2, 7, 8)
	w.heal()
	t.settled(20 * time.Second)
	t.part("one way is cut: what d3 says does not come")
	w.lose = func(from, to *director, _ wire.Message) bool { return from == d3 }
	w.run(failAfter + time.Second)
	w.lose = nil
	t.settled(20 * time.Second)
}

// playApart: a side of a split comes back after longer than logs are kept.
func playApart(t *transcript) {
	w := t.w
	long := func(c *Config) {
		c.Expire = 20 * time.Minute
		c.Directory = directory.New(20 * time.Minute)
	}
	all := t.mesh([]string{"d1", "d2", "d3", "d4"}, long)
	d1, d2 := all[0], all[1]
	t.fill(d1, 12)
	w.run(time.Second)
	t.part("d1 and d2 are cut off, and answer; then d1 dies")
	w.split(all[:2], all[2:])
	w.run(failAfter + time.Second)
	t.asks(d1, 5, 6)
	t.asks(all[2], 7)
	w.run(time.Second)
	d1.crash()
	t.quietly(func() { w.run(logs.GoneReported + 30*time.Second) })
	t.asks(d2, 8)
	w.run(time.Second)
	t.part("d2 comes back")
	w.heal()
	t.settled(15 * time.Second)
	w.run(time.Second)
	t.where(5, 6, 7, 8)
}

// playDead: a director dies when only one other has its last rows; that one dies while it tells.
func playDead(t *transcript) {
	w := t.w
	all := t.mesh([]string{"d1", "d2", "d3", "d4"})
	d1, d3, d4 := all[0], all[2], all[3]
	t.part("d4 answers, and dies; d2 and d3 lack its last rows")
	w.lose = func(from, to *director, m wire.Message) bool {
		_, rows := m.(*wire.Rows)
		return rows && from == d4 && to != d1
	}
	t.asks(d4, users(3)...)
	w.run(100 * time.Millisecond)
	t.asks(d4, users(5)...)
	w.run(100 * time.Millisecond)
	d4.crash()
	w.lose = func(from, to *director, m wire.Message) bool {
		_, part := m.(*wire.LogPart)
		return part && to == d3
	}
	w.run(failAfter + 200*time.Millisecond)
	t.part("d3 gets nothing, asks again")
	w.run(4 * time.Second)
	w.lose = nil
	w.run(4 * time.Second)
	t.where(users(5)...)
	t.part("d4 comes back, knowing nothing; d1 dies")
	d4.boots(false)
	t.settled(5 * time.Second)
	d1.crash()
	w.run(failAfter + time.Second)
	t.part("word of logs of nobody, and parts that nobody asked for")
	d2 := all[1]
	t.hears(d2, d3, &wire.GonePositions{Logs: []wire.Position{
		{Name: "x", Boot: 9, Seq: 4, Gone: 1000}, {Name: "d2", Boot: d2.boot, Seq: 900},
		{Name: "y", Boot: 9, Seq: 4, Islands: []wire.Span{{From: 6, To: 7}}, Gone: 50},
	}})
	t.hears(d2, d3, &wire.LogPart{Name: "x", Boot: 9, From: 1, Entries: []wire.Message{
		&wire.Rows{Seq: 1}, &wire.Rows{Seq: 3},
	}})
	t.hears(d2, d3, &wire.LogPart{Name: "x", Boot: 9, From: 2, Short: true})
	t.hears(d2, d3, &wire.LogPart{Name: "z", Boot: 9, From: 2})
	t.hears(d2, d3, &wire.LogRequest{Has: wire.Position{Name: "d1", Boot: d1.core.boot}})
	t.hears(d2, d3, &wire.LogRequest{Has: wire.Position{Name: "q", Boot: 7}})
	w.run(6 * time.Second)
}

// playGap: rows do not come; the gap is repaired by a snapshot, from one that can give it.
func playGap(t *transcript) {
	w := t.w
	w.chunkRows = 5
	all := t.mesh([]string{"d1", "d2", "d3"})
	d1, d2, d3 := all[0], all[1], all[2]
	t.fill(d1, 30)
	w.run(200 * time.Millisecond)
	t.part("d1's rows do not come to d3")
	w.lose = losing[*wire.Rows](d1, d3)
	t.asks(d1, 5, 6)
	w.run(100 * time.Millisecond)
	t.asks(d3, 9)
	w.lose = nil
	w.run(time.Second)
	t.where(5, 6, 9)
	t.part("the snapshot does not come, from one and then from all")
	w.lose = func(from, to *director, m wire.Message) bool {
		_, rows := m.(*wire.Rows)
		_, chunk := m.(*wire.SnapshotChunk)
		return to == d3 && (rows && from == d2 || chunk && from == d2)
	}
	t.asks(d2, 7)
	w.run(donateWithin)
	w.lose = nil
	t.settled(15 * time.Second)
	t.part("a chunk is missing, a donor is busy, acknowledgements of nothing")
	w.lose = losing[*wire.Rows](d1, d2)
	t.asks(d1, 10)
	w.run(50 * time.Millisecond)
	chunks := 0
	w.lose = func(_, to *director, m wire.Message) bool {
		_, chunk := m.(*wire.SnapshotChunk)
		if chunk && to == d2 {
			chunks++
		}
		return chunk && to == d2 && chunks == 2
	}
	w.run(2 * time.Second)
	w.lose = nil
	t.settled(5 * time.Second)
	t.hears(d1, d2, &wire.SnapshotAck{ID: 99, Index: 3})
	t.hears(d1, d2, &wire.SnapshotChunk{ID: 99, Last: true})
	for i := range snapshots.MaxDonations {
		d1.core.donations.Begin(w.now, string(rune('A'+i)), 0, 0, nil, nil)
	}
	t.hears(d1, d2, &wire.SnapshotRequest{ID: 70, Since: 5})
	d1.core.donations.Abandon()
	t.hears(d1, d2, &wire.SnapshotRequest{ID: 71})
	t.part("a table change does not come")
	w.lose = losing[*wire.Table](d1, d2)
	w.noGossip = true
	t.does(d1, UpdateBackend{Addr: testBackend(1), VHosts: 30})
	w.run(time.Second)
	w.lose = nil
	t.settled(10 * time.Second)
	w.run(time.Second)
	t.part("a stream breaks in both directions")
	t.asks(d1, 11)
	w.breakStream(d1, d2)
	w.breakStream(d2, d1)
	t.asks(d2, 12)
	w.run(2 * time.Second)
}

// playPauses: directors sleep, for shorter and longer than others wait for them.
func playPauses(t *transcript) {
	w := t.w
	all := t.mesh([]string{"d1", "d2", "d3"})
	d1, d2, d3 := all[0], all[1], all[2]
	t.fill(d1, 5)
	for _, length := range []time.Duration{2 * time.Second, 12 * time.Second} {
		t.part("d3 sleeps for " + length.String())
		d3.stopped = true
		w.run(length / 2)
		t.does(d1, SetDown{Addr: testBackend(1), Down: true})
		t.does(d1, SetDown{Addr: testBackend(1), Down: false})
		w.run(length / 2)
		d3.stopped = false
		t.asks(d3, 70_000_003)
		t.settled(15 * time.Second)
		w.run(time.Second)
	}
	t.part("all sleep")
	w.now = w.now.Add(10 * time.Second)
	t.asks(d2, 70_000_003)
	t.settled(15 * time.Second)
	t.part("d2 never admits d1, which sleeps a little")
	w.lose = losing[*wire.Admitted](d2, d1)
	d1.stopped = true
	w.run(2 * time.Second)
	d1.stopped = false
	w.run(confirmWithin + 2*time.Second)
	w.lose = nil
	t.settled(15 * time.Second)
	t.part("a joiner waits in vain for d2, and tells the others")
	w.lose = func(from, _ *director, m wire.Message) bool {
		_, admitted := m.(*wire.Admitted)
		return admitted && from == d2
	}
	w.start("d4")
	w.run(2*confirmWithin + 3*time.Second)
	w.lose = nil
	t.settled(15 * time.Second)
	t.part("d1 and d2 exclude each other")
	t.hears(d1, d2, &wire.Exclude{Reason: "a test"})
	t.hears(d2, d1, &wire.Exclude{Reason: "a test"})
	t.settled(15 * time.Second)
	t.part("nobody hears d4 but for its beats; then it hears nothing but beats")
	d4 := t.of("d4")
	w.lose = func(from, _ *director, m wire.Message) bool {
		_, beat := m.(*wire.Beat)
		return from == d4 && !beat
	}
	t.does(d1, UpdateBackend{Addr: testBackend(1), VHosts: 50})
	w.run(2*confirmWithin + 2*time.Second)
	w.lose = func(_, to *director, m wire.Message) bool {
		_, beat := m.(*wire.Beat)
		return to == d4 && !beat
	}
	t.does(d4, UpdateBackend{Addr: testBackend(1), VHosts: 60})
	w.run(2*confirmWithin + 2*time.Second)
	w.lose = nil
	t.settled(20 * time.Second)
}

// playRelay: one that cannot answer by itself asks others, which may fail.
func playRelay(t *transcript) {
	w := t.w
	all := t.mesh([]string{"d1", "d2"})
	d1, d2 := all[0], all[1]
	t.part("a joiner gets no snapshot")
	var joiner *director
	w.lose = func(_, to *director, m wire.Message) bool {
		_, chunk := m.(*wire.SnapshotChunk)
		return chunk && to == joiner
	}
	joiner = w.start("j")
	w.run(time.Second)
	t.asks(joiner, 5, 6)
	w.run(100 * time.Millisecond)
	t.part("no reply, a user that is moved, no backend, then the asker's time is over")
	w.also(losing[*wire.LookupReply](d1, joiner))
	t.asks(joiner, 7, 8)
	w.run(1500 * time.Millisecond)
	t.does(d1, Move{Hash: 5, Backend: another(d1.must(5))})
	t.asks(joiner, 5)
	w.run(3 * time.Second)
	for i := range 4 {
		t.does(d1, SetDown{Addr: testBackend(i + 1), Down: true})
	}
	w.run(100 * time.Millisecond)
	t.asks(joiner, 9, 10)
	t.asks(d2, 11)
	joiner.core.CancelLookup(joiner.lastID)
	w.run(patience)
	t.part("the joiner gets its snapshot, a user waits for a backend")
	t.asks(joiner, 12)
	w.lose = nil
	t.settled(15 * time.Second)
	t.does(d2, SetDown{Addr: testBackend(2), Down: false})
	w.run(time.Second)
	t.part("a lookup for another director that is not synced, and one that dies meanwhile")
	t.hears(d1, d2, &wire.LookupRequest{ID: 800, Hash: 5})
	t.does(d1, SetDown{Addr: testBackend(2), Down: true})
	t.hears(d1, d2, &wire.LookupRequest{ID: 801, Hash: 9000})
	d2.crash()
	w.run(time.Second)
	d2.boots(false)
	t.settled(15 * time.Second)
	t.does(d1, SetDown{Addr: testBackend(1), Down: false})
	w.run(time.Second)
}

// playRows: rows that conflict, that are adopted, imported, refreshed, and that end.
func playRows(t *transcript) {
	w := t.w
	all := t.mesh([]string{"d1", "d2"})
	d1, d2 := all[0], all[1]
	t.part("two directors map a user at the same time, to two backends")
	row := func(h ring.UserHash, backend int, generation uint16, moving bool) directory.Mapping {
		now := d1.core.MeshTime(w.now).Tick()
		return directory.Mapping{Hash: h, Backend: testBackend(backend), Generation: generation,
			Stamp: now, Activity: now, Moving: moving}
	}
	rows := func(all ...directory.Mapping) *wire.Rows {
		return &wire.Rows{Blocks: []wire.Block{wire.Pack("", all)}}
	}
	t.asks(d1, 5)
	at := d1.core.User(w.now, "", 5).Current
	other := 1
	if at == testBackend(1) {
		other = 2
	}
	t.hears(d1, d2, rows(row(5, other, 1, false)))
	t.hears(d1, d2, rows(row(5, other, 2, false), row(6, 9, 1, false)))
	t.where(5, 6)
	t.part("a user is held and never released; a release of another move")
	t.hears(d1, d2, rows(row(7, 1, 3, true)))
	t.asks(d1, 7)
	t.hears(d1, d2, rows(row(7, 2, 2, false)))
	t.part("time passes")
	w.run(patience)
	t.where(7)
	t.part("sessions elsewhere are adopted, refreshed, imported")
	d1.core.Adopt(w.now, "", 20, testBackend(1))
	d1.core.Adopt(w.now, "", 21, testBackend(2))
	d1.core.Adopt(w.now, "", 22, testBackend(9))
	d1.core.Adopt(w.now, "", 5, testBackend(3))
	w.run(4 * time.Second)
	w.run(d1.dir.Share())
	d1.core.Refresh(w.now, "", 20)
	d1.core.Refresh(w.now, "", 99)
	w.run(200 * time.Millisecond)
	now := d1.core.MeshTime(w.now)
	t.does(d2, Import{Mappings: []ImportedMapping{
		{Hash: 20, Backend: testBackend(3), Activity: now},
		{Hash: 30, Backend: testBackend(1), Activity: now},
		{Hash: 31, Backend: testBackend(9), Activity: now},
		{Hash: 32, Backend: testBackend(1), Activity: 5},
		{Hash: 21, Backend: d1.core.User(w.now, "", 21).Current, Activity: now},
	}})
	w.run(200 * time.Millisecond)
	t.where(20, 21, 22, 30, 31, 32)
	t.part("a mapping ends while its backend is down")
	t.asks(d1, 40)
	w.run(testExpire + d1.dir.Share() - 9*time.Second)
	t.does(d2, SetDown{Addr: d1.core.User(w.now, "", 40).Current, Down: true})
	t.asks(d1, 40)
	t.asks(d2, 40)
	w.run(10 * time.Second)
	t.where(40)
	t.part("a message of a kind that a later release has, and one that has no place on a stream")
	t.hears(d1, d2, &wire.Rows{Seq: 1})
	t.hears(d1, d2, &wire.Leaving{})
}

// patience is a little more than a user is held, or a lookup waits, for at most.
const patience = 31 * time.Second
