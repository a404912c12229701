package replica

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/flushes"
	"directormesh/ring"
)

// MeshTime is safe for concurrent use.
func (c *Core) MeshTime(now mono.Time) directory.Time { return c.clock.At(now) }

// Table returns the whole table, with tombstones.
func (c *Core) Table() directory.Change { return c.table.Snapshot() }

// Configured returns the backends of the configuration.
func (c *Core) Configured() []ring.Backend { return slices.Clone(c.cfg.Backends) }

// ActsForAll reports whether this director is to do what one does for all.
func (c *Core) ActsForAll() bool { return c.actsForAll() }

// OutOfContact reports whether this director is synced, and in contact with fewer than half of the
// directors that it knows: it serves logins and takes commands, and changes nothing by itself.
func (c *Core) OutOfContact() bool { return c.synced() && !c.inContact() }

// Backends returns the backends of the table, sorted by address.
func (c *Core) Backends() []BackendStatus {
	var all []BackendStatus
	leaving := c.moves.Held.Leaving()
	for _, b := range c.table.Backends() {
		row, _ := c.table.Row(b.Addr)
		status := BackendStatus{
			Backend: b, Users: c.dir.Users(b.Addr), Leaving: leaving[b.Addr],
			Drain: row.Drain.Value, Rebalance: row.Rebalance.Value,
		}
		status.Load, status.LoadKnown = c.loadOf(b)
		if s := row.Start.Value; s.Percent != 0 {
			status.StartedAt, status.StartEnds = s.Since.Time(), s.Ends()
		}
		if v := row.Verdict; v.Value.Failed {
			status.FailedAt, status.FailedBy = v.Value.Since.Time(), v.Origin
		}
		if since := row.State.Value.Since; since != 0 {
			status.ChangedAt = since.Time()
		}
		all = append(all, status)
	}
	return all
}

// User returns where one user is and would be. It changes nothing.
func (c *Core) User(now mono.Time, tag ring.Tag, h ring.UserHash) UserStatus {
	var s UserStatus
	s.Hashed = c.target(ring.User{Tag: tag, Hash: h})
	s.Initial, _ = c.initial.Lookup(tag, h)
	s.Current = s.Hashed
	if row, ok := c.table.Pin(ring.User{Tag: tag, Hash: h}); ok {
		s.Pinned = row.Backend.Value
	}
	m, status := c.dir.Find(tag, h, c.clock.At(now))
	if status == directory.Live && m.Backend.IsValid() {
		s.Mapped, s.Current, s.Moving = true, m.Backend, m.Moving
		s.Expires = c.dir.Ends(m).Add(-c.dir.Share())
	}
	return s
}

// Self returns the state of this director.
func (c *Core) Self(now mono.Time) SelfStatus {
	a := &c.admission
	s := SelfStatus{
		Synced:  a.synced,
		Alone:   a.alone && c.peers.all.live() == 0,
		Reason:  a.reason,
		Mesh:    c.meshRank(now),
		Users:   c.dir.Len(),
		Waiting: c.waiters.Len(),
		Rings:   len(c.barrier.Rings()),
		Missing: c.missing(now),
	}
	switch {
	case a.removed:
	case a.refused != "" && !a.synced, a.refused != "" && s.Alone:
		s.Reason = "refused by a peer: " + a.refused
	case s.Alone:
		s.Reason = "no peer answers, serving alone"
	}
	return s
}

// Peers returns the directors of the mesh as seen here, this one among them, sorted by address and
// name.
func (c *Core) Peers(now mono.Time) []PeerStatus {
	all := append(make([]PeerStatus, 0, 1+len(c.peers.all)), c.selfStatus(now))
	known := make(map[netip.AddrPort]bool, 1+len(c.peers.all))
	known[c.cfg.Addr] = true
	for _, p := range c.peers.all {
		known[p.addr] = true
		if !p.left || c.table.Removed(p.addr) {
			all = append(all, c.peerStatus(now, p))
		}
	}
	for _, h := range c.hints.Sorted() {
		if known[h.Addr] || c.peers.get(h.Name) != nil {
			continue
		}
		known[h.Addr] = true
		s := PeerStatus{Name: h.Name, Addr: h.Addr, State: Handshaking}
		if h.LastFailed != 0 {
			s.LastFailed = time.UnixMilli(int64(h.LastFailed))
		}
		all = append(all, s)
	}
	for _, r := range c.table.Snapshot().Directors {
		if !known[r.Addr] {
			all = append(all, PeerStatus{Addr: r.Addr, Removed: r.Removed.Value})
		}
	}
	slices.SortFunc(all, func(a, b PeerStatus) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Name, b.Name))
	})
	return all
}

