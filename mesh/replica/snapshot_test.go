package replica

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// wholes returns a mesh of n directors with users, and one that joins it.
func wholes(t *testing.T, n, users int) (w *world, joiner *director) {
	t.Helper()
	w = newWorld(t)
	w.chunkRows = 10
	for i := range n {
		w.start(fmt.Sprintf("d%d", i+1))
	}
	w.until("all synced", 10*time.Second, w.allSynced)
	for i := range users {
		w.directors[0].must(ring.UserHash(i * 9_000_017))
	}
	w.run(35 * time.Second) // longer than logs are kept
	return w, w.start("joiner")
}

func (d *director) lines(text string) (lines []Log) {
	for _, l := range d.logs {
		if l.Text == text {
			lines = append(lines, l)
		}
	}
	return lines
}

// A snapshot that does not get through is begun again, and the joiner gets all in the end.
func TestSnapshotThatFails(t *testing.T) {
	long(t)
	for _, test := range []struct {
		name   string
		breaks func(w *world, donor, joiner *director, m *wire.SnapshotChunk) (lost bool)
		why    string
	}{
		{"the donor is busy", func(_ *world, _, _ *director, m *wire.SnapshotChunk) bool {
			*m = wire.SnapshotChunk{ID: m.ID, Busy: true}
			return false
		}, "the donor is busy"},
		{"a chunk is lost",
			func(_ *world, _, _ *director, m *wire.SnapshotChunk) bool { return m.Index == 2 },
			"a chunk is missing"},
		{"the donor goes silent",
			func(_ *world, _, _ *director, m *wire.SnapshotChunk) bool { return m.Index >= 2 },
			"the donor went silent"},
		{
			"the stream from the donor ends",
			func(w *world, donor, joiner *director, m *wire.SnapshotChunk) bool {
				if m.Index == 2 {
					w.breakStream(donor, joiner)
				}
				return m.Index >= 2
			},
			"the stream from the donor ended",
		},
		{
			"the stream to the donor ends",
			func(w *world, donor, joiner *director, m *wire.SnapshotChunk) bool {
				if m.Index == 2 {
					w.breakStream(joiner, donor)
				}
				return m.Index >= 2
			},
			"the stream to the donor ended",
		},
		{"the donor fails", func(w *world, donor, joiner *director, m *wire.SnapshotChunk) bool {
			if m.Index == 2 {
				joiner.core.fail(w.now, joiner.core.peers.get(donor.name), "a test")
			}
			return m.Index >= 2
		}, "the donor failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, joiner := wholes(t, 1, 200)
			d1 := w.directors[0]
			w.lose = func(from, to *director, m wire.Message) bool {
				if _, ok := m.(*wire.SnapshotRequest); ok {
					if joiner.core.receiver.Tried(w.now, "d1") {
						t.Error("asked again too soon")
					}
				}
				chunk, ok := m.(*wire.SnapshotChunk)
				return ok && to == joiner && len(joiner.lines("snapshot failed")) == 0 &&
					test.breaks(w, from, joiner, chunk)
			}
			w.until("the snapshot fails", 7*time.Second,
				func() bool { return len(joiner.lines("snapshot failed")) > 0 })
			want := []Field{{"peer", "d1"}, {"reason", test.why}}
			if diff := cmp.Diff(want, joiner.lines("snapshot failed")[0].Fields); diff != "" {
				t.Errorf("logged (-want +got):\n%s", diff)
			}
			w.until("all synced", 20*time.Second, w.allSynced)
			if got, want := joiner.dir.Len(), d1.dir.Len(); got != want {
				t.Errorf("the joiner has %d users of %d", got, want)
			}
			w.run(time.Minute) // until the donor has given up what was broken off
			w.wantRest()
		})
	}
}

