package replica

import (
	"math/rand/v2"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/rank"
	"directormesh/mesh/wire"
)

// verdictsToJoin is how many beats in a row must show that a peer's mesh ranks above ours.
const verdictsToJoin = 2

// membership decides which mesh this director belongs to.
type membership struct {
	*output
	membershipPort

	admission *ownAdmission
	age       rank.Age // of our mesh
	barrier   *barrier.Barrier
	cfg       *Config
	counters  *Counters
	rand      *rand.Rand
	table     *directory.Table
}

// membershipPort is what membership needs of the other parts of the core.
type membershipPort interface {
	ask(now mono.Time, p *peer)
	evaluate(now mono.Time)
	giveMeshUp(now mono.Time, p *peer)
	keepTable()
	otherMesh()
	uncompared(p *peer) bool
}

// meshRank is that of our mesh now; zero while we belong to none.
func (ms *membership) meshRank(now mono.Time) wire.MeshRank {
	id := ms.table.Mesh()
	if id == 0 {
		return wire.MeshRank{}
	}
	return ms.age.Of(id, now)
}

// takeRank learns from a peer of our mesh how old that is, and that it has two directors.
func (ms *membership) takeRank(now mono.Time, p *peer) {
	if p.mesh.ID == 0 || p.mesh.ID != ms.table.Mesh() || !ms.admission.bootstrapped {
		return
	}
	ms.age.Learn(now, p.mesh, p.live && p.Counted)
}

// joinMesh makes our table part of the mesh of a peer.
func (ms *membership) joinMesh(now mono.Time, p *peer) {
	ms.barrier.LeaveMesh()
	ms.table.Join(p.mesh.ID)
	ms.otherMesh()
	ms.keepTable()
	ms.age = rank.Claimed(now, p.mesh)
}

// foundMesh gives the table the id of a new mesh, unless it belongs to one.
func (ms *membership) foundMesh(now mono.Time) {
	if ms.table.Mesh() != 0 {
		return
	}
	ms.table.Found(directory.MeshID(max(ms.rand.Uint64(), 1)))
	ms.age = rank.Founded(now)
	ms.keepTable()
}

// sameMesh reports whether a peer belongs to our mesh.
func (ms *membership) sameMesh(p *peer) bool {
	return p.mesh.ID == ms.table.Mesh() || ms.cfg.Guards.NoAdmission
}

// outranked reports whether a peer's mesh is one that we have to join.
func (ms *membership) outranked(now mono.Time, p *peer) bool {
	if p.disjoint && p.mesh.ID != 0 && p.mesh.ID != ms.table.Mesh() {
		if we := ms.table.Added(p.addr); we != p.takesUs {
			return p.takesUs // an operator has said which of the two stays
		}
	}
	return rank.Compare(p.mesh, ms.meshRank(now), ms.cfg.Guards.RankByExactAge) > 0
}

// lacksTable reports whether we are about to join the mesh of a peer, but do not have its table
// yet.
func (ms *membership) lacksTable(now mono.Time, p *peer) bool {
	return !ms.cfg.Guards.NoAdmission && !ms.admission.bootstrapped && ms.outranked(now, p)
}

// meetMesh lets a director give its mesh up for one that ranks above it, once it is in touch with
// that both ways: the word alone that there is one does not help it to serve.
func (ms *membership) meetMesh(now mono.Time, p *peer) {
	if !p.live || !ms.admission.bootstrapped || ms.uncompared(p) || !ms.outranked(now, p) {
		p.verdicts = 0
		return
	}
	if p.verdicts++; p.verdicts < verdictsToJoin {
		return
	}
	p.verdicts = 0
	if p.disjoint {
		ms.giveMeshUp(now, p)
		return
	}
	ms.logf(LogWarn, "met a mesh that ranks above ours, joining it", Field{"peer", p.name},
		Field{"mesh_id", p.mesh.ID.String()}, Field{"ours", ms.table.Mesh().String()})
	ms.counters.MeshesMet++
	ms.admission.joinAgain(now)
	ms.admission.holds = &holdings{}
	ms.evaluate(now)
	ms.ask(now, p)
}
