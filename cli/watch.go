package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/cli/phrase"
)

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
					inv.date(&e.At, "-"), e.Kind, phrase.Event(e))))
				return err
			})
			if c.Context.Err() != nil {
				return nil // who watches has seen enough
			}
			return err
		}),
	}
}
