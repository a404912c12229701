package doveadm

import (
	"fmt"
	"math"
	"time"

	"directormesh/cli/api"
)

// flushInterval is how often a flush is looked at until its last move has begun.
const flushInterval = 50 * time.Millisecond

// hostResetUsers moves the users of a backend, or all, to where they hash now, and replies when the
// last move has begun.
func (c *connection) hostResetUsers(args []string) error {
	a := &arguments{args}
	ip, err := a.optionalIP()
	if err != nil {
		return err
	}
	op := api.FlushUsers{Backend: ip}
	if text, ok := a.optional(); ok {
		n, ok := parseNumber(text)
		if !ok || n == 0 {
			return fmt.Errorf("%w: %q moves at a time", errNotUnderstood, shorten(text))
		}
		op.MaxParallel = int(min(n, math.MaxInt32))
	}
	outcome, err := c.do(op)
	if err != nil || outcome.Flush == nil {
		return c.answer(err)
	}
	c.flush() // replies to earlier commands: this one takes its time
	for {
		flush, known := c.flushOf(*outcome.Flush)
		switch {
		case known && flush.Cancelled:
			c.line("flush was cancelled")
			return nil
		case !known, flush.Ended(),
			!flush.Scanning && flush.Moved+flush.Moving+flush.Failed >= flush.Total:
			return c.answer(nil)
		}
		select {
		case <-time.After(flushInterval):
		case <-c.ctx.Done():
			return errStopping
		}
	}
}

func (c *connection) flushOf(id api.FlushID) (api.Flush, bool) {
	for _, f := range c.director.Flushes().Flushes {
		if f.Director == id.Director && f.ID == id.ID {
			return f, true
		}
	}
	return api.Flush{}, false
}
