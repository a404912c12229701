package replica

import (
	"testing"

	"pgregory.net/rapid"

	"directormesh/mesh/wire"
)

func drawSpans(t *rapid.T, what string) (s spans, numbers map[uint64]bool) {
	numbers = make(map[uint64]bool)
	for range rapid.IntRange(0, 8).Draw(t, what) {
		from := rapid.Uint64Range(1, 40).Draw(t, "from")
		to := from + rapid.Uint64Range(0, 5).Draw(t, "more")
		s = s.add(from, to)
		for n := from; n <= to; n++ {
			numbers[n] = true
		}
	}
	return s, numbers
}

func TestSpansAreSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, inA := drawSpans(t, "a")
		b, inB := drawSpans(t, "b")
		sum, less := a.with(b), a.without(b)
		var last, count uint64
		for n := uint64(1); n < 50; n++ {
			got := [3]bool{a.has(n), sum.has(n), less.has(n)}
			if got != [3]bool{inA[n], inA[n] || inB[n], inA[n] && !inB[n]} {
				t.Fatalf("%d of %v and %v: sum %v, without %v", n, a, b, sum, less)
			}
			if inA[n] {
				last, count = n, count+1
			}
		}
		whole := a.allTo(last)
		if a.last() != last || a.count() != count || whole != (count == last) || a.allTo(last+1) {
			t.Fatalf("%v: last %d, count %d, all to last %v", a, a.last(), a.count(), a.allTo(last))
		}
		for i := 1; i < len(a); i++ {
			if a[i].From <= a[i-1].To+1 {
				t.Fatalf("%v: spans touch", a)
			}
		}
		var at peerLog
		at.have = a
		if back := spansOf(at.position(0)); len(back.without(a)) > 0 || len(a.without(back)) > 0 {
			t.Fatalf("%v travels as %v", a, back)
		}
	})
}

// Whatever a peer says, it does not make us remember more than a few spans.
func TestSpansAreBounded(t *testing.T) {
	var s spans
	for n := uint64(1); n < 10_000; n += 2 {
		s = s.add(n, n)
	}
	if len(s) != maxSpans || s[0].From != 1 || s.last() != 9_999 {
		t.Errorf("%d spans from %d to %d", len(s), s[0].From, s.last())
	}
	top := ^uint64(0)
	said := spansOf(wire.Position{
		Seq:     top,
		Islands: []wire.Span{{From: 0, To: 5}, {From: 9, To: 3}, {From: top, To: top}},
	})
	if len(said) != 1 || said.last() != top || !said.has(1) {
		t.Errorf("all numbers are %v", said)
	}
	if rest := said.without(spans{{From: 2, To: top - 1}}); rest.count() != 2 {
		t.Errorf("two are %v", rest)
	}
}
