package history

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Answer is what one director answered.
type Answer struct {
	Director string
	Found    wire.HistoryFound
	Notes    []wire.Note
}

// Lapse is a time of which a director may not have noted everything.
type Lapse struct {
	Director    string
	Since, Till directory.Time // Since 0: from the beginning
	Lost        uint64         // notes; 0: not known
	Why         wire.Lapse
}

// Merged is what several directors together know.
type Merged struct {
	Events []Event // the oldest first
	Lapses []Lapse
}

// key is what the notes of one event have in common.
type key struct {
	kind     wire.Kind
	n        uint64 // AdminNote: the director and the number tell
	director string
	tag      ring.Tag
	hash     ring.UserHash
	from, to netip.Addr
	at       netip.AddrPort
	what     TableChange
	stamp    uint64
	detail   uint64
}

// Merge merges answers, in any order. What several directors saw is one event.
func Merge(answers []Answer) Merged {
	m := merger{events: make(map[key]*Event), lapses: make(map[Lapse]bool)}
	for _, a := range answers {
		for _, n := range a.Notes {
			m.take(a.Director, n)
		}
	}
	return m.merged()
}

type merger struct {
	events map[key]*Event
	lapses map[Lapse]bool
}

func (m *merger) take(director string, n wire.Note) {
	head := *n.Head()
	switch n := n.(type) {
	case *wire.LapseNote:
		m.lapses[Lapse{director, n.Since, head.At, n.Lost, n.Why}] = true
	case *wire.AdminNote:
		k := key{kind: n.Kind(), n: head.N, director: n.Director, stamp: uint64(head.At)}
		admin := *n
		admin.Noted = wire.Noted{}
		m.add(k, head, director, Event{Admin: &admin})
	case *wire.UserNote:
		k := key{
			kind: n.Kind(), tag: n.Tag, hash: n.Hash, from: n.From, to: n.To,
			stamp: uint64(n.Stamp), detail: uint64(n.Generation),
		}
		user := *n
		user.Noted = wire.Noted{}
		e := m.add(k, head, director, Event{User: &user})
		if better(&user, e.User) {
			e.User = &user
		}
	case *wire.LoginsNote:
		for row := range n.Block.All() {
			k := key{
				kind: n.Kind(), tag: n.Block.Tag, hash: row.Hash, to: row.Backend,
				stamp: uint64(row.Stamp), detail: uint64(row.Generation),
			}
			login := LoginEvent{n.Director, n.Block.Tag, row.Hash, row.Backend, row.Generation,
				row.Stamp}
			head.At, head.Wall = row.Stamp.Time(), head.Wall+row.Stamp.Time()-n.At
			e := m.add(k, head, director, Event{Login: &login})
			e.Login.Director = min(e.Login.Director, login.Director)
			head = n.Noted
		}
	case *wire.TableNote:
		for _, t := range TableEvents(n.Change) {
			k := key{
				kind: n.Kind(), director: t.Origin, to: t.Backend, at: t.Director, what: t.What,
				tag: t.User.Tag, hash: t.User.Hash,
				stamp: uint64(t.Stamp), detail: uint64(t.VHosts),
			}
			m.add(k, head, director, Event{Table: &t})
		}
	}
}

// better says which of two notes of one change says more about its cause.
func better(a, b *wire.UserNote) bool {
	if known := a.Cause != wire.CauseOther; known != (b.Cause != wire.CauseOther) {
		return known
	}
	return cmp.Or(cmp.Compare(a.Cause, b.Cause), -strings.Compare(a.By, b.By),
		a.Flushed.Compare(b.Flushed)) < 0
}

func (m *merger) add(k key, head wire.Noted, director string, e Event) *Event {
	known := m.events[k]
	if known == nil {
		known = &e
		known.At, known.Wall = head.At, head.Wall
		m.events[k] = known
	}
	known.at(head.At, head.Wall)
	known.seenBy(director)
	return known
}

// dropToldTwice drops what another event of the same mapping says and says more of: a login that
// is the change of a backend too, and a change of which a director did not know from where.
func (m *merger) dropToldTwice() {
	told := func(k key) key {
		return key{tag: k.tag, hash: k.hash, to: k.to, stamp: k.stamp, detail: k.detail}
	}
	best := make(map[key]*Event) // the change from a known backend of which most is known
	for k, e := range m.events {
		if e.User == nil || !e.User.From.IsValid() {
			continue
		}
		known := best[told(k)]
		if known == nil || better(e.User, known.User) ||
			!better(known.User, e.User) && e.User.From.Less(known.User.From) {
			best[told(k)] = e
		}
	}
	for k, e := range m.events {
		if e.User != nil && !e.User.From.IsValid() && best[told(k)] == nil {
			best[told(k)] = e
		}
	}
	for k, e := range m.events {
		change := best[told(k)]
		if e.User == nil && e.Login == nil || change == nil || change == e ||
			e.User != nil && e.User.From.IsValid() {
			continue
		}
		change.at(e.At, e.Wall)
		if e.User != nil {
			for _, director := range e.Seen {
				change.seenBy(director)
			}
			if better(e.User, change.User) {
				change.User.Cause, change.User.By, change.User.Flushed =
					e.User.Cause, e.User.By, e.User.Flushed
			}
		}
		delete(m.events, k)
	}
}

func (m *merger) merged() Merged {
	type keyed struct {
		key
		*Event
	}
	var events []keyed
	m.dropToldTwice()
	for k, e := range m.events {
		events = append(events, keyed{k, e})
	}
	slices.SortFunc(events, func(a, b keyed) int {
		return cmp.Or(cmp.Compare(a.At, b.At), compareKeys(a.key, b.key))
	})
	var out Merged
	for _, e := range events {
		out.Events = append(out.Events, *e.Event)
	}
	for l := range m.lapses {
		out.Lapses = append(out.Lapses, l)
	}
	slices.SortFunc(out.Lapses, func(a, b Lapse) int {
		return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.Till, b.Till),
			strings.Compare(a.Director, b.Director), cmp.Compare(a.Lost, b.Lost),
			cmp.Compare(a.Why, b.Why))
	})
	return out
}

// compareKeys orders what happened at one moment: by the order of mappings, for the rest somehow.
func compareKeys(a, b key) int {
	return cmp.Or(
		cmp.Compare(a.kind, b.kind), strings.Compare(a.director, b.director), cmp.Compare(a.n, b.n),
		strings.Compare(string(a.tag), string(b.tag)), cmp.Compare(a.hash, b.hash),
		cmp.Compare(a.detail, b.detail), cmp.Compare(a.stamp, b.stamp), a.to.Compare(b.to),
		a.from.Compare(b.from), a.at.Addr().Compare(b.at.Addr()),
		cmp.Compare(a.at.Port(), b.at.Port()), strings.Compare(string(a.what), string(b.what)),
	)
}
