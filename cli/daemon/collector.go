package daemon

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// By default Go lets the heap grow to twice what lives before it collects. Nearly all that lives
// here is mappings without a pointer, which cost a collection next to nothing, so it may come
// sooner: a director of ten million users would hold 200 MB of garbage for no gain.
const (
	collectorInterval = time.Second
	garbageAllowed    = 24 << 20 // between two collections; a busy director makes some MB a second
	leastPercent      = 8
	mostPercent       = 100 // Go's own default
)

// tuneCollector keeps garbage in proportion until ctx ends. An operator who has set GOGC knows
// better.
func tuneCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	percent := mostPercent
	defer debug.SetGCPercent(mostPercent)
	ticker := time.NewTicker(collectorInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		metrics.Read(live)
		// Setting it stops the world for a moment, so small differences are let be.
		if next := collectorPercent(live[0].Value.Uint64()); next*5 < percent*4 || next*4 > percent*5 {
			percent = next
			debug.SetGCPercent(percent)
		}
	}
}

// collectorPercent is by how much the heap may grow over these live bytes before the next
// collection.
func collectorPercent(live uint64) int {
	return int(min(max(garbageAllowed*100/max(live, 1), leastPercent), mostPercent))
}
