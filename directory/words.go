package directory

import (
	"sync/atomic"
	"unsafe"
)

// words are a row as peek reads it: each word for itself.
type words [unsafe.Sizeof(row{}) / unsafe.Sizeof(uint32(0))]uint32

// load returns a copy of a row that may be changing meanwhile.
func (r *row) load() (copied row) {
	from, to := (*words)(unsafe.Pointer(r)), (*words)(unsafe.Pointer(&copied))
	for i := range from {
		to[i] = atomic.LoadUint32(&from[i])
	}
	return copied
}
