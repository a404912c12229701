//go:build race

package directory

// moveRows copies src to dst, which begins later in the same array. This is the
// form that the race detector understands.
func moveRows(dst, src []row) {
	for i := len(src) - 1; i >= 0; i-- {
		dst[i].store(src[i])
	}
}
