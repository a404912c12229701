package event

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"directormesh/directory"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// States are what a director says of itself and of what it sees, at one moment.
type States struct {
	Self     replica.SelfStatus
	Peers    []replica.PeerStatus
	Backends []replica.BackendStatus
	Health   replica.HealthStatus
	Flushes  []replica.FlushStatus
	Keys     []KeyState // the one that encrypts first; none: the mesh is not encrypted
	Rotation *RotationState
}

// KeyState is a key that this director knows of.
type KeyState struct{ ID string }

// RotationState is a rotation of keys under way.
type RotationState struct{ New, By string }

// Watcher compares the states of one round with those of the round before. The zero value has seen
// nothing: its first round says how this director is, and takes the rest as known.
type Watcher struct {
	begun   bool
	before  States
	drained map[netip.Addr]directory.Stamp // the drains that are known to be done
}

// Changed returns what differs from the round before, at a moment.
func (w *Watcher) Changed(s States, at, wall directory.Time) []Event {
	var c changes
	c.now = Event{At: at, Wall: wall}
	w.self(&c, s)
	if w.begun {
		w.peers(&c, s)
		w.health(&c, s)
		w.flushes(&c, s)
		w.keys(&c, s)
	}
	w.drains(&c, s)
	w.begun, w.before = true, s
	return c.events
}

// changes collects events of one moment.
type changes struct {
	now    Event
	events []Event
}

func (c *changes) add(fill func(e *Event)) {
	e := c.now
	fill(&e)
	c.events = append(c.events, e)
}

func (w *Watcher) self(c *changes, s States) {
	is := Self{Synced: s.Self.Synced, Alone: s.Self.Alone, Reason: s.Self.Reason}
	was := Self{w.before.Self.Synced, w.before.Self.Alone, w.before.Self.Reason}
	// Reasons have numbers that grow; only another state is an event.
	if !w.begun || is.Synced != was.Synced || is.Alone != was.Alone {
		c.add(func(e *Event) { e.Self = &is })
	}
}

// peerKey names a peer; one whose name is not known yet by its address.
func peerKey(p replica.PeerStatus) string { return cmp.Or(p.Name, p.Addr.String()) }

func (w *Watcher) peers(c *changes, s States) {
	before := make(map[string]replica.PeerStatus)
	for _, p := range w.before.Peers {
		before[peerKey(p)] = p
	}
	for _, p := range s.Peers {
		was := before[peerKey(p)]
		delete(before, peerKey(p))
		if p.Self {
			continue
		}
		add := func(what PeerChange) {
			c.add(func(e *Event) { e.Peer = &Peer{p.Name, p.Addr, what} })
		}
		reached, wasReached := reached(p), reached(was)
		switch {
		case p.Left && !was.Left:
			add(PeerLeft)
			continue
		case was.Boot != 0 && p.Boot != 0 && was.Boot != p.Boot:
			add(PeerRestarted)
			wasReached = false
		case !reached && wasReached:
			add(PeerUnreachable)
		}
		if reached && !wasReached {
			add(PeerReachable)
		}
		if synced, wasSynced := reached && p.State == replica.Synced,
			wasReached && was.State == replica.Synced; synced && !wasSynced {
			add(PeerSynced)
		} else if reached && wasSynced && !synced {
			add(PeerNotSynced)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if p := before[name]; p.Name != "" && !p.Self {
			c.add(func(e *Event) { e.Peer = &Peer{p.Name, p.Addr, PeerForgotten} })
		}
	}
}

// reached reports whether a peer is reachable as ring status shows it.
func reached(p replica.PeerStatus) bool { return p.Reachable && p.SilentSince.IsZero() }

func (w *Watcher) health(c *changes, s States) {
	before := make(map[netip.Addr]replica.BackendHealth)
	for _, b := range w.before.Health.Backends {
		before[b.Backend.Addr] = b
	}
	for _, b := range s.Health.Backends {
		was, known := before[b.Backend.Addr]
		if !known || was.Health() == b.Health() {
			continue
		}
		h := Health{
			Backend: b.Backend.Addr, Tag: b.Backend.Tag,
			Was: was.Health().String(), Is: b.Health().String(),
		}
		for _, o := range b.Observers {
			if h.Reason == "" {
				h.Reason = o.Reason
			}
		}
		c.add(func(e *Event) { e.Health = &h })
	}
	alarms := make(map[ring.Tag]replica.Alarm)
	for _, a := range w.before.Health.Alarms {
		alarms[a.Tag] = a
	}
	for _, a := range s.Health.Alarms {
		if _, known := alarms[a.Tag]; !known {
			c.add(func(e *Event) {
				e.Alarm = &Alarm{Tag: a.Tag, Failing: a.Failing, Most: a.Most}
			})
		}
		delete(alarms, a.Tag)
	}
	for _, tag := range slices.Sorted(maps.Keys(alarms)) {
		c.add(func(e *Event) { e.Alarm = &Alarm{Tag: tag, Over: true, Most: alarms[tag].Most} })
	}
}

func (w *Watcher) flushes(c *changes, s States) {
	before := make(map[replica.FlushID]replica.FlushStatus)
	for _, f := range w.before.Flushes {
		before[f.ID] = f
	}
	for _, f := range s.Flushes {
		was, known := before[f.ID]
		add := func(what FlushChange) {
			c.add(func(e *Event) {
				e.Flush = &Flush{
					Backend: f.Backend, Director: f.ID.Director, ID: f.ID.ID, What: what,
					Runner: f.Runner, Moved: f.Moved, Failed: f.Failed,
				}
			})
		}
		if !known {
			add(FlushBegun)
		}
		switch over := was.Lost || was.Ended != 0; {
		case f.Ended != 0 && !over && f.Canceled:
			add(FlushCancelled)
		case f.Ended != 0 && !over:
			add(FlushEnded)
		case f.Lost && !over:
			add(FlushLost)
		}
	}
}

// drains notes drained backends that have no user any more, not even one who is on the way, once
// for each time that they are drained.
func (w *Watcher) drains(c *changes, s States) {
	done := make(map[netip.Addr]directory.Stamp)
	for _, b := range s.Backends {
		addr := b.Backend.Addr
		if !b.Backend.Drained {
			continue
		}
		if known, ok := w.drained[addr]; ok && known == b.Drain.Since {
			done[addr] = known
		} else if b.Users+b.Leaving == 0 {
			done[addr] = b.Drain.Since
			if w.begun {
				c.add(func(e *Event) { e.Done = &Drained{addr, b.Backend.Tag} })
			}
		}
	}
	w.drained = done
}

func (w *Watcher) keys(c *changes, s States) {
	add := func(what KeyChange, id, by string) {
		c.add(func(e *Event) { e.Keys = &Keys{what, id, by} })
	}
	for _, k := range s.Keys {
		if !slices.Contains(w.before.Keys, k) {
			add(KeyAdded, k.ID, "")
		}
	}
	if len(s.Keys) > 0 && len(w.before.Keys) > 0 && s.Keys[0] != w.before.Keys[0] {
		add(KeyUsed, s.Keys[0].ID, "")
	}
	for _, k := range w.before.Keys {
		if !slices.Contains(s.Keys, k) {
			add(KeyRemoved, k.ID, "")
		}
	}
	is, was := s.Rotation, w.before.Rotation
	if was != nil && (is == nil || *is != *was) {
		add(RotationFinished, was.New, was.By)
	}
	if is != nil && (was == nil || *is != *was) {
		add(RotationBegun, is.New, is.By)
	}
}
