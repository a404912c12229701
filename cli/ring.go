package cli

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/ring"
)

func (inv *invocation) ringCommand() *cli.Command {
	return &cli.Command{
		Name:      "ring",
		Category:  categoryMesh,
		Usage:     "show and change which directors belong to the mesh",
		ArgsUsage: "status | add | remove",
		Subcommands: []*cli.Command{
			inv.ringStatusCommand(), inv.ringAddCommand(), inv.ringRemoveCommand(),
		},
	}
}

func (inv *invocation) ringStatusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "show the directors and their states",
		UsageText: "director ring status [-a ADDR] [--json] [--wait [--timeout DURATION]]",
		Description: `
Shows all directors as one of them, the "self" of the list, sees them. Normally a director is
"synced"; "handshaking" and "syncing" are steps on the way. "reachable" says, within a second,
whether messages flow between the two. "skew" is a director's mesh time less that of "self",
"offset" the mesh time of "self" less its host's clock. With --wait the list is printed when
"self" and all directors that it reaches are synced.

  $ director ring status
  director ip port type last failed         status …
  127.0.1.1   9090 self never               synced
  127.0.1.2   9090 peer 2026-02-08 12:20:35 handshaking - 5000 USERs received`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(),
			&cli.BoolFlag{Name: "wait", Usage: "wait until the directors are synced"},
			&cli.DurationFlag{
				Name: "timeout", Usage: "with --wait: give up after this long (default: never)",
			},
		},
		Action: inv.asking(0, 0, func(c *cli.Context, client *api.Client, _ []string) error {
			var directors api.Directors
			var err error
			if c.Bool("wait") {
				directors, err = waitSynced(c.Context, client, c.Duration("timeout"))
			} else {
				directors, err = client.Directors(c.Context)
			}
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return inv.printJSON(directors)
			}
			return inv.printDirectors(directors)
		}),
	}
}

func (inv *invocation) printDirectors(directors api.Directors) error {
	t := newTable(inv.Stdout, column{title: "director ip"}, column{title: "port"},
		column{title: "type"}, column{title: "last failed"},
		column{title: "status"}, column{title: "name"}, column{title: "reachable"},
		column{title: "ping ms"}, column{title: "users"},
		column{title: "skew ms"}, column{title: "offset ms"})
	t.key = 5
	t.grows = true // doveadm's columns fit on a screen, ours not always
	for _, d := range directors.Directors {
		ping, skew, offset := "-", "-", "-"
		if d.PingMS != nil {
			ping = formatMS(*d.PingMS)
		}
		switch {
		case d.Type == api.TypeSelf:
			offset = formatMS(d.OffsetMS)
		case d.Reachable:
			skew = formatMS(d.SkewMS)
		}
		if err := t.row(d.IP.String(), strconv.Itoa(d.Port), d.Type,
			inv.date(d.LastFailedAt, "never"), directorStatus(d), orDash(d.Name),
			inv.reachable(d), ping, strconv.FormatUint(d.Users, 10), skew, offset); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	for _, d := range directors.Directors {
		if d.Type == api.TypeSelf && d.Reason != "" {
			inv.remark("%s: %s", d.Name, d.Reason)
		}
	}
	return nil
}

// directorStatus is the status column: the state, and how far a handshake has come.
func directorStatus(d api.Director) string {
	switch {
	case d.State != api.StateHandshaking:
		return d.State
	case d.UsersReceived > 0:
		return fmt.Sprintf("%s - %d USERs received", d.State, d.UsersReceived)
	case d.UsersSent > 0:
		return fmt.Sprintf("%s - %d USERs sent", d.State, d.UsersSent)
	}
	return d.State
}

// reachable is whether a director is heard, and if not, since when; it says so within a second,
// while the status still is what it was.
func (inv *invocation) reachable(d api.Director) string {
	switch {
	case d.Type == api.TypeSelf:
		return "-"
	case d.Left:
		return "left"
	case d.Reachable:
		return "yes"
	}
	if d.UnreachableSince == nil {
		return "no"
	}
	return "no since " + inv.date(d.UnreachableSince, "")
}

// formatMS formats milliseconds to a tenth, and nothing as 0.0, without a sign.
func formatMS(ms float64) string {
	if math.Abs(ms) < 0.05 {
		ms = 0
	}
	return strconv.FormatFloat(ms, 'f', 1, 64)
}

// waitInterval is how often the state is asked for while waiting.
const waitInterval = 200 * time.Millisecond

// waitSynced waits until all directors that can be are synced.
func waitSynced(
	ctx context.Context, client *api.Client, timeout time.Duration,
) (api.Directors, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	ticker := time.NewTicker(waitInterval)
	defer ticker.Stop()
	pending := ""
	for {
		directors, err := client.Directors(ctx)
		if err == nil {
			if pending = notSynced(directors); pending == "" {
				return directors, nil
			}
		} else if ctx.Err() == nil {
			return api.Directors{}, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			if ctx.Err() == context.DeadlineExceeded {
				return api.Directors{}, exitf(exitTemporary, "not synced after %v: %s",
					timeout, orDash(pending))
			}
			return api.Directors{}, ctx.Err()
		}
	}
}

// notSynced names the directors that are expected to become synced and are not yet.
func notSynced(directors api.Directors) string {
	var names []string
	for _, d := range directors.Directors {
		expected := d.Type == api.TypeSelf || d.Type == api.TypePeer && d.Reachable && !d.Left
		if expected && d.State != api.StateSynced {
			names = append(names, d.Name)
		}
	}
	return strings.Join(names, ", ")
}

func (inv *invocation) ringAddCommand() *cli.Command {
	return &cli.Command{
		Name:      "add",
		Usage:     "contact a director, or accept it again",
		ArgsUsage: "IP [PORT] | NAME",
		UsageText: "director ring add [-a ADDR] [-v] [--json] IP [PORT] | NAME",
		Description: `
Makes the mesh contact the director at this address, and accept it if it had been removed.
The default port is the mesh port of the director at -a. A NAME works if "ring status" lists
it.

  $ director ring add 127.0.1.4`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(), verboseFlag()},
		Action: inv.asking(1, 2, func(c *cli.Context, client *api.Client, args []string) error {
			d, err := directorArgs(c, args)
			if err != nil {
				return err
			}
			return inv.changeRing(c, client, api.AddDirector(d), d.Name)
		}),
	}
}

