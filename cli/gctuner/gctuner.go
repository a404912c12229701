// Package gctuner keeps the garbage of a director's process in proportion to its live memory.
//
// By default Go lets the heap grow to twice what lives before it collects. Nearly all that lives in
// a director is mappings without a pointer, which cost a collection next to nothing. So collections
// may come sooner: a director of ten million users would hold 200 MB of garbage for no gain. And
// what a burst of logins has left behind would stay for as long as the director is quiet. But while
// thousands of users are being moved, much that lives has pointers, and collections that come so
// soon would take half of the processor time: then they come later.
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
	interval     = time.Second
	leastGarbage = 8 << 20  // bytes between two collections; a busy director makes some MB a second
	mostGarbage  = 64 << 20 // as many while collections are dear
	leastPercent = 8
	mostPercent  = 100 // Go's own default
	// Collections are dear, or cheap, if they take this part of one processor.
	dear, cheap = 0.05, 0.01
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
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
	}
	percent := mostPercent
	allowed := garbage{bytes: leastGarbage, at: time.Now()}
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
		allowed.review(time.Now(), samples[2].Value.Float64())
		// Setting the percentage stops the world for a moment: small differences are not worth it.
		next := percentFor(samples[0].Value.Uint64(), allowed.bytes)
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

// garbage is how much of it may come together before a collection.
type garbage struct {
	bytes uint64 // from leastGarbage to mostGarbage

	at    time.Time // of the last review
	spent float64   // seconds of processor time that collections had taken by then
}

// review allows twice as much if collections were dear since the last review, half as much if they
// were cheap. spent is the processor time that they have taken so far, in seconds.
func (g *garbage) review(now time.Time, spent float64) {
	share := (spent - g.spent) / max(now.Sub(g.at).Seconds(), 0.001)
	g.at, g.spent = now, spent
	switch {
	case share > dear:
		g.bytes = min(2*g.bytes, mostGarbage)
	case share < cheap:
		g.bytes = max(g.bytes/2, leastGarbage)
	}
}

// percentFor returns by how many percent the heap may grow over so many live bytes before the next
// collection, if so much garbage is allowed.
func percentFor(live, garbage uint64) int {
	return int(min(max(garbage*100/max(live, 1), leastPercent), mostPercent))
}
