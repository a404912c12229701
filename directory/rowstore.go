//go:build !race

package directory

// Rows are changed between change and changed of their lock, while others may
// be loading from them. Those throw away what they have loaded, whatever it
// is, so the stores need not be atomic; that makes inserts and sweeps several
// times faster.

// store overwrites a row.
func (r *row) store(next row) { *r = next }

// moveRows copies src to dst, which may overlap.
func moveRows(dst, src []row) { copy(dst, src) }
