//go:build race

package directory

import "unsafe"

// moveRows copies src to dst, which may overlap. This is the form that the race
// detector understands.
func moveRows(dst, src []row) {
	if len(src) == 0 {
		return
	}
	if uintptr(unsafe.Pointer(&dst[0])) < uintptr(unsafe.Pointer(&src[0])) {
		for i := range src {
			dst[i].store(src[i])
		}
		return
	}
	for i := len(src) - 1; i >= 0; i-- {
		dst[i].store(src[i])
	}
}
