package replica

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/names"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// WatchedName is a name of backends, with the tag that its backends get.
type WatchedName = names.Key

// NameWatch is which names of backends a director watches. The zero value watches none.
type NameWatch struct {
	Names []WatchedName
	Every time.Duration // how often each is looked up
	// GoneAfter is for how long a name must resolve without an address; 0: ten minutes, as
	// everywhere but in tests.
	GoneAfter time.Duration
}

// goneAfter is for how long a name must resolve without an address.
func (w NameWatch) goneAfter() time.Duration {
	if w.GoneAfter > 0 {
		return w.GoneAfter
	}
	return names.GoneAfter
}

const (
	// namesEvery is how often a director looks what follows from what is seen of names.
	namesEvery = time.Second
	// answerWithin is for how long an answer is waited for, beside the rounds: lookups are bounded.
	answerWithin = 30 * time.Second
	// MaxWatchedNames bounds the names that a director watches.
	MaxWatchedNames = wire.MaxNames
	// listingPause is how long it stands at least that a backend is back, or is kept in use, by
	// whomever it was written, so that two directors do not write against each other. That one is
	// gone has an early stamp, and no pause follows it.
	listingPause = verdictPause
)

// naming keeps what directors see of the names of backends, and writes what follows: which
// addresses become backends, and which are drained.
type naming struct {
	*output
	namingPort

	admission *ownAdmission
	cfg       *Config
	clock     *meshtime.Clock
	counters  *Counters
	peers     *peers
	table     *directory.Table

	watched  *names.Watched
	mine     names.Sights // our own
	nextLook mono.Time
	verdict  names.Verdict   // of the last look
	said     map[string]bool // what was logged of the last one
}

// namingPort is what naming needs of the other parts of the core.
type namingPort interface {
	actsForAll() bool
	allKnow(register int) error
	apply(now mono.Time, change directory.Change, from *peer) *barrier.Change
	gossip(change directory.Change, blocks []wire.Block)
	nextStamp(now mono.Time, after directory.Time) (directory.Stamp, error)
	slowly(
		change directory.Change, stamp directory.Stamp, given *time.Duration,
	) (directory.Change, error)
}

// ObserveName takes the answer to a lookup of one of the names of NameWatch: all addresses that it
// found, and what went wrong, "" if nothing did. It is to be called for each name in every round.
func (c *Core) ObserveName(
	now mono.Time, name WatchedName, found []ring.Target, problem string,
) {
	defer c.enter(now)()
	if c.naming.watched.Take(now, c.clock.At(now), name, found, problem) {
		c.nameChanged(name)
	}
}

// nameChanged tells peers what is seen here of a name, and the log whether it resolves.
func (n *naming) nameChanged(name WatchedName) {
	before, sight := n.mine[name], n.watched.Sight(name)
	n.mine.Note(sight)
	n.sendAll(&wire.Names{Names: []wire.NameSight{*sight}})
	fields := []Field{{"name", name.Name}, {"tag", string(name.Tag)}}
	switch {
	case !sight.Resolves && (before == nil || before.Resolves):
		n.logf(LogWarn, "name of backends does not resolve, its backends stay as they are",
			append(fields, Field{"reason", sight.Reason})...)
	case sight.Resolves && before != nil && !before.Resolves:
		n.logf(LogInfo, "name of backends resolves again", fields...)
	}
}

// sendNames sends a peer, to which a stream has just been opened, all that is seen here.
func (n *naming) sendNames(p *peer) {
	if len(n.cfg.Names.Names) == 0 {
		return
	}
	for _, m := range n.mine.Messages() {
		n.send(p, m)
	}
}

// gotNames takes what a peer sees.
func (n *naming) gotNames(_ mono.Time, p *peer, m *wire.Names) {
	if m.Whole || p.names == nil {
		p.names = make(names.Sights)
	}
	for i := range m.Names {
		p.names.Note(&m.Names[i])
	}
}

// watchNames looks what follows from what is seen, and writes it if that is this director's to do.
func (n *naming) watchNames(now mono.Time) {
	if now < n.nextLook || !n.admission.bootstrapped {
		return
	}
	n.nextLook = now.Add(namesEvery)
	patience := 3*n.cfg.Names.Every + answerWithin
	for _, name := range n.watched.Overdue(now, n.clock.At(now), patience) {
		n.nameChanged(name)
	}
	view := n.nameView(now)
	if len(view.Sights) == 0 {
		n.verdict = names.Verdict{}
		return
	}
	n.verdict = names.Judge(view)
	if !n.actsForAll() {
		n.said = nil
		return
	}
	n.logNames()
	n.addNamed(now)
	n.writeListings(now)
}

// nameView is what all directors see, and what the table says.
func (n *naming) nameView(now mono.Time) names.View {
	v := names.View{
		Directors: 1, At: n.clock.At(now), GoneAfter: n.cfg.Names.goneAfter(),
	}
	if len(n.mine) > 0 {
		v.Sights = append(v.Sights, n.mine)
	}
	for _, p := range n.peers.all {
		if p.live && p.Counted {
			v.Directors++
			if len(p.names) > 0 {
				v.Sights = append(v.Sights, p.names)
			}
		}
	}
	if len(v.Sights) == 0 {
		return v
	}
	inUse := make(map[netip.Addr]bool)
	for _, b := range n.table.Backends() {
		inUse[b.Addr] = !b.Down && !b.Drained && b.VHosts > 0
	}
	for _, row := range n.table.Snapshot().Backends {
		p := row.Presence
		if p.Origin == "" || p.Stamp == 0 && !p.Value.Present {
			continue // nobody has said that it is there, or removed
		}
		v.Table = append(v.Table, names.Backend{
			Addr: row.Addr, Present: p.Value.Present, Listing: row.Listing.Value,
			Key: names.Key{Name: p.Value.Name, Tag: p.Value.Tag}, VHosts: row.VHosts.Value,
			InUse: inUse[row.Addr],
		})
	}
	return v
}

