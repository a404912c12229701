// Package bulk keeps the lists that clients ask for from delaying lookups.
//
// A list of ten million mappings takes seconds of processor time. Go gives each goroutine that can
// run up to 10 ms at a time, so with as many lists as processors a lookup waits for 10 ms and more.
// A list is therefore made in a [Lane], which lets half of the processors work on lists at a time,
// and passes on its turn every [Turn] rows. The other half stays free for lookups.
//
// All doors of a director share one lane. What a list looks like is theirs.
package bulk

import (
	"context"
	"iter"
	"time"
)

// Turn is after how many rows a list passes on its turn: a fraction of a millisecond.
const Turn = 1024

// breath is how long the only processor is free after each turn: until then Go does not look for
// connections that have become readable.
const breath = 100 * time.Microsecond

// Lane lets a bounded number of walks work at a time, in the order in which they came. It is safe
// for concurrent use.
type Lane struct {
	places  chan struct{} // one element for each walk inside
	breathe time.Duration // after each turn
}

// NewLane returns a lane for half of so many processors, one at least.
func NewLane(processors int) *Lane {
	l := &Lane{places: make(chan struct{}, max(processors/2, 1))}
	if processors <= 1 {
		l.breathe = breath
	}
	return l
}

// Do works with a place in the lane, when it gets one. An error is ctx's; then work was not called.
func (l *Lane) Do(ctx context.Context, work func()) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	work()
	return nil
}

// Walk calls each with all rows of a list, one after the other, while it has a place in the lane.
// Without a place it calls write, which sends what each has made of the rows to the client, and may
// wait for it: every [Turn] rows, when each returns true, and at the end. An error is write's or
// ctx's, and ends the walk.
func Walk[Row any](
	ctx context.Context, l *Lane, rows iter.Seq[Row], each func(Row) bool, write func() error,
) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	seen := 0
	for row := range rows {
		seen++
		if !each(row) && seen%Turn != 0 {
			continue
		}
		l.leave()
		if err := write(); err != nil {
			return err
		}
		if l.breathe > 0 {
			time.Sleep(l.breathe)
		}
		if err := l.enter(ctx); err != nil {
			return err
		}
	}
	l.leave()
	return write()
}

// enter waits for a place. After an error, which is ctx's, the caller has none.
func (l *Lane) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Lane) leave() { <-l.places }
