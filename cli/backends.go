package cli

import (
	"errors"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

func (inv *invocation) addCommand() *cli.Command {
	return &cli.Command{
		Name:      "add",
		Category:  categoryBackends,
		Usage:     "add a backend, or change its vhost count",
		ArgsUsage: "HOST [VHOSTS]",
		UsageText: "director add [-a ADDR] [-v] [--json] [-t TAG] [--standby] " +
			"[--slow-start DURATION] HOST[@TAG] [VHOSTS]",
		Description: `
Adds a backend, with 100 vhosts if none are given. If the table already has the backend, its
vhost count is set if one is given, and its tag must be the same. Mapped users stay where they
are. The new backend gets a share of the new users. A standby takes users only while no other
backend of its tag does; --standby=false makes it one like the others. With --slow-start it
gets a quarter of its share at first, and all after that time; 0s ends a slow start.

  $ director add -t ssd 192.0.2.51 50`,
		Flags: append([]cli.Flag{
			addrFlag(), jsonFlag(), verboseFlag(),
			&cli.StringFlag{Name: "tag", Aliases: []string{"t"}, Usage: "tag of the backend"},
			&cli.BoolFlag{Name: "standby", Usage: "take users only while no other of the tag does"},
			slowStartFlag(),
		}, planFlags()...),
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
			var standby *bool
			if c.IsSet("standby") {
				is := c.Bool("standby")
				standby = &is
			}
			slowStart, err := parseSlowStart(c)
			if err != nil {
				return err
			}
			return inv.changeBackends(c, client, host, hostOperation{
				operation: func(ip api.IP) api.Operation {
					return api.AddBackend{
						IP: ip, Tag: tag, VHosts: vhosts, Standby: standby, SlowStartMS: slowStart,
					}
				},
				done:    "OK",
				missing: exitTemporary,
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
		UsageText: "director update [-a ADDR] [-v] [--json] [--slow-start DURATION] " +
			"HOST[@TAG] VHOSTS",
		Description: `
The vhost count is the backend's weight for new users: twice the vhosts, twice the users; 0
gives it none. Mapped users stay until "director flush" moves them.

  $ director update 192.0.2.1 50`,
		Flags: append([]cli.Flag{addrFlag(), jsonFlag(), verboseFlag(), slowStartFlag()},
			planFlags()...),
		Action: inv.asking(2, 2, func(c *cli.Context, client *api.Client, args []string) error {
			host, tag := cutTag(args[0])
			vhosts, err := parseVHosts(c, args[1])
			if err != nil {
				return err
			}
			slowStart, err := parseSlowStart(c)
			if err != nil {
				return err
			}
			return inv.changeBackends(c, client, host, hostOperation{
				operation: func(ip api.IP) api.Operation {
					return api.UpdateBackend{
						IP: ip, Tag: tag, VHosts: vhosts, SlowStartMS: slowStart,
					}
				},
				done:    "OK",
				missing: exitTemporary,
			})
		}),
	}
}

func (inv *invocation) removeCommand() *cli.Command {
	return inv.hostCommand("remove", "remove a backend and end the sessions on it", `
Forgets all mappings to the backend and ends the sessions on it; its users log in again on
another one. To move the users away first: down, flush, then remove.

  $ director remove 192.0.2.1`, hostOperation{
		operation: func(ip api.IP) api.Operation { return api.RemoveBackend{IP: ip} },
		done:      "removed",
	})
}

func (inv *invocation) upCommand() *cli.Command {
	return inv.bringingCommand("up", "let a backend have new users again", `
Undoes "director down", and ends a failure. Vhosts and mapped users are as they were.

  $ director up 192.0.2.1`, "up", func(ip api.IP, slowStart *int64) api.Operation {
		return api.BackendUp{IP: ip, SlowStartMS: slowStart}
	})
}

func (inv *invocation) downCommand() *cli.Command {
	return inv.hostCommand("down", "keep new users away from a backend", `
The backend gets no new users. Mapped users stay and their sessions go on; stderr says how
many they are. "director flush" moves them away.

  $ director down 192.0.2.1
  192.0.2.1: 12 users are still mapped to it; "director flush 192.0.2.1" moves …`, hostOperation{
		operation: func(ip api.IP) api.Operation { return api.BackendDown{IP: ip} },
		done:      "down",
		after: func(ip api.IP, o api.Outcome) {
			switch o.Users {
			case 0:
				inv.remark("%s: no users are mapped to it", ip)
			case 1:
				inv.remark("%s: 1 user is still mapped to it; \"director flush %s\" moves it",
					ip, ip)
			default:
				inv.remark("%s: %d users are still mapped to it; \"director flush %s\" moves them",
					ip, o.Users, ip)
			}
		},
	})
}

// bringingCommand is a command that brings a host into use, at once or slowly.
func (inv *invocation) bringingCommand(
	name, usage, description, done string,
	operation func(ip api.IP, slowStart *int64) api.Operation,
) *cli.Command {
	command := inv.hostCommand(name, usage, description, hostOperation{})
	command.UsageText = "director " + name + " [-a ADDR] [-v] [--json] [--slow-start DURATION] HOST"
	command.Flags = append([]cli.Flag{addrFlag(), jsonFlag(), verboseFlag(), slowStartFlag()},
		planFlags()...)
	command.Action = inv.asking(1, 1, func(
		c *cli.Context, client *api.Client, args []string,
	) error {
		slowStart, err := parseSlowStart(c)
		if err != nil {
			return err
		}
		return inv.changeBackends(c, client, args[0], hostOperation{
			operation: func(ip api.IP) api.Operation { return operation(ip, slowStart) },
			done:      done,
			missing:   exitNotFound,
		})
	})
	return command
}

// hostCommand is a command with a host as its only argument.
func (inv *invocation) hostCommand(name, usage, description string, op hostOperation) *cli.Command {
	op.missing = exitNotFound
	return &cli.Command{
		Name:        name,
		Category:    categoryBackends,
		Usage:       usage,
		ArgsUsage:   "HOST",
		UsageText:   "director " + name + " [-a ADDR] [-v] [--json] HOST",
		Description: description,
		Flags:       append([]cli.Flag{addrFlag(), jsonFlag(), verboseFlag()}, planFlags()...),
		Action: inv.asking(1, 1, func(c *cli.Context, client *api.Client, args []string) error {
			return inv.changeBackends(c, client, args[0], op)
		}),
	}
}

// hostOperation is an operation that a command asks for at each address of a host.
type hostOperation struct {
	operation func(api.IP) api.Operation
	done      string // what -v says
	missing   int    // exit status for a backend that is not there
	after     func(api.IP, api.Outcome)
}

// changeBackends carries out the operation at one address after the other. If several fail, it
// reports all; the first decides the exit status.
func (inv *invocation) changeBackends(
	c *cli.Context, client *api.Client, host string, op hostOperation,
) error {
	addrs, err := inv.resolve(c, host)
	if err != nil {
		return err
	}
	var failures []error
	for _, addr := range addrs {
		if err := inv.changeBackend(c, client, api.IP{Addr: addr}, op); err != nil {
			failures = append(failures, err)
		}
	}
	if len(failures) == 0 {
		return nil
	}
	return exitf(status(failures[0]), "%v", errors.Join(failures...))
}

func (inv *invocation) changeBackend(
	c *cli.Context, client *api.Client, ip api.IP, op hostOperation,
) error {
	outcome, planned, err := inv.doOrPlan(c, client, op.operation(ip))
	switch e := apiError(err); {
	case err == nil:
	case e == nil:
		return err
	case e.Code == api.CodeNotFound:
		return exitf(op.missing, "%s: doesn't exist; \"director status\" lists the backends", ip)
	default:
		return exitf(exitTemporary, "%s: %s", ip, e.Message)
	}
	if planned {
		return nil
	}
	inv.info(c, "%s: %s", ip, op.done)
	if op.after != nil {
		op.after(ip, outcome)
	}
	return inv.done(c, outcome)
}