func (inv *invocation) ringRemoveCommand() *cli.Command {
	return &cli.Command{
		Name:      "remove",
		Usage:     "make the mesh refuse a director",
		ArgsUsage: "IP [PORT] | NAME",
		UsageText: "director ring remove [-a ADDR] [-v] [--json] IP [PORT] | NAME",
		Description: `
The mesh refuses the director at this address until "director ring add". A NAME stands for
the address of that director. To take a director away for good, stop it: the others forget it.

  $ director ring remove 127.0.1.4`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(), verboseFlag()},
		Action: inv.asking(1, 2, func(c *cli.Context, client *api.Client, args []string) error {
			d, err := directorArgs(c, args)
			if err != nil {
				return err
			}
			return inv.changeRing(c, client, api.RemoveDirector(d), d.Name)
		}),
	}
}

// changeRing carries out a change of the directors. name is the name of the director, "" if it was
// given by address.
func (inv *invocation) changeRing(
	c *cli.Context, client *api.Client, op api.Operation, name string,
) error {
	outcome, err := client.Do(c.Context, op)
	switch e := apiError(err); {
	case err == nil:
	case e == nil:
		return err
	case e.Code == api.CodeNotFound && name != "":
		return exitf(exitNotFound, "No director named '%s' has been seen here; give its address",
			name)
	case e.Code == api.CodeNotFound:
		return exitf(exitNotFound, "Not found; \"director ring status\" lists the directors")
	case e.Code == api.CodeBadRequest:
		return usagef(c, "%s", e.Message)
	default:
		return exitf(exitTemporary, "Failed: %s", e.Message)
	}
	return inv.done(c, outcome)
}

// directorArgs reads IP [PORT] or NAME.
func directorArgs(c *cli.Context, args []string) (api.RemoveDirector, error) {
	var none api.RemoveDirector
	addr, err := ring.ParseAddr(args[0])
	isAddr := err == nil && strings.Trim(args[0], "0123456789") != "" && addr != (netip.Addr{})
	switch {
	case !isAddr && strings.Trim(args[0], "0123456789.") == "",
		!isAddr && strings.ContainsAny(args[0], ":[]"):
		return none, usagef(c, "Invalid IP '%s'", args[0])
	case !isAddr && len(args) > 1:
		return none, usagef(c, "Invalid IP '%s': a port goes with an IP address, not with a name",
			args[0])
	case !isAddr:
		return api.RemoveDirector{Name: args[0]}, nil
	case len(args) == 1:
		return api.RemoveDirector{IP: api.IP{Addr: addr}}, nil
	}
	port, err := strconv.ParseUint(args[1], 10, 16)
	if err != nil || port == 0 {
		return none, usagef(c, "Invalid port '%s': give a number from 1 to 65535", args[1])
	}
	return api.RemoveDirector{IP: api.IP{Addr: addr}, Port: int(port)}, nil
}
