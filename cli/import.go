package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

// followInterval is the time between two looks at the other director.
const followInterval = 2 * time.Second

func (inv *invocation) importCommand() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Category:  categoryUsers,
		Usage:     "take backends and mappings over from a running Dovecot director",
		ArgsUsage: "--from ADDR [--follow]",
		UsageText: "director import [-a ADDR] [--json] --from ADDR [--follow]",
		Description: `
Asks a Dovecot director over its director-admin socket (a path, or host:port) for its backends and
users, and gives the mesh the same: backends with tags, vhost counts and states, users with their
backends and the times at which they expire. Where the two differ, the mesh takes the value of the
Dovecot director. No session ends; nothing changes at the Dovecot director.

With --follow it imports every two seconds until it is interrupted. So every user keeps the backend
while you switch to the mesh: follow, point the proxies at the mesh, then interrupt. Backends that
only the mesh has stay, and are listed.

  $ director import --from /run/dovecot/director-admin
  4 backends, 1000000 mappings: all taken`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(),
			&cli.StringFlag{
				Name: "from", DefaultText: "ADDR",
				Usage: "director to import from: its director-admin socket, or host:port",
			},
			&cli.BoolFlag{Name: "follow", Usage: "import again and again until interrupted"},
		},
		Action: inv.asking(0, 0, func(c *cli.Context, client *api.Client, _ []string) error {
			from := c.String("from")
			if from == "" {
				return usagef(c, "say with --from where to import from")
			}
			if c.Bool("follow") && c.Bool("json") {
				return usagef(c, "give only one of --follow and --json")
			}
			i := &importer{
				client: client, from: from, show: inv.newImportProgress(c.Bool("json")),
				remark: inv.remark,
			}
			if c.Bool("follow") {
				return inv.follow(c.Context, i)
			}
			r, err := i.run(c.Context)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				if err := inv.printJSON(r); err != nil {
					return err
				}
			} else {
				inv.remark("%s", r)
			}
			return keptByNone(r.KeptByNone, r.NotKept)
		}),
	}
}

// follow imports until ctx ends. Only the first time must succeed: later the other director may be
// gone for a while, or this one.
func (inv *invocation) follow(ctx context.Context, i *importer) error {
	i.taken = make(map[importedUser]importedTo)
	r, err := i.run(ctx)
	if err != nil {
		return err
	}
	inv.remark("%s; following until interrupted", r)
	failing := ""
	for {
		select {
		case <-time.After(followInterval):
		case <-ctx.Done():
			return nil
		}
		r, err := i.run(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && err.Error() != failing:
			failing = err.Error()
			inv.remark("Warning: %s; trying again", failing)
		case err == nil && failing != "":
			failing = ""
			inv.remark("following again")
		}
		if err == nil && (len(r.Changes) > 0 || r.Taken > 0) {
			inv.remark("%s", r)
			if lost := keptByNone(r.KeptByNone, r.NotKept); lost != nil {
				inv.remark("Warning: %s", lost)
			}
		}
	}
}

// sourceError says what is wrong with the director to import from, and what to do.
func sourceError(from string, err error) error {
	var protocol *api.ProtocolError
	if errors.As(err, &protocol) {
		return exitf(exitProtocol, "what answers at %s is not a director: %s; "+
			"name the director-admin socket of a Dovecot director with --from",
			protocol.Addr, protocol.Reason)
	}
	reason := api.Cause(err)
	return exitf(exitTemporary, "cannot import from %s: %s; is that director running, "+
		"and is this its director-admin socket?",
		from, strings.TrimPrefix(reason, from+" "))
}
