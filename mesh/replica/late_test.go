package replica

import (
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/ring"
)

// A director is away for longer than logs are kept. Meanwhile another one imports what a user
// did before that: the snapshot since the gap must have it.
func TestSnapshotSinceAGapHasLateRows(t *testing.T) {
	m := newMortals(t, 1, 3, Guards{})
	m.quietAt = m.now
	a, b, c := m.members[0], m.members[1], m.members[2]
	const h = ring.UserHash(0x5150)
	backend, ok := a.core.TryLookup(m.now, "", h)
	if !ok {
		t.Fatal("the lookup waits")
	}
	m.users = append(m.users, h)
	m.run(20 * time.Second)
	seen := a.core.MeshTime(m.now)
	m.run(20 * time.Second)
	m.cut(c, []*member{a, b}, true)
	m.run(time.Second)
	a.do(Import{[]ImportedMapping{{Hash: h, Backend: backend, Activity: seen}}})
	m.run(historyFor + time.Second)
	a.core.TryLookup(m.now, "", 1) // so that c has a gap in a's log
	m.run(time.Second)
	m.cut(c, []*member{a, b}, false)
	m.run(10 * time.Second)
	if got, _ := c.dir.Find("", h, c.core.MeshTime(m.now)); got.Activity != seen.Tick() {
		t.Errorf("c has %+v, want the imported activity %d", got, seen.Tick())
	}
	if differ := m.differences(); len(differ) > 0 {
		t.Error(differ)
	}
	if c.core.counters.GapsRepaired == 0 {
		t.Error("c had no gap; the test shows nothing")
	}
}

func TestNotesOnLateRows(t *testing.T) {
	begun := directory.Time(1_800_000_000_000)
	at := func(seconds int) directory.Time { return begun.Add(time.Duration(seconds) * time.Second) }
	var l lateRows
	l.restart(begun)
	for _, n := range []struct{ at, oldest int }{{100, 40}, {100, 60}, {200, 150}} {
		l.add(lateNote{at(n.at), at(n.oldest).Tick()})
	}
	for _, test := range []struct{ since, want int }{
		{-1, -1}, {0, 0}, {90, 40}, {100, 40}, {101, 101}, {180, 150}, {201, 201},
	} {
		want := at(test.want).Tick()
		if test.want < 0 {
			want = 0 // all
		}
		if got := l.since(at(test.since).Tick()); got != want {
			t.Errorf("a snapshot since %d s goes back to %v, want %v",
				test.since, got.Time().Sub(begun), want.Time().Sub(begun))
		}
	}
	for n := range 10 * lateKept {
		l.add(lateNote{at(300 + 2*n), at(250).Tick()})
	}
	if len(l.notes) > lateKept {
		t.Errorf("%d notes are kept", len(l.notes))
	}
	if got := l.since(at(50).Tick()); got != at(40).Tick() {
		t.Errorf("what a note said that is no longer kept is lost: back to %v", got.Time().Sub(begun))
	}
}
