package wire

import (
	"math"
	"net/netip"

	"directormesh/directory"
	"directormesh/ring"
)

// Least sizes of what lists hold, by which reader.list bounds their lengths.
const (
	minAddr   = 2                     // head and no bytes
	minColumn = 1 + 1 + 1 + 2         // head, base, width, no bits
	minBlock  = 1 + 4*1 + 5*minColumn // head, tag, rows, sorted, backends, columns
)

func (b *Block) encode(w *writer) {
	w.array(9)
	w.name("tag", string(b.Tag))
	w.uint(uint64(b.rows))
	w.bool(b.sorted)
	w.list("block backends", len(b.backends), maxBackends)
	for _, a := range b.backends {
		w.addr("backend", a, optional)
	}
	b.hash.encode(w)
	b.backend.encode(w)
	b.activity.encode(w)
	b.stamp.encode(w)
	b.generation.encode(w)
}

func decodeBlock(r *reader) Block {
	extra := r.fields("block", 9)
	b := Block{Tag: ring.Tag(r.name("tag"))}
	// There is a byte for every row, or the column hash is refused.
	b.rows = int(r.uint("block rows", uint64(r.left())))
	b.sorted = r.bool("block sorted")
	b.backends = list(r, "block backends", maxBackends, minAddr,
		func(r *reader) netip.Addr { return r.addr("block backend", optional) })
	b.hash = decodeHashes(r, b.rows, b.sorted)
	if b.rows > 0 && len(b.backends) == 0 {
		r.fail("block backends", "none for %d rows", b.rows)
	}
	b.backend = decodeRange(r, "block backend numbers",
		b.rows, 0, uint64(max(len(b.backends), 1)-1))
	b.activity = decodeRange(r, "block activity", b.rows, 0, math.MaxUint32)
	b.stamp = decodeRange(r, "block stamps", b.rows, 0, math.MaxUint32)
	b.generation = decodeRange(r, "block generations",
		b.rows, minGeneration<<1, directory.MaxGeneration<<1|1)
	r.end("block", extra)
	if r.err != nil {
		return Block{}
	}
	return b
}

// decodeRange reads a column of n rows and refuses it if a value is below low
// or above high.
func decodeRange(r *reader, field string, n int, low, high uint64) column {
	c := decodeColumn(r, field, n)
	if r.err != nil || n == 0 {
		return c
	}
	if base := uint64(c.base); base < low {
		r.fail(field, "%d is below %d", base, low)
	} else if top := c.max(n, high); top > high {
		r.fail(field, "%d is above %d", top, high)
	}
	return c
}

// decodeHashes reads the column hash of n rows.
func decodeHashes(r *reader, n int, sorted bool) column {
	const field = "block hashes"
	if !sorted {
		c := decodeRange(r, field, n, 0, math.MaxUint32)
		checkHashWidth(r, field, c, n)
		return c
	}
	c := decodeColumn(r, field, n)
	checkHashWidth(r, field, c, n)
	if r.err == nil && c.sum(n) > math.MaxUint32 {
		r.fail(field, "distances add up to more than 32 bits")
	}
	return c
}

func checkHashWidth(r *reader, field string, c column, n int) {
	if r.err == nil && n > 0 && c.width < minHashWidth {
		r.fail(field, "%d bits a row, at least %d are needed", c.width, minHashWidth)
	}
}

func encodeBlocks(w *writer, blocks []Block) {
	w.list("blocks", len(blocks), maxBlocks)
	for i := range blocks {
		blocks[i].encode(w)
	}
}

func decodeBlocks(r *reader) []Block {
	return list(r, "blocks", maxBlocks, minBlock, decodeBlock)
}
