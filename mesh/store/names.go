package store

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	identityName   = "identity"
	segmentPrefix  = "segment-"
	snapshotPrefix = "snapshot-"
	newSuffix      = ".new"
	damagedPrefix  = "damaged-"
	asidePrefix    = "aside-"
	digits         = 10
)

func segmentName(n uint64) string  { return fmt.Sprintf("%s%0*d", segmentPrefix, digits, n) }
func snapshotName(n uint64) string { return fmt.Sprintf("%s%0*d", snapshotPrefix, digits, n) }

// numberIn returns the number of a name with a prefix. Only names that this package makes count.
func numberIn(name, prefix string) (uint64, bool) {
	text, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil && n > 0 && fmt.Sprintf("%s%0*d", prefix, digits, n) == name
}

// numberOf returns the number of a segment or snapshot.
func numberOf(name string) (uint64, bool) {
	if n, ok := numberIn(name, segmentPrefix); ok {
		return n, true
	}
	return numberIn(name, snapshotPrefix)
}

// freeName is a name for a file that is put away, which no other file has.
func freeName(taken []string, prefix, name string) string {
	has := make(map[string]bool, len(taken))
	for _, t := range taken {
		has[t] = true
	}
	free := prefix + name
	for i := 2; has[free]; i++ {
		free = fmt.Sprintf("%s%s-%d", prefix, name, i)
	}
	return free
}

// putAwayNumber returns the number of a file that was put away as damaged.
func putAwayNumber(name string) (uint64, bool) {
	name, ok := strings.CutPrefix(name, damagedPrefix)
	if !ok {
		return 0, false
	}
	for _, prefix := range []string{segmentPrefix, snapshotPrefix} {
		if len(name) < len(prefix)+digits {
			continue
		}
		if n, ok := numberIn(name[:len(prefix)+digits], prefix); ok {
			return n, true
		}
	}
	return 0, false
}
