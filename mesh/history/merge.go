package history

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

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

// Event is one change, by whomever it was seen. Exactly one of Admin, Table, User and Login is
// set.
type Event struct {
	At   directory.Time // mesh time; of several directors' the earliest
	Wall directory.Time // the wall clock of the director that saw it at At
	Seen []string       // by which directors, sorted

	Admin *wire.AdminNote // as it was noted, but for N, At and Wall, which are zero
	Table *TableEvent
	User  *wire.UserNote // likewise
	Login *LoginEvent
}

// TableEvent is one change of the table.
type TableEvent struct {
	Backend  netip.Addr     // not valid: of a director
	Director netip.AddrPort // not valid: of a backend
	What     TableChange
	Tag      ring.Tag  // TableAdded
	User     ring.User // TablePinned, TableUnpinned
	VHosts   int       // TableVHosts
	Percent  int       // TableFactor, TableStart: of the vhosts that are the weight
	Stamp    directory.Stamp
	Origin   string // the director that was asked; "" if that is not said
}

// TableChange is what was changed.
type TableChange string

// The changes, in the words of the commands.
const (
	TableAdded     TableChange = "add" // or added again
	TableRemoved   TableChange = "remove"
	TableVHosts    TableChange = "update"
	TableUp        TableChange = "up"
	TableDown      TableChange = "down"
	TableForgotten TableChange = "forget" // mappings made up to the stamp
	TableDrain     TableChange = "drain"
	TableUndrain   TableChange = "undrain"
	TableRebalance TableChange = "rebalance"
	TableSettled   TableChange = "rebalanced"
	TablePinned    TableChange = "pin" // of User, to Backend
	TableUnpinned  TableChange = "unpin"
)

// The changes that no command asks for: what most observers of a backend see, what evens out load,
// the steps of a slow start, of which a command may be the first, and what becomes of the address
// of a name.
const (
	TableFailed    TableChange = "failed"
	TableRecovered TableChange = "recovered"
	TableFactor    TableChange = "factor" // balancing; or "balance reset"
	TableStart     TableChange = "slow start"
	TableGone      TableChange = "gone from name"
	TableBack      TableChange = "back in name"
	TableRetained  TableChange = "kept in use" // though gone from its name, by undrain or add
)

