package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/ring"
)

func (inv *invocation) addCommand() *cli.Command {
	return &cli.Command{
		Name:      "add",
		Category:  categoryBackends,
		Usage:     "add a backend, or change its vhost count",
		ArgsUsage: "HOST [VHOSTS]",
		UsageText: "director add [-a ADDR] [-v] [--json] [-t TAG] HOST[@TAG] [VHOSTS]",
		Description: `
Adds a backend, with 100 vhosts if none are given. If the table already has the backend, its
vhost count is set if one is given, and its tag must be the same. Mapped users stay where they
are. The new backend gets a share of the new users.

  $ director add -t ssd 192.0.2.51 50`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(), verboseFlag(), &cli.StringFlag{Name: "tag", Aliases: []string{"t"}, Usage: "tag of the backend"}},
		Action: inv.asking(1, 2, func(c *cli.Context, client *api.Client, args []string) error {
			host, tag := cutTag(args[0])
			if c.IsSet("tag") {
				given := c.String("tag")
				if tag != nil && *tag != given {
					return usagef(c, "two tags, %q and %q", *tag, given)
				}
				tag = &given
			}
			var vhosts *int
			if len(args) > 1 {
				n, err := parseVHosts(c, args[1])
				if err != nil {
					return err
				}
				vhosts = &n
			}
			return inv.changeBackends(c, client, host, change{
				operation: func(ip api.IP) api.Operation { return api.AddBackend{IP: ip, Tag: tag, VHosts: vhosts} },
				done:      "OK",
				missing:   exitTemporary,
			})
		}),
	}
}

func (inv *invocation) updateCommand() *cli.Command {
	return &cli.Command{
		Name:      "update",
		Category:  categoryBackends,
		Usage:     "change a backend's vhost count",
		ArgsUsage: "HOST VHOSTS",
		UsageText: "director update [-a ADDR] [-v] [--json] HOST[@TAG] VHOSTS",
		Description: `
The vhost count is the backend's weight for new users: twice the vhosts, twice the users; 0
gives it none. Mapped users stay; "director flush" moves them to the backend of their hash.

  $ director update 192.0.2.1 50`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(), verboseFlag()},
		Action: inv.asking(2, 2, func(c *cli.Context, client *api.Client, args []string) error {
			host, tag := cutTag(args[0])
			vhosts, err := parseVHosts(c, args[1])
			if err != nil {
				return err
			}
			return inv.changeBackends(c, client, host, change{
				operation: func(ip api.IP) api.Operation { return api.UpdateBackend{IP: ip, Tag: tag, VHosts: vhosts} },
				done:      "OK",
				missing:   exitTemporary,
			})
		}),
	}
}

func (inv *invocation) removeCommand() *cli.Command {
	return inv.hostCommand("remove", "remove a backend and end the sessions on it", `
Forgets all mappings to the backend and ends the sessions on it; its users log in again on
another one. To move the users away first: down, flush, then remove.

  $ director remove 192.0.2.1`, change{
		operation: func(ip api.IP) api.Operation { return api.RemoveBackend{IP: ip} },
		done:      "removed",
	})
}

func (inv *invocation) upCommand() *cli.Command {
	return inv.hostCommand("up", "let a backend have new users again", `
Undoes "director down". Vhosts and mapped users are as they were.

  $ director up 192.0.2.1`, change{
		operation: func(ip api.IP) api.Operation { return api.BackendUp{IP: ip} },
		done:      "up",
	})
}

func (inv *invocation) downCommand() *cli.Command {
	return inv.hostCommand("down", "keep new users away from a backend", `
The backend gets no new users. Mapped users stay and their sessions go on; stderr says how
many they are. "director flush" moves them away.

  $ director down 192.0.2.1
  192.0.2.1: 12 users are still mapped to it; "director flush 192.0.2.1" moves …`, change{
		operation: func(ip api.IP) api.Operation { return api.BackendDown{IP: ip} },
		done:      "down",
		after: func(ip api.IP, o api.Outcome) {
			switch o.Users {
			case 0:
				inv.remark("%s: no users are mapped to it", ip)
			case 1:
				inv.remark("%s: 1 user is still mapped to it; \"director flush %s\" moves it", ip, ip)
			default:
				inv.remark("%s: %d users are still mapped to it; \"director flush %s\" moves them", ip, o.Users, ip)
			}
		},
	})
}

