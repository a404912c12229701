package cli

import (
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

func (inv *invocation) balanceCommand() *cli.Command {
	return &cli.Command{
		Name:      "balance",
		Category:  categoryQueries,
		Usage:     "show how the load of backends is evened out",
		ArgsUsage: "[TAG]",
		UsageText: "director balance [-a ADDR] [--json] [--reset [--plan] [TAG]]",
		Description: `
Where directors even out load (--balance), one of them changes the weight of each backend to its
vhost count times a factor from 0.5 to 1.5. This shows the load of each backend, the factor that
it has, the one that would even out the load by what was seen in the last hours, and when factors
may change next, or why they may not. "due" stands behind a factor that is off by so much that it
is changed then. Only new users go by it: nobody who is mapped is moved.

With --reset the factors of all backends, or of those of a tag, are taken away, and the vhost counts
are the weights again. Where balancing is on they may change again a while later: to be rid of them,
switch it off on all directors first. Switched off alone, it leaves the factors as they are.

  $ director balance
  mail server ip tag vhosts load factor wanted
  192.0.2.1          100    1812 0.65   0.62
  192.0.2.2          100    1204 1.00   1.02`,
		Flags: append([]cli.Flag{addrFlag(), jsonFlag(), &cli.BoolFlag{
			Name: "reset", Usage: "take the factors away",
		}}, planFlags()...),
		Action: inv.asking(0, 1, func(c *cli.Context, client *api.Client, args []string) error {
			if c.Bool("reset") {
				return inv.resetBalance(c, client, args)
			}
			if len(args) > 0 || c.Bool("plan") || c.String("if-plan") != "" {
				return exitf(exitUsage, "a tag, --plan and --if-plan go with --reset")
			}
			balance, err := client.Balance(c.Context)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return inv.printJSON(balance)
			}
			return inv.printBalance(balance)
		}),
	}
}

func (inv *invocation) printBalance(balance api.Balance) error {
	t := newTable(inv.Stdout, column{title: "mail server ip"}, column{title: "tag"},
		column{title: "vhosts"}, column{title: "load"}, column{title: "factor"},
		column{title: "wanted"})
	for _, tag := range balance.Tags {
		for _, b := range tag.Backends {
			load, wanted := "-", "-"
			if b.Load != nil {
				load = strconv.FormatFloat(*b.Load, 'f', 0, 64)
			}
			if b.Wanted != nil {
				wanted = factorText(*b.Wanted)
			}
			if b.Due {
				wanted += ", due"
			}
			if err := t.row(b.IP.String(), tag.Tag, strconv.Itoa(b.VHosts), load,
				factorText(b.Factor), wanted); err != nil {
				return err
			}
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	inv.remarkBalance(balance)
	return nil
}

// remarkBalance says who changes factors and when, or why nobody does.
func (inv *invocation) remarkBalance(balance api.Balance) {
	if balance.InCharge == "" {
		inv.remark("Info: no director evens out load; see --balance")
		return
	}
	does := "changes factors"
	if balance.Mode == api.BalanceDryRun {
		does = "only says in its log which factors it would change (--balance dryrun)"
	}
	inv.remark("Info: %s %s; load is %s", balance.InCharge, does, loadMeaning(balance.Source))
	if balance.OutOfContact {
		inv.remark("Warning: it is in contact with fewer than half of the directors, and changes " +
			"none; see \"director ring status\"")
	}
	for _, tag := range balance.Tags {
		of := ""
		if tag.Tag != "" {
			of = fmt.Sprintf(" of the tag %q", tag.Tag)
		}
		switch {
		case tag.Frozen != "":
			inv.remark("Info: factors%s stay as they are: %s", of, tag.Frozen)
		case tag.NextAt != nil:
			inv.remark("Info: factors%s may change from %s on", of, inv.date(tag.NextAt, "-"))
		}
	}
}

// loadMeaning says what the loads of a source are.
func loadMeaning(source string) string {
	switch source {
	case api.LoadSessions:
		return "the sessions of all proxies"
	case api.LoadBackends:
		return "the sessions that the backends list"
	case api.LoadAgent:
		return "how busy the backends' agents say they are, in percent"
	}
	return "something that this program does not know"
}

// resetBalance makes the vhost counts of a tag, or of all, the weights again.
func (inv *invocation) resetBalance(c *cli.Context, client *api.Client, args []string) error {
	reset := api.ResetBalance{}
	if len(args) > 0 {
		reset.Tag = &args[0]
	}
	outcome, planned, err := inv.doOrPlan(c, client, reset)
	if err != nil || planned {
		return err
	}
	return inv.done(c, outcome)
}
