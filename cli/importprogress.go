package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// importProgress shows on stderr how an import goes: a bar on a terminal, a line now and then
// elsewhere.
type importProgress struct {
	out      io.Writer
	terminal bool
	silent   bool
	now      func() time.Time

	total   int
	shownAt time.Time
	bar     *progressbar.ProgressBar
}

func (inv *invocation) newImportProgress(silent bool) *importProgress {
	return &importProgress{
		out: inv.Stderr, terminal: isTerminal(inv.Stderr), silent: silent, now: time.Now,
	}
}

// begin begins an import of about total users.
func (p *importProgress) begin(total int) {
	p.total, p.shownAt = total, p.now()
	if p.terminal && !p.silent && total > 0 {
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(p.out),
			progressbar.OptionSetDescription("importing"),
			progressbar.OptionShowCount(),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionClearOnFinish(),
		)
	}
}

// done tells that n users are through.
func (p *importProgress) done(n int) {
	const every = 1000 // asking for the time costs more than a user
	if p.silent || n%every != 0 {
		return
	}
	if p.bar != nil {
		_ = p.bar.Set(min(n, p.total)) // a bar that cannot be drawn is no reason to stop
		return
	}
	if now := p.now(); now.Sub(p.shownAt) >= plainInterval {
		p.shownAt = now
		fmt.Fprintf(p.out, "imported %d of about %d mappings\n", n, max(n, p.total))
	}
}

// end removes the bar.
func (p *importProgress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
		p.bar = nil
	}
}
