package replica

import (
	"fmt"
	"slices"
	"strings"

	"directormesh/mesh/wire"
)

// spans is a set of numbers of log messages, counted from 1: in order, none touching the next.
// Nearly always it is one span that begins with 1.
type spans []wire.Span

// maxSpans bounds the spans of a set. Of more, the oldest hole counts as filled: what was in it
// is lost here.
const maxSpans = 64

// add returns the set with the numbers from and to and all between. It may change s.
func (s spans) add(from, to uint64) spans {
	if from == 0 || from > to {
		return s
	}
	if n := len(s); n > 0 && s[n-1].To == from-1 {
		s[n-1].To = to
		return s
	}
	i := 0
	for i < len(s) && s[i].To < from-1 {
		i++
	}
	j := i
	for j < len(s) && s[j].From-1 <= to {
		from, to = min(from, s[j].From), max(to, s[j].To)
		j++
	}
	s = slices.Replace(s, i, j, wire.Span{From: from, To: to})
	if len(s) > maxSpans {
		s[1].From = s[0].From
		s = s[1:]
	}
	return s
}

// with returns a set of its own of what is in either.
func (s spans) with(other spans) spans {
	union := slices.Clone(s)
	for _, o := range other {
		union = union.add(o.From, o.To)
	}
	return union
}

// without returns a set of its own of what is in s and not in other.
func (s spans) without(other spans) spans {
	var rest spans
	for _, span := range s {
		from := span.From
		for _, o := range other {
			if o.To < from || o.From > span.To {
				continue
			}
			if o.From > from {
				rest = append(rest, wire.Span{From: from, To: o.From - 1})
			}
			if o.To >= span.To {
				from = 0 // nothing is left
				break
			}
			from = o.To + 1
		}
		if from != 0 {
			rest = append(rest, wire.Span{From: from, To: span.To})
		}
	}
	return rest
}

func (s spans) has(n uint64) bool {
	for _, span := range s {
		if n <= span.To {
			return n >= span.From
		}
	}
	return false
}

// last is the highest number, 0 if there is none.
func (s spans) last() uint64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].To
}

// text is for logs: "1-4 12-15".
func (s spans) text() string {
	parts := make([]string, len(s))
	for i, span := range s {
		parts[i] = fmt.Sprintf("%d-%d", span.From, span.To)
	}
	return strings.Join(parts, " ")
}

// count is how many numbers there are.
func (s spans) count() uint64 {
	var n uint64
	for _, span := range s {
		n += span.To - span.From + 1
	}
	return n
}

// allTo reports whether the set is all numbers up to n.
func (s spans) allTo(n uint64) bool {
	return n == 0 && len(s) == 0 || len(s) == 1 && s[0] == wire.Span{From: 1, To: n}
}

// spansOf is what a peer says that it has.
func spansOf(p wire.Position) spans {
	var s spans
	if p.Seq > 0 {
		s = s.add(1, p.Seq)
	}
	for _, island := range p.Islands {
		s = s.add(island.From, island.To)
	}
	return s
}
