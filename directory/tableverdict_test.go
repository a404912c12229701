package directory

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"directormesh/ring"
)

// failing is a table of backends 192.0.2.1 and so on, with vhosts, of which some have failed, in
// this order.
func failing(t *testing.T, vhosts []int, failed ...int) *Table {
	t.Helper()
	var backends []ring.Backend
	for i, n := range vhosts {
		backends = append(backends, ring.Backend{Addr: numbered(i + 1), VHosts: n})
	}
	table := NewTable(mesh1, "d1", backends)
	for i, n := range failed {
		c, err := table.Judge(Stamp(100+i), "d1", numbered(n), true)
		apply(t, table, c, err)
	}
	return table
}

func numbered(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }

// outAndKept are the numbers of the failed backends that are out, and of those that are not.
func outAndKept(table *Table) (out, kept []int) {
	for _, b := range table.Backends() {
		switch n := int(b.Addr.As4()[3]); {
		case b.Out:
			out = append(out, n)
		case b.Failed:
			kept = append(kept, n)
		}
	}
	return out, kept
}

func TestGuard(t *testing.T) {
	hundred := func(n int) []int { return slices.Repeat([]int{100}, n) }
	for _, test := range []struct {
		name      string
		vhosts    []int
		failed    []int
		before    func(*Table) (Change, error)
		out, kept []int
	}{
		{"none", hundred(3), nil, nil, nil, nil},
		{"one of nine", hundred(9), []int{4}, nil, []int{4}, nil},
		{"three of nine", hundred(9), []int{4, 1, 7}, nil, []int{1, 4, 7}, nil},
		{"six of nine", hundred(9), []int{9, 8, 7, 3, 2, 1}, nil, []int{7, 8, 9}, []int{1, 2, 3}},
		{"three of eight", hundred(8), []int{5, 3, 1}, nil, []int{3, 5}, []int{1}},
		{"one of two", hundred(2), []int{2}, nil, []int{2}, nil},
		{"two of two", hundred(2), []int{2, 1}, nil, []int{2}, []int{1}},
		{"the only one", hundred(1), []int{1}, nil, nil, []int{1}},
		{"none is left", []int{100, 0}, []int{1}, nil, nil, []int{1}},
		{"the other is down", hundred(2), []int{1}, func(table *Table) (Change, error) {
			return table.SetDown(50, "d1", numbered(2), true)
		}, nil, []int{1}},
		{"the other is drained", hundred(2), []int{1}, func(table *Table) (Change, error) {
			return Change{Mesh: mesh1, Backends: []BackendRow{{
				Addr:  numbered(2),
				Drain: Register[Task]{Value: Task{On: true, Since: 50}, Stamp: 50, Origin: "d1"},
			}}}, nil
		}, nil, []int{1}},
		{"one that is down counts", hundred(6), []int{1, 2}, func(table *Table) (Change, error) {
			return table.SetDown(50, "d1", numbered(6), true)
		}, []int{1, 2}, nil},
		{"one without vhosts does not", []int{100, 100, 100, 100, 100, 0}, []int{1, 2}, nil,
			[]int{1}, []int{2}},
		{"down and failed", hundred(3), []int{3, 1, 2}, func(table *Table) (Change, error) {
			return table.SetDown(50, "d1", numbered(3), true)
		}, []int{1, 3}, []int{2}},
		{"failed without vhosts", []int{0, 100, 100}, []int{1, 2}, nil, []int{1, 2}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := failing(t, test.vhosts, test.failed...)
			if test.before != nil {
				c, err := test.before(table)
				apply(t, table, c, err)
			}
			out, kept := outAndKept(table)
			if !slices.Equal(out, test.out) || !slices.Equal(kept, test.kept) {
				t.Errorf("out %v and kept %v, want %v and %v", out, kept, test.out, test.kept)
			}
		})
	}
}

// Each tag has its own guard.
func TestGuardOfTags(t *testing.T) {
	table := NewTable(mesh1, "d1", []ring.Backend{
		{Addr: numbered(1), VHosts: 100, Tag: "a"}, {Addr: numbered(2), VHosts: 100, Tag: "a"},
		{Addr: numbered(3), VHosts: 100, Tag: "b"}, {Addr: numbered(4), VHosts: 100, Tag: "b"},
	})
	for i, n := range []int{1, 3} {
		c, err := table.Judge(Stamp(100+i), "d1", numbered(n), true)
		apply(t, table, c, err)
	}
	if out, kept := outAndKept(table); !slices.Equal(out, []int{1, 3}) || kept != nil {
		t.Errorf("out %v, kept %v", out, kept)
	}
}

