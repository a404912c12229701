package replica

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// noting starts directors that note, and returns what each has noted since the last call, as lines.
func noting(t *testing.T, n int) (w *world, noted func() map[string][]string) {
	t.Helper()
	lines := make(map[string][]string)
	w = newWorld(t)
	w.seen = func(d *director, e Effect) {
		if n, ok := e.(Noted); ok {
			lines[d.name] = append(lines[d.name], noteLines(w, n.Note)...)
		}
	}
	for i := range n {
		w.start(fmt.Sprintf("d%d", i+1), func(cfg *Config) { cfg.Notes = true })
	}
	w.until("all synced", 10*time.Second, w.allSynced)
	return w, func() map[string][]string {
		w.run(2 * time.Second)
		got := lines
		lines = make(map[string][]string)
		return got
	}
}

// noteLines say what a note says. Its time must be now.
func noteLines(w *world, n wire.Note) (lines []string) {
	now := trueTime(w.now).Time()
	if at := n.Head().At; at < now-300 || at > now+300 || n.Head().Wall == 0 {
		w.t.Errorf("%T of %d at %d", n, n.Head().At, now)
	}
	last := func(a netip.Addr) string {
		if !a.IsValid() {
			return "-"
		}
		return fmt.Sprint(a.As4()[3])
	}
	switch n := n.(type) {
	case *wire.UserNote:
		flushed := ""
		if n.Flushed.IsValid() {
			flushed = " flushed " + last(n.Flushed)
		}
		lines = append(lines, fmt.Sprintf("%d: %s>%s cause %d by %q generation %d%s", n.Hash,
			last(n.From), last(n.To), n.Cause, n.By, n.Generation, flushed))
	case *wire.LoginsNote:
		for m := range n.Block.All() {
			lines = append(lines, fmt.Sprintf("%d: login at %s on %s", m.Hash, n.Director,
				last(m.Backend)))
		}
	case *wire.TableNote:
		for _, b := range n.Change.Backends {
			lines = append(lines, "table: "+last(b.Addr))
		}
	}
	return lines
}

// same returns lines that all directors note, except that some note others.
func same(lines []string, others map[string][]string) map[string][]string {
	want := map[string][]string{"d1": lines, "d2": lines, "d3": lines}
	for name, lines := range others {
		want[name] = lines
	}
	for name, lines := range want {
		if len(lines) == 0 {
			delete(want, name)
		}
	}
	return want
}

