package replica

import (
	"net/netip"
	"testing"
	"time"

	"directormesh/mesh/wire"
	"directormesh/ring"
)

// TestStartTogether starts directors at the same moment on slow links, so that their requests,
// answers and tables cross in every order. All must be synced in a moment, and nobody may wait for
// a confirmation that never comes: that would exclude peers that did nothing wrong.
func TestStartTogether(t *testing.T) {
	for _, directors := range []int{3, 10, 30} {
		f := newFleet(t, directors, 4, 20*time.Millisecond, testExpire)
		if took := f.now.Sub(worldStart); took > time.Second {
			t.Errorf("%d directors were synced after %v", directors, took)
		}
		f.run(confirmWithin + 2*time.Second)
		for _, m := range f.members {
			if n := m.core.counters.Exclusions; n != 0 || m.core.barrier.Len() != 0 {
				t.Errorf(
					"%d directors: %s excluded %d peers and has %d table changes open",
					directors,
					m.name,
					n,
					m.core.barrier.Len(),
				)
			}
		}
	}
}

// TestJoinMeshWithEmptyTable lets a director with configured backends join a mesh that has none. It
// must not go on to answer by its configuration: the mesh would know nothing of these mappings.
func TestJoinMeshWithEmptyTable(t *testing.T) {
	w := newWorld(t)
	d1 := w.start("d1", func(c *Config) { c.Backends = nil })
	w.run(time.Second)
	d2 := w.start("d2")
	w.until("d2 is synced", 10*time.Second, func() bool { return d2.core.synced() })
	for _, d := range []*director{d1, d2} {
		if backend, id := d.ask(7); id == 0 {
			t.Errorf("%s answers %v, and no backend is in the table", d.name, backend)
		}
		if b := d.core.Backends(); len(b) > 0 {
			t.Errorf("%s has backends %v", d.name, b)
		}
	}
}

// userAt finds a user without a mapping that hashes to a backend.
func (d *director) userAt(backend netip.Addr) ring.UserHash {
	h := ring.UserHash(1)
	for {
		if d.core.target(ring.User{Hash: h}) == backend {
			return h
		}
		h += 0x01234567
	}
}

// TestJoinerOfADividedTable lets a director join while one member has not heard of a table change.
// The joiner must not answer by the new table meanwhile: it does not know the ring by which that
// member still answers.
func TestJoinerOfADividedTable(t *testing.T) {
	for _, guards := range []Guards{{}, {NoBarrierToJoin: true}} {
		w := started(t, 2)
		w.noGossip = true
		d1, d2 := w.directors[0], w.directors[1]
		w.filter = func(to *director, m wire.Message) bool {
			_, isTable := m.(*wire.Table)
			return to != d2 || !isTable
		}
		d1.begin(UpdateBackend{Addr: testBackend(1), VHosts: 0})
		d3 := w.start("d3", func(c *Config) { c.Backends, c.Guards = testBackends(4)[1:], guards })
		h := d2.userAt(testBackend(1))
		w.run(time.Second)
		if guards.NoBarrierToJoin {
			if d3.must(h) == d2.must(h) {
				t.Error("d3 answers as d2 does; the test shows nothing")
			}
			continue
		}
		const want = "table not yet confirmed by d2"
		if got := d3.core.Self(w.now); got.Synced || got.Reason != want {
			t.Errorf("d3 is not synced because: %q, want %q", got.Reason, want)
		}
		w.filter = nil
		w.breakStream(d1, d2)
		w.until("d3 is synced", time.Second, d3.core.synced)
	}
}