// The guard depends on what the table holds, not on how it came to that; it never takes more out
// than it may, nor the last usable backend.
func TestGuardIsALaw(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(r, "backends")
		var changes []Change
		source := NewTable(mesh1, "d1", nil)
		for i := range n {
			vhosts := rapid.SampledFrom([]int{0, 1, 100}).Draw(r, "vhosts")
			tag := rapid.SampledFrom([]ring.Tag{"", "x"}).Draw(r, "tag")
			c, err := source.Add(Stamp(10+i), "d1", numbered(i+1), "", tag, &vhosts)
			if err != nil {
				r.Fatal(err)
			}
			source.Merge(c)
			changes = append(changes, c)
		}
		for i := range rapid.IntRange(0, 20).Draw(r, "writes") {
			backend := numbered(1 + rapid.IntRange(0, n-1).Draw(r, "backend"))
			stamp := Stamp(100 + rapid.IntRange(0, i).Draw(r, "stamp"))
			var c Change
			var err error
			if rapid.Bool().Draw(r, "command") {
				c, err = source.SetDown(stamp, "d2", backend, rapid.Bool().Draw(r, "down"))
			} else {
				c, err = source.Judge(stamp, "d1", backend, rapid.Bool().Draw(r, "failed"))
			}
			if err != nil {
				r.Fatal(err)
			}
			source.Merge(c)
			changes = append(changes, c)
		}
		other := NewTable(mesh1, "d2", nil)
		for _, c := range rapid.Permutation(changes).Draw(r, "order") {
			other.Merge(c)
		}
		if d := diff(source.Backends(), other.Backends()); d != "" {
			r.Fatalf("in another order (-here +there):\n%s", d)
		}
		for _, tag := range []ring.Tag{"", "x"} {
			weighted, out, usable, usableIfNoneOut := 0, 0, 0, 0
			for _, b := range source.Backends() {
				if b.Tag != tag {
					continue
				}
				if b.VHosts > 0 {
					weighted++
				}
				if b.Out && !b.Down && b.VHosts > 0 {
					out++
				}
				if b.Out {
					if !b.Failed {
						r.Errorf("%v is out and has not failed", b.Addr)
					}
				}
				if !b.Down && b.VHosts > 0 {
					usableIfNoneOut++
					if !b.Out {
						usable++
					}
				}
			}
			if out > max(1, weighted/3) || usable == 0 && usableIfNoneOut > 0 {
				r.Errorf("tag %q: %d of %d are out, %d are usable", tag, out, weighted, usable)
			}
		}
	})
}

// What a verdict says, and what commands make of it.
func TestVerdictWrites(t *testing.T) {
	table := failing(t, []int{100, 100})
	var stamp Stamp = 200
	judge := func(failed bool) func() (Change, error) {
		return func() (Change, error) { return table.Judge(stamp, "d1", b1, failed) }
	}
	for _, step := range []struct {
		name string
		do   func() (Change, error)
		want Verdict
	}{
		{"failed", judge(true), Verdict{Failed: true, Since: 200}},
		{"failed again", judge(true), Verdict{Failed: true, Since: 200}},
		{"down", func() (Change, error) { return table.SetDown(stamp, "d1", b1, true) },
			Verdict{Failed: true, Since: 200}},
		{"up", func() (Change, error) { return table.SetDown(stamp, "d1", b1, false) },
			Verdict{Since: 203, Cleared: true}},
		{"up again", func() (Change, error) { return table.SetDown(stamp, "d1", b1, false) },
			Verdict{Since: 203, Cleared: true}},
		{"good", judge(false), Verdict{Since: 203}},
		{"failed later", judge(true), Verdict{Failed: true, Since: 206, Flaps: 1}},
		{"good at last", judge(false), Verdict{Since: 207, Flaps: 1}},
		{"up although good", func() (Change, error) {
			return table.SetDown(stamp, "d1", b1, false)
		}, Verdict{Since: 207}},
	} {
		c, err := step.do()
		apply(t, table, c, err)
		if row, _ := table.Row(b1); row.Verdict.Value != step.want {
			t.Errorf("%s: %+v, want %+v", step.name, row.Verdict.Value, step.want)
		}
		stamp++
	}
	if _, err := table.Judge(stamp, "d1", b6, true); !errors.Is(err, ErrUnknownBackend) {
		t.Errorf("a backend that is not there: %v", err)
	}
	// Nobody ever judged the other one: its operators write as before.
	c, err := table.SetDown(stamp, "d1", b2, false)
	if apply(t, table, c, err); c.Backends[0].Verdict.set() {
		t.Error("up writes a verdict where there is none")
	}
}

func TestUnlimited(t *testing.T) {
	table := failing(t, []int{100, 100, 100}, 1, 2, 3)
	table.Unlimited()
	if out, _ := outAndKept(table); fmt.Sprint(out) != "[1 2 3]" {
		t.Errorf("out %v", out)
	}
}

// A backend that fails again soon after it was good is counted, whoever writes; what is long ago is
// not, nor what was before an operator said that it is up.
func TestFlaps(t *testing.T) {
	table := NewTable(mesh1, "d", configured())
	now := Time(10_000_000)
	for i, step := range []struct {
		after  time.Duration
		failed bool
		want   int
	}{
		{0, true, 0}, {time.Minute, false, 0}, {FlapWithin, true, 1}, {time.Hour, false, 1},
		{time.Minute, true, 2}, {time.Minute, true, 2}, {time.Minute, false, 2},
		{time.Minute, true, 3}, {time.Minute, false, 3}, {time.Minute, true, 4},
		{time.Minute, false, 4}, {time.Minute, true, 5}, {time.Minute, false, 5},
		{time.Minute, true, 5}, {time.Minute, false, 5},
		{FlapWithin + time.Second, true, 0}, {time.Minute, false, 0}, {time.Minute, true, 1},
	} {
		now = now.Add(step.after)
		table.do(table.Judge(StampAt(now), "d", b1, step.failed))
		row, _ := table.Row(b1)
		if v := row.Verdict.Value; v.Flaps != step.want || v.Failed != step.failed {
			t.Errorf("step %d: %+v, want %d flaps", i, v, step.want)
		}
	}
	table.do(table.SetDown(StampAt(now.Add(time.Second)), "d", b1, false))
	if row, _ := table.Row(b1); row.Verdict.Value.Flaps != 0 || !row.Verdict.Value.Cleared {
		t.Errorf("after up: %+v", row.Verdict)
	}
}
