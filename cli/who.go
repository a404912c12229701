package cli

import (
	"strconv"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

func (inv *invocation) whoCommand() *cli.Command {
	return &cli.Command{
		Name:      "who",
		Category:  categoryQueries,
		Usage:     "list the sessions of users, on all directors",
		ArgsUsage: "[USER]",
		UsageText: "director who [-a ADDR] [--json] [--host HOST] [USER]",
		Description: `
Asks all directors for the sessions that Dovecot's login processes proxy there: of one user,
on one backend, or all. Users are shown by their hashes; "director map" finds names. "mapped" is
the backend that the user has; sessions on another one are about to end, or could not be ended.
Directors that do not answer, or cannot list sessions, are named.

  $ director who alice@example.org
  $ director who --host 192.0.2.3`,
		Flags: []cli.Flag{
			addrFlag(), jsonFlag(),
			&cli.StringFlag{Name: "host", Usage: "list the sessions on `HOST`"},
		},
		Action: inv.asking(0, 1, func(c *cli.Context, client *api.Client, args []string) error {
			var q api.SessionsQuery
			if len(args) > 0 {
				q.User = args[0]
			}
			if c.IsSet("host") {
				addr, err := inv.first(c, c.String("host"))
				if err != nil {
					return err
				}
				q.Backend = api.IP{Addr: addr}
			}
			sessions, err := client.Sessions(c.Context, q)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return inv.printJSON(sessions)
			}
			return inv.showSessions(sessions)
		}),
	}
}

func (inv *invocation) showSessions(s api.Sessions) error {
	t := newTable(inv.Stdout, column{title: "user hash"}, column{title: "mail server ip"},
		column{title: "director"}, column{title: "sessions"}, column{title: "mapped"})
	for _, one := range s.Sessions {
		mapped := "yes"
		if one.Mapped != one.Backend {
			mapped = orDash(one.Mapped.String())
		}
		if err := t.row(strconv.FormatUint(uint64(one.UserHash), 10), one.Backend.String(),
			one.Director, strconv.Itoa(one.Sessions), mapped); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	for _, d := range s.Directors {
		switch {
		case d.Error != "":
			inv.remark("Warning: director %s did not list its sessions: %s", d.Name, d.Error)
		case !d.Lists:
			inv.remark("Warning: director %s cannot list sessions; set kick-ipc or kick-anvil",
				d.Name)
		}
	}
	if s.More {
		inv.remark("There are more sessions; ask for a user or a host")
	}
	return nil
}
