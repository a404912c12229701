package cli

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/ring"
)

func (inv *invocation) statusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Category:  categoryQueries,
		Usage:     "show the backends, or where a user is",
		ArgsUsage: "[USER [TAG]]",
		UsageText: "director status [-a ADDR] [--json] [-v] [USER [TAG]]",
		Description: `
Without a user: the table of backends. With a user: the current backend, or the one that a
login would get now; the one that the ring gives ("Hashed"); the one that the ring of the
configured backends gives. The command assigns and records nothing. "Pinned" is the backend to
which the user is pinned, if any; "Hashed" is that one too while it takes users.

"failed" stands behind the state of a backend that the directors have taken out of use, and
"failed, kept" behind one that stays in use because too many have failed; see "director health".
"starting at 25%" is one that came into use lately and gets
that much of its share of the new users; -v says when it gets all, see --slow-start.
"gone from its name" stands behind one whose address its name has no more; -v shows the names.
The columns "factor" and "load" are there where the directors even out load; see "director balance".

  $ director status alice@example.org
  Current: 192.0.2.1 (expires 2026-02-08 12:20:35)
  Hashed: 192.0.2.1
  Initial config: 192.0.2.1`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(), &cli.BoolFlag{
			Name: "verbose", Aliases: []string{"v"},
			Usage: "show what the directors see of backends and their names, too",
		}},
		Action: inv.asking(0, 2, func(c *cli.Context, client *api.Client, args []string) error {
			switch len(args) {
			case 0:
				return inv.showBackends(c, client)
			case 1:
				return inv.showUser(c, client, args[0], "")
			}
			return inv.showUser(c, client, args[0], args[1])
		}),
	}
}

func (inv *invocation) showBackends(c *cli.Context, client *api.Client) error {
	table, err := client.Backends(c.Context)
	if err != nil {
		return err
	}
	if c.Bool("verbose") {
		return inv.showBackendsAndHealth(c, client, table)
	}
	if c.Bool("json") {
		return inv.printJSON(table)
	}
	return inv.printBackends(table)
}

func (inv *invocation) printBackends(table api.Backends) error {
	columns := []column{
		{title: "mail server ip"}, {title: "tag"}, {title: "vhosts"}, {title: "state"},
		{title: "state changed"}, {title: "users"},
	}
	// Where there is no balancing the table has the columns of before there was.
	balanced := slices.ContainsFunc(table.Backends, func(b api.Backend) bool {
		return b.Factor != 0 && b.Factor != ring.NoFactor || b.Load != nil // 0: an earlier release
	})
	if balanced {
		columns = append(columns, column{title: "factor"}, column{title: "load"})
	}
	t := newTable(inv.Stdout, columns...)
	for _, b := range table.Backends {
		row := []string{
			b.IP.String(), b.Tag, strconv.Itoa(b.VHosts), stateText(b),
			inv.date(b.StateChangedAt, "-"), strconv.Itoa(b.Users),
		}
		if balanced {
			load := "-"
			if b.Load != nil {
				load = strconv.FormatUint(*b.Load, 10)
			}
			row = append(row, factorText(b.Factor), load)
		}
		if err := t.row(row...); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	inv.remarkOutOfContact(table)
	return nil
}

// remarkOutOfContact says why this director does not go on with drains and rebalances.
func (inv *invocation) remarkOutOfContact(table api.Backends) {
	if table.OutOfContact && slices.ContainsFunc(table.Backends, api.Backend.MovesUsers) {
		inv.remark("Warning: this director is in contact with fewer than half of the directors, " +
			"and moves nobody by itself; see \"director ring status\"")
	}
}

// factorText is a factor as people read it: 0.75.
func factorText(percent int) string { return fmt.Sprintf("%.2f", float64(percent)/100) }

// stateText is the state of a backend, with what moves its users away.
func stateText(b api.Backend) string {
	text := b.State
	switch {
	case b.Standby && b.Idle:
		text += ", standby"
	case b.Standby:
		text += ", standby in use"
	}
	if b.SlowStart != nil {
		text += fmt.Sprintf(", starting at %d%%", b.SlowStart.Percent)
	}
	switch {
	case b.Drain == nil || !b.Drain.On:
	case b.Drain.Waits:
		text += ", draining, waits for a backend"
	case b.Users+b.Leaving > 0 && b.Drain.LateMS >= 1000:
		late := time.Duration(b.Drain.LateMS) * time.Millisecond
		text += ", draining, late by " + late.Truncate(time.Second).String()
	case b.Users+b.Leaving > 0:
		text += ", draining"
	default:
		text += ", drained"
	}
	if b.Gone {
		text += ", gone from its name"
	}
	if b.Rebalance != nil && b.Rebalance.On {
		text += ", rebalancing"
	}
	switch {
	case b.Failure == nil:
	case b.Failure.Kept:
		text += ", failed, kept"
	default:
		text += ", failed"
	}
	return text
}

func (inv *invocation) showUser(c *cli.Context, client *api.Client, name, tag string) error {
	user, err := client.User(c.Context, name, tag)
	if err != nil {
		return err
	}
	if err := inv.unknownTag(c, client, user); err != nil {
		return err
	}
	if c.Bool("json") {
		return inv.printJSON(user)
	}
	current := "n/a (no usable backend)"
	switch {
	case user.Mapped:
		current = fmt.Sprintf("%s (expires %s)", user.Current, inv.date(user.ExpiresAt, "-1"))
	case user.Current.IsValid():
		current = user.Current.String() + " (not mapped)"
	}
	pinned := ""
	if user.Pinned.IsValid() {
		pinned = fmt.Sprintf("Pinned: %s\n", user.Pinned)
	}
	_, err = fmt.Fprintf(inv.Stdout, "Current: %s\nHashed: %s\nInitial config: %s\n%s",
		current, user.Hashed, user.InitialConfig, pinned)
	return err
}

// unknownTag remarks that no backend has a user's tag, which otherwise looks as if all were down.
// Neither the answer nor the exit status tells: they are those of doveadm.
func (inv *invocation) unknownTag(c *cli.Context, client *api.Client, user api.User) error {
	if user.Tag == "" || user.Current.IsValid() {
		return nil
	}
	table, err := client.Backends(c.Context)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(table.Backends, func(b api.Backend) bool { return b.Tag == user.Tag }) {
		inv.remark("Warning: no backend has the tag %q; \"director status\" lists the tags",
			user.Tag)
	}
	return nil
}
