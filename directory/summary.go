package directory

import (
	"math"
	"time"
)

// EpochLength is the time between two moments as of which digests cost nothing
// but reading: the whole multiples of it since the Unix epoch, the last few of
// them.
const EpochLength = 10 * time.Second

const (
	ticksPerEpoch = uint64(EpochLength / (tickMillis * time.Millisecond))
	ticksDeadKept = uint64(deadKept / (tickMillis * time.Millisecond))
	// recentEpochs is for how many epochs a summary keeps apart what changed
	// in them: the one that is being compared, some seconds after its end, and
	// those since, until the next sweep.
	recentEpochs = 5
	// settledAfter is how many epochs before the running one all is settled.
	settledAfter = 3
	// summarizedRows is for 8 rows in each leaf.
	summarizedRows = 8 * leavesPerLock
)

// summary is what a leaf's digest and its next sweep go by, kept by every
// change and sweep; so neither has to look at the rows, most of the time. It
// is valid for one view, and until the first sweep it is not.
//
// The digest as of the end of an epoch counts a row from the epoch of its stamp
// on until that in which its time was over. So each row adds its hash to the
// epoch of its stamp, and once it is buried takes it off from that of its end.
// The epochs before the recent ones are one sum.
//
// It fills a cache line of 64 bytes. Leaves of a pack with little room have
// none: to look at their few rows costs no more, and a tag with few users
// should not take megabytes.
type summary struct {
	settled  uint64 // sum over all epochs up to base
	recent   [recentEpochs]uint64
	base     epoch // 0: this summary is not valid
	liveness uint32
	// next is the first deadline by which a sweep may find something to do: to
	// bury a row, or to take one out.
	next uint32
}

// epoch counts epochs from their ends: the first ends at tick 40.
type epoch uint32

func epochOf(tick uint64) epoch { return epoch((tick + ticksPerEpoch - 1) / ticksPerEpoch) }

// settledEpoch is the last one that all is settled of.
func settledEpoch(now Time) epoch {
	e := epochOf(uint64(now.Tick()))
	return e - min(e, settledAfter)
}

// valid says whether the summary is kept. It is not if its view is not the one
// by which the rows are changed now; only a sweep makes it valid again.
func (l *lockedLeaf) valid() bool {
	return l.summary != nil && l.summary.base != 0 && l.summary.liveness == l.view.liveness
}

// put counts a row that has been stored.
func (l *lockedLeaf) put(r row) {
	if l.valid() {
		l.count(r, mixRow(r, l.view.entries[r.backend].mix))
		l.summary.next = min(l.summary.next, l.dueAt(r))
	}
}

// take is the opposite of put; next may then be earlier than necessary.
func (l *lockedLeaf) take(r row) {
	if l.valid() {
		l.count(r, -mixRow(r, l.view.entries[r.backend].mix))
	}
}

// count adds sum to the digests that count r.
func (l *lockedLeaf) count(r row, sum uint64) {
	if !l.view.liveByTable(l.shard, r) {
		return
	}
	from := epochOf(uint64(r.stamp))
	l.summary.add(from, sum)
	if r.bits&bitBuried != 0 {
		l.summary.add(max(from, epochOf(uint64(r.activity)+l.directory.lifeTicks)), -sum)
	}
}

// add adds sum to the digests from an epoch on.
func (s *summary) add(from epoch, sum uint64) {
	switch {
	case from <= s.base:
		s.settled += sum
	case from-s.base <= recentEpochs:
		s.recent[from-s.base-1] += sum
	default:
		s.base = 0 // a stamp of the future, or no sweep for long
	}
}

// dueAt returns the first deadline by which a sweep has something to do with
// the row.
func (l *lockedLeaf) dueAt(r row) uint32 {
	switch {
	case r.bits&bitBuried == 0:
		return r.activity
	case l.view.liveByTable(l.shard, r):
		return uint32(min(uint64(r.activity)+ticksDeadKept, math.MaxUint32))
	default:
		return 0 // goneByTable decides
	}
}

// settle adds the epochs up to this one to the settled epochs.
func (s *summary) settle(e epoch) {
	if s == nil || s.base == 0 || e <= s.base {
		return
	}
	n := min(int(e-s.base), recentEpochs)
	for _, sum := range s.recent[:n] {
		s.settled += sum
	}
	copy(s.recent[:], s.recent[n:])
	clear(s.recent[recentEpochs-n:])
	s.base = e
}

// idle says whether a sweep with this deadline has nothing to do.
func (l *lockedLeaf) idle(due deadline) bool {
	return l.valid() && int64(due) < int64(l.summary.next)
}

// summarize makes the summary valid, all rows having just been swept.
func (l *lockedLeaf) summarize(base epoch) {
	if l.summary == nil {
		return
	}
	*l.summary = summary{base: base, liveness: l.view.liveness, next: math.MaxUint32}
	for _, r := range l.rows {
		l.put(r) // may end it: a row of the future
	}
}

// sum returns the digest as of the end of an epoch. It reports false if the
// summary cannot tell: not at that moment, or not since the last sweep.
func (l *lockedLeaf) sum(end Time, due deadline) (uint64, bool) {
	s, last := l.summary, uint64(end.Tick())
	if end.Tick().Time() != end || last%ticksPerEpoch != 0 || !l.idle(due) ||
		epochOf(last) < s.base {
		return 0, false
	}
	sum := s.settled
	for _, more := range s.recent[:min(int(epochOf(last)-s.base), recentEpochs)] {
		sum += more
	}
	return sum, true
}