func (c *Core) selfStatus(now mono.Time) PeerStatus {
	s := PeerStatus{
		Name: c.cfg.Name, Boot: c.boot, Addr: c.cfg.Addr, Self: true,
		Removed: c.admission.removed, Reachable: true,
		State:  Handshaking,
		Users:  uint64(c.dir.Len()),
		Offset: c.clock.Micros(now).Sub(c.clock.Wall(now)),
		Reason: c.Self(now).Reason,
	}
	if names := c.aliases.Shown(now); s.Reason == "" && len(names) > 0 {
		s.Reason = "its address is known under another name too: " + strings.Join(names, ", ") +
			"; was it renamed, or does another director --advertise it?"
	}
	switch {
	case c.admission.synced:
		s.State = Synced
	case c.admission.bootstrapped:
		s.State = Syncing
	case c.receiver.Current() != nil:
		s.Received = c.receiver.Current().Rows
	}
	return s
}

func (c *Core) peerStatus(now mono.Time, p *peer) PeerStatus {
	s := PeerStatus{
		Name: p.name, Boot: p.boot, Addr: p.addr, Removed: c.table.Removed(p.addr),
		Left: p.left, Reachable: p.live,
		State: c.peerState(p), Users: p.users, RoundTrip: p.roundTrip, Skew: p.clock.Skew(),
	}
	if p.beatAt != 0 && (p.in == 0 || now.Sub(p.beatAt) > c.pace().lateBeat()) {
		s.SilentSince = time.UnixMilli(int64(c.clock.At(p.beatAt)))
	}
	if p.lastFailed != 0 {
		s.LastFailed = time.UnixMilli(int64(p.lastFailed))
	}
	if s.State == Handshaking && c.receiver.From(p.name) {
		s.Received = c.receiver.Current().Rows
	}
	if d := c.donations.Get(p.name); s.State == Handshaking && d != nil {
		s.Sent = d.Sent()
	}
	return s
}

// peerState is how we see a peer: handshaking until frames flow both ways and its (or our) first
// snapshot is through; synced once the peer and we are, streams stand both ways, and it has
// confirmed the table.
func (c *Core) peerState(p *peer) PeerState {
	giving, receiving := c.donations.Get(p.name) != nil, c.receiver.From(p.name)
	switch {
	case !p.live,
		!c.admission.bootstrapped,
		!p.synced && (giving || p.mesh.ID == 0):
		return Handshaking
	case !c.synced(), !p.synced, !p.Counted, p.Barred(), p.behind(), p.differs, receiving, giving,
		!p.out, p.in == 0, p.beatAt < c.admission.syncedAt:
		return Syncing
	}
	if !c.barrier.Confirmed(p.barrierPeer()) {
		return Syncing
	}
	return Synced
}

// Flushes returns the flushes that run anywhere in the mesh or ended lately, the oldest first.
func (c *Core) Flushes() []FlushStatus {
	var all []FlushStatus
	t := c.clock.At(c.lookups.LastInput())
	for id, k := range c.flushes.All() {
		if k.Progress.Ended != 0 && t.Sub(k.Progress.Ended) > flushes.KeptFor {
			continue
		}
		all = append(all, FlushStatus{
			ID:       id,
			Backend:  k.Progress.Backend,
			Total:    k.Progress.Total,
			Scanning: k.Progress.Scanning,
			Moved:    k.Progress.Moved,
			Moving:   k.Progress.Moving,
			Failed:   k.Progress.Failed,
			Started:  k.Progress.Started,
			Ended:    k.Progress.Ended,
			Canceled: k.Progress.Canceled,
			Runner:   k.Runner,
			Lost:     k.Lost,
			Left:     k.Progress.Left,
			Blind:    k.Progress.Blind,
		})
	}
	slices.SortFunc(all, func(a, b FlushStatus) int {
		return cmp.Or(cmp.Compare(a.Started, b.Started), cmp.Compare(a.ID.Director, b.ID.Director),
			cmp.Compare(a.ID.ID, b.ID.ID))
	})
	return all
}