func wantNotes(t *testing.T, what string, want, got map[string][]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func carriesOut(t *testing.T, d *director, op Operation) {
	t.Helper()
	if _, err := d.do(op); err != nil {
		t.Fatalf("%T at %s: %v", op, d.name, err)
	}
}

// Where a user's backend changes each director notes it, and the one that decided it knows why.
// First mappings are noted where the login was; recorded activity is not.
func TestNotes(t *testing.T) {
	w, noted := noting(t, 3)
	wantNotes(t, "start", same(nil, nil), noted())
	d1, d2 := w.directors[0], w.directors[1]
	const h = 9
	from := d2.must(h)
	number := func(a netip.Addr) string { return fmt.Sprint(a.As4()[3]) }
	others := slices.DeleteFunc([]int{1, 2, 3, 4}, func(i int) bool {
		return testBackend(i) == from
	})
	to := testBackend(others[0])
	wantNotes(t, "login", same(nil, map[string][]string{
		"d2": {"9: login at d2 on " + number(from)},
	}), noted())

	w.run(d2.dir.Share())
	d2.must(h)
	wantNotes(t, "activity", same(nil, nil), noted())

	carriesOut(t, d1, Move{Hash: h, Backend: to, Wait: true})
	change := fmt.Sprintf("9: %s>%s cause ", number(from), number(to))
	wantNotes(t, "move", same([]string{change + `0 by "" generation 2`}, map[string][]string{
		"d1": {fmt.Sprintf(`%s%d by "d1" generation 2`, change, wire.CauseMove)},
	}), noted())

	carriesOut(t, d2, Flush{Addr: to})
	back := fmt.Sprintf("9: %s>%s cause ", number(to), number(from))
	wantNotes(t, "flush", same([]string{back + `0 by "" generation 3`}, map[string][]string{
		"d2": {fmt.Sprintf(`%s%d by "d2" generation 3 flushed %s`, back, wire.CauseFlush,
			number(to))},
	}), noted())

	carriesOut(t, d1, UpdateBackend{Addr: from, VHosts: 0})
	wantNotes(t, "update", same([]string{"table: " + number(from)}, nil), noted())

	carriesOut(t, d1, Forget{Addr: from})
	wantNotes(t, "forget", same([]string{"table: " + number(from)}, nil), noted())

	next := d2.must(h)
	if next == from {
		t.Fatalf("still on %v", from)
	}
	change = fmt.Sprintf("9: %s>%s cause %d by ", number(from), number(next), wire.CauseForgotten)
	wantNotes(t, "login after that", same([]string{change + `"" generation 4`},
		map[string][]string{"d2": {
			"9: login at d2 on " + number(next), change + `"d2" generation 4`,
		}}), noted())

	carriesOut(t, d1, UpdateBackend{Addr: from, VHosts: 100})
	noted()
	w.run(testExpire + d1.dir.Share())
	again := d2.must(h)
	if again == next {
		t.Fatalf("still on %v", next)
	}
	change = fmt.Sprintf("9: %s>%s cause %d by ", number(next), number(again), wire.CauseExpired)
	wantNotes(t, "login after the end", same([]string{change + `"" generation 5`},
		map[string][]string{"d2": {
			"9: login at d2 on " + number(again), change + `"d2" generation 5`,
		}}), noted())

	w.run(testExpire + d1.dir.Share())
	if d2.must(h) != again {
		t.Fatal("the place has changed")
	}
	wantNotes(t, "login after the end, to the same backend", same(nil, map[string][]string{
		"d2": {"9: login at d2 on " + number(again)},
	}), noted())
	w.run(testExpire + d1.dir.Share() - directory.EndOfLife)
	carriesOut(t, d1, Move{Hash: h, Backend: again, Wait: true})
	wantNotes(t, "move to the same backend", same(nil, nil), noted())

	carriesOut(t, d1, RemoveBackend{Addr: again})
	noted()
	last := d2.must(h)
	change = fmt.Sprintf("9: %s>%s cause %d by ", number(again), number(last), wire.CauseRemoved)
	wantNotes(t, "login after the removal", same([]string{change + `"" generation 8`},
		map[string][]string{"d2": {
			"9: login at d2 on " + number(last), change + `"d2" generation 8`,
		}}), noted())
}

// Two sides of a split decide differently. The side that gives way notes that, and an import and a
// session that was found say what they are.
func TestNotesOfOtherCauses(t *testing.T) {
	w, noted := noting(t, 3)
	noted()
	d1, d3 := w.directors[0], w.directors[2]
	const h = 9
	place := d1.core.target(ring.User{Hash: h})
	other := testBackend(1)
	if other == place {
		other = testBackend(2)
	}
	number := func(a netip.Addr) string { return fmt.Sprint(a.As4()[3]) }

	d1.core.Adopt(w.now, "", h, other)
	w.run(3 * time.Second)
	change := fmt.Sprintf("9: ->%s cause ", number(other))
	wantNotes(t, "session", same([]string{change + `0 by "" generation 1`}, map[string][]string{
		"d1": {fmt.Sprintf(`%s%d by "d1" generation 1`, change, wire.CauseSession)},
	}), noted())

	carriesOut(t, d1, Import{Mappings: []ImportedMapping{
		{Hash: h, Backend: place, Activity: trueTime(w.now).Time()},
	}})
	change = fmt.Sprintf("9: %s>%s cause ", number(other), number(place))
	wantNotes(t, "import", same([]string{change + `0 by "" generation 2`}, map[string][]string{
		"d1": {
			fmt.Sprintf(`%s%d by "" generation 2`, change, wire.CauseImport),
			"9: login at d1 on " + number(place),
		},
	}), noted())

	w.split(w.directors[:2], w.directors[2:])
	w.run(10 * time.Second)
	carriesOut(t, d1, Move{Hash: h, Backend: other})
	w.run(4 * time.Second)
	third := testBackend(3)
	if third == place {
		third = testBackend(4)
	}
	d3.do(Move{Hash: h, Backend: third})
	noted()
	if m, _ := d3.dir.Find("", h, trueTime(w.now).Time()); m.Backend == place {
		t.Fatalf("alone d3 takes no commands: %+v", m)
	}
	w.heal()
	w.until("all synced", 20*time.Second, w.allSynced)
	wantNotes(t, "conflict", same(nil, map[string][]string{
		"d3": {fmt.Sprintf(`9: %s>%s cause %d by "" generation 3`, number(third), number(other),
			wire.CauseConflict)},
	}), noted())
}

// Without a history nothing is noted.
func TestNoNotes(t *testing.T) {
	w := started(t, 2)
	w.seen = func(d *director, e Effect) {
		if n, ok := e.(Noted); ok {
			t.Errorf("%s notes %T", d.name, n.Note)
		}
	}
	w.directors[0].must(9)
	carriesOut(t, w.directors[0], Move{Hash: 9, Backend: testBackend(1)})
	carriesOut(t, w.directors[0], Forget{})
	w.directors[1].must(9)
	w.run(3 * time.Second)
}
