package cli

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/cli/phrase"
)

func (inv *invocation) flushCommand() *cli.Command {
	return &cli.Command{
		Name:      "flush",
		Category:  categoryUsers,
		Usage:     "move users to the backend that the ring gives",
		ArgsUsage: "HOST | all",
		UsageText: "director flush [-a ADDR] [-v] [--json] [-F | --max-parallel N | --watch | " +
			"--cancel] HOST | all",
		Description: `
Moves all users whose mapping differs from the ring, on one backend or on all: holds their
logins, ends their sessions, lets them log in again. The command shows the progress and
returns when the flush is done. Interrupting the command does not stop the flush. --watch shows
the flushes that run, --cancel keeps them from starting further moves; both work from any
director. --json prints the progress of the flushes when the command ends, also if it fails.

With -F the mappings are forgotten at once and no session is ended: a user may then be on two
backends at the same time.

  $ director flush --max-parallel 500 192.0.2.1
  192.0.2.1: 1204 of 1204 users moved`,
		Flags: append([]cli.Flag{addrFlag(), verboseFlag(), jsonFlag(),
			&cli.BoolFlag{
				Name: "forget", Aliases: []string{"F"},
				Usage: "forget the mappings at once, end no sessions",
			},
			&cli.StringFlag{
				Name: "max-parallel", DefaultText: "N",
				Usage: "users to move at a time, 10000 at most (default: the director's setting)",
			},
			&cli.BoolFlag{Name: "watch", Usage: "show the flushes that run"},
			&cli.BoolFlag{
				Name: "cancel", Usage: "keep the flushes that run from starting further moves",
			},
		}, planFlags()...),
		Action: inv.asking(0, 1, func(c *cli.Context, client *api.Client, args []string) error {
			modes := 0
			for _, flag := range []string{"forget", "max-parallel", "watch", "cancel"} {
				if c.IsSet(flag) {
					modes++
				}
			}
			watching := c.Bool("watch") || c.Bool("cancel")
			switch {
			case modes > 0 && !c.IsSet("max-parallel") &&
				(c.IsSet("plan") || c.IsSet("if-plan")):
				return usagef(c, "--plan and --if-plan go with a flush that moves users")
			case modes > 1:
				return usagef(c, "give only one of -F, --max-parallel, --watch and --cancel")
			case len(args) == 0 && !watching:
				return usagef(c, "arguments are missing")
			case len(args) == 0:
				args = []string{phrase.AllBackends}
			}
			targets, err := inv.flushTargets(c, args[0])
			if err != nil {
				return err
			}
			return inv.flushEach(c, client, targets)
		}),
	}
}

// flushTargets returns the addresses of a host; the zero address stands for all backends.
func (inv *invocation) flushTargets(c *cli.Context, host string) ([]netip.Addr, error) {
	if host == phrase.AllBackends {
		return []netip.Addr{{}}, nil
	}
	return inv.resolve(c, host)
}

func (inv *invocation) flushEach(c *cli.Context, client *api.Client, targets []netip.Addr) error {
	show := inv.newProgress(c.Bool("json"))
	var failures []error
	for _, target := range targets {
		if err := inv.flushOne(c, client, api.IP{Addr: target}, show); err != nil {
			failures = append(failures, err)
		}
	}
	show.end()
	flushes := !c.Bool("forget") && !c.Bool("plan") && !inv.planning
	if c.Bool("json") && flushes && (len(failures) == 0 || len(show.last()) > 0) {
		// Also of flushes that did not end well, or that are no longer watched: this is how they
		// stand.
		if err := inv.printJSON(api.Flushes{Flushes: show.last()}); err != nil {
			return err
		}
	}
	switch len(failures) {
	case 0:
		return nil
	case 1:
		return failures[0]
	}
	return exitf(status(failures[0]), "%s", text(errors.Join(failures...)))
}

func (inv *invocation) flushOne(
	c *cli.Context, client *api.Client, target api.IP, show *progress,
) error {
	switch {
	case c.Bool("forget"):
		return inv.forget(c, client, target)
	case c.Bool("cancel"):
		return inv.cancelFlush(c, client, target, show)
	case c.Bool("watch"):
		return inv.watchFlushes(c.Context, client, api.WatchTarget{Backend: target.Addr}, show)
	}
	op := api.FlushUsers{Backend: target}
	if c.IsSet("max-parallel") {
		n, err := parseUpTo(c, "max-parallel", c.String("max-parallel"), api.MaxParallel)
		if err != nil {
			return err
		}
		op.MaxParallel = n
	}
	outcome, planned, err := inv.doOrPlan(c, client, op)
	if err != nil {
		return flushFailed(target, err)
	}
	if planned {
		return nil
	}
	inv.failedDirectors(outcome)
	return inv.watchFlushes(c.Context, client, api.WatchTarget{Flush: outcome.Flush}, show)
}

