package logs

import (
	"fmt"
	"slices"
	"strings"

	"directormesh/mesh/wire"
)

// Spans is a set of numbers of log messages, counted from 1: in order, none touching the next.
// Nearly always it is one span that begins with 1.
type Spans []wire.Span

// maxSpans bounds the spans of a set. Of more, the oldest hole counts as filled: what was in it
// is lost here.
const maxSpans = 64

// Add returns the set with the numbers from and to and all between. It may change s.
func (s Spans) Add(from, to uint64) Spans {
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

// With returns a set of its own of what is in either.
func (s Spans) With(other Spans) Spans {
	union := slices.Clone(s)
	for _, o := range other {
		union = union.Add(o.From, o.To)
	}
	return union
}

// Without returns a set of its own of what is in s and not in other.
func (s Spans) Without(other Spans) Spans {
	var rest Spans
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

// Has reports whether a number is in the set.
func (s Spans) Has(n uint64) bool {
	for _, span := range s {
		if n <= span.To {
			return n >= span.From
		}
	}
	return false
}

// Last is the highest number, 0 without any.
func (s Spans) Last() uint64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].To
}

// String is for logs: "1-4 12-15".
func (s Spans) String() string {
	parts := make([]string, len(s))
	for i, span := range s {
		parts[i] = fmt.Sprintf("%d-%d", span.From, span.To)
	}
	return strings.Join(parts, " ")
}

// Count is how many numbers there are.
func (s Spans) Count() uint64 {
	var n uint64
	for _, span := range s {
		n += span.To - span.From + 1
	}
	return n
}

// AllTo reports whether the set is all numbers up to n.
func (s Spans) AllTo(n uint64) bool {
	return n == 0 && len(s) == 0 || len(s) == 1 && s[0] == wire.Span{From: 1, To: n}
}

// SpansOf is what a peer says that it has.
func SpansOf(p wire.Position) Spans {
	var s Spans
	if p.Seq > 0 {
		s = s.Add(1, p.Seq)
	}
	for _, island := range p.Islands {
		s = s.Add(island.From, island.To)
	}
	return s
}