// hostCommand is a command with a host as its only argument.
func (inv *invocation) hostCommand(name, usage, description string, ch change) *cli.Command {
	ch.missing = exitNotFound
	return &cli.Command{
		Name:        name,
		Category:    categoryBackends,
		Usage:       usage,
		ArgsUsage:   "HOST",
		UsageText:   "director " + name + " [-a ADDR] [-v] [--json] HOST",
		Description: description,
		Flags:       []cli.Flag{addrFlag(), jsonFlag(), verboseFlag()},
		Action: inv.asking(1, 1, func(c *cli.Context, client *api.Client, args []string) error {
			return inv.changeBackends(c, client, args[0], ch)
		}),
	}
}

// change is something to do to each address of a host.
type change struct {
	operation func(api.IP) api.Operation
	done      string // what -v says
	missing   int    // exit status for a backend that is not there
	after     func(api.IP, api.Outcome)
}

// changeBackends does it, one address after the other. If several fail, all are told and the first
// decides the exit status.
func (inv *invocation) changeBackends(c *cli.Context, client *api.Client, host string, ch change) error {
	addrs, err := inv.resolve(c, host)
	if err != nil {
		return err
	}
	var failures []error
	for _, addr := range addrs {
		if err := inv.changeBackend(c, client, api.IP{Addr: addr}, ch); err != nil {
			failures = append(failures, err)
		}
	}
	if len(failures) == 0 {
		return nil
	}
	return exitf(status(failures[0]), "%v", errors.Join(failures...))
}

func (inv *invocation) changeBackend(c *cli.Context, client *api.Client, ip api.IP, ch change) error {
	outcome, err := client.Do(c.Context, ch.operation(ip))
	switch e := apiError(err); {
	case err == nil:
	case e == nil:
		return err
	case e.Code == api.CodeNotFound:
		return exitf(ch.missing, "%s: doesn't exist; \"director status\" lists the backends", ip)
	default:
		return exitf(exitTemporary, "%s: %s", ip, e.Message)
	}
	inv.info(c, "%s: %s", ip, ch.done)
	if ch.after != nil {
		ch.after(ip, outcome)
	}
	return inv.done(c, outcome)
}

// done ends a command that changed something: it remarks what an operator should know, and with
// --json prints the outcome.
func (inv *invocation) done(c *cli.Context, o api.Outcome) error {
	inv.failedDirectors(o)
	inv.sessionsLeft(o)
	if c.Bool("json") {
		return inv.printJSON(o)
	}
	return nil
}

// sessionsLeft remarks that sessions of a user go on where the user is no more: the exit status of
// inherited commands does not tell.
func (inv *invocation) sessionsLeft(o api.Outcome) {
	for _, left := range o.SessionsLeft {
		inv.remark("Warning: director %s could not end %d of the sessions; they go on where they are", left.Director, left.Sessions)
	}
	if len(o.NoKicker) > 0 {
		inv.remark("Warning: %s", noKicker(someOf(o.NoKicker)))
	}
}

// noKicker says that directors end no sessions, and what to do.
func noKicker(directors string) string {
	return "open sessions stay where they are: " + directors + " cannot end any; " +
		"set kick-ipc, kick-anvil or kick-command there"
}

// namedInRemarks is how many directors a remark names: of a large mesh the first will do.
const namedInRemarks = 3

// someOf names directors, if they are many only the first, in the order given.
func someOf(directors []string) string {
	if more := len(directors) - namedInRemarks; more > 1 {
		return fmt.Sprintf("%s and %d more", strings.Join(directors[:namedInRemarks], ", "), more)
	}
	return strings.Join(directors, ", ")
}

// failedDirectors remarks which directors did not confirm a change because they are taken for dead.
func (inv *invocation) failedDirectors(o api.Outcome) {
	failed := slices.Clone(o.FailedDirectors)
	for _, d := range o.Away {
		failed = slices.DeleteFunc(failed, func(name string) bool { return name == d.Director })
		inv.remark("Warning: not confirmed by %s, which is away since %s; it will learn of the change when it is back", d.Director, inv.date(&d.Since, ""))
	}
	if len(failed) > 0 {
		inv.remark("Warning: not confirmed by %s, which failed meanwhile; it will learn of the change when it is back",
			strings.Join(failed, ", "))
	}
}

func parseVHosts(c *cli.Context, text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, usagef(c, "Invalid vhost count '%s': give a number from 0 to %d", text, ring.MaxVHosts)
	}
	return int(n), nil
}

// first returns the first address of a host.
func (inv *invocation) first(c *cli.Context, host string) (netip.Addr, error) {
	addrs, err := inv.resolve(c, host)
	if err != nil {
		return netip.Addr{}, err
	}
	return addrs[0], nil
}
