package replica

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// newer writes a message as a later release may: with another version and one more field. Today
// all messages have few enough fields for the shortest head of an array.
func newer(encoded []byte) []byte {
	const version, head = 1, 2
	later := slices.Clone(encoded)
	// The last fields of today's release, which are not written if they are zero.
	var zeros []byte
	switch fields := int(encoded[head] - 0x90); wire.Kind(encoded[0]) {
	case wire.KindBeat:
		zeros = []byte{0xc2, 0xc2, 0, 0xc2}[fields-11:]
		later[head] += byte(len(zeros))
	case wire.KindAdmitted:
		zeros = []byte{0x90}[fields-6:]
		later[head] += byte(len(zeros))
	case wire.KindSnapshotRequest:
		zeros = []byte{0x95, 0, 0, 0xa0, 0xa0, 0x90, 0x90}
		if fields > 2 {
			panic("newer: a question that a start from disk asks")
		}
		later[head] += 2
	case wire.KindSnapshotChunk:
		zeros = []byte{0x90}[fields-7:]
		later[head] += byte(len(zeros))
	}
	later = append(later, zeros...)
	later = append(later, "\xa5later"...)
	later[version]++
	if later[head]++; later[head] > 0x9f { // the shortest head is for up to 15 fields
		later = slices.Replace(later, head, head+1, 0xdc, 0, later[head]-0x90)
	}
	return later
}

// writesLater lets a director write a message into its log that only a later release understands.
func (d *director) writesLater() {
	leave := d.core.enter(d.w.now)
	d.core.write(d.w.now, &wire.Unknown{Number: 200, Later: 1, Fields: []byte{7}})
	leave()
}

// later counts the messages of a later release that a director keeps of a peer's log.
func (d *director) later(of logs.ID) (count int) {
	log := d.core.logs.Get(of)
	for seq := range log.Seen() {
		from, part := log.Part(logs.Spans{}.Add(1, seq))
		if from != seq+1 || len(part) == 0 {
			continue
		}
		if _, unknown := part[0].(*wire.Unknown); unknown {
			count++
		}
	}
	return count
}

// agree checks that all directors that run hold the same, and that no log of them has a gap.
func (w *world) agree(users []ring.UserHash) {
	w.t.Helper()
	w.until("all synced", 10*time.Second, w.allSynced)
	var first *director
	for _, d := range w.directors {
		switch {
		case d.stopped:
			continue
		case first == nil:
			first = d
		}
		for _, p := range d.core.peers.all {
			if p.live && p.gap {
				w.t.Errorf("%s has a gap in the log of %s", d.name, p.name)
			}
		}
		want, got := first.core.table.Snapshot(), d.core.table.Snapshot()
		addresses := cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})
		if diff := cmp.Diff(want, got, addresses); diff != "" {
			w.t.Errorf("the tables differ (-%s +%s):\n%s", first.name, d.name, diff)
		}
		for _, h := range users {
			want, _ := first.dir.Find("", h, first.core.MeshTime(w.now))
			got, status := d.dir.Find("", h, d.core.MeshTime(w.now))
			if got != want || status != directory.Live {
				w.t.Errorf("%s has %+v (%v), %s %+v", d.name, got, status, first.name, want)
			}
		}
	}
}

// TestOneReleaseApart runs a mesh in which d2 is of a later release: its messages have one more
// field, and its log has one more kind. The others understand the rest, and pass on what they do
// not understand.
func TestOneReleaseApart(t *testing.T) {
	w := newWorld(t)
	d1, d2, d3 := w.start("d1"), w.start("d2"), w.start("d3")
	d2.dialect = newer
	w.until("all synced", 10*time.Second, w.allSynced)
	var users []ring.UserHash
	login := func(directors ...*director) {
		for _, d := range directors {
			h := ring.UserHash(len(users)+1) * 0x01234567
			d.must(h)
			users = append(users, h)
		}
	}
	for i, d := range []*director{d1, d2, d3} {
		d2.writesLater()
		login(d1, d2, d3)
		if _, err := d.do(UpdateBackend{Addr: testBackend(i + 1), VHosts: 50 + i}); err != nil {
			t.Errorf("update at %s: %v", d.name, err)
		}
		d2.writesLater()
		h := users[len(users)-1-i]
		if _, err := d.do(Move{Hash: h, Backend: another(d.must(h))}); err != nil {
			t.Errorf("move at %s: %v", d.name, err)
		}
		w.run(4 * time.Second)
		w.agree(users)
	}
	for _, d := range []*director{d1, d3} {
		if counts := d.core.counters; counts.Gaps != 0 || counts.UnknownKinds != 6 {
			t.Errorf("%s counts %+v; want no gap, and 6 unknown messages", d.name, counts)
		}
	}
	told := func(l Log) bool { return strings.Contains(l.Text, "unknown kind") }
	if !slices.ContainsFunc(d1.logs, told) {
		t.Errorf("d1 says nothing of unknown kinds: %+v", d1.logs)
	}

	of := d3.core.peers.get(d2.name).log.ID()
	w.split([]*director{d2}, []*director{d3})
	w.run(100 * time.Millisecond)
	had := d3.later(of)
	d2.writesLater()
	login(d2)
	d2.writesLater()
	w.run(100 * time.Millisecond)
	d2.crash()
	w.run(failAfter + 2*time.Second)
	w.agree(users)
	got, counts := d3.later(of)-had, d3.core.counters
	if got != 2 || counts.UnknownKinds != 8 {
		t.Errorf("d3 has %d later messages from d1, want 2; it counts %+v", got, counts)
	}
	w.heal()
	d2.boots(false)
	w.agree(users)
	login(d1, d2, d3)
	w.run(time.Second)
	w.agree(users)
}
