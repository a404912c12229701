package load

// queue is a first-in first-out queue that keeps its memory.
type queue struct {
	all  []uint32
	head int // of those not yet popped
}

func (q *queue) push(v uint32) {
	if q.head > 0 && len(q.all) == cap(q.all) {
		q.all = q.all[:copy(q.all, q.all[q.head:])]
		q.head = 0
	}
	q.all = append(q.all, v)
}

func (q *queue) pop() (uint32, bool) {
	if q.head == len(q.all) {
		return 0, false
	}
	v := q.all[q.head]
	if q.head++; q.head == len(q.all) {
		q.all, q.head = q.all[:0], 0
	}
	return v, true
}
