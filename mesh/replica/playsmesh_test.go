package replica

import (
	"errors"
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/hints"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// playMeet: two meshes that have backends in common become one; the older one stays.
func playMeet(t *transcript) {
	w := t.w
	t.part("two meshes")
	e := []*director{w.start("e1"), w.start("e2")}
	w.run(2 * time.Second)
	d := []*director{w.start("d1", func(c *Config) {
		c.Founder, c.Backends = true, testBackends(5)[1:]
	}), w.start("d2")}
	w.split(e, d)
	d[0].crash()
	d[1].crash()
	w.run(failAfter + time.Second)
	d[0].boots(true, func(c *Config) { c.Backends = testBackends(5)[1:] })
	d[1].boots(false, func(c *Config) { c.Backends = testBackends(5)[1:] })
	w.run(3 * time.Second)
	t.asks(d[0], 5, 6, 7)
	t.asks(e[1], 5, 6, 8)
	t.does(d[1], UpdateBackend{Addr: testBackend(5), VHosts: 20})
	t.does(e[1], UpdateBackend{Addr: testBackend(1), VHosts: 30})
	w.run(time.Second)
	t.part("they meet")
	w.heal()
	t.settled(20 * time.Second)
	w.run(time.Second)
	t.where(5, 6, 7, 8)
}

// playStrangers: two clusters refuse each other, until one director is taken in.
func playStrangers(t *transcript) {
	w := t.w
	t.part("two clusters")
	foreign := func(founder bool) func(*Config) {
		return func(c *Config) { c.Founder, c.Backends = founder, foreignBackends() }
	}
	d := []*director{w.start("d1"), w.start("d2")}
	e := []*director{w.start("e1", foreign(true)), w.start("e2", foreign(false))}
	t.quietly(func() {
		w.split(d, e)
		w.run(5 * time.Second)
		t.fill(d[0], 4)
		t.fill(e[0], 4)
		w.run(time.Second)
		for _, x := range w.directors {
			t.look(x)
		}
	})
	t.part("they meet, and refuse each other")
	w.heal()
	w.run(2 * time.Second)
	t.quietly(func() { w.split(d, e); w.run(strangerFor) })
	w.heal()
	t.part("a minute later")
	w.run(300 * time.Millisecond)
	t.part("e2 is taken in by d1, with moves, flushes and sessions")
	t.does(e[1], Move{Hash: 5, Backend: netip.MustParseAddr("198.51.100.1"), Wait: true})
	t.asks(e[1], 5)
	t.does(d[0], SetDirectorRemoved{Addr: e[1].core.cfg.Addr})
	t.quietly(func() { w.split(d, e); w.run(strangerFor) })
	w.heal()
	w.run(3 * time.Second)
	t.asks(e[1], 70_000_003)
}

// playRemoval: a director is removed, refused, and added again; another one is renamed.
func playRemoval(t *transcript) {
	w := t.w
	all := t.mesh([]string{"d1", "d2", "d3"})
	d1, d3 := all[0], all[2]
	t.part("d3 is removed")
	t.does(d1, SetDirectorRemoved{Name: "d3", Removed: true})
	w.run(time.Second)
	t.asks(d3, 5)
	t.part("d3 starts again, is refused, and serves nobody")
	d3.crash()
	d3.boots(false)
	w.run(2 * time.Second)
	t.part("d3 is added again")
	t.does(d1, SetDirectorRemoved{Name: "d3"})
	w.run(time.Second)
	d3.core.Refused(w.now, &wire.Refuse{
		From: wire.Peer{Name: "d1", Boot: 1}, Reason: "some reason",
	})
	t.settled(15 * time.Second)
	w.run(time.Second)
	t.part("an unknown director is added, and dialled")
	t.does(d1, SetDirectorRemoved{Addr: netip.MustParseAddrPort("198.51.100.7:9090")})
	w.run(time.Second)
	t.part("d3's host is renamed")
	d3.crash()
	w.run(failAfter + time.Second)
	w.start("d9", func(c *Config) { c.Addr = d3.core.cfg.Addr })
	w.run(3 * time.Second)
	t.part("d3 is removed by its name, which another one has now")
	t.does(d1, SetDirectorRemoved{Name: "d3", Removed: true})
	t.does(d1, SetDirectorRemoved{Name: "d9", Removed: true})
	w.run(2 * forgetLeft)
	t.part("the last one is removed")
	t.does(d1, SetDirectorRemoved{Name: "d1", Removed: true})
	w.run(time.Second)
}

// playWords: what memberlist tells, true or not, and hellos that are refused.
func playWords(t *transcript) {
	w := t.w
	all := t.mesh([]string{"d1", "d2"})
	d1, d2 := all[0], all[1]
	x := netip.MustParseAddrPort("198.51.100.7:9090")
	t.part("names, alive or not")
	d1.core.MemberJoined(w.now, "x", x, 7)
	d1.core.MemberJoined(w.now, "x", netip.MustParseAddrPort("198.51.100.8:9090"), 7)
	d1.core.MemberJoined(w.now, "y", x, 7)
	d1.core.MemberJoined(w.now, "z", d1.core.cfg.Addr, 7)
	d1.core.MemberJoined(w.now, "z", d1.core.cfg.Addr, 7)
	d1.core.MemberJoined(w.now, "v", d2.core.cfg.Addr, 7)
	d1.core.MemberJoined(w.now, "d2", x, 7)
	d1.core.MemberJoined(w.now, "d2", d2.core.cfg.Addr, 7)
	d1.core.MemberJoined(w.now, "d1", x, 7)
	d1.core.MemberJoined(w.now, "", x, 7)
	w.run(time.Second)
	t.part("failures")
	d1.core.DialFailed(w.now, "x", errors.New("refused"))
	d1.core.DialFailed(w.now, "d2", errors.New("refused"))
	t.look(d1)
	w.run(time.Second)
	d1.core.ProbeFailed(w.now, "d2")
	t.look(d1)
	w.run(time.Second)
	d1.core.MemberFailed(w.now, "x")
	d1.core.MemberFailed(w.now, "d2")
	d1.core.MemberFailed(w.now, "z")
	t.look(d1)
	t.part("hints are forgotten")
	w.run(hints.AliasFor + time.Second)
	t.part("states and deltas of directors that are not known to run")
	state := d2.says(d2.core.PushPull(w.now)).(*wire.PushPull)
	state.Hello.From = wire.Peer{Name: "x", Boot: 7, Addr: x}
	t.line("the state is refused: %v", d1.core.MergePushPull(w.now, state))
	t.line("our own too: %v", d1.core.MergePushPull(w.now, d1.core.PushPull(w.now)))
	state.Hello.From = wire.Peer{Name: "d2", Boot: d2.core.boot, Addr: d2.core.cfg.Addr}
	state.Hello.Settings.HashFormat = "%u"
	t.line("one with other settings: %v", d1.core.MergePushPull(w.now, state))
	delta := &wire.Delta{Origin: "x", Boot: 7, N: 1}
	t.line("the delta is passed on: %v", d1.core.Gossip(w.now, delta))
	d2.update(77)
	w.deliver()
	delta = d2.delta(directory.Change{}, directory.Mapping{
		Hash: 5, Backend: testBackend(1), Generation: 1,
	})
	t.line("one of d2 is passed on: %v", d1.core.Gossip(w.now, delta))
	t.line("and again: %v", d1.core.Gossip(w.now, delta))
	w.run(6 * time.Second)
	t.part("x is counted by d2: its delta counts once that is known")
	t.line("before: %v", d1.core.Gossip(w.now, &wire.Delta{Origin: "x", Boot: 8, N: 1}))
	t.hears(d1, d2, &wire.Counting{Counts: []wire.Life{{Name: "x", Boot: 8}}})
	t.line("after: %v", d1.core.Gossip(w.now, &wire.Delta{Origin: "x", Boot: 8, N: 2}))
	t.hears(d1, d2, &wire.Counting{Gone: []wire.Life{{Name: "x", Boot: 8}}})
	t.line("gone: %v", d1.core.Gossip(w.now, &wire.Delta{Origin: "x", Boot: 8, N: 3}))
	t.part("hellos")
	hello := func(change func(h *wire.Hello)) {
		h := d2.core.Hello(w.now, Dial{Name: "d1", Addr: d1.core.cfg.Addr})
		change(h)
		_, _, err := d1.core.Accept(w.now, d2.says(h).(*wire.Hello))
		t.line("refused: %v", err)
		if err != nil {
			t.line("by %s", t.print.text(d1.core.Refusal(w.now, err)))
		}
		w.deliver()
	}
	hello(func(h *wire.Hello) { h.To.Name = "d7" })
	hello(func(h *wire.Hello) { h.Settings.Mesh = "other" })
	hello(func(h *wire.Hello) { h.Settings.Expire = 1000 })
	hello(func(h *wire.Hello) { h.From.Name = "d1" })
	hello(func(h *wire.Hello) { h.From.Boot = 0 })
	hello(func(h *wire.Hello) { h.From.Boot, h.From.Addr = 5, x })
	hello(func(h *wire.Hello) { h.From.Name = "d5" })
	hello(func(h *wire.Hello) { h.From.Name, h.From.Addr = "d5", d1.core.cfg.Addr })
	hello(func(h *wire.Hello) { h.From.Name, h.From.Addr = "d5", netip.AddrPort{} })
	hello(func(h *wire.Hello) { h.From.Name, h.From.Addr = "d6", x })
	w.run(forgetUnmet + time.Second)
}

// playClocks: wall clocks are off, at the start and later; one director steps.
func playClocks(t *transcript) {
	w := t.w
	all := t.mesh([]string{"d1", "d2", "d3"})
	d3 := all[2]
	t.fill(d3, 3)
	w.run(time.Second)
	t.part("d3 comes from alone, its clock two hours ahead")
	w.split(all[:2], all[2:])
	d3.crash()
	off := func(c *Config) { c.Wall = c.Wall.Add(2 * time.Hour) }
	d3.boots(true, off)
	w.run(2 * time.Second)
	t.asks(d3, 5, 6)
	t.does(d3, UpdateBackend{Addr: testBackend(1), VHosts: 20})
	t.does(d3, Move{Hash: 5, Backend: another(d3.must(5)), Wait: true})
	w.run(500 * time.Millisecond)
	t.part("it meets the others")
	w.heal()
	t.settled(20 * time.Second)
	w.run(time.Second)
	t.where(5, 6)
	t.part("the wall clocks of two are set, by a second and by an hour")
	for i, by := range []time.Duration{time.Second, time.Hour} {
		all[i].wall = func(now mono.Time) directory.Micros { return trueTime(now).Add(by) }
	}
	t.does(all[0], UpdateBackend{Addr: testBackend(1), VHosts: 30})
	w.run(5 * time.Second)
	t.part("d2 stands still with all its clocks")
	for _, d := range all[:1] {
		t.hears(all[1], d, &wire.Beat{
			SentAt: int64(w.now), MeshTime: d.core.clock.Micros(w.now).Add(7 * time.Second),
			Wall: d.core.clock.Wall(w.now), Synced: true, Counted: true, Seq: d.core.log.Last(),
			Mesh: d.core.meshRank(w.now), Majority: true,
		})
	}
	w.run(time.Second)
	t.settled(20 * time.Second)
}

// playDigests: rows that one director lacks are found by digests.
func playDigests(t *transcript) {
	w := t.w
	all := t.mesh([]string{"d1", "d2"})
	d1, d2 := all[0], all[1]
	t.fill(d1, 10)
	w.run(time.Second)
	lost := func(d *director, tag ring.Tag, h ring.UserHash) {
		d.dir.Assign(tag, h, testBackend(1), d.core.MeshTime(w.now))
	}
	lost(d1, "", 5)
	lost(d2, "", 6)
	t.part("two epochs pass")
	w.run(30 * time.Second)
	t.where(5, 6)
	t.part("what is asked too early, too late, and for what is equal")
	epoch := int64(d1.core.MeshTime(w.now)) / directory.EpochLength.Milliseconds()
	for _, ago := range []int64{0, 1, 2, 40} {
		t.hears(d1, d2, &wire.LeafDigests{Epoch: epoch - ago, Group: 3})
	}
	t.hears(d1, d2, &wire.LeafRequest{Leaves: []uint16{0, 1, 2}})
	t.hears(d1, d2, &wire.LeafRows{})
	w.run(30 * time.Second)
}
