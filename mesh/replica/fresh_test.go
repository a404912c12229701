package replica

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/deltas"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// vhosts are the vhost counts of the backends as a director has them, by the last byte of the
// address.
func (d *director) vhosts() map[int]int {
	counts := make(map[int]int)
	for _, b := range d.core.Backends() {
		counts[int(b.Backend.Addr.As4()[3])] = b.Backend.VHosts
	}
	return counts
}

// update is a change that gives the first backend this many vhosts.
func (d *director) update(vhosts int) directory.Change {
	stamp := directory.Stamp(d.core.MeshTime(d.w.now)) << 16
	return directory.Change{Mesh: d.core.table.Mesh(), Backends: []directory.BackendRow{
		{Addr: testBackend(1),
			VHosts: directory.Register[int]{Value: vhosts, Stamp: stamp, Origin: d.name}},
	}}
}

var untouched = map[int]int{1: 100, 2: 100, 3: 100, 4: 100}

// restart ends directors at one moment and starts them again, the first as founder if all restart.
func (w *world) restart(directors []*director, change ...func(*Config)) {
	w.t.Helper()
	for _, d := range directors {
		d.crash()
	}
	w.run(time.Second)
	for i, d := range directors {
		d.boots(i == 0 && len(directors) == len(w.directors), change...)
	}
	w.until("all synced after the restart", 20*time.Second, w.allSynced)
}

// What was gossiped before the restart of one director, or of all, changes nothing when it is sent
// again.
func TestRecordedDeltas(t *testing.T) {
	for _, test := range []struct {
		name      string
		restarts  int // directors, from the first on
		unguarded bool
		want      map[int]int
	}{
		{"one restarts", 1, false, map[int]int{1: 50, 2: 100, 4: 100}},
		{"all restart", 3, false, untouched},
		{"all restart, unguarded", 3, true, map[int]int{1: 50, 2: 100, 4: 100}},
	} {
		t.Run(test.name, func(t *testing.T) {
			guards := func(c *Config) {
				c.Guards.NoFreshness = test.unguarded
				c.Guards.NoStrangers = test.unguarded
			}
			w := started(t, 3, guards)
			d1 := w.directors[0]
			for _, op := range []Operation{
				UpdateBackend{Addr: testBackend(1), VHosts: 50},
				RemoveBackend{Addr: testBackend(3)},
				SetDirectorRemoved{Addr: w.directors[2].core.cfg.Addr},
			} {
				if _, err := d1.do(op); err != nil {
					t.Fatal(err)
				}
			}
			recorded := w.gossiped
			w.restart(w.directors[:test.restarts], guards)
			for range 2 {
				for _, delta := range recorded {
					for _, d := range w.directors {
						d.core.Gossip(w.now, delta)
					}
				}
				w.run(10 * time.Second)
			}
			for _, d := range w.directors {
				if diff := cmp.Diff(test.want, d.vhosts()); diff != "" {
					t.Errorf("vhosts at %s (-want +got):\n%s", d.name, diff)
				}
			}
		})
	}
}

// A delta that comes before the stream of its origin is applied and passed on as soon as that is
// up.
func TestEarlyDelta(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	d3 := w.start("d3")
	delta := d3.delta(d1.update(50))
	if d1.core.Gossip(w.now, delta) {
		t.Error("a delta of a director without a stream is passed on")
	}
	if diff := cmp.Diff(untouched, d1.vhosts()); diff != "" {
		t.Errorf("before the stream (-want +got):\n%s", diff)
	}
	w.until("all synced", 4*time.Second, w.allSynced)
	w.run(100 * time.Millisecond)
	for _, d := range []*director{d1, d2} {
		if got := d.vhosts()[1]; got != 50 {
			t.Errorf("%s has %d vhosts once the stream is up, want 50", d.name, got)
		}
	}
	if d1.core.Gossip(w.now, delta) {
		t.Error("a repeat is passed on")
	}
}

// A delta of a director to whom no stream can be had counts if a peer counts that director.
func TestDeltaOfDirectorThatAPeerCounts(t *testing.T) {
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	w.split([]*director{d1}, []*director{d3})
	w.run(failAfter + time.Second)
	if d1.core.peers.get("d3").live {
		t.Fatal("d1 and d3 are in touch")
	}
	if !d1.core.Gossip(w.now, d3.delta(d3.update(50))) {
		t.Error("the delta of a director that d2 counts is not applied")
	}
	if got := d1.vhosts()[1]; got != 50 {
		t.Errorf("d1 has %d vhosts, want 50", got)
	}
	d3.crash()
	w.run(failAfter + time.Second)
	if d1.core.Gossip(w.now, d3.delta(d3.update(60))) {
		t.Error("the delta of a dead director is applied")
	}
}

// A director's new life is told to the peers, its old one no longer counts.
func TestCountingFollowsLives(t *testing.T) {
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	old := wire.Life{Name: "d3", Boot: d3.core.boot}
	w.split([]*director{d1}, []*director{d3})
	w.run(failAfter + time.Second)
	d3.crash()
	d3.boots(false)
	w.run(4 * time.Second)
	next := wire.Life{Name: "d3", Boot: d3.core.boot}
	if d1.core.runs(old) || !d1.core.runs(next) {
		t.Errorf("for d1 the old life of d3 runs: %v, the new one: %v",
			d1.core.runs(old), d1.core.runs(next))
	}
}

