package replica

import (
	"maps"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// A director that joins on one side of a split has never met those of the other side. What it takes
// from its peers both sides have in common up to when the split began, and their mesh time too. So
// those that let it in say whom they are apart from, and since when. The joiner needs that if they
// are gone when the split heals: as it steps to the time of the others it moves what they would
// have moved (step.go). It also lacks of the others what they lacked (keep.go). And it names to its
// operators whom they name. In a split of days a director keeps so itself what it knew of those
// that it forgets.

// wasWith reports whether we have been together with a peer that may go on where we do not hear it.
func (c *Core) wasWith(p *peer) bool {
	return p.togetherAt != 0 && !p.left && !p.stranger && !c.table.Removed(p.addr)
}

// apart is who the peer is, and up to when we were together with it. Of one that stepped away from
// our time no moment is in common with what it has now.
func (p *peer) apart() wire.Apart {
	return wire.Apart{Director: p.self(), Together: min(p.togetherAt, p.clock.With().Time())}
}

// apartFrom are the directors that may go on where we do not hear them. After a start these are,
// too, those that the disk speaks of and that have not been met again.
func (c *Core) apartFrom(now mono.Time) (apart []wire.Apart) {
	for _, p := range c.peers.all {
		if c.wasWith(p) && (!p.live || !p.Counted) {
			apart = append(apart, p.apart())
		}
	}
	unmet := func(was wire.Apart) {
		who := was.Director
		p := c.peers.get(who.Name)
		if (p == nil || p.togetherAt == 0 && !p.left) && !c.table.Removed(who.Addr) &&
			c.clock.At(now).Sub(was.Together) <= forgetDead {
			apart = append(apart, was)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.apart)) {
		unmet(c.apart[name])
	}
	if d := c.disk; d != nil && d.whole != 0 {
		for _, who := range slices.Concat(d.live, d.apart) {
			if _, told := c.apart[who.Name]; !told && !slices.Contains(d.parted, who.Name) {
				unmet(wire.Apart{Director: who, Together: d.whole})
			}
		}
	}
	return apart[:min(len(apart), MaxDirectors)]
}

// noteApart takes in whom a member is apart from that lets us join. Of two members the one counts
// that was together with a director for longer. A moment that lies ahead would be kept, and told
// on, for ever. The member is not excluded for it: a wrong clock may have put it on its disk.
func (c *Core) noteApart(now mono.Time, apart []wire.Apart) {
	for _, a := range apart {
		name := a.Director.Name
		p := c.peers.get(name)
		if name == c.cfg.Name || p != nil && p.togetherAt != 0 || a.Together > c.latest(now) {
			continue
		}
		told, known := c.apart[name]
		if a.Together > told.Together && (known || len(c.apart) < MaxDirectors) {
			c.apart[name] = a
		}
	}
	c.countApart(now)
}

// countApart has those known that count as failed although no peer counts them: a director that
// begins anew on the smaller side of a split must not take that for the mesh, and act for all.
func (c *Core) countApart(now mono.Time) {
	unmet := c.peers.unmet
	c.peers.apart = c.failedUnmet(now, slices.Clip(unmet))[len(unmet):]
}

// noteParted notes which of those that were live when the disk was last synced have left since, or
// were removed: the director that lets us join was there too, and neither counts them nor is apart
// from them.
func (c *Core) noteParted(p *peer, m *wire.Admitted) {
	d := c.disk
	if d == nil || c.admission.bootstrapped || !slices.Contains(d.live, p.self()) {
		return
	}
	for _, was := range d.live {
		named := func(who wire.Peer) bool { return who.Name == was.Name }
		if was.Name != p.name && !slices.ContainsFunc(m.Live, named) &&
			!slices.ContainsFunc(m.Apart, func(a wire.Apart) bool { return named(a.Director) }) &&
			!slices.Contains(d.parted, was.Name) {
			d.parted = append(d.parted, was.Name)
		}
	}
}

// failedUnmet adds to names the directors that count as failed although we have not met them since
// we started: those from which we were told that the mesh is apart, for as long as the others name
// them too; and those that our data directory speaks of, if a peer counts them. Without that they
// may have left while we were away. Whoever joins is neither: it answers nothing before it meets
// us.
func (c *Core) failedUnmet(now mono.Time, names []string) []string {
	unmet := func(who wire.Peer) {
		// a director that goes by another name now is not missed by its former one
		if c.peers.get(who.Name) == nil && !c.table.Removed(who.Addr) && !c.taken(who.Addr) &&
			!slices.Contains(names, who.Name) {
			names = append(names, who.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.apart)) {
		if told := c.apart[name]; c.clock.At(now).Sub(told.Together) <= forgetDead {
			unmet(told.Director)
		}
	}
	onDisk := make(map[string]wire.Peer)
	if d := c.disk; d != nil {
		for _, who := range slices.Concat(d.live, d.apart) {
			if c.peers.get(who.Name) == nil {
				onDisk[who.Name] = who
			}
		}
	}
	for _, p := range c.peers.all {
		if len(onDisk) == 0 || !c.vouches(p) {
			continue // each may count hundreds
		}
		for l := range p.counts {
			if who, was := onDisk[l.Name]; was {
				unmet(who)
			}
		}
	}
	return names
}

// togetherBefore is up to when we had one mesh time with a peer that we have not met ourselves, or
// not since our start, and whether the peer is still in the life that it had then: as those said
// that let us in, or else as the data directory says; 0 if none does. This counts only if mesh time
// has not changed by more since then than it may have drifted. One that was with us then and has
// stepped since has the time of those that were apart.
func (c *Core) togetherBefore(p *peer, drifted bool) (until directory.Micros, goesOn bool) {
	if told, ok := c.apart[p.name]; ok {
		return told.Together.Micros(), told.Director.Boot == p.boot
	}
	if drifted {
		if was := c.disk.hadApart(p); was.Name != "" {
			return c.disk.whole.Micros(), was.Boot == p.boot
		}
		if c.hasStepped(p) {
			return c.disk.whole.Micros(), false
		}
	}
	return 0, false
}

// outOfTouch is a director in this life that we do not hear; nil if we do, or know it in another.
func (c *Core) outOfTouch(l wire.Life) *peer {
	switch p := c.peers.get(l.Name); {
	case p == nil && l.Name != c.cfg.Name: // others may have told us of it
		return &peer{name: l.Name, boot: l.Boot}
	case p != nil && p.boot == l.Boot && !p.live:
		return p
	}
	return nil
}

// hasStepped reports whether a director that was with us when the disk was last synced has stepped
// since: its process is the one of then, its life is another.
func (c *Core) hasStepped(p *peer) bool {
	return c.clock.At(p.began) < c.disk.until &&
		slices.ContainsFunc(c.disk.live, func(was wire.Peer) bool {
			return was.Name == p.name && was.Boot != p.boot
		})
}

// stepApart follows a step of our mesh time, as meshtime.Peer.Stepped does.
func (c *Core) stepApart(after directory.Micros, offset time.Duration) {
	for name, a := range c.apart {
		if a.Together > after.Time() {
			a.Together = a.Together.Add(offset)
			c.apart[name] = a
		}
	}
}