// LoginEvent is a mapping that a director made for a login of a user without one.
type LoginEvent struct {
	Director   string
	Tag        ring.Tag
	Hash       ring.UserHash
	Backend    netip.Addr
	Generation uint16
	Stamp      directory.Tick
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

// TableEvents takes a change apart.
func TableEvents(c directory.Change) (all []TableEvent) {
	for _, b := range c.Backends {
		add := func(what TableChange, stamp directory.Stamp, origin string) *TableEvent {
			all = append(all, TableEvent{
				Backend: b.Addr, What: what, Stamp: stamp, Origin: origin,
			})
			return &all[len(all)-1]
		}
		// What has no stamp is of the configuration, or not there.
		if p := b.Presence; p.Stamp != 0 && p.Value.Present {
			add(TableAdded, p.Stamp, p.Origin).Tag = p.Value.Tag
		} else if p.Stamp != 0 {
			add(TableRemoved, p.Stamp, p.Origin)
		}
		if v := b.VHosts; v.Stamp != 0 {
			add(TableVHosts, v.Stamp, v.Origin).VHosts = v.Value
		}
		// Since is not set until something changes.
		if s := b.State; s.Value.Since != 0 {
			add(either(s.Value.Down, TableDown, TableUp), s.Stamp, s.Origin)
		}
		if d := b.Drain; d.Value.Since != 0 {
			add(either(d.Value.On, TableDrain, TableUndrain), d.Stamp, d.Origin)
		}
		if r := b.Rebalance; r.Value.Since != 0 {
			add(either(r.Value.On, TableRebalance, TableSettled), r.Stamp, r.Origin)
		}
		if v := b.Verdict; v.Stamp != 0 && v.Value.Since == v.Stamp {
			add(either(v.Value.Failed, TableFailed, TableRecovered), v.Stamp, v.Origin)
		}
		if f := b.Factor; f.Stamp != 0 && f.Stamp != b.Presence.Stamp {
			add(TableFactor, f.Stamp, f.Origin).Percent = f.Value.Percent()
		}
		if s := b.Start; s.Value.Since != 0 { // else it did not start slowly
			percent := cmp.Or(s.Value.Percent, ring.WholeStart)
			add(TableStart, s.Stamp, s.Origin).Percent = percent
		}
		if l := b.Listing; l.Stamp != 0 && l.Stamp != b.Presence.Stamp {
			switch {
			case !l.Value.Gone:
				add(TableBack, l.Stamp, l.Origin)
			case l.Value.Retained:
				add(TableRetained, l.Stamp, l.Origin)
			default:
				add(TableGone, l.Stamp, l.Origin)
			}
		}
		// add and remove forget too, which goes without saying.
		if b.Forgotten != 0 && b.Forgotten != b.Presence.Stamp {
			add(TableForgotten, b.Forgotten, "")
		}
	}
	for _, p := range c.Pins {
		all = append(all, TableEvent{
			Backend: p.Backend.Value, User: p.User,
			What:  either(p.Pinned(), TablePinned, TableUnpinned),
			Stamp: p.Backend.Stamp, Origin: p.Backend.Origin,
		})
	}
	for _, d := range c.Directors {
		what := TableAdded
		if d.Removed.Value {
			what = TableRemoved
		}
		all = append(all, TableEvent{
			Director: d.Addr, What: what, Stamp: d.Removed.Stamp, Origin: d.Removed.Origin,
		})
	}
	return all
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

// at notes that an event was seen at a moment.
func (e *Event) at(at, wall directory.Time) {
	if at < e.At || at == e.At && wall < e.Wall {
		e.At, e.Wall = at, wall
	}
}

// seenBy notes that a director has seen an event.
func (e *Event) seenBy(director string) {
	if i, seen := slices.BinarySearch(e.Seen, director); !seen {
		e.Seen = slices.Insert(e.Seen, i, director)
	}
}

func either(on bool, then, otherwise TableChange) TableChange {
	if on {
		return then
	}
	return otherwise
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

// nearby is by how much the time of an admin change and of what followed from it may differ:
// directors' mesh times differ, and ticks are cut.
const nearby = 2 * time.Second

// AskedFor returns the admin change that an event followed from; nil if that is not known. The
// events are in order.
func AskedFor(events []Event, e Event) *Event {
	for i := range slices.Backward(events) {
		a := &events[i]
		if a.Admin == nil || a.Admin.Error != "" || !a.before(e) {
			continue
		}
		if a.caused(e) {
			return a
		}
	}
	return nil
}

// before reports whether an admin change had been asked for when another event happened.
func (e *Event) before(other Event) bool { return e.At <= other.At.Add(nearby) }

// caused reports whether an event is what an admin change asked for.
func (e *Event) caused(other Event) bool {
	ended := e.At.Add(time.Duration(e.Admin.Took)*time.Millisecond + nearby)
	switch {
	case other.User != nil && other.User.Cause == wire.CauseMove:
		return e.Admin.Action == "move" && e.Admin.Director == other.User.By &&
			e.detail("user_hash") == hashText(other.User.Hash) && other.At <= ended
	case other.User != nil && other.User.Cause == wire.CausePin:
		return e.Admin.Action == "pin" && e.detail("user_hash") == hashText(other.User.Hash)
	case other.User != nil && other.User.Cause == wire.CauseFlush:
		flushed := "all"
		if other.User.Flushed.IsValid() {
			flushed = ring.AddrText(other.User.Flushed)
		}
		return e.Admin.Action == "flush" && e.Admin.Director == other.User.By &&
			e.detail("backend") == flushed
	case other.User != nil && other.User.Cause == wire.CauseForgotten:
		return e.Admin.Action == "forget" && e.ofBackend(other.User.From)
	case other.User != nil && other.User.Cause == wire.CauseRemoved:
		return e.Admin.Action == "remove" && e.ofBackend(other.User.From)
	case other.User != nil && other.User.Cause == wire.CauseImport:
		return e.Admin.Action == "import" && other.At <= ended
	case other.Table != nil:
		return e.wrote(*other.Table) && other.At <= ended
	}
	return false
}

// wrote reports whether an admin change is of the sort that changes the table like that.
func (e *Event) wrote(t TableEvent) bool {
	if t.Origin != "" && t.Origin != e.Admin.Director {
		return false
	}
	if t.Director.IsValid() {
		return strings.HasPrefix(e.Admin.Action, "ring ")
	}
	if t.What == TableFactor {
		return e.Admin.Action == "balance reset"
	}
	actions := map[TableChange][]string{
		TableAdded: {"add"}, TableRemoved: {"remove"}, TableVHosts: {"update", "add"},
		TableUp: {"up", "add"}, TableDown: {"down"}, TableForgotten: {"forget", "remove", "add"},
		TableDrain: {"drain"}, TableUndrain: {"undrain", "up"}, TableRebalance: {"rebalance"},
		TableRecovered: {"up"}, TableStart: {"add", "update", "up", "undrain"},
		TableRetained: {"undrain", "add"}, TablePinned: {"pin"}, TableUnpinned: {"unpin"},
	}
	if t.What == TablePinned || t.What == TableUnpinned {
		return slices.Contains(actions[t.What], e.Admin.Action) &&
			e.detail("user_hash") == hashText(t.User.Hash)
	}
	return slices.Contains(actions[t.What], e.Admin.Action) && e.ofBackend(t.Backend)
}

// ofBackend reports whether an admin change was about a backend, or about all.
func (e *Event) ofBackend(backend netip.Addr) bool {
	named := e.detail("backend")
	return named == "all" || backend.IsValid() && named == ring.AddrText(backend)
}

func (e *Event) detail(name string) string {
	for _, d := range e.Admin.Details {
		if d.Name == name {
			return d.Value
		}
	}
	return ""
}

// hashText is how an admin change names a user.
func hashText(h ring.UserHash) string { return strconv.FormatUint(uint64(h), 10) }
