package cli

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

// planFlags are of each command of which there is a plan.
func planFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "plan", Usage: "show which users would move, and change nothing"},
		&cli.StringFlag{
			Name: "if-plan", DefaultText: "DIGEST",
			Usage: "fail if the table is not that of the plan with this digest",
		},
	}
}

// planCommand shows plans: its subcommands are the commands of which there are any.
func (inv *invocation) planCommand() *cli.Command {
	subs := []*cli.Command{
		inv.addCommand(), inv.updateCommand(), inv.removeCommand(), inv.upCommand(),
		inv.downCommand(), inv.drainCommand(), inv.undrainCommand(), inv.rebalanceCommand(),
		inv.flushCommand(), inv.pinCommand(), inv.unpinCommand(),
	}
	for _, sub := range subs {
		action, name := sub.Action, sub.Name
		sub.Category, sub.Usage = "", "show what \""+name+"\" would do"
		sub.UsageText = "director plan " + name + " [-a ADDR] [--json] … " + sub.ArgsUsage
		sub.Description = fmt.Sprintf(`
Shows which users "director %s" with the same arguments would move, at once or by the next
flush, and changes nothing. See "director help plan".

  $ director plan %s %s`, name, name, exampleArguments(name))
		sub.Flags = slices.DeleteFunc(sub.Flags, func(f cli.Flag) bool {
			return slices.Contains([]string{
				"plan", "if-plan", "wait", "forget", "watch", "cancel", "verbose",
			}, f.Names()[0])
		})
		sub.Action = func(c *cli.Context) error {
			inv.planning = true
			return action(c)
		}
	}
	return &cli.Command{
		Name:      "plan",
		Category:  categoryQueries,
		Usage:     "show which users a change would move",
		UsageText: "director plan COMMAND [ARGUMENTS]",
		Description: `
Shows what a command would do, with --plan as a flag of the command or with "plan" before it:
the users that it moves, or that the next flush would move after it, from where to where; how
many users each backend has and would have; and how long the moves take at least. It goes by
one table, whose digest it prints: with --if-plan DIGEST the command fails if the table has
changed since. All mappings are looked through, at the pace of a flush. Nothing is changed.

  $ director plan update 192.0.2.1 50
  $ director update --if-plan 5ac0f1b2c3d4e5f6 192.0.2.1 50`,
		Subcommands: subs,
	}
}

func exampleArguments(command string) string {
	switch command {
	case "add", "update":
		return "192.0.2.1 50"
	case "rebalance":
		return "ssd"
	case "pin":
		return "alice@example.org 192.0.2.2"
	case "unpin":
		return "alice@example.org"
	}
	return "192.0.2.1"
}

// doOrPlan carries out an operation, on the condition of --if-plan if that is given. Asked for a
// plan, it prints that instead: planned.
func (inv *invocation) doOrPlan(
	c *cli.Context, client *api.Client, op api.Operation,
) (outcome api.Outcome, planned bool, err error) {
	if inv.planning || c.Bool("plan") {
		plan, err := client.Plan(c.Context, op)
		if err == nil {
			err = inv.showPlan(c, plan)
		}
		return api.Outcome{}, true, err
	}
	outcome, err = client.DoIf(c.Context, op, c.String("if-plan"))
	return outcome, false, err
}

func (inv *invocation) showPlan(c *cli.Context, p api.Plan) error {
	if c.Bool("json") {
		return inv.printJSON(p)
	}
	summary := fmt.Sprintf("%d users would move", p.Users)
	switch {
	case p.Forgotten > 0 && p.Forgotten == p.Users:
		summary = fmt.Sprintf("%d users would be forgotten, and go elsewhere at their next login",
			p.Users)
	case p.Forgotten > 0:
		summary += fmt.Sprintf(", %d of them at their next login", p.Forgotten)
	}
	if p.Due > 0 {
		summary += fmt.Sprintf("; a flush would move %d now", p.Due)
	}
	if p.LeastMS > 0 {
		least := time.Duration(p.LeastMS) * time.Millisecond
		summary += fmt.Sprintf("; at least %v", least.Round(time.Second))
	}
	if p.SlowStartMS > 0 {
		over := time.Duration(p.SlowStartMS) * time.Millisecond
		summary += fmt.Sprintf("; as after the slow start of %v", over)
	}
	if _, err := fmt.Fprintf(inv.Stdout, "%s\n\n", summary); err != nil {
		return err
	}
	if len(p.Moves) > 0 {
		moves := newTable(inv.Stdout, column{title: "from"}, column{title: "to"},
			column{title: "tag"}, column{title: "users"})
		for _, m := range p.Moves {
			to := m.To.String()
			if !m.To.IsValid() {
				to = "nowhere"
			}
			if err := moves.row(m.From.String(), to, m.Tag, strconv.Itoa(m.Users)); err != nil {
				return err
			}
		}
		if err := moves.end(); err != nil {
			return err
		}
		fmt.Fprintln(inv.Stdout)
	}
	backends := newTable(inv.Stdout, column{title: "mail server ip"}, column{title: "tag"},
		column{title: "users"}, column{title: "then"}, column{title: "share"},
		column{title: "then"})
	for _, b := range p.Backends {
		if err := backends.row(b.IP.String(), b.Tag, strconv.Itoa(b.Users),
			strconv.Itoa(b.UsersAfter), percent(b.Share), percent(b.ShareAfter)); err != nil {
			return err
		}
	}
	if err := backends.end(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(inv.Stdout, "\ntable %s\n", p.Table)
	return err
}

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + "%" }
