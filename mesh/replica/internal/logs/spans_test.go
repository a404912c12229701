package logs

import (
	"testing"

	"pgregory.net/rapid"

	"directormesh/mesh/wire"
)

func drawSpans(t *rapid.T, what string) (s Spans, numbers map[uint64]bool) {
	numbers = make(map[uint64]bool)
	for range rapid.IntRange(0, 8).Draw(t, what) {
		from := rapid.Uint64Range(1, 40).Draw(t, "from")
		to := from + rapid.Uint64Range(0, 5).Draw(t, "more")
		s = s.Add(from, to)
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
		sum, less := a.With(b), a.Without(b)
		var last, count uint64
		for n := uint64(1); n < 50; n++ {
			got := [3]bool{a.Has(n), sum.Has(n), less.Has(n)}
			if got != [3]bool{inA[n], inA[n] || inB[n], inA[n] && !inB[n]} {
				t.Fatalf("%d of %v and %v: sum %v, without %v", n, a, b, sum, less)
			}
			if inA[n] {
				last, count = n, count+1
			}
		}
		whole := a.AllTo(last)
		if a.Last() != last || a.Count() != count || whole != (count == last) || a.AllTo(last+1) {
			t.Fatalf("%v: last %d, count %d, all to last %v", a, a.Last(), a.Count(), a.AllTo(last))
		}
		for i := 1; i < len(a); i++ {
			if a[i].From <= a[i-1].To+1 {
				t.Fatalf("%v: spans touch", a)
			}
		}
		var at Peer
		at.have = a
		if back := SpansOf(at.Position(0)); len(back.Without(a)) > 0 || len(a.Without(back)) > 0 {
			t.Fatalf("%v travels as %v", a, back)
		}
	})
}

// Whatever a peer says, it does not make us remember more than a few spans.
func TestSpansAreBounded(t *testing.T) {
	var s Spans
	for n := uint64(1); n < 10_000; n += 2 {
		s = s.Add(n, n)
	}
	if len(s) != maxSpans || s[0].From != 1 || s.Last() != 9_999 {
		t.Errorf("%d spans from %d to %d", len(s), s[0].From, s.Last())
	}
	top := ^uint64(0)
	said := SpansOf(wire.Position{
		Seq:     top,
		Islands: []wire.Span{{From: 0, To: 5}, {From: 9, To: 3}, {From: top, To: top}},
	})
	if len(said) != 1 || said.Last() != top || !said.Has(1) {
		t.Errorf("all numbers are %v", said)
	}
	if rest := said.Without(Spans{{From: 2, To: top - 1}}); rest.Count() != 2 {
		t.Errorf("two are %v", rest)
	}
}