// A director gives so many snapshots at a time, and tells those who come later that it is busy; one
// that asks again gets a new one in the place of its old one.
func TestDonationsAreBounded(t *testing.T) {
	w, joiner := wholes(t, 2, 100)
	d1 := w.directors[0]
	joiner.stopped = true
	var busy []uint64
	w.lose = func(from, _ *director, m wire.Message) bool {
		if c, ok := m.(*wire.SnapshotChunk); ok && c.Busy && from == d1 {
			busy = append(busy, c.ID)
		}
		return false
	}
	for i := range snapshots.MaxDonations {
		d1.core.donations.Begin(w.now, fmt.Sprintf("x%02d", i), 0, 0, nil, nil)
	}
	d1.hears(w.directors[1], &wire.SnapshotRequest{ID: 7})
	w.deliver()
	if !slices.Equal(busy, []uint64{7}) {
		t.Errorf("busy for %v, want 7", busy)
	}
	d1.core.donations.Forget("x00")
	for id := range uint64(2) {
		d1.hears(w.directors[1], &wire.SnapshotRequest{ID: 8 + id})
	}
	d := d1.core.donations.Get("d2")
	if d == nil || d.Ack(w.now, &wire.SnapshotAck{ID: 8}) ||
		!d.Ack(w.now, &wire.SnapshotAck{ID: 9}) {
		t.Error("gives another one than that asked for last")
	}
	w.deliver()
	if !slices.Equal(busy, []uint64{7}) {
		t.Errorf("busy for %v, want 7 only", busy)
	}
	w.run(4 * snapshots.Stall)
	if n := d1.core.donations.Len(); n < snapshots.MaxDonations-1 {
		t.Errorf("%d donations are left", n)
	}
	w.run(25 * time.Millisecond)
	if n := d1.core.donations.Len(); n != 0 {
		t.Errorf("%d donations are left to directors that are silent", n)
	}
}

// Only so many chunks are sent ahead of the receiver's acknowledgements, which must be of this
// snapshot and of what was sent.
func TestChunksAhead(t *testing.T) {
	const ahead = 4
	w, joiner := wholes(t, 2, 200)
	d1, d2 := w.directors[0], w.directors[1]
	joiner.stopped = true
	sent := 0
	w.lose = func(from, to *director, m wire.Message) bool {
		_, chunk := m.(*wire.SnapshotChunk)
		if chunk && from == d1 && to == d2 {
			sent++
		}
		_, ack := m.(*wire.SnapshotAck)
		return chunk || ack
	}
	d1.hears(d2, &wire.SnapshotRequest{ID: 7})
	w.deliver()
	for _, step := range []struct {
		ack  wire.SnapshotAck
		want int
	}{
		{wire.SnapshotAck{ID: 7, Index: ahead}, ahead}, // not sent yet
		{wire.SnapshotAck{ID: 6, Index: 0}, ahead},     // of another
		{wire.SnapshotAck{ID: 7, Index: 0}, ahead + 1},
		{wire.SnapshotAck{ID: 7, Index: 0}, ahead + 1}, // again
		{wire.SnapshotAck{ID: 7, Index: 3}, ahead + 4},
	} {
		d1.hears(d2, &step.ack)
		w.deliver()
		if sent != step.want {
			t.Errorf("after %+v %d chunks were sent, want %d", step.ack, sent, step.want)
		}
	}
}

// A joiner takes the mesh's table, and says how its configuration differs from that.
func TestJoinerTellsHowItsConfigurationDiffers(t *testing.T) {
	tagged := ring.Backend{Addr: testBackend(7), Tag: "ssd", VHosts: 50}
	const differs = "the table comes from the mesh and differs from this director's configuration"
	for _, test := range []struct {
		name       string
		configured []ring.Backend
		down       bool
		want       []string // nil: no difference
	}{
		{"the same", testBackends(4), false, nil},
		{"nothing configured", nil, false, nil},
		{"others", append(testBackends(3), tagged), false,
			[]string{"+192.0.2.4", "-192.0.2.7@ssd 50"}},
		{"one is down", testBackends(4), true, []string{"+192.0.2.1 down", "-192.0.2.1"}},
	} {
		w := started(t, 1)
		if test.down {
			w.down(1)
		}
		joiner := w.start("joiner", func(c *Config) { c.Backends = test.configured })
		w.until("all synced", 10*time.Second, w.allSynced)
		var want, got []Log
		if test.want != nil {
			want = []Log{
				{Level: LogWarn, Text: differs, Fields: []Field{{"differences", test.want}}},
			}
		} else {
			want = []Log{{
				Level: LogInfo, Text: "the table comes from the mesh",
				Fields: []Field{{"backends", 4}},
			}}
		}
		got = append(joiner.lines(differs), joiner.lines("the table comes from the mesh")...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: logged (-want +got):\n%s", test.name, diff)
		}
	}
}

// A director that lacks rows of two others takes them of the one to which its stream is open. What
// that has of the other one's log comes with it.
func TestDonorToWhichNoStreamIsOpen(t *testing.T) {
	w := started(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	w.lose = func(_, to *director, m wire.Message) bool {
		_, rows := m.(*wire.Rows)
		return rows && to == d1
	}
	d2.must(7)
	d3.must(8)
	w.run(200 * time.Millisecond)
	w.cut[[2]string{"d1", "d2"}] = true
	w.breakStream(d1, d2)
	w.lose = nil
	w.run(time.Second)
	if !d1.core.synced() || d1.live(7) != d2.live(7) {
		t.Errorf("d1 is not synced: %s", d1.core.Self(w.now).Reason)
	}
}
