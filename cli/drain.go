package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

// drainPoll is how often a command that waits asks how far a drain or rebalance is.
const drainPoll = 500 * time.Millisecond

func (inv *invocation) drainCommand() *cli.Command {
	return &cli.Command{
		Name:      "drain",
		Category:  categoryBackends,
		Usage:     "move all users away from a backend",
		ArgsUsage: "HOST",
		UsageText: "director drain [-a ADDR] [-v] [--json] [--by TIME | --over DURATION] " +
			"[--max-parallel N] [--force] [--wait] HOST",
		Description: `
The backend gets no new users, though it keeps its vhosts, and its users are moved to where
they hash now, as "director flush" does it. With --by or --over the moves are spread over the
time, and users without sessions are left to expire where there is time for that. The drain goes
on whatever becomes of single directors. "director status" shows how far it is. A backend
without users stays drained until "director undrain" or "director remove".

It is refused if less than half of the tag's vhosts would remain in use; --force drains all the
same. --wait shows the progress and returns when no user is left and the last has been moved.

  $ director drain --over 30m --wait 192.0.2.1
  192.0.2.1: 1204 of 1204 users moved`,
		Flags: append(append([]cli.Flag{addrFlag(), jsonFlag(), verboseFlag()},
			append(paceFlags(), planFlags()...)...),
			&cli.BoolFlag{Name: "force", Usage: "however little of the tag's vhosts remains"},
			&cli.BoolFlag{Name: "wait", Usage: "return when the last user has been moved"},
		),
		Action: inv.asking(1, 1, func(c *cli.Context, client *api.Client, args []string) error {
			by, over, parallel, err := inv.pace(c)
			if err != nil {
				return err
			}
			var drained []api.IP
			op := hostOperation{
				operation: func(ip api.IP) api.Operation {
					return api.DrainBackend{
						IP: ip, By: by, OverMS: over, MaxParallel: parallel,
						Force: c.Bool("force"),
					}
				},
				done:    "draining",
				missing: exitNotFound,
				after: func(ip api.IP, o api.Outcome) {
					drained = append(drained, ip)
					if !c.Bool("wait") {
						inv.remark("%s: %s", ip, usersToMove(o.Users))
					}
				},
			}
			if err := inv.changeBackends(c, client, args[0], op); err != nil || !c.Bool("wait") {
				return err
			}
			for _, ip := range drained {
				if err := inv.watchDrain(c, client, ip); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

func usersToMove(n int) string {
	switch n {
	case 0:
		return "no users are mapped to it"
	case 1:
		return "1 user is to be moved; \"director status\" shows when it is done"
	}
	return fmt.Sprintf("%d users are to be moved; \"director status\" shows how far it is", n)
}

func (inv *invocation) undrainCommand() *cli.Command {
	return inv.bringingCommand("undrain", "let a drained backend have new users again", `
Ends a drain, whether it is done or not. Moves under way end; users who were moved stay where
they are.

  $ director undrain 192.0.2.1`, "undrained", func(ip api.IP, slowStart *int64) api.Operation {
		return api.UndrainBackend{IP: ip, SlowStartMS: slowStart}
	})
}

func (inv *invocation) rebalanceCommand() *cli.Command {
	return &cli.Command{
		Name:      "rebalance",
		Category:  categoryUsers,
		Usage:     "move users to where they hash now, over a time",
		ArgsUsage: "[TAG]",
		UsageText: "director rebalance [-a ADDR] [-v] [--json] [--by TIME | --over DURATION] " +
			"[--max-parallel N] [--wait] [TAG]",
		Description: `
Moves all users who are not where they hash, in one tag or in all, as "director flush all" does
it, but takes the time that it is given. Backends that are drained are left alone. "director status" shows the backends that are
rebalanced. --wait shows the progress and returns when it is done.

  $ director rebalance --over 2h --wait
  all: 1204 of 1204 users moved`,
		Flags: append(append([]cli.Flag{addrFlag(), jsonFlag(), verboseFlag()},
			append(paceFlags(), planFlags()...)...),
			&cli.BoolFlag{Name: "wait", Usage: "return when it is done"}),
		Action: inv.asking(0, 1, func(c *cli.Context, client *api.Client, args []string) error {
			by, over, parallel, err := inv.pace(c)
			if err != nil {
				return err
			}
			op := api.Rebalance{By: by, OverMS: over, MaxParallel: parallel}
			if len(args) > 0 {
				op.Tag = &args[0]
			}
			watch := rebalanceWatch{client: client, tag: op.Tag}
			if c.Bool("wait") {
				watch.count(c.Context) // before the first moves
			}
			outcome, planned, err := inv.doOrPlan(c, client, op)
			switch e := apiError(err); {
			case e != nil && e.Code == api.CodeNotFound && len(args) > 0:
				return exitf(exitNotFound, "no backend of tag %q can be rebalanced; "+
					"\"director status\" lists the tags", args[0])
			case err != nil:
				return failed(err)
			case planned:
				return nil
			}
			inv.info(c, "rebalancing")
			if err := inv.done(c, outcome); err != nil || !c.Bool("wait") {
				return err
			}
			return inv.watchRebalance(c, watch)
		}),
	}
}

// paceFlags say how fast users are to be moved.
func paceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "by", DefaultText: "TIME",
			Usage: "when the last user is to be moved: 15:04, \"2026-02-08 15:04\" or RFC 3339",
		},
		&cli.StringFlag{
			Name: "over", DefaultText: "DURATION", Usage: "or in how long, such as 30m or 2h",
		},
		&cli.StringFlag{
			Name: "max-parallel", DefaultText: "N",
			Usage: "users to move at a time, 10000 at most (default: the director's setting)",
		},
	}
}

// pace reads the flags that say how fast users are to be moved.
func (inv *invocation) pace(c *cli.Context) (
	by *time.Time, overMS int64, parallel int, err error,
) {
	if c.IsSet("by") && c.IsSet("over") {
		return nil, 0, 0, usagef(c, "give only one of --by and --over")
	}
	if c.IsSet("by") {
		at, ok := parseTimeToCome(c.String("by"), time.Now().In(inv.Location))
		if !ok {
			return nil, 0, 0, usagef(c, "--by '%s' is no time to come, such as 15:04 or "+
				"\"2026-02-08 15:04\"", c.String("by"))
		}
		by = &at
	}
	if c.IsSet("over") {
		over, err := time.ParseDuration(c.String("over"))
		if err != nil || over < time.Millisecond || over > 30*24*time.Hour {
			return nil, 0, 0, usagef(c, "--over '%s' is no duration up to 720h, such as 30m or 2h",
				c.String("over"))
		}
		overMS = over.Milliseconds()
	}
	if c.IsSet("max-parallel") {
		parallel, err = parseUpTo(c, "max-parallel", c.String("max-parallel"), api.MaxParallel)
	}
	return by, overMS, parallel, err
}

// parseTimeToCome reads a time to come; one without a date is the next at which the clock shows it.
func parseTimeToCome(text string, now time.Time) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04"} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, at.After(now)
		}
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		clock, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		at := time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(),
			clock.Second(), 0, now.Location())
		if !at.After(now) {
			at = time.Date(now.Year(), now.Month(), now.Day()+1, clock.Hour(), clock.Minute(),
				clock.Second(), 0, now.Location())
		}
		return at, true
	}
	return time.Time{}, false
}

