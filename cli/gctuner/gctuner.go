// Package gctuner keeps the garbage of a director's process in proportion to its live memory.
//
// By default Go lets the heap grow to twice what lives before it collects. Nearly all that lives in
// a director is mappings without a pointer, which cost a collection next to nothing. So collections
// may come sooner: a director of ten million users would hold 200 MB of garbage for no gain.
//
// The garbage collector belongs to the process, and so does the tuner: a process runs one, however
// many directors it has.
package gctuner

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	interval = time.Second
	// bytes between two collections; a busy director makes some MB a second
	garbageAllowed = 24 << 20
	leastPercent   = 8
	mostPercent    = 100 // Go's own default
)

// Run tunes the garbage collector until ctx ends, and then restores Go's default. It does nothing
// if the operator has set GOGC.
func Run(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	percent := mostPercent
	defer debug.SetGCPercent(mostPercent)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		metrics.Read(live)
		// Setting the percentage stops the world for a moment: small differences are not worth it.
		if next := percentFor(live[0].Value.Uint64()); next*5 < percent*4 || next*4 > percent*5 {
			percent = next
			debug.SetGCPercent(percent)
		}
	}
}

// percentFor returns by how many percent the heap may grow over so many live bytes before the next
// collection.
func percentFor(live uint64) int {
	return int(min(max(garbageAllowed*100/max(live, 1), leastPercent), mostPercent))
}
