package replica

import (
	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/rank"
	"directormesh/mesh/wire"
)

// verdictsToJoin is how many beats in a row must show that a peer's mesh ranks above ours.
const verdictsToJoin = 2

// meshRank is that of our mesh now; zero while we belong to none.
func (c *Core) meshRank(now mono.Time) wire.MeshRank {
	id := c.table.Mesh()
	if id == 0 {
		return wire.MeshRank{}
	}
	return c.age.Of(id, now)
}

// takeRank learns from a peer of our mesh how old that is, and that it has two directors.
func (c *Core) takeRank(now mono.Time, p *peer) {
	if p.mesh.ID == 0 || p.mesh.ID != c.table.Mesh() || !c.admission.bootstrapped {
		return
	}
	c.age.Learn(now, p.mesh, p.live && p.Counted)
}

// joinMesh makes our table part of the mesh of a peer.
func (c *Core) joinMesh(now mono.Time, p *peer) {
	c.barrier.LeaveMesh()
	c.table.Join(p.mesh.ID)
	c.age = rank.Claimed(now, p.mesh)
}

// foundMesh gives the table the id of a new mesh, unless it belongs to one.
func (c *Core) foundMesh(now mono.Time) {
	if c.table.Mesh() != 0 {
		return
	}
	c.table.Found(directory.MeshID(max(c.rand.Uint64(), 1)))
	c.age = rank.Founded(now)
}

// sameMesh reports whether a peer belongs to our mesh.
func (c *Core) sameMesh(p *peer) bool {
	return p.mesh.ID == c.table.Mesh() || c.cfg.Guards.NoAdmission
}

// outranked reports whether a peer's mesh is one that we have to join.
func (c *Core) outranked(now mono.Time, p *peer) bool {
	if p.disjoint && p.mesh.ID != 0 && p.mesh.ID != c.table.Mesh() {
		if we := c.table.Added(p.addr); we != p.takesUs {
			return p.takesUs // an operator has said which of the two stays
		}
	}
	return rank.Compare(p.mesh, c.meshRank(now), c.cfg.Guards.RankByExactAge) > 0
}

// lacksTable reports whether we are about to join the mesh of a peer, but do not have its table
// yet.
func (c *Core) lacksTable(now mono.Time, p *peer) bool {
	return !c.cfg.Guards.NoAdmission && !c.admission.bootstrapped && c.outranked(now, p)
}

// meetMesh lets a director give its mesh up for one that ranks above it, once it is in touch with
// that both ways: the word alone that there is one does not help it to serve.
func (c *Core) meetMesh(now mono.Time, p *peer) {
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
