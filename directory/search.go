package directory

import "sync/atomic"

// search returns where the row of hash h is, or where it would have to be
// inserted, given a guess. The rows may be changing meanwhile: then the result
// means nothing, but it is still within bounds.
//
// It looks at three places at once, because to wait for three neighbouring
// cache lines takes hardly longer than to wait for one.
func search(rows []row, guess int, h uint32) (int, bool) {
	last := len(rows) - 1
	if last < 0 {
		return 0, false
	}
	reach := reach(len(rows))
	middle := min(guess, last)
	low, high := max(middle-reach, 0), min(middle+reach, last)
	atLow, atMiddle, atHigh := hashAt(rows, low), hashAt(rows, middle), hashAt(rows, high)
	switch {
	case atLow >= h:
		low, high = gallopDown(rows, low, h), low
	case atMiddle >= h:
		low, high = low+1, middle
	case atHigh >= h:
		low = middle + 1
	default:
		low, high = high+1, gallopUp(rows, high, h)
	}
	for low < high {
		half := int(uint(low+high) / 2)
		if hashAt(rows, half) < h {
			low = half + 1
		} else {
			high = half
		}
	}
	return low, low <= last && hashAt(rows, low) == h
}

// reach is how far from its guess the row of a hash mostly is, at most, among n
// rows.
func reach(n int) int { return 4 + n>>7 }

func hashAt(rows []row, i int) uint32 { return atomic.LoadUint32(&rows[i].hash) }

// gallopDown returns a place not above that of h, going down from i in leaps
// that double. It is for leaves whose hashes are crowded, by chance or because
// somebody chose the names.
func gallopDown(rows []row, i int, h uint32) int {
	for leap := 8; i > 0; leap *= 2 {
		i = max(i-leap, 0)
		if hashAt(rows, i) < h {
			return i + 1
		}
	}
	return 0
}

// gallopUp returns a place not below that of h, going up from i.
func gallopUp(rows []row, i int, h uint32) int {
	for leap := 8; i < len(rows)-1; leap *= 2 {
		i = min(i+leap, len(rows)-1)
		if hashAt(rows, i) >= h {
			return i
		}
	}
	return len(rows)
}
