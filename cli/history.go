package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/cli/phrase"
)

// defaultHistory is how many changes are shown unless somebody wants more.
const defaultHistory = 100

func (inv *invocation) historyCommand() *cli.Command {
	return &cli.Command{
		Name:      "history",
		Category:  categoryQueries,
		Usage:     "show who changed what, or where a user was and why",
		ArgsUsage: "[USER]",
		UsageText: "director history [-a ADDR] [--json] [-n N] [--since TIME] [--until TIME] " +
			"[--at TIME] [USER]",
		Description: `
Without a user: the last admin changes, on whichever director they were asked for. With a user:
when the user went to which backend and why; with --at, where the user was at that moment. All
directors are asked; those that do not answer are named, and so are times of which a director
noted nothing. TIME is 2026-02-08 12:20:35, a time of day, or how long ago it was: 90m.

  $ director history -n 2
  $ director history --since 2h
  $ director history --at 03:12 alice@example.org`,
		Flags: []cli.Flag{
			addrFlag(), jsonFlag(),
			&cli.IntFlag{
				Name: "number", Aliases: []string{"n"}, Value: defaultHistory,
				Usage: "show the newest N changes",
			},
			&cli.StringFlag{Name: "since", Usage: "show changes from TIME on"},
			&cli.StringFlag{Name: "until", Usage: "show changes up to TIME"},
			&cli.StringFlag{Name: "at", Usage: "say where the user was at TIME"},
		},
		Action: inv.asking(0, 1, func(c *cli.Context, client *api.Client, args []string) error {
			q := api.HistoryQuery{Limit: c.Int("number")}
			if q.Limit < 1 || q.Limit > api.MaxHistory {
				return usagef(c, "-n %d is not a number from 1 to %d", q.Limit, api.MaxHistory)
			}
			var at time.Time
			now := time.Now().In(inv.Location)
			for flag, to := range map[string]*time.Time{
				"since": &q.Since, "until": &q.Until, "at": &at,
			} {
				if !c.IsSet(flag) {
					continue
				}
				var ok bool
				text := c.String(flag)
				if *to, ok = parseMoment(text, now); !ok {
					return usagef(c,
						"--%s %q is not a time; give 2026-02-08 12:20:35, 12:20 or 90m",
						flag, text)
				}
			}
			switch {
			case !q.Until.IsZero() && q.Until.Before(q.Since):
				return usagef(c, "--until is before --since")
			case len(args) > 0:
				return inv.showUserHistory(c, client, args[0], at, q)
			case !at.IsZero():
				return usagef(c, "--at asks where a user was; give the user")
			}
			return inv.showHistory(c, client, q)
		}),
	}
}

// parseMoment reads a time: a date and a time of day in the zone of now, the last time that it was
// a time of day, or how long ago it was. RFC 3339 says its own zone.
func parseMoment(text string, now time.Time) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, t.Unix() >= 0
	}
	for _, layout := range []string{
		time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04:05", time.DateOnly,
	} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, t.Unix() >= 0
		}
	}
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		t, err := time.ParseInLocation(layout, text, now.Location())
		if err != nil {
			continue
		}
		at := func(day int) time.Time {
			return time.Date(now.Year(), now.Month(), day, t.Hour(), t.Minute(), t.Second(), 0,
				now.Location())
		}
		if today := at(now.Day()); !today.After(now) {
			return today, true
		}
		return at(now.Day() - 1), true
	}
	days, isDays := strings.CutSuffix(text, "d")
	if n, err := strconv.ParseUint(days, 10, 16); err == nil && isDays {
		return now.AddDate(0, 0, -int(n)), true
	}
	ago, err := time.ParseDuration(text)
	return now.Add(-ago), err == nil && ago >= 0
}

func (inv *invocation) showHistory(
	c *cli.Context, client *api.Client, q api.HistoryQuery,
) error {
	history, err := client.History(c.Context, q)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return inv.printJSON(history)
	}
	t := newTable(inv.Stdout, column{title: "time"}, column{title: "director"},
		column{title: "who"}, column{title: "door"}, column{title: "change"},
		column{title: "result"})
	t.grows, t.folds = true, false
	for _, change := range history.Changes {
		if err := t.row(inv.date(&change.At, "-"), orDash(change.Director), phrase.Who(change),
			orDash(change.Door), phrase.Asked(change), phrase.Result(change)); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	inv.remarkHistory(history.Directors, history.Lapses, q)
	return nil
}

