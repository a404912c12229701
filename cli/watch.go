package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

// hashesShown is how many users of one event are named in a line.
const hashesShown = 5

func (inv *invocation) watchCommand() *cli.Command {
	return &cli.Command{
		Name:      "watch",
		Category:  categoryQueries,
		Usage:     "show what happens in the mesh, as it happens",
		UsageText: "director watch [-a ADDR] [--json] [-n N] [--once] [--kinds KIND,…]",
		Description: `
Prints a line for each event that the director sees: changes of the table and who asked for
them, users that are moved, directors that come and go, backends that fail, flushes and drains
that begin and end, keys. Users are shown by their hashes. Any director will do; Ctrl-C ends it.
Who reads too slowly is told how many events it has missed.

KIND is change, table, moved, conflict, peer, director, health, alarm, flush, drain, rebalance,
keys or missed. With --json each event is a line of JSON.

  $ director watch -n 20
  $ director watch --kinds health,alarm,peer --json`,
		Flags: []cli.Flag{
			addrFlag(), jsonFlag(),
			&cli.IntFlag{Name: "number", Aliases: []string{"n"},
				Usage: "show the last N events first"},
			&cli.BoolFlag{Name: "once", Usage: "show what has happened already, and no more"},
			&cli.StringFlag{Name: "kinds", Usage: "show events of these `KIND,…` only"},
		},
		Action: inv.asking(0, 0, func(c *cli.Context, client *api.Client, _ []string) error {
			q := api.EventQuery{Last: c.Int("number"), Once: c.Bool("once")}
			if q.Last < 0 || q.Last > api.MaxLastEvents {
				return usagef(c, "-n %d is not a number from 0 to %d", q.Last, api.MaxLastEvents)
			}
			if q.Once && !c.IsSet("number") {
				q.Last = api.MaxLastEvents
			}
			if c.IsSet("kinds") {
				q.Kinds = strings.Split(c.String("kinds"), ",")
				for _, kind := range q.Kinds {
					if !slices.Contains(api.EventKinds(), kind) {
						return usagef(c, "--kinds %s: there is no kind %q; there are %s",
							c.String("kinds"), kind, strings.Join(api.EventKinds(), ", "))
					}
				}
			}
			err := client.Events(c.Context, q, func(e api.Event) error {
				if c.Bool("json") {
					return json.NewEncoder(inv.Stdout).Encode(e)
				}
				_, err := fmt.Fprintln(inv.Stdout, api.Visible(fmt.Sprintf("%s %s %s",
					inv.date(&e.At, "-"), e.Kind, eventText(e))))
				return err
			})
			if c.Context.Err() != nil {
				return nil // who watches has seen enough
			}
			return err
		}),
	}
}

// eventText says what happened.
func eventText(e api.Event) string {
	switch e.Kind {
	case api.KindChange:
		if e.Asked != nil {
			return fmt.Sprintf("%s by %s at %s: %s", changeText(*e.Asked), whoAsked(*e.Asked),
				orDash(e.Asked.Director), resultText(*e.Asked))
		}
	case api.KindTable:
		return tableText(e) + at(e.By)
	case api.KindMoved, api.KindConflict:
		why := reasonText(api.UserChange{Reason: e.What, By: e.By})
		return fmt.Sprintf("%s%s: %s", usersText(e), fromTo(e), why)
	case api.KindPeer:
		text := e.Peer + " " + e.What
		if e.IP != nil {
			text += fmt.Sprintf(" (%s port %d)", e.IP, e.Port)
		}
		return text
	case api.KindDirector:
		return strings.TrimSuffix(fmt.Sprintf("%s %s: %s", e.Director, e.What, e.Reason), ": ")
	case api.KindHealth:
		return strings.TrimSuffix(fmt.Sprintf("%s %s, was %s: %s", addressOf(e.Backend), e.What,
			e.Was, e.Reason), ": ")
	case api.KindAlarm:
		if e.What == api.EventBegun && e.Failing != nil && e.Most != nil {
			return fmt.Sprintf("%d backends%s fail at once and %d may be out of use, so none is "+
				"taken out", *e.Failing, tagText(e), *e.Most)
		}
		return "fewer backends" + tagText(e) + " fail than before"
	case api.KindFlush:
		return flushText(e)
	case api.KindDrain, api.KindRebalance:
		return fmt.Sprintf("%s %s%s", addressOf(e.Backend), e.What, at(e.By))
	case api.KindKeys:
		return strings.TrimSpace(e.Key+" "+e.What) + at(e.By)
	case api.KindMissed:
		return missedText(e)
	}
	return e.What // of a later release
}

func missedText(e api.Event) string {
	if e.Missed == nil || *e.Missed == 0 {
		return "an unknown number of events: " + e.What
	}
	why := map[string]string{
		api.MissedSlow: "they were not read in time",
		api.MissedLost: "the director had no room for them",
	}[e.What]
	return fmt.Sprintf("%d events: %s", *e.Missed, cmp.Or(why, e.What))
}

func tableText(e api.Event) string {
	words := []string{e.What}
	if len(e.UserHashes) == 1 {
		words = append(words, fmt.Sprintf("user %d", e.UserHashes[0]))
	}
	if e.IP != nil {
		words = append(words, e.IP.String(), "port "+strconv.Itoa(e.Port))
	}
	if e.Backend != nil {
		words = append(words, e.Backend.String())
	}
	if e.Tag != nil && *e.Tag != "" {
		words = append(words, "tag "+*e.Tag)
	}
	if e.VHosts != nil {
		words = append(words, "vhosts "+strconv.Itoa(*e.VHosts))
	}
	return strings.Join(words, " ")
}

func usersText(e api.Event) string {
	if len(e.UserHashes) == 1 {
		return fmt.Sprintf("user %d%s", e.UserHashes[0], tagText(e))
	}
	var names []string
	for _, h := range e.UserHashes[:min(len(e.UserHashes), hashesShown)] {
		names = append(names, strconv.FormatUint(uint64(h), 10))
	}
	if len(e.UserHashes) > hashesShown {
		names = append(names, "…")
	}
	return fmt.Sprintf("%d users%s (%s)", len(e.UserHashes), tagText(e), strings.Join(names, " "))
}

func fromTo(e api.Event) (text string) {
	if e.From != nil && e.From.IsValid() {
		text = " from " + e.From.String()
	}
	if e.To != nil && e.To.IsValid() {
		text += " to " + e.To.String()
	}
	return text
}

func flushText(e api.Event) string {
	text := addressOf(e.Backend) + " " + e.What + at(e.By)
	if f := e.Flush; f != nil && e.What != api.EventBegun {
		text += fmt.Sprintf(": %d users moved, %d failed", f.Moved, f.Failed)
		if f.Runner != f.Director {
			text += ", run by " + f.Runner
		}
	}
	return text
}

func addressOf(backend *api.IP) string {
	if backend == nil {
		return "-"
	}
	return flushName(*backend)
}

func tagText(e api.Event) string {
	if e.Tag == nil || *e.Tag == "" {
		return ""
	}
	return " of tag " + *e.Tag
}

func at(director string) string {
	if director == "" {
		return ""
	}
	return " at " + director
}