// A delta of nobody known is dropped after five seconds, and is nothing that was seen.
func TestDeltaOfUnknownOrigin(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	delta := &wire.Delta{Origin: "d9", Boot: 9, N: 1, Change: d1.update(50)}
	for round := range uint64(2) {
		for range 3 {
			if d1.core.Gossip(w.now, delta) {
				t.Fatal("the delta is passed on")
			}
		}
		if kept := d1.core.early.Len(); kept != 1 {
			t.Errorf("%d deltas are kept, want 1", kept)
		}
		w.run(deltas.EarlyFor + time.Second)
		if kept, bytes := d1.core.early.Len(), d1.core.early.Bytes(); kept != 0 || bytes != 0 {
			t.Errorf("%d deltas of %d bytes are still kept", kept, bytes)
		}
		if got := d1.core.Counters().UnknownDeltas; got != round+1 {
			t.Errorf("%d deltas counted as unknown, want %d", got, round+1)
		}
	}
	if diff := cmp.Diff(untouched, d1.vhosts()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// However many deltas of unknown directors come, what is kept of them is bounded.
func TestFloodOfUnknownDeltas(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	rows := make([]directory.Mapping, 1000)
	for i := range rows {
		rows[i] = directory.Mapping{Hash: ring.UserHash(i), Backend: testBackend(1), Generation: 1}
	}
	for n := range uint64(3 * deltas.MaxEarly) {
		delta := &wire.Delta{Origin: "d9", Boot: 9, N: n}
		if n%2 == 0 {
			delta.Blocks = []wire.Block{wire.Pack("", rows)}
		}
		d1.core.Gossip(w.now, delta)
	}
	if kept, bytes := d1.core.early.Len(), d1.core.early.Bytes(); kept > deltas.MaxEarly ||
		bytes > deltas.MaxEarlyBytes ||
		kept == 0 {
		t.Errorf("%d deltas of %d bytes are kept", kept, bytes)
	}
	if !d1.core.Gossip(w.now, w.directors[1].delta(d1.update(50))) {
		t.Error("the delta of a peer is not applied meanwhile")
	}
}

// recorded is a state that went over the wire, as a recording of it would.
func (d *director) recorded() *wire.PushPull {
	d.w.t.Helper()
	return reread(d.w.t, d.core.PushPull(d.w.now)).(*wire.PushPull)
}

// A state of before the restart of one director, or of all, changes nothing when it is sent again:
// not the table, not an address, not how long a director waits before it serves alone.
func TestRecordedStates(t *testing.T) {
	for _, test := range []struct {
		name      string
		restarts  int
		unguarded bool
		want      map[int]int
	}{
		{"one restarts", 1, false, map[int]int{1: 50, 2: 100, 4: 100}},
		{"all restart", 3, false, untouched},
		{"all restart, unguarded", 3, true, map[int]int{1: 50, 2: 100, 4: 100}},
	} {
		t.Run(test.name, func(t *testing.T) {
			guards := func(c *Config) {
				c.Guards.NoFreshness = test.unguarded
				c.Guards.NoStrangers = test.unguarded
			}
			w := started(t, 3, guards)
			d1 := w.directors[0]
			for _, op := range []Operation{
				UpdateBackend{Addr: testBackend(1), VHosts: 50},
				RemoveBackend{Addr: testBackend(3)},
			} {
				if _, err := d1.do(op); err != nil {
					t.Fatal(err)
				}
			}
			var recorded []*wire.PushPull
			for i, d := range w.directors {
				s := d.recorded()
				if !test.unguarded { // else another guard refuses it
					// where it was once
					s.Hello.From.Addr = netip.AddrPortFrom(testBackend(1), uint16(9090+i))
				}
				recorded = append(recorded, s)
			}
			w.restart(w.directors[:test.restarts], guards)
			for range 2 {
				for _, s := range recorded {
					for _, d := range w.directors {
						// that it is refused is what the rest checks
						_ = d.core.MergePushPull(w.now, s)
					}
				}
				w.run(10 * time.Second)
			}
			for _, d := range w.directors {
				if diff := cmp.Diff(test.want, d.vhosts()); diff != "" {
					t.Errorf("vhosts at %s (-want +got):\n%s", d.name, diff)
				}
				for _, other := range w.directors {
					p := d.core.peers.get(other.name)
					if other != d && p.addr != other.core.cfg.Addr {
						t.Errorf("%s believes %s at %v", d.name, other.name, p.addr)
					}
				}
			}
		})
	}
}

// A state of a director that no stream has proven makes us dial it and changes nothing else.
func TestUnprovenStateOnlyCausesADial(t *testing.T) {
	w := newWorld(t)
	d1 := w.start("d1", func(c *Config) { c.Founder = false })
	other := w.start("d2", func(c *Config) { c.Founder = true })
	s := other.recorded()
	d1.core.Take()
	if err := d1.core.MergePushPull(w.now, s); err == nil {
		t.Error("the state is taken")
	}
	want := []Dial{{Name: "d2", Addr: other.core.cfg.Addr}}
	if diff := cmp.Diff(want, d1.dials(), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("dials (-want +got):\n%s", diff)
	}
	if d1.core.admission.contact || len(d1.core.peers.all) > 0 {
		t.Errorf("the state counts as a contact: %v, or its sender as a peer: %v",
			d1.core.admission.contact, d1.core.peers)
	}
	if got := d1.core.Counters().UnprovenPushPulls; got != 1 {
		t.Errorf("%d unproven states counted", got)
	}
}
