package replica

import (
	"testing"
	"time"

	"directormesh/mesh/wire"
	"directormesh/mesh/wire/wiretest"
)

// notOnStreams are the kinds of message that handshakes, memberlist, disks and answers
// carry.
var notOnStreams = map[wire.Kind]bool{
	wire.KindHello: true, wire.KindRefuse: true, wire.KindDelta: true, wire.KindPushPull: true,
	wire.KindMark: true, wire.KindKeyring: true,
	wire.KindHistoryQuery: true, wire.KindHistoryFound: true,
	wire.KindAdminNote: true, wire.KindUserNote: true, wire.KindLoginsNote: true,
	wire.KindTableNote: true, wire.KindLapseNote: true,
}

// Each kind of message that a stream may carry has a handler, which takes it. All others are
// counted, as is what is no message at all.
func TestEachKindHasAHandler(t *testing.T) {
	seen := make(map[wire.Kind]bool)
	for _, m := range wiretest.Samples() {
		kind := m.Kind()
		seen[kind] = true
		w := started(t, 2)
		c := w.directors[0].core
		before := c.counters.Unexpected
		c.take(w.now, c.peers.get("d2"), m)
		if got := c.counters.Unexpected > before; got != notOnStreams[kind] {
			t.Errorf("%s does not belong on a stream: %v, want %v", kind, got, notOnStreams[kind])
		}
	}
	for kind, h := range handlers {
		if h.take != nil && !seen[wire.Kind(kind)] {
			t.Errorf("%s has a handler and no sample", wire.Kind(kind))
		}
	}
}

// What only a later release knows takes its place in its writer's log.
func TestLaterKindHasAHandler(t *testing.T) {
	w := started(t, 2)
	c := w.directors[0].core
	p := c.peers.get("d2")
	seq := p.log.Seen() + 1
	c.take(w.now, p, &wire.Unknown{Number: wire.FirstLaterLog, Seq: seq})
	if c.counters.UnknownKinds != 1 || c.counters.Unexpected != 0 || !p.log.Has(seq) {
		t.Errorf("counted %+v; in the log: %v", c.counters, p.log.Has(seq))
	}
}

// What a director sees outside of the mesh is known to a joiner whose clock was wrong, and the
// other way round: the two say it on the streams that they open, before that one has stepped.
func TestSightsByAWrongClock(t *testing.T) {
	for _, off := range []time.Duration{0, time.Hour, -time.Hour} {
		w := newWorld(t)
		sees := func(name string, change func(*Config)) *director {
			d := w.start(name, change, func(c *Config) {
				c.Watches, c.Backends = true, testBackends(4)
				c.Names = NameWatch{Names: []WatchedName{imap}, Every: time.Minute}
				c.Balance.Mode = wire.BalanceOn
			})
			d.core.ObserveName(w.now, imap, nil, "no such host")
			d.core.Observe(w.now, testBackend(1), "connection refused")
			return d
		}
		d1 := sees("d1", func(*Config) {})
		w.run(5 * time.Second)
		d2 := sees("d2", func(c *Config) { c.Wall = c.Wall.Add(off) })
		w.until("both synced", 20*time.Second, w.allSynced)
		for _, of := range [][2]*director{{d1, d2}, {d2, d1}} {
			p := of[0].core.peers.get(of[1].name)
			if len(p.names) == 0 || p.sights == nil || p.loads == nil {
				t.Errorf("d2 off by %v: %s knows of %s the names %v, backends %v, loads %v",
					off, of[0].name, of[1].name, p.names, p.sights, p.loads)
			}
		}
	}
}
