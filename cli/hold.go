package cli

import (
	"fmt"
	"os/exec"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/cli/handover"
	"directormesh/cli/lossy"
)

func (inv *invocation) holdCommand() *cli.Command {
	return &cli.Command{
		Name:      "hold",
		Category:  categoryServe,
		Usage:     "run a director and keep its sockets and FIFO open",
		UsageText: "director hold --socket KIND=PATH[:MODE] [--socket …] -- COMMAND [ARG …]",
		Description: `
For machines without a service manager, such as containers: opens the sockets, runs the command
with them, and starts it again when it ends. The sockets stay open meanwhile, so clients queue.
"notify" is the FIFO to which Dovecot's login processes write who is logged in; it stays open
too, because a login process freezes on a FIFO without a reader. Signals go to the command. The
first signal other than SIGHUP ends both; so do wrong settings (exit status 78).

  $ director hold --socket login=/run/dovecot/login/x/director \
      --socket notify=/run/dovecot/login/x/proxy-notify -- director serve`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{
				Name: "socket", DefaultText: "KIND=PATH[:MODE]",
				Usage: "what to open, any number of times; KIND is api, login, userdb, " +
					"authreply, admin, or notify for the FIFO",
			},
		},
		Action: inv.hold,
	}
}

func (inv *invocation) hold(c *cli.Context) error {
	command := c.Args().Slice()
	if len(command) == 0 {
		return usagef(c, "no command to run")
	}
	var specs []handover.Spec
	for _, text := range c.StringSlice("socket") {
		spec, err := handover.ParseSpec(text)
		if err != nil {
			return usagef(c, "socket %v", err)
		}
		specs = append(specs, spec)
	}
	if len(specs) == 0 {
		return usagef(c, "no --socket to hold")
	}
	if _, err := exec.LookPath(command[0]); err != nil {
		return exitf(exitConfig, "%s: %s; give a program that this user may run",
			command[0], api.Cause(err))
	}
	// The reader of our remarks may be gone or stuck; the sockets must stay all the same.
	inv.letPipesBreak()
	lines := lossy.New(inv.Stderr, func(lost uint64) []byte {
		return fmt.Appendf(nil, "director hold: %d remarks were lost: nobody took them\n", lost)
	})
	defer lines.Close()
	status, err := handover.Hold(c.Context, handover.HoldConfig{
		Specs:   specs,
		Command: command,
		Stdin:   inv.Stdin,
		Stdout:  inv.Stdout,
		Stderr:  inv.Stderr,
		Signals: inv.Signals,
		Remark: func(format string, args ...any) {
			fmt.Fprintf(lines, format+"\n", args...) // never fails
		},
	})
	if err != nil {
		return exitf(exitTemporary, "%v", err)
	}
	if status != 0 {
		return exitf(status, "")
	}
	return nil
}