func (inv *invocation) forget(c *cli.Context, client *api.Client, target api.IP) error {
	outcome, err := client.Do(c.Context, api.Forget{Backend: target})
	if err != nil {
		return flushFailed(target, err)
	}
	if target.IsValid() {
		inv.info(c, "%s: flushed", target)
	} else {
		inv.info(c, "flushed")
	}
	return inv.done(c, outcome)
}

func (inv *invocation) cancelFlush(
	c *cli.Context, client *api.Client, target api.IP, show *progress,
) error {
	before, err := client.Flushes(c.Context)
	if err != nil {
		return err
	}
	outcome, err := client.Do(c.Context, api.CancelFlush{Backend: target})
	if e := apiError(err); e != nil && e.Code == api.CodeNotFound {
		return exitf(exitNotFound,
			"no such flush is running; \"director flush --watch\" lists the flushes that run")
	}
	if err != nil {
		return failed(err)
	}
	inv.failedDirectors(outcome)
	inv.info(c, "%d flushes cancelled; users already being moved will still arrive", outcome.Count)
	after, err := client.Flushes(c.Context)
	if err != nil {
		return err
	}
	for _, f := range after.Flushes {
		if slices.ContainsFunc(before.Flushes, func(b api.Flush) bool {
			return b.Director == f.Director && b.ID == f.ID && !b.Ended() &&
				(!target.IsValid() || b.Backend == target)
		}) {
			show.note(f)
		}
	}
	return nil
}

// watchFlushes shows flushes until they have ended, and reports the flushes that did not end well.
func (inv *invocation) watchFlushes(
	ctx context.Context, client *api.Client, target api.WatchTarget, show *progress,
) error {
	ended := make(map[api.FlushID]api.Flush)
	err := client.Watch(ctx, target, func(f api.Flush) error {
		ended[api.FlushID{Director: f.Director, ID: f.ID}] = f
		return show.update(f)
	})
	if ctx.Err() != nil {
		show.end()
		if target.Flush != nil {
			inv.remark("The flush goes on; \"director flush --watch\" shows it, " +
				"\"director flush --cancel\" stops it.")
		}
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	if len(ended) == 0 && target.Flush == nil {
		inv.remark("no flush is running")
	}
	var failures []error
	for _, f := range show.last() {
		if _, seen := ended[api.FlushID{Director: f.Director, ID: f.ID}]; !seen {
			continue
		}
		if f.UsersLeft > 0 {
			inv.remark(
				"Warning: %s: sessions of %d users could not be ended; they go on where they are",
				phrase.Backend(f.Backend), f.UsersLeft)
		}
		if f.NoKicker {
			inv.remark("Warning: %s: %s", phrase.Backend(f.Backend), noKicker("some directors"))
		}
	}
	for _, f := range ended {
		if err := verdict(f); err != nil {
			failures = append(failures, err)
		}
	}
	if len(failures) == 0 {
		return nil
	}
	return exitf(exitTemporary, "%s", text(errors.Join(failures...)))
}

// verdict is what was wrong with a flush that has ended, if anything.
func verdict(f api.Flush) error {
	name := phrase.Backend(f.Backend)
	switch {
	case f.Lost:
		return exitf(exitTemporary, "%s: director %s failed while it flushed, and no other one "+
			"goes on; run the flush again", name, f.Runner)
	case f.Cancelled:
		return exitf(exitTemporary, "%s: the flush was cancelled after %d of %d users",
			name, f.Moved, f.Total)
	case f.Failed > 0:
		return exitf(exitTemporary, "%s: %d of %d users could not be moved; run the flush again",
			name, f.Failed, f.Total)
	}
	return nil
}

// flushFailed words why a flush did not begin.
func flushFailed(target api.IP, err error) error {
	e := apiError(err)
	switch {
	case e == nil:
		return err
	case e.Code == api.CodeNotFound:
		return exitf(exitNotFound, "%s: doesn't exist; \"director status\" lists the backends",
			target)
	case !target.IsValid():
		return exitf(exitTemporary, "failed: %s", e.Message)
	}
	return exitf(exitTemporary, "%s: %s", target, e.Message)
}
