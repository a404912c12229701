package authrelay

import (
	"errors"
	"io"

	"directormesh/cli/door/eventloop"
)

// side is one side of a link: what reads from one of its connections and passes lines on.
//
// An event loop has it while nothing comes, and as long as nothing has to be waited for; it calls
// ready. Otherwise a goroutine has it, run: one that has to wait for a reader, for another one that
// writes to the client, or for the end of the link.
type side struct {
	l     *link
	from  eventloop.Conn
	in    *lineReader
	fill  func(in *lineReader) error                            // waits
	take  func(in *lineReader) (rest func() (ok bool), ok bool) // does not; see finish
	end   func(in *lineReader, err error)                       // may wait; nil: the link is over
	watch func(onLoop bool)                                     // ready; made once
}

func (d *side) start() {
	d.watch = d.ready
	d.run()
}

// run reads until a loop can do so.
func (d *side) run() {
	for !d.from.Watch(d.watch) {
		if err := d.fill(d.in); err != nil {
			d.over(err)
			return
		}
		if !finish(d.take(d.in)) {
			d.over(nil)
			return
		}
	}
}

// ready reads once. On a loop it does nothing that waits.
func (d *side) ready(onLoop bool) {
	if !onLoop {
		d.run()
		return
	}
	err := d.in.fillBy(d.from.TryRead)
	if err != nil && !errors.Is(err, io.ErrNoProgress) {
		d.l.s.running.Go(func() { d.over(err) })
		return
	}
	rest, ok := d.take(d.in)
	switch {
	case rest == nil && ok && d.from.Watch(d.watch):
	case rest == nil && ok:
		d.l.s.running.Go(d.run)
	default:
		d.l.s.running.Go(func() {
			if finish(rest, ok) {
				d.run()
			} else {
				d.over(nil)
			}
		})
	}
}

// over ends the side, and with the last side the link.
func (d *side) over(err error) {
	d.end(d.in, err)
	d.l.leave()
}

// finish does what a function could not do without waiting.
func finish(rest func() (ok bool), ok bool) bool {
	if rest != nil {
		return rest()
	}
	return ok
}