// addNamed adds the backends that most directors see, and those that have come under another name.
// What it says of a backend is not of now: an operator may have added it otherwise where we do not
// hear it yet, or removed it, and that holds.
func (n *naming) addNamed(now mono.Time) {
	if len(n.verdict.Add)+len(n.verdict.Adopt) == 0 {
		return
	}
	stamp, err := n.nextStamp(now, 0)
	if err != nil {
		return // the next look tries again
	}
	whole := directory.Change{Mesh: n.table.Mesh()}
	after := n.table.Clone()
	add := func(addr netip.Addr, change directory.Change, err error) {
		key := n.verdict.Keys[addr]
		if err != nil {
			if n.unsaid("add " + addr.String()) {
				n.logf(LogError, "backend cannot be added for its name",
					Field{"backend", ring.AddrText(addr)}, Field{"name", key.Name},
					Field{"error", err.Error()})
			}
			return
		}
		after.Merge(change)
		whole.Backends = append(whole.Backends, change.Backends...)
		n.logf(LogInfo, "backend added for its name", Field{"backend", ring.AddrText(addr)},
			Field{"name", key.Name}, Field{"tag", string(key.Tag)})
	}
	first := n.table.FirstStamp(stamp)
	for _, a := range n.verdict.Add {
		key, vhosts := n.verdict.Keys[a.Addr], a.VHosts
		change, err := after.Add(first, n.cfg.Name, a.Addr, key.Name, key.Tag, &vhosts)
		if a.Standby && n.allKnow(directory.StandbyRegister) == nil {
			change = change.SetStandby(first, n.cfg.Name, true)
		}
		add(a.Addr, change, err)
	}
	for _, addr := range n.verdict.Adopt {
		change, err := after.Adopt(n.cfg.Name, addr, n.verdict.Keys[addr].Name)
		add(addr, change, err)
	}
	n.writeNamed(now, whole, stamp)
}

// writeListings writes which backends are gone from their names, and which are back.
func (n *naming) writeListings(now mono.Time) {
	if len(n.verdict.Gone)+len(n.verdict.Back) == 0 {
		return
	}
	if err := n.allKnow(directory.ListingRegister); err != nil {
		if n.unsaid("older") {
			n.logf(LogError, "backends that are gone from their names are not drained",
				Field{"error", err.Error()})
		}
		return
	}
	stamp, err := n.nextStamp(now, 0)
	if err != nil {
		return
	}
	listings := make(map[netip.Addr]directory.Listing)
	note := func(addrs []netip.Addr, gone bool, text string) {
		for _, addr := range addrs {
			row, _ := n.table.Row(addr)
			written := row.Listing.Stamp
			if written != 0 && n.clock.At(now).Sub(written.Time()) < listingPause {
				continue
			}
			listings[addr] = directory.Listing{Gone: gone}
			n.logf(LogInfo, text, Field{"backend", ring.AddrText(addr)},
				Field{"name", row.Presence.Value.Name},
				Field{"tag", string(row.Presence.Value.Tag)})
		}
	}
	note(n.verdict.Gone, true, "backend is gone from its name, its users are moved")
	note(n.verdict.Back, false, "backend is back in its name")
	n.writeNamed(now, n.table.SetListings(stamp, n.cfg.Name, listings), stamp)
}

// writeNamed writes a change like a command's.
func (n *naming) writeNamed(now mono.Time, change directory.Change, stamp directory.Stamp) {
	change, err := n.slowly(change, stamp, nil)
	if err != nil || change.Empty() {
		return
	}
	n.counters.NameChanges += uint64(len(change.Backends))
	if n.apply(now, change, nil) != nil {
		n.gossip(change, nil)
	}
}

// logNames logs what keeps this director from following names, once each.
func (n *naming) logNames() {
	said := n.said
	n.said = make(map[string]bool)
	keep := func(key string) (known bool) { // what is so still
		known = said[key] || n.said[key]
		n.said[key] = true
		return known
	}
	for key := range said {
		if key == "older" || strings.HasPrefix(key, "add ") {
			keep(key) // these are said when they are tried
		}
	}
	for _, name := range n.verdict.Names {
		for _, a := range name.Addresses {
			if a.State == names.Conflict && !keep("conflict "+a.Addr.String()) {
				n.logf(LogError, "backend is under two names, and left alone",
					Field{"backend", ring.AddrText(a.Addr)}, Field{"name", name.Name})
			}
		}
	}
	for _, alarm := range n.verdict.Alarms {
		if !keep("alarm " + string(alarm.Tag)) {
			n.logf(LogError, "too many backends are gone from their names, so none is drained",
				Field{"tag", string(alarm.Tag)}, Field{"gone", alarm.Gone},
				Field{"most", alarm.Most})
		}
	}
}

// unsaid reports whether something was not logged yet, and takes it for logged.
func (n *naming) unsaid(key string) bool {
	said := n.said[key]
	n.said[key] = true
	return !said
}

// watchesNames reports whether a peer looks names of backends up, and what it sees counts.
func (p *peer) watchesNames() bool { return p.live && p.Counted && p.names != nil }

// namingDirectors are the directors that look names up, by name.
func (n *naming) namingDirectors() (list []string) {
	for _, p := range n.peers.all {
		if p.watchesNames() {
			list = append(list, p.name)
		}
	}
	if len(n.cfg.Names.Names) > 0 {
		list = append(list, n.cfg.Name)
	}
	slices.Sort(list)
	return list
}
