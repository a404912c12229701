package replica

import (
	"errors"
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// plays are all transcripts.
func plays() []play {
	return []play{
		{"start", playStart},
		{"cold", playCold},
		{"table", playTable},
		{"moves", playMoves},
		{"flush", playFlush},
		{"kicks", playKicks},
		{"split", playSplit},
		{"apart", playApart},
		{"dead", playDead},
		{"gap", playGap},
		{"pauses", playPauses},
		{"relay", playRelay},
		{"rows", playRows},
		{"meet", playMeet},
		{"strangers", playStrangers},
		{"removal", playRemoval},
		{"words", playWords},
		{"clocks", playClocks},
		{"digests", playDigests},
	}
}

// playStart: one founds a mesh, others join it, with users in two chunks; one leaves, one restarts.
func playStart(t *transcript) {
	w := t.w
	w.chunkRows, w.chunks = 10, 1
	t.part("d1 founds a mesh")
	d1 := w.start("d1")
	w.run(time.Second)
	t.fill(d1, 25)
	t.part("d2 joins, a chunk in each tick")
	w.start("d2")
	t.settled(5 * time.Second)
	w.run(500 * time.Millisecond)
	t.part("d3 joins with other backends configured")
	d3 := w.start("d3", func(c *Config) { c.Backends = testBackends(3)[1:] })
	t.settled(5 * time.Second)
	w.run(time.Second)
	t.asks(d3, 1, 2, 3)
	t.part("d3 leaves")
	d3.core.Leave(w.now)
	w.deliver()
	d3.crash()
	w.run(2 * time.Second)
	t.part("d3 comes back under a new boot id")
	d3.boots(false)
	t.settled(5 * time.Second)
	t.part("d2 restarts at once")
	d2 := t.of("d2")
	d2.crash()
	w.run(100 * time.Millisecond)
	d2.boots(false)
	t.settled(10 * time.Second)
	t.part("d1 dies, and is given up")
	d1.crash()
	w.run(failAfter + time.Second)
}

// playCold: directors that start together found one mesh; one with nobody to join serves alone.
func playCold(t *transcript) {
	w := t.w
	follower := func(c *Config) { c.Founder = false }
	t.part("three start together")
	for _, name := range []string{"d3", "d1", "d2"} {
		w.start(name, follower)
	}
	t.asks(t.of("d2"), 5)
	t.settled(5 * time.Second)
	t.part("all crash; d2 and d3 start, and hear of d1")
	for _, d := range w.directors {
		d.crash()
	}
	w.run(time.Second)
	for _, d := range t.all("d2", "d3") {
		d.boots(false)
		d.core.MemberJoined(w.now, "d1", t.of("d1").core.cfg.Addr, 9)
	}
	t.settled(5 * time.Second)
	w.run(2 * time.Second)
	t.part("d2 hears nobody")
	d2 := t.of("d2")
	w.split(t.all("d2"), t.all("d1", "d3"))
	d2.crash()
	d2.boots(false)
	w.run(startWait + 100*time.Millisecond)
	t.part("they meet")
	w.heal()
	t.settled(20 * time.Second)
	t.part("d1 starts, streams lead to it and not back")
	d1 := t.of("d1")
	d1.boots(false)
	w.lose = func(from, _ *director, _ wire.Message) bool { return from == d1 }
	w.run(4 * time.Second)
	w.lose = nil
	t.settled(20 * time.Second)
}

// playTable: commands that change the table, with one director that hangs for a while.
func playTable(t *transcript) {
	w := t.w
	all := t.mesh([]string{"d1", "d2", "d3"})
	d1, d2, d3 := all[0], all[1], all[2]
	t.fill(d1, 20)
	w.run(100 * time.Millisecond)
	t.part("backends come and change")
	e, ssd, n := testBackend(5), ring.Tag("ssd"), 70
	t.does(d1, AddBackend{Addr: e, Name: "e", Tag: ssd, VHosts: &n})
	t.does(d2, AddBackend{Addr: testBackend(1), Name: "a"})
	t.does(d2, UpdateBackend{Addr: testBackend(2), VHosts: 50})
	t.does(d3, UpdateBackend{Addr: e, VHosts: 60, Tag: &ssd})
	w.run(200 * time.Millisecond)
	t.part("what cannot be done")
	t.does(d1, AddBackend{Addr: testBackend(1), Tag: ssd})
	t.does(d1, UpdateBackend{Addr: testBackend(9), VHosts: 1})
	t.does(d1, RemoveBackend{testBackend(9)})
	t.does(d1, SetDirectorRemoved{Name: "d9", Removed: true})
	t.does(d1, CancelFlush{})
	t.does(d1, Move{Hash: 5, Backend: testBackend(9)})
	t.part("down, up, forgotten, removed")
	t.does(d1, SetDown{Addr: testBackend(3), Down: true})
	t.asks(d2, 70_000_003, 140_000_006, 9, 10, 11)
	w.run(200 * time.Millisecond)
	t.does(d2, SetDown{Addr: testBackend(3), Down: false})
	t.does(d2, Forget{testBackend(1)})
	w.run(300 * time.Millisecond)
	t.does(d3, Forget{})
	t.does(d3, RemoveBackend{testBackend(4)})
	w.run(time.Second)
	t.part("d3 hangs, users wait whose place changes")
	d3.stopped = true
	t.does(d1, UpdateBackend{Addr: testBackend(2), VHosts: 500})
	t.does(d2, SetDown{Addr: testBackend(1), Down: true})
	t.asks(d2, users(12)...)
	w.run(time.Second)
	d4 := w.start("d4")
	w.run(failAfter)
	t.part("d3 wakes, d4 goes, streams break")
	d3.stopped = false
	t.settled(15 * time.Second)
	d4.core.Leave(w.now)
	w.deliver()
	d4.crash()
	w.breakStream(d1, d2)
	w.run(time.Second)
	t.part("all backends are down")
	for _, b := range d1.core.Backends() {
		t.does(d1, SetDown{Addr: b.Backend.Addr, Down: true})
	}
	t.asks(d2, 1, 2)
	w.run(2 * time.Second)
	t.does(d2, SetDown{Addr: testBackend(1), Down: false})
	w.run(time.Second)
	t.part("rows that the table cannot take, and values that lie ahead")
	far := directory.StampAt(d1.core.MeshTime(w.now).Add(time.Hour))
	ahead := directory.Change{Mesh: d1.core.table.Mesh(), Backends: []directory.BackendRow{
		{Addr: testBackend(2), Forgotten: far},
	}}
	t.hears(d1, d2, &wire.Table{Change: ahead})
	w.run(2 * time.Second)
	t.settled(10 * time.Second)
}

// playMoves: users are moved, by one and by two directors, with hooks, kickers and deaths.
func playMoves(t *transcript) {
	w := t.w
	w.noGossip = true
	all := t.mesh([]string{"d1", "d2", "d3"}, func(c *Config) { c.Hook = c.Name == "d1" })
	d1, d2, d3 := all[0], all[1], all[2]
	t.fill(d1, 6)
	w.run(200 * time.Millisecond)
	u := users(6)
	to := func(h ring.UserHash) netip.Addr { return another(d1.core.User(w.now, "", h).Current) }
	t.part("one user is moved, with a hook")
	t.does(d1, Move{Hash: u[0], Backend: to(u[0]), Wait: true})
	t.asks(d2, u[0])
	w.run(3 * time.Second)
	t.where(u[0])
	t.part("a user who is there already, and one that nobody knows")
	t.does(d1, Move{Hash: u[0], Backend: d1.core.User(w.now, "", u[0]).Current})
	t.does(d2, Move{Hash: 99, Backend: testBackend(1)})
	w.run(3 * time.Second)
	t.where(u[0], 99)
	t.part("two move one user")
	t.does(d1, Move{Hash: u[1], Backend: testBackend(1), Wait: true})
	t.does(d2, Move{Hash: u[1], Backend: testBackend(2), Wait: true})
	w.run(3 * time.Second)
	d1.begin(Move{Hash: u[2], Backend: testBackend(1), Wait: true})
	d2.begin(Move{Hash: u[2], Backend: testBackend(2), Wait: true})
	w.run(4 * time.Second)
	t.where(u[1], u[2])
	t.part("kickers see sessions that they cannot end, or are none; the hook fails")
	d2.kicker = func(Kick) (int, bool, bool) { return 3, true, true }
	d2.left, d3.blind = 2, true
	d1.hook = func(RunHook) (bool, error) { return true, errors.New("exit status 1") }
	t.does(d1, Move{Hash: u[3], Backend: to(u[3])})
	w.run(4 * time.Second)
	t.part("a kicker hangs")
	d2.kicker = func(Kick) (int, bool, bool) { return 0, false, false }
	t.does(d1, Move{Hash: u[4], Backend: to(u[4])})
	t.asks(d3, u[4])
	w.run(releaseBy + time.Second)
	t.part("the originator dies")
	d2.kicker = func(Kick) (int, bool, bool) { return 0, true, true }
	d3.begin(Move{Hash: u[5], Backend: to(u[5])})
	w.deliver()
	t.asks(d1, u[5])
	d3.crash()
	w.run(failAfter + 3*time.Second)
	t.where(u[5])
	t.part("a move to a backend that is forgotten meanwhile")
	t.does(d2, Move{Hash: u[0], Backend: to(u[0]), Wait: true})
	t.does(d1, Forget{})
	w.run(2 * time.Second)
	t.part("a Hold of rows that are dead here")
	stamp := d1.core.MeshTime(w.now).Add(-time.Hour).Tick()
	old := directory.Mapping{Hash: 5, Backend: testBackend(1), Generation: 1, Stamp: stamp,
		Activity: stamp, Moving: true}
	t.hears(
		d1, d2, &wire.Hold{ID: 900, Blocks: []wire.Block{wire.Pack("", []directory.Mapping{old})}})
	w.run(2 * time.Second)
}

// playFlush: flushes that end, are cancelled, and lose their director.
func playFlush(t *transcript) {
	w := t.w
	all := t.mesh([]string{"d1", "d2", "d3"})
	d1, d2, d3 := all[0], all[1], all[2]
	t.fill(d1, 30)
	w.run(time.Second)
	t.part("A goes down and is flushed")
	t.does(d1, SetDown{Addr: testBackend(1), Down: true})
	t.does(d1, Flush{Addr: testBackend(1), MaxParallel: 3})
	w.run(8 * time.Second)
	t.part("B too; the flush is cancelled elsewhere")
	t.does(d2, SetDown{Addr: testBackend(2), Down: true})
	t.does(d2, Flush{Addr: testBackend(2), MaxParallel: 1})
	w.run(time.Second)
	t.does(d3, CancelFlush{testBackend(2)})
	w.run(4 * time.Second)
	t.part("all users are flushed, and the director that does it leaves")
	t.does(d1, SetDown{Addr: testBackend(1), Down: false})
	t.does(d3, Flush{MaxParallel: 2})
	w.run(time.Second)
	d3.core.Leave(w.now)
	w.deliver()
	d3.crash()
	w.run(4 * time.Second)
	t.part("a flush of no user, and of no backend")
	t.does(d1, Flush{Addr: testBackend(3)})
	t.does(d1, Flush{Addr: testBackend(9)})
	w.run(3 * time.Second)
	t.where(users(30)...)
}

// playKicks: users are kicked by name.
func playKicks(t *transcript) {
	w := t.w
	all := t.mesh([]string{"d1", "d2", "d3"})
	d1, d2, d3 := all[0], all[1], all[2]
	d2.kicker = func(Kick) (int, bool, bool) { return 2, true, true }
	d2.left, d3.blind = 1, true
	t.part("all report")
	t.does(d1, KickUser{Value: "alice"})
	t.does(d1, KickUser{Field: "user", Value: "bob"})
	t.part("a kicker fails, another one hangs")
	d2.kickErr = errors.New("doveadm: exit status 75\nno such user")
	d3.kicker = func(Kick) (int, bool, bool) { return 0, false, false }
	t.does(d1, KickUser{Value: "alice"})
	t.does(d3, KickUser{Value: "carol"})
	w.run(kicks.ByNameLimit + time.Second)
	t.part("a stream breaks meanwhile, another director dies")
	d2.kickErr, d2.left = nil, 0
	d3.kicker = func(Kick) (int, bool, bool) { return 1, true, true }
	w.lose = losing[*wire.KickUser](d1, d2)
	t.does(d1, KickUser{Value: "alice"})
	w.lose = nil
	w.breakStream(d1, d2)
	w.run(time.Second)
	d3.stopped = true
	t.does(d1, KickUser{Value: "alice"})
	d3.crash()
	w.run(failAfter + time.Second)
}
