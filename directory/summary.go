package directory

// summary is what the last digest of a leaf found in it, kept if every row
// counted and none was buried. While nothing happens to the leaf but activity, a later digest is
// the same and a sweep has nothing to do, until the first row can have reached
// its end. Most leaves are so at night, and all in a directory that has just
// been joined or imported; it makes their passes a hundred times cheaper.
//
// Time must not go back by more than an epoch takes to settle: activity that
// is recorded in a row which is dead at the time of the summary goes unnoticed.
type summary struct {
	digest   uint64
	oldest   uint32 // lowest activity
	latest   uint32 // highest stamp
	liveness uint32 // of the view by which all rows are live
}

// keep makes sum the summary of the leaf as it is.
func (h *held) keep(sum summary) {
	*h.summary = sum
	h.leaf.shape.Store(uint64(h.shape() | summed))
}

// unchanged says whether the summary still holds: all its rows, and no others,
// are live by this view and after this deadline.
func (h *held) unchanged(v *view, due deadline) bool {
	return h.shape()&summed != 0 && h.summary.liveness == v.liveness && int64(due) < int64(h.summary.oldest)
}