// watchDrain shows how a drain goes until no user is left on the backend.
func (inv *invocation) watchDrain(c *cli.Context, client *api.Client, ip api.IP) error {
	show := inv.newProgress(c.Bool("json"))
	defer show.end()
	var total int
	began := time.Now()
	return inv.poll(c.Context, func() (bool, error) {
		b, err := backendOf(c.Context, client, ip)
		if err != nil {
			return false, err
		}
		if b.Drain == nil || !b.Drain.On {
			return false, exitf(exitTemporary, "%s: undrained meanwhile; %d users are left",
				ip, b.Users)
		}
		left := b.Users + b.Leaving // who is being moved is not there yet
		total = max(total, left)
		state := api.Flush{
			Director: "drain", Backend: ip, Total: uint64(total), Moved: uint64(total - left),
			StartedAt: began,
		}
		if left == 0 {
			now := time.Now()
			state.EndedAt = &now
		}
		return left == 0, show.update(state)
	}, "The drain goes on; \"director status\" shows it, \"director undrain\" ends it.")
}

func backendOf(ctx context.Context, client *api.Client, ip api.IP) (api.Backend, error) {
	table, err := client.Backends(ctx)
	if err != nil {
		return api.Backend{}, err
	}
	for _, b := range table.Backends {
		if b.IP == ip {
			return b, nil
		}
	}
	return api.Backend{}, exitf(exitNotFound, "%s: was removed meanwhile", ip)
}

// watchRebalance shows how a rebalance goes until it is done.
func (inv *invocation) watchRebalance(c *cli.Context, w rebalanceWatch) error {
	show := inv.newProgress(c.Bool("json"))
	defer show.end()
	began := time.Now()
	return inv.poll(c.Context, func() (bool, error) {
		on, err := w.on(c.Context)
		if err != nil {
			return false, err
		}
		state := api.Flush{Director: "rebalance", StartedAt: began}
		if on {
			w.count(c.Context)
		} else {
			now := time.Now()
			w.left, state.EndedAt = 0, &now
		}
		state.Total, state.Moved = uint64(w.total), uint64(w.total-w.left)
		return !on, show.update(state)
	}, "The rebalance goes on; \"director status\" shows it.")
}

// rebalanceWatch is what is known of the rebalance of a tag, or of all (nil).
type rebalanceWatch struct {
	client *api.Client
	tag    *string
	total  int       // users that were to be moved, at the most
	left   int       // users that are still to be moved
	next   time.Time // when they are to be counted again
}

// countEvery is how many times as long as it takes to count the users of a rebalance passes before
// they are counted again: for that the director looks through all mappings.
const countEvery = 10

// count counts the users that are to be moved, if it is time to.
func (w *rebalanceWatch) count(ctx context.Context) {
	began := time.Now()
	if began.Before(w.next) {
		return
	}
	plan, err := w.client.Plan(ctx, api.Rebalance{Tag: w.tag})
	if err != nil {
		return // nothing depends on it: whether it is done the table says
	}
	w.next = time.Now().Add(countEvery * time.Since(began))
	w.left, w.total = plan.Users, max(w.total, plan.Users)
}

// on reports whether a backend is still rebalanced.
func (w *rebalanceWatch) on(ctx context.Context) (bool, error) {
	table, err := w.client.Backends(ctx)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(table.Backends, func(b api.Backend) bool {
		return b.Rebalance != nil && b.Rebalance.On && (w.tag == nil || *w.tag == b.Tag)
	}), nil
}

// poll asks until it is done. Interrupted, it says what goes on.
func (inv *invocation) poll(
	ctx context.Context, ask func() (done bool, err error), goesOn string,
) error {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		done, err := ask()
		if ctx.Err() != nil {
			inv.remark("%s", goesOn)
			return ctx.Err()
		}
		if done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
