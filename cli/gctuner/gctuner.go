// Package gctuner keeps the garbage of a director's process in proportion to its live memory.
//
// By default Go lets the heap grow to twice what lives before it collects. Nearly all that lives in
// a director is mappings without a pointer, which cost a collection next to nothing. So collections
// may come sooner: a director of ten million users would hold 200 MB of garbage for no gain. And
// what a burst of logins has left behind would stay for as long as the director is quiet.
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
	garbageAllowed = 8 << 20
	leastPercent   = 8
	mostPercent    = 100 // Go's own default
	// quietTime without a collection follows a burst; then its garbage goes back to the system.
	// What a director remembers of the last logins, for up to 91 s, is garbage by then too. Go
	// itself collects after two minutes, but keeps what that frees for long.
	quietTime = 100 * time.Second
)

// Run tunes the garbage collector until ctx ends, and then restores Go's default. It does nothing
// if the operator has set GOGC.
func Run(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/cycles/automatic:gc-cycles"},
	}
	percent := mostPercent
	defer debug.SetGCPercent(mostPercent)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var b burst
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		metrics.Read(samples)
		// Setting the percentage stops the world for a moment: small differences are not worth it.
		next := percentFor(samples[0].Value.Uint64())
		if next*5 < percent*4 || next*4 > percent*5 {
			percent = next
			debug.SetGCPercent(percent)
		}
		if b.over(time.Now(), samples[1].Value.Uint64()) {
			debug.FreeOSMemory()
		}
	}
}

// burst is a time in which the garbage is collected again and again. The zero value: there was none
// yet.
type burst struct {
	cycles uint64    // of the collector, as of last
	last   time.Time // when they last became more; zero: no burst since the last one was over
}

// over reports, once for each burst, that it is over. cycles are those of the collector so far.
func (b *burst) over(now time.Time, cycles uint64) bool {
	if cycles != b.cycles {
		b.cycles, b.last = cycles, now
		return false
	}
	if b.last.IsZero() || now.Sub(b.last) < quietTime {
		return false
	}
	b.last = time.Time{}
	return true
}

// percentFor returns by how many percent the heap may grow over so many live bytes before the next
// collection.
func percentFor(live uint64) int {
	return int(min(max(garbageAllowed*100/max(live, 1), leastPercent), mostPercent))
}
