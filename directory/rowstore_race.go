//go:build race

package directory

import (
	"sync/atomic"
	"unsafe"
)

// This is the form that the race detector understands.

// store overwrites a row.
func (r *row) store(next row) {
	to, from := (*words)(unsafe.Pointer(r)), (*words)(unsafe.Pointer(&next))
	for i := range to {
		atomic.StoreUint32(&to[i], from[i])
	}
}

// moveRows copies src to dst, which may overlap.
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
