package cli

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"

	"directormesh/cli/api"
	"directormesh/cli/phrase"
)

// plainInterval is how often progress is printed where it cannot be drawn.
const plainInterval = 2 * time.Second

// progress shows on stderr how flushes go: a bar on a terminal, lines elsewhere.
type progress struct {
	out      io.Writer
	terminal bool
	silent   bool
	now      func() time.Time

	order   []api.FlushID
	flushes map[api.FlushID]api.Flush
	bar     *progressbar.ProgressBar
	drawn   api.FlushID // whose bar it is
	shownAt map[api.FlushID]time.Time
}

func (inv *invocation) newProgress(silent bool) *progress {
	return &progress{
		out:      inv.Stderr,
		terminal: isTerminal(inv.Stderr),
		silent:   silent,
		now:      time.Now,
		flushes:  make(map[api.FlushID]api.Flush),
		shownAt:  make(map[api.FlushID]time.Time),
	}
}

// update takes news of a flush.
func (p *progress) update(f api.Flush) error {
	p.note(f)
	id := api.FlushID{Director: f.Director, ID: f.ID}
	switch {
	case p.silent:
		return nil
	case p.terminal:
		p.draw(id, f)
		return nil
	}
	return p.tell(id, f)
}

// note takes a flush that is to be shown with the others, and shows nothing.
func (p *progress) note(f api.Flush) {
	id := api.FlushID{Director: f.Director, ID: f.ID}
	if _, ok := p.flushes[id]; !ok {
		p.order = append(p.order, id)
	}
	p.flushes[id] = f
}

// tell prints a line now and then, and one at the end.
func (p *progress) tell(id api.FlushID, f api.Flush) error {
	now := p.now()
	last, before := p.shownAt[id]
	if !before {
		p.shownAt[id] = now
	}
	if !f.Ended() && (!before || now.Sub(last) < plainInterval) {
		return nil
	}
	p.shownAt[id] = now
	_, err := fmt.Fprintln(p.out, api.Visible(describe(f)))
	return err
}

// describe says in a line how a flush stands.
func describe(f api.Flush) string {
	total := fmt.Sprint(f.Total)
	if f.Scanning {
		total = "at least " + total
	}
	line := fmt.Sprintf("%s: %d of %s users moved", phrase.Backend(f.Backend), f.Moved, total)
	if f.Failed > 0 {
		line += fmt.Sprintf(", %d failed", f.Failed)
	}
	if left, ok := timeLeft(f); ok {
		line += fmt.Sprintf(", about %v left", left)
	}
	switch {
	case f.Lost:
		line += ", director " + f.Runner + " failed"
	case f.Cancelled:
		line += ", cancelled"
	}
	return line
}

// timeLeft estimates by the speed so far.
func timeLeft(f api.Flush) (time.Duration, bool) {
	if f.Ended() || f.Scanning || f.Moved == 0 || f.Total <= f.Moved {
		return 0, false
	}
	took := time.Since(f.StartedAt)
	return time.Duration(float64(took) / float64(f.Moved) * float64(f.Total-f.Moved)).
		Round(time.Second), took > 0
}

// draw moves the bar. There is one bar; of several flushes that run, each gets a new one when it
// has news. A bar needs a number of users: before it is known nothing is drawn, and a flush that
// ends without users gets a line. An error of drawing does not end the command.
func (p *progress) draw(id api.FlushID, f api.Flush) {
	total := int64(max(f.Total, f.Moved))
	if total == 0 {
		if f.Ended() {
			p.end()
			fmt.Fprintln(p.out, api.Visible(describe(f)))
		}
		return
	}
	if p.bar == nil || p.drawn != id {
		p.end()
		p.drawn = id
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.out),
			progressbar.OptionSetDescription(phrase.Backend(f.Backend)),
			progressbar.OptionShowCount(),
			progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("users"),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionFullWidth(),
		)
	}
	if p.bar.GetMax64() != total {
		p.bar.ChangeMax64(total)
	}
	_ = p.bar.Set64(int64(f.Moved))
	if f.Ended() {
		p.end()
	}
}

// end leaves the bar as it is and goes to the next line.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Exit() // nothing to do about a bar that cannot be drawn
		fmt.Fprintln(p.out)
		p.bar = nil
	}
}

// last returns how the flushes stood last, in the order in which they were first heard of.
func (p *progress) last() []api.Flush {
	flushes := make([]api.Flush, 0, len(p.order))
	for _, id := range p.order {
		flushes = append(flushes, p.flushes[id])
	}
	return slices.Clip(flushes)
}
