package cli

import (
	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

func (inv *invocation) moveCommand() *cli.Command {
	return &cli.Command{
		Name:      "move",
		Category:  categoryUsers,
		Usage:     "give one user another backend",
		ArgsUsage: "USER HOST",
		UsageText: "director move [-a ADDR] [-v] [--json] [--wait] USER HOST",
		Description: `
All directors hold the user's logins, end the user's sessions on other backends and let the
user log in at HOST, usually two seconds later. The command returns when all directors hold
the user's logins; with --wait it returns when the user may log in again.

  $ director move alice@example.org 192.0.2.2`,
		Flags: []cli.Flag{
			addrFlag(), jsonFlag(), verboseFlag(),
			&cli.BoolFlag{Name: "wait", Usage: "return when the user may log in again"},
		},
		Action: inv.asking(2, 2, func(c *cli.Context, client *api.Client, args []string) error {
			user := args[0]
			addr, err := inv.first(c, args[1])
			if err != nil {
				return err
			}
			ip := api.IP{Addr: addr}
			outcome, err := client.Do(c.Context, api.Move{
				User: user, Backend: ip, Wait: c.Bool("wait"),
			})
			switch e := apiError(err); {
			case err == nil:
			case e == nil:
				return err
			case e.Code == api.CodeNotFound:
				return exitf(exitNotFound,
					"Host '%s' doesn't exist; \"director status\" lists the backends", ip)
			case e.Code == api.CodeTryAgain:
				return exitf(exitTemporary,
					"User is already being moved, wait a while for it to be finished")
			default:
				return exitf(exitTemporary, "failed: %s", e.Message)
			}
			if c.Bool("verbose") {
				status, err := client.User(c.Context, user, "")
				if err != nil {
					return err
				}
				inv.info(c, "User hash %d moved to %s", status.UserHash, ip)
			}
			return inv.done(c, outcome)
		}),
	}
}

func (inv *invocation) kickCommand() *cli.Command {
	return &cli.Command{
		Name:      "kick",
		Category:  categoryUsers,
		Usage:     "end a user's sessions everywhere",
		ArgsUsage: "USER",
		UsageText: "director kick [-a ADDR] [-v] [--json] [-f FIELD] USER",
		Description: `
Ends the user's sessions on every director. The mapping stays: the next login goes to the
same backend. With -f, USER is the value of that auth field instead of the user's name.

  $ director kick -f user_mail alice@example.org`,
		Flags: []cli.Flag{
			addrFlag(),
			jsonFlag(),
			verboseFlag(),
			&cli.StringFlag{
				Name: "field", Aliases: []string{"f"}, Usage: "auth field whose value USER is",
			},
		},
		Action: inv.asking(1, 1, func(c *cli.Context, client *api.Client, args []string) error {
			outcome, err := client.Do(c.Context, api.KickUser{
				User: args[0], Field: c.String("field"),
			})
			if err != nil {
				return failed(err)
			}
			if outcome.Known {
				inv.info(c, "User %s kicked (%d sessions)", args[0], outcome.Count)
			} else {
				inv.info(c, "User %s kicked", args[0])
			}
			return inv.done(c, outcome)
		}),
	}
}

// failed words what the director reported for commands that name no backend.
func failed(err error) error {
	if e := apiError(err); e != nil {
		return exitf(exitTemporary, "failed: %s", e.Message)
	}
	return err
}
