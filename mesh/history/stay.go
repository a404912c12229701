package history

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Certainty says how sure it is where a user was.
type Certainty string

// How sure it is.
const (
	// There: logins of the user went to the backend.
	There Certainty = "there"
	// ThereIfActive: they did if the user was active within the expire time before that, and the
	// time of the last activity is not noted. Else the user had no mapping.
	ThereIfActive Certainty = "there_if_active"
	// Nowhere: the user had no mapping: it had been forgotten, and no login followed.
	Nowhere Certainty = "nowhere"
	// Unknown: nothing that is noted tells.
	Unknown Certainty = "unknown"
)

// Stay is where a user of a tag was at a moment.
type Stay struct {
	Tag       ring.Tag
	Certainty Certainty
	Backend   netip.Addr     // of There and ThereIfActive
	Since     directory.Time // 0: not known
	Until     directory.Time // the next change; 0: none is known
	Cause     *Event         // why, nil if that is not known
}

// span is a mapping, as far as notes tell.
type span struct {
	backend netip.Addr // not valid: none, the user was forgotten
	since   directory.Time
	cause   *Event
	// from is where the user was before, if that mapping is known to have lasted until then.
	from netip.Addr
}

// Stays returns where a user was at a moment, for each tag in which something is known of the
// user. Rows are the user's present mappings, as directors gave them. Life is for how long a
// mapping outlives the user's last activity.
func (m Merged) Stays(
	hash ring.UserHash, rows []wire.Block, at directory.Time, life time.Duration,
) []Stay {
	spans := m.spans(hash)
	now := presentRows(hash, rows)
	var tags []ring.Tag
	for tag := range spans {
		tags = append(tags, tag)
	}
	for tag := range now {
		if _, noted := spans[tag]; !noted {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	var stays []Stay
	for _, tag := range tags {
		stays = append(stays, m.stayAt(tag, spans[tag], now[tag], at, life))
	}
	return stays
}

// spans returns the mappings of a user by tag, oldest first.
func (m Merged) spans(hash ring.UserHash) map[ring.Tag][]span {
	all := make(map[ring.Tag][]span)
	for i := range m.Events {
		e := &m.Events[i]
		switch {
		case e.User != nil && e.User.Hash == hash:
			s := span{backend: e.User.To, since: e.At, cause: e}
			switch e.User.Cause {
			case wire.CauseExpired, wire.CauseForgotten, wire.CauseRemoved:
			default:
				s.from = e.User.From
			}
			all[e.User.Tag] = append(all[e.User.Tag], s)
		case e.Login != nil && e.Login.Hash == hash:
			s := span{backend: e.Login.Backend, since: e.At, cause: e}
			all[e.Login.Tag] = append(all[e.Login.Tag], s)
		}
	}
	return all
}

// presentRows returns by tag the mapping that the directors agree on, or will.
func presentRows(hash ring.UserHash, blocks []wire.Block) map[ring.Tag]directory.Mapping {
	rows := make(map[ring.Tag]directory.Mapping)
	for _, b := range blocks {
		for row := range b.All() {
			known, ok := rows[b.Tag]
			if row.Hash == hash && (!ok || row.Generation > known.Generation ||
				row.Generation == known.Generation && row.Stamp < known.Stamp) {
				rows[b.Tag] = row
			}
		}
	}
	return rows
}

func (m Merged) stayAt(
	tag ring.Tag, spans []span, now directory.Mapping, at directory.Time, life time.Duration,
) Stay {
	p := Stay{Tag: tag, Certainty: Unknown}
	next, _ := slices.BinarySearchFunc(spans, at, func(s span, t directory.Time) int {
		return cmp.Or(cmp.Compare(s.since, t), -1) // behind what happened at that moment
	})
	if next < len(spans) {
		p.Until = spans[next].since
	}
	if next > 0 {
		s := spans[next-1]
		p.Backend, p.Since, p.Cause = s.backend, s.since, s.cause
	}
	present := now.Generation != 0 && now.Stamp.Time() <= at
	switch {
	case present && now.Backend.IsValid():
		// The mapping of today is that of then.
		if p.Backend != now.Backend {
			p.Cause = nil
		}
		p.Certainty, p.Backend, p.Until = There, now.Backend, 0
		if p.Cause == nil {
			p.Since = now.Stamp.Time()
		}
	case next > 0 && !p.Backend.IsValid():
		p.Certainty = Nowhere
	case next > 0:
		if gone := m.forgotten(p.Backend, p.Since, at); gone != nil {
			return Stay{
				Tag: tag, Certainty: Nowhere, Since: gone.At, Until: p.Until, Cause: gone,
			}
		}
		p.Certainty = ThereIfActive
		lasted := next < len(spans) && spans[next].from == p.Backend
		if at.Sub(p.Since) < life || lasted {
			p.Certainty = There
		}
	case next < len(spans) && spans[next].from.IsValid():
		p.Certainty, p.Backend = ThereIfActive, spans[next].from
	}
	return p
}

// forgotten returns what ended all mappings to a backend that had been made by a moment, at or
// before another one; nil if nothing did.
func (m Merged) forgotten(backend netip.Addr, since, at directory.Time) *Event {
	for i := range m.Events {
		e := &m.Events[i]
		if t := e.Table; t != nil && t.Backend == backend && e.At <= at &&
			t.Stamp.Tick() >= since.Tick() &&
			(t.What == TableForgotten || t.What == TableRemoved || t.What == TableAdded) {
			return e
		}
	}
	return nil
}