func (inv *invocation) showUserHistory(
	c *cli.Context, client *api.Client, name string, at time.Time, q api.HistoryQuery,
) error {
	history, err := client.UserHistory(c.Context, name, at, q)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return inv.printJSON(history)
	}
	if history.At != nil {
		if err := inv.printStays(history); err != nil {
			return err
		}
		inv.remarkHistory(history.Directors, history.Lapses, api.HistoryQuery{Until: at})
		return nil
	}
	t := newTable(inv.Stdout, column{title: "time"}, column{title: "tag"}, column{title: "from"},
		column{title: "to"}, column{title: "why"}, column{title: "seen by"})
	t.grows, t.folds = true, false
	for _, change := range history.Changes {
		if err := t.row(inv.date(&change.At, "-"), change.Tag, orDash(change.From.String()),
			orDash(change.To.String()), phrase.Reason(change),
			strings.Join(change.SeenBy, " ")); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	inv.remarkHistory(history.Directors, history.Lapses, q)
	return nil
}

// printStays prints where a user was at a moment.
func (inv *invocation) printStays(h api.UserHistory) error {
	if len(h.Stays) == 0 {
		_, err := fmt.Fprintln(inv.Stdout, "Not known: nothing is noted of this user")
		return err
	}
	for _, p := range h.Stays {
		var line strings.Builder
		if p.Tag != "" {
			fmt.Fprintf(&line, "Tag %s: ", p.Tag)
		}
		switch p.Certainty {
		case api.StayThere, api.StayThereIfActive:
			line.WriteString(p.Backend.String())
		case api.StayNowhere:
			line.WriteString("Not mapped")
		default:
			line.WriteString("Not known")
		}
		if p.Since != nil {
			fmt.Fprintf(&line, ", since %s", inv.date(p.Since, ""))
		}
		if p.Why != nil {
			fmt.Fprintf(&line, " (%s)", phrase.Reason(*p.Why))
		}
		if p.Until != nil {
			fmt.Fprintf(&line, "; next change %s", inv.date(p.Until, ""))
		}
		if p.Certainty == api.StayThereIfActive {
			expire := time.Duration(h.UserExpireMS) * time.Millisecond
			fmt.Fprintf(&line, "; not mapped if the user was not active in the %s before that",
				strings.TrimSuffix(expire.String(), "0s"))
		}
		if _, err := fmt.Fprintln(inv.Stdout, api.Visible(line.String())); err != nil {
			return err
		}
	}
	return nil
}

// remarkHistory says what the answer may lack.
func (inv *invocation) remarkHistory(
	directors []api.HistoryDirector, lapses []api.HistoryLapse, q api.HistoryQuery,
) {
	since := make(map[string][]string) // names by what is known of them
	for _, d := range directors {
		switch {
		case d.Error != "" && d.Since == nil:
			inv.remark("Warning: director %s did not tell what it knows: %s", d.Name, d.Error)
		case d.Error != "":
			inv.remark("Warning: director %s did not tell all that it knows: %s", d.Name, d.Error)
		}
		if d.Since == nil || d.More || !q.Since.Before(*d.Since) {
			continue
		}
		text := inv.date(d.Since, "")
		if d.Memory {
			text += ", in memory only"
		}
		since[text] = append(since[text], d.Name)
	}
	for _, text := range slices.Sorted(maps.Keys(since)) {
		inv.remark("Known to %s since %s", strings.Join(since[text], " "), text)
	}
	for _, l := range lapses {
		if l.Since == nil || l.Till.Before(q.Since) || !q.Until.IsZero() && l.Since.After(q.Until) {
			continue
		}
		span := inv.date(l.Since, "") + " to " + inv.date(&l.Till, "")
		switch l.Reason {
		case api.LapseStopped:
			inv.remark("Director %s did not run from %s", l.Director, span)
		case api.LapseCrashed:
			inv.remark("Director %s crashed; it noted nothing from %s", l.Director, span)
		default:
			inv.remark("Director %s lost %d notes from %s", l.Director, l.Lost, span)
		}
	}
}
