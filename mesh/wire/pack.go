package wire

import (
	"fmt"
	"net/netip"

	"directormesh/directory"
	"directormesh/ring"
)

// Pack packs rows of any order, which it keeps. Rows sorted by hash take less
// room. It panics on a row that no director can have made: a generation out
// of range or a backend address with a zone.
func Pack(tag ring.Tag, rows []directory.Mapping) Block {
	b := Block{Tag: tag, rows: len(rows)}
	values := make([]uint32, len(rows)) // of the column being packed

	var known dictionary
	for i := range rows {
		values[i] = known.id(rows[i].Backend)
	}
	b.backends = known.backends
	b.backend = packColumn(values, 0)

	b.sorted = sortedByHash(rows)
	b.hash = packHashes(values, rows, b.sorted)

	for i := range rows {
		values[i] = uint32(rows[i].Activity)
	}
	b.activity = packColumn(values, 0)

	for i := range rows {
		values[i] = uint32(rows[i].Stamp)
	}
	b.stamp = packColumn(values, 0)

	for i := range rows {
		values[i] = packGeneration(&rows[i])
	}
	b.generation = packColumn(values, 0)
	return b
}

func sortedByHash(rows []directory.Mapping) bool {
	for i := 1; i < len(rows); i++ {
		if rows[i].Hash < rows[i-1].Hash {
			return false
		}
	}
	return true
}

// packHashes packs the hashes, or if they are sorted their distances.
func packHashes(values []uint32, rows []directory.Mapping, sorted bool) column {
	if !sorted || len(rows) == 0 {
		for i := range rows {
			values[i] = uint32(rows[i].Hash)
		}
		return packColumn(values, minHashWidth)
	}
	first := uint32(rows[0].Hash)
	before := first
	for i := range rows {
		hash := uint32(rows[i].Hash)
		values[i], before = hash-before, hash
	}
	// The first distance is 0, so the column's own base is as well.
	c := packColumn(values, minHashWidth)
	c.base = first
	return c
}

// packGeneration returns generation and moving mark as one number.
func packGeneration(m *directory.Mapping) uint32 {
	if m.Generation < minGeneration || m.Generation > directory.MaxGeneration {
		panic(fmt.Sprintf("wire: mapping of user %s has generation %d, which is not in %d..%d",
			m.Hash, m.Generation, minGeneration, directory.MaxGeneration))
	}
	packed := uint32(m.Generation) << 1
	if m.Moving {
		packed |= 1
	}
	return packed
}

// dictionary numbers the backends of a Block in the order of their appearance.
// It is a chained hash table over the last bytes of the addresses, in which the
// backends of a cluster differ; one look usually finds the number.
type dictionary struct {
	backends []netip.Addr
	// for each backend the one before it in its chain, plus one; 0 ends the chain
	next   []uint32
	chains [256]uint32 // the last backend of each chain, plus one
}

// id returns the number of the backend, a new one at its first appearance.
func (d *dictionary) id(backend netip.Addr) uint32 {
	octets := backend.As16()
	chain := &d.chains[octets[14]^octets[15]]
	for n := *chain; n > 0; n = d.next[n-1] {
		if d.backends[n-1] == backend {
			return n - 1
		}
	}
	if problem := addrProblem(backend, optional); problem != "" {
		panic("wire: mapping to a backend whose " + problem)
	}
	d.backends = append(d.backends, backend)
	d.next = append(d.next, *chain)
	*chain = uint32(len(d.backends))
	return *chain - 1
}
