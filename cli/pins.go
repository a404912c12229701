package cli

import (
	"strconv"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/ring"
)

func (inv *invocation) pinCommand() *cli.Command {
	return &cli.Command{
		Name:      "pin",
		Category:  categoryUsers,
		Usage:     "send a user to one backend, whatever the hash says",
		ArgsUsage: "USER HOST",
		UsageText: "director pin [-a ADDR] [-v] [--json] [--hash] [--wait] USER HOST",
		Description: `
The user is sent to HOST until "director unpin", also after the mapping has expired. A user who
is mapped elsewhere is moved as by "director move". Flushes, drains of other backends and
rebalances leave the user there. While HOST is down, drained, failed, removed or without vhosts
the pin does not count, and the user goes by hash; afterwards the user is moved back.
"director pins" lists the pins, 10000 at most.

  $ director pin alice@example.org 192.0.2.2`,
		Flags: append([]cli.Flag{
			addrFlag(), jsonFlag(), verboseFlag(), userHashFlag(),
			&cli.BoolFlag{Name: "wait", Usage: "return when a user who is moved may log in again"},
		}, planFlags()...),
		Action: inv.asking(2, 2, func(c *cli.Context, client *api.Client, args []string) error {
			op := api.PinUser{Wait: c.Bool("wait")}
			var err error
			if op.User, op.UserHash, err = userOrHash(c, args[0]); err != nil {
				return err
			}
			addr, err := inv.first(c, args[1])
			if err != nil {
				return err
			}
			op.Backend = api.IP{Addr: addr}
			outcome, planned, err := inv.doOrPlan(c, client, op)
			switch e := apiError(err); {
			case planned && err == nil:
				return nil
			case err == nil:
			case e != nil && e.Code == api.CodeNotFound:
				return exitf(exitNotFound,
					"Host '%s' doesn't exist; \"director status\" lists the backends", op.Backend)
			default:
				return failed(err)
			}
			inv.info(c, "User pinned to %s", op.Backend)
			return inv.done(c, outcome)
		}),
	}
}

func (inv *invocation) unpinCommand() *cli.Command {
	return &cli.Command{
		Name:      "unpin",
		Category:  categoryUsers,
		Usage:     "let a user who is pinned go by hash again",
		ArgsUsage: "USER [TAG]",
		UsageText: "director unpin [-a ADDR] [-v] [--json] [--hash] USER [TAG]",
		Description: `
Nobody is moved: the user stays where the mapping is, until it expires or a flush moves the user.
The TAG is that of the backend.

  $ director unpin alice@example.org`,
		Flags: append([]cli.Flag{addrFlag(), jsonFlag(), verboseFlag(), userHashFlag()},
			planFlags()...),
		Action: inv.asking(1, 2, func(c *cli.Context, client *api.Client, args []string) error {
			op := api.UnpinUser{}
			var err error
			if op.User, op.UserHash, err = userOrHash(c, args[0]); err != nil {
				return err
			}
			if len(args) > 1 {
				op.Tag = args[1]
			}
			outcome, planned, err := inv.doOrPlan(c, client, op)
			switch e := apiError(err); {
			case planned && err == nil:
				return nil
			case err == nil:
			case e != nil && e.Code == api.CodeNotFound:
				return exitf(exitNotFound, "User is not pinned; \"director pins\" lists who is")
			default:
				return failed(err)
			}
			inv.info(c, "User unpinned")
			return inv.done(c, outcome)
		}),
	}
}

func (inv *invocation) pinsCommand() *cli.Command {
	return &cli.Command{
		Name:      "pins",
		Category:  categoryQueries,
		Usage:     "list the users who are pinned",
		UsageText: "director pins [-a ADDR] [--json] [-f FILE]",
		Description: `
Directors have only hashes of user names, so names come from a file, one a line ("-" is stdin).
A pin does not count while its backend takes no users.

  $ director pins -f users.txt
  user              hash       tag mail server ip pinned since        counts
  alice@example.org 4227319470     192.0.2.2      2026-02-08 12:20:35 yes`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(), &cli.StringFlag{
			Name: "file", Aliases: []string{"f"}, Usage: "take user names from a file; - is stdin",
		}},
		Action: inv.asking(0, 0, func(c *cli.Context, client *api.Client, _ []string) error {
			pins, err := client.Pins(c.Context)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return inv.printJSON(pins)
			}
			known, err := inv.readUsers(c, client)
			if err != nil {
				return err
			}
			return inv.printPins(pins, known)
		}),
	}
}

func (inv *invocation) printPins(pins api.Pins, known users) error {
	t := newTable(inv.Stdout, column{title: "user", expands: true}, column{title: "hash"},
		column{title: "tag"}, column{title: "mail server ip"}, column{title: "pinned since"},
		column{title: "counts"})
	for _, p := range pins.Pins {
		names := known[ring.UserHash(p.UserHash)]
		if len(names) == 0 {
			names = []string{"<unknown>"}
		}
		counts := "no"
		if p.Counts {
			counts = "yes"
		}
		for _, name := range names {
			if err := t.row(name, strconv.FormatUint(uint64(p.UserHash), 10), p.Tag,
				p.Backend.String(), inv.date(&p.Since, "-"), counts); err != nil {
				return err
			}
		}
	}
	return t.end()
}

func userHashFlag() cli.Flag {
	return &cli.BoolFlag{Name: "hash", Usage: "USER is a user hash, as \"director map\" shows it"}
}

// userOrHash reads USER, which is a name or, with --hash, a number.
func userOrHash(c *cli.Context, arg string) (name string, hash *uint32, err error) {
	if !c.Bool("hash") {
		return arg, nil, nil
	}
	n, err := strconv.ParseUint(arg, 10, 32)
	if err != nil {
		return "", nil, usagef(c, "'%s' is no user hash; give a number from 0 to 4294967295", arg)
	}
	h := uint32(n)
	return "", &h, nil
}
