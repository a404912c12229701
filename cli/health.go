package cli

import (
	"cmp"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

// The exit statuses of health are those of monitoring plugins.
const (
	exitHealthWarning  = 1
	exitHealthCritical = 2
)

func (inv *invocation) healthCommand() *cli.Command {
	return &cli.Command{
		Name:      "health",
		Category:  categoryQueries,
		Usage:     "show which backends fail, with an exit status for monitoring",
		UsageText: "director health [-a ADDR] [--json] [-v]",
		Description: `
Shows what the directors that check backends (--health-check) see of each: good; failing, not yet
long enough; failed, and out of use; kept, that is failed and in use because too many have failed;
cleared, after "director up" ended a failure, until it was good for three rounds; unseen.

The exit status is one that monitoring systems know: 0, all backends are good; 1, a backend fails,
and the directors do something about it; 2, they do nothing about it, so people have to. Backends
that an operator has set down do not count. 65 means that no director checks backends.

  $ director health
  mail server ip tag health since               seen by why
  192.0.2.1          good   -                   3 of 3
  192.0.2.2          failed 2026-11-29 12:20:35 3 of 3  imap:143: refused`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(), &cli.BoolFlag{
			Name: "verbose", Aliases: []string{"v"}, Usage: "show what each director sees",
		}},
		Action: inv.asking(0, 0, func(c *cli.Context, client *api.Client, _ []string) error {
			health, err := client.Health(c.Context)
			if err != nil {
				return err
			}
			if len(health.Watching) == 0 {
				return exitf(exitNotPossible,
					"no director checks backends; set --health-check, for example imap:143")
			}
			switch {
			case c.Bool("json"):
				err = inv.printJSON(health)
			case c.Bool("verbose"):
				err = inv.printObservers(health)
			default:
				err = inv.printHealth(health)
			}
			if err != nil {
				return err
			}
			inv.remarkAlarms(health)
			if status := healthStatus(health); status != 0 {
				return exitf(status, "")
			}
			return nil
		}),
	}
}

// healthStatus is the exit status that says how the backends are.
func healthStatus(health api.Health) int {
	status := 0
	for _, b := range health.Backends {
		if b.State == api.StateDown {
			continue
		}
		switch b.Health {
		case api.HealthFailing, api.HealthFailed:
			status = max(status, exitHealthWarning)
		case api.HealthKept:
			status = exitHealthCritical
		case api.HealthCleared, api.HealthUnseen:
			if failing, _ := seenFailing(b); failing > 0 {
				status = max(status, exitHealthWarning)
			}
		}
	}
	if len(health.Alarms) > 0 || health.OutOfContact {
		status = exitHealthCritical
	}
	return status
}

// seenFailing counts the observers that see a backend fail, and gives the reason of one.
func seenFailing(b api.BackendHealth) (n int, reason string) {
	for _, o := range b.Observers {
		if o.Sees == api.HealthFailing {
			n++
			reason = cmp.Or(reason, o.Reason)
		}
	}
	return n, reason
}

// remarkAlarms says what keeps the directors from taking failed backends out of use, and which of
// those that are out come back later than others.
func (inv *invocation) remarkAlarms(health api.Health) {
	for _, b := range health.Backends {
		if b.Flaps > 0 {
			times := "once"
			if b.Flaps > 1 {
				times = fmt.Sprintf("%d times in a row", b.Flaps)
			}
			good := time.Duration(b.GoodForMS) * time.Millisecond
			inv.remark("Info: %s failed %s within ten minutes of being good again, and comes back "+
				"when it was good for %v", b.IP, times, good)
		}
	}
	for _, a := range health.Alarms {
		of := ""
		if a.Tag != "" {
			of = fmt.Sprintf(" of the tag %q", a.Tag)
		}
		inv.remark("Warning: %d backends%s fail at once, and %d may be out of use; no more are "+
			"taken out. Look whether something before them fails, such as the network", a.Failing,
			of, a.Most)
	}
	if health.OutOfContact {
		inv.remark("Warning: this director is in contact with fewer than half of the directors, " +
			"and takes no backend out of use; ask another one, or see \"director ring status\"")
	}
}

func (inv *invocation) printHealth(health api.Health) error {
	t := newTable(inv.Stdout, column{title: "mail server ip"}, column{title: "tag"},
		column{title: "health"}, column{title: "since"}, column{title: "seen by"},
		column{title: "why"})
	t.grows = true
	for _, b := range health.Backends {
		failing, reason := seenFailing(b)
		same := failing
		if b.Health == api.HealthGood {
			same = 0
			for _, o := range b.Observers {
				if o.Sees == api.HealthGood {
					same++
				}
			}
		}
		since := "-"
		if b.Failure != nil {
			since = inv.date(b.Failure.Since, "-")
		}
		if err := t.row(b.IP.String(), b.Tag, shownHealth(b), since,
			fmt.Sprintf("%d of %d", same, len(b.Observers)), reason); err != nil {
			return err
		}
	}
	return t.end()
}

// shownHealth is the health of a backend, and that it is down if an operator said so.
func shownHealth(b api.BackendHealth) string {
	if b.State == api.StateDown {
		return b.Health + " (down)"
	}
	return b.Health
}

// printObservers prints what each director sees of each backend.
func (inv *invocation) printObservers(health api.Health) error {
	t := newTable(inv.Stdout, column{title: "mail server ip"}, column{title: "health"},
		column{title: "director"}, column{title: "sees"}, column{title: "since"},
		column{title: "why"})
	t.grows = true
	for _, b := range health.Backends {
		if len(b.Observers) == 0 {
			if err := t.row(b.IP.String(), shownHealth(b), "-", "-", "-", ""); err != nil {
				return err
			}
		}
		for _, o := range b.Observers {
			if err := t.row(b.IP.String(), shownHealth(b), o.Director, o.Sees,
				inv.date(o.Since, "-"), o.Reason); err != nil {
				return err
			}
		}
	}
	return t.end()
}

// showBackendsAndHealth shows the table with what each director sees of the backends.
func (inv *invocation) showBackendsAndHealth(
	c *cli.Context, client *api.Client, table api.Backends,
) error {
	health, err := client.Health(c.Context)
	if err != nil {
		return err
	}
	names, err := client.Names(c.Context)
	if err := apiError(err); err != nil && err.Code == api.CodeNotFound {
		names = api.Names{} // a director of an earlier release
	} else if err != nil {
		return err
	}
	if c.Bool("json") {
		return inv.printJSON(struct {
			api.Backends
			Health api.Health `json:"health"`
			Names  api.Names  `json:"names"`
		}{table, health, names})
	}
	if err := inv.printBackends(table); err != nil {
		return err
	}
	inv.remarkSlowStarts(table)
	if len(health.Watching) == 0 {
		inv.remark("Info: no director checks backends; see --health-check")
	} else {
		if _, err := fmt.Fprintln(inv.Stdout); err != nil {
			return err
		}
		if err := inv.printObservers(health); err != nil {
			return err
		}
		inv.remarkAlarms(health)
	}
	return inv.printNames(names)
}
