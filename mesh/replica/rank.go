package replica

import (
	"cmp"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// Where two meshes meet, all directors of the one that ranks lower join the other. A mesh that has
// ever had two directors ranks above one that has not; then counts the age in whole minutes, then
// the lower id. Each of these only grows or stays, so that two meshes never both give way, nor both
// stay, for ever. No wall clock takes part: age is time that the mesh's directors ran.

const (
	agePerRank = time.Minute / time.Millisecond // ages are compared in whole minutes
	// verdictsToJoin is how many beats in a row must show that a peer's mesh ranks above ours.
	verdictsToJoin = 2
	maxAge         = 100 * 365 * 24 * time.Hour // bounds what a peer says
)

// meshAge is what our mesh ranks by, beside its id, which is the table's.
type meshAge struct {
	grown bool
	age   time.Duration // at the moment since
	since time.Duration
}

// meshRank is that of our mesh now; zero while we belong to none.
func (c *Core) meshRank(now time.Duration) wire.MeshRank {
	id := c.table.Mesh()
	if id == 0 {
		return wire.MeshRank{}
	}
	a := &c.age
	return wire.MeshRank{ID: id, Grown: a.grown, Age: (a.age + now - a.since).Milliseconds()}
}

// takeRank learns from a peer of our mesh how old that is, and that it has two directors.
func (c *Core) takeRank(now time.Duration, p *peer) {
	if p.mesh.ID == 0 || p.mesh.ID != c.table.Mesh() || !c.admission.bootstrapped {
		return
	}
	a := &c.age
	a.grown = a.grown || p.mesh.Grown || p.live && p.counted
	ours := a.age + now - a.since
	if theirs := toldAge(p.mesh); theirs > ours {
		a.age, a.since = theirs, now
	}
}

// joinMesh makes our table part of the mesh of a peer.
func (c *Core) joinMesh(now time.Duration, p *peer) {
	for _, t := range c.transitions {
		t.leaveMesh()
	}
	c.table.Join(p.mesh.ID)
	c.age = meshAge{grown: p.mesh.Grown, age: toldAge(p.mesh), since: now}
}

// toldAge is the age that a peer tells of its mesh.
func toldAge(m wire.MeshRank) time.Duration {
	return time.Duration(min(max(m.Age, 0), maxAge.Milliseconds())) * time.Millisecond
}

// foundMesh gives the table the id of a new mesh, unless it belongs to one.
func (c *Core) foundMesh(now time.Duration) {
	if c.table.Mesh() != 0 {
		return
	}
	c.table.Found(directory.MeshID(max(c.rand.Uint64(), 1)))
	c.age = meshAge{since: now}
}

// compareRanks returns a positive number if mesh a stays where it meets mesh b, a negative one if a
// joins b, and zero if they are the same.
func (c *Core) compareRanks(a, b wire.MeshRank) int {
	minutes := int64(agePerRank)
	if c.cfg.Guards.RankByExactAge {
		minutes = 1
	}
	switch {
	case a.ID == b.ID:
		return 0
	case a.ID == 0 || b.ID == 0:
		return cmp.Compare(min(a.ID, 1), min(b.ID, 1))
	case a.Grown != b.Grown && a.Grown:
		return 1
	case a.Grown != b.Grown:
		return -1
	}
	return cmp.Or(cmp.Compare(a.Age/minutes, b.Age/minutes), cmp.Compare(b.ID, a.ID))
}

// sameMesh reports whether a peer belongs to our mesh.
func (c *Core) sameMesh(p *peer) bool {
	return p.mesh.ID == c.table.Mesh() || c.cfg.Guards.NoAdmission
}

// outranked reports whether a peer's mesh is one that we have to join.
func (c *Core) outranked(now time.Duration, p *peer) bool {
	if p.disjoint && p.mesh.ID != 0 && p.mesh.ID != c.table.Mesh() {
		if we := c.takesIn(p.addr); we != p.takesUs {
			return p.takesUs // an operator has said which of the two stays
		}
	}
	return c.compareRanks(p.mesh, c.meshRank(now)) > 0
}

// lacksTable reports whether we are about to join the mesh of a peer, but do not have its table
// yet.
func (c *Core) lacksTable(now time.Duration, p *peer) bool {
	return !c.cfg.Guards.NoAdmission && !c.admission.bootstrapped && c.outranked(now, p)
}

// meetMesh lets a director give its mesh up for one that ranks above it, once it is in touch with
// that both ways: the word alone that there is one does not help it to serve.
func (c *Core) meetMesh(now time.Duration, p *peer) {
	if !p.matters() || !c.admission.bootstrapped || c.uncompared(p) || !c.outranked(now, p) {
		p.verdicts = 0
		return
	}
	if p.verdicts++; p.verdicts < verdictsToJoin {
		return
	}
	p.verdicts = 0
	if p.disjoint {
		c.giveMeshUp(now, p)
		return
	}
	c.logf(LogWarn, "met a mesh that ranks above ours, joining it", Field{"peer", p.name},
		Field{"mesh_id", p.mesh.ID.String()}, Field{"ours", c.table.Mesh().String()})
	c.counters.MeshesMet++
	c.admission.bootstrapped, c.admission.holds = false, &holdings{}
	c.evaluate(now)
	c.ask(now, p)
}
