package replica

import (
	"testing"

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
