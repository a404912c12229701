package page

import (
	"fmt"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/phrase"
)

// workOf is what moves users: flushes, as long as they are told of, drains and rebalances.
func workOf(flushes []api.Flush, backends []api.Backend, now time.Time) (all []workView) {
	for _, f := range flushes {
		all = append(all, flushOf(f, now))
	}
	for _, b := range backends {
		if drained(b) && b.Users > 0 {
			all = append(all, taskOf("Drain of "+b.IP.String(), *b.Drain, b.Users, now))
		}
		if b.Rebalance != nil && b.Rebalance.On {
			all = append(all, taskOf("Rebalance of "+b.IP.String(), *b.Rebalance, b.Users, now))
		}
	}
	return all
}

func flushOf(f api.Flush, now time.Time) workView {
	w := workView{
		Title: "Flush of " + phrase.Backend(f.Backend), Kind: note, Cancels: !f.Ended(),
	}
	if f.Backend.IsValid() {
		w.Backend = f.Backend.String()
	}
	total := number(int(f.Total))
	if f.Scanning {
		total = "at least " + total
	}
	w.Text = fmt.Sprintf("%s of %s users moved", number(int(f.Moved)), total)
	if f.Total > 0 {
		w.Done = fmt.Sprintf("%.0f", 100*float64(f.Moved+f.Failed)/float64(f.Total))
	}
	if f.Failed > 0 {
		w.Kind = warn
		w.Text += fmt.Sprintf(", %s failed", number(int(f.Failed)))
	}
	switch {
	case f.Lost:
		w.Kind, w.Text = bad, w.Text+"; lost: "+f.Runner+" died and nobody goes on"
	case f.Cancelled:
		w.Text += "; cancelled"
	case f.EndedAt != nil:
		w.Text += "; done " + duration(now.Sub(*f.EndedAt)) + " ago"
	default:
		w.Text += "; run by " + f.Runner + " for " + duration(now.Sub(f.StartedAt))
	}
	if f.NoKicker || f.UsersLeft > 0 {
		w.Kind = warn
		w.Text += "; sessions were left on their old backend"
	}
	return w
}

func taskOf(title string, t api.Task, users int, now time.Time) workView {
	w := workView{Title: title, Kind: note, Text: number(users) + " users left"}
	switch {
	case t.Waits:
		w.Kind, w.Text = warn, w.Text+"; waits for another backend of the tag to be usable"
	case t.LateMS > 0:
		w.Kind = warn
		w.Text += "; late by " + duration(time.Duration(t.LateMS)*time.Millisecond)
	case t.By != nil:
		w.Text += "; to be done in " + duration(t.By.Sub(now))
	}
	return w
}
