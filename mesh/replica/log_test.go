package replica

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/losers"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// replayed are the numbers of the log's messages that a peer gets after a certain one.
func (d *director) replayed(seq uint64) (numbers []uint64) {
	d.core.Take()
	d.core.replay(d.w.now, d.core.peers.get("d2"), seq)
	for _, e := range d.core.Take() {
		if n, ok := wire.LogSeq(e.(Send).Message); ok {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// A peer whose stream broke gets what it has missed; one that has nothing gets the last two
// seconds, because it takes a snapshot anyway; or all that there ever was, if it is a member.
func TestReplay(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	d1.core.log = logs.Own{}
	d2 := d1.core.peers.get("d2")
	first := w.now
	for i := range 5 {
		d1.core.write(w.now.Add(time.Duration(i)*time.Second), &wire.Rows{})
	}
	w.now = w.now.Add(4 * time.Second)
	for _, test := range []struct {
		name   string
		before func()
		seq    uint64
		want   []uint64
	}{
		{"all that was ever written", func() {}, 0, []uint64{1, 2, 3, 4, 5}},
		{"what was missed", func() {}, 3, []uint64{4, 5}},
		{"nothing was missed", func() {}, 5, nil},
		{"a joiner, after a while",
			func() { d1.core.log.Prune(first.Add(logs.KeptFor + 1)) }, 0, []uint64{3, 4, 5}},
		{"all that is left", func() {}, 1, []uint64{2, 3, 4, 5}},
		{"a joiner that is in no mesh yet", func() {
			d2.mesh, d2.live = wire.MeshRank{}, false
			d1.core.peers.add(&peer{name: "d3", live: true})
		}, 0, []uint64{3, 4, 5}},
		{"one that can take its snapshot from nobody else",
			func() { d1.core.peers.get("d3").live = false }, 0, nil},
		{"of a director that joins itself", func() { d1.core.admission.bootstrapped = false }, 0,
			[]uint64{2, 3, 4, 5}},
	} {
		test.before()
		if diff := cmp.Diff(test.want, d1.replayed(test.seq)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// Rows of many lookups go in messages of bounded size, tag by tag, sorted by hash.
func TestRowsAreWrittenInParts(t *testing.T) {
	w := started(t, 1)
	c := w.directors[0].core
	const many = 2*rowset.MaxRows + 1
	for i := range many {
		c.outbox.Push("b", directory.Mapping{Hash: ring.UserHash(many - i), Generation: 1})
	}
	c.outbox.Push("a", directory.Mapping{Hash: 7, Generation: 1})
	c.log = logs.Own{}
	c.flushOutbox(w.now)
	var got []int
	var tags []ring.Tag
	for m := range c.log.Replay(w.now, 0, false) {
		rows := m.(*wire.Rows)
		tags = append(tags, rows.Blocks[0].Tag)
		got = append(got, rowset.Count(rows.Blocks))
		last := ring.UserHash(0)
		for m := range rows.Blocks[0].All() {
			if m.Hash <= last {
				t.Fatalf("%v comes after %v", m.Hash, last)
			}
			last = m.Hash
		}
	}
	if diff := cmp.Diff([]int{1, rowset.MaxRows, rowset.MaxRows, 1}, got); diff != "" {
		t.Errorf("rows in each message (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]ring.Tag{"a", "b", "b", "b"}, tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	c.flushOutbox(w.now)
	if c.log.Last() != 4 {
		t.Error("the rows are written again")
	}
}

// A log is replayed in which a row is forgotten later. Where the user was mapped anew meanwhile, by
// one that heard of neither, the new mapping stays, also where so many lose that it is not
// remembered.
func TestReplayOfWhatIsForgotten(t *testing.T) {
	for _, guards := range []Guards{{}, {NoMarksFirst: true}} {
		w := started(t, 2, func(c *Config) { c.Guards = guards })
		d1, d2 := w.directors[0], w.directors[1]
		const h = 7
		w.split([]*director{d1}, []*director{d2})
		d1.must(h)
		w.run(failAfter + time.Second)
		if _, err := d1.do(Forget{}); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		d2.must(h)
		want, _ := d2.dir.Find("", h, d2.core.MeshTime(w.now))
		for i := range ring.UserHash(losers.Most) {
			d2.core.losers.Note(w.now, ring.User{Tag: "others", Hash: i}, want)
		}
		w.heal()
		w.run(time.Second)
		w.until("all synced", 10*time.Second, w.allSynced)
		got, status := d2.dir.Find("", h, d2.core.MeshTime(w.now))
		if kept := status == directory.Live && got == want; kept == guards.NoMarksFirst {
			t.Errorf("guards %+v: d2 had %+v and has %+v, status %v", guards, want, got, status)
		}
	}
}
