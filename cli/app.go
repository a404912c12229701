package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

// IO is what commands have of the outside; main gives them the process's own.
type IO struct {
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer
	LookupEnv func(name string) (string, bool)
	Location  *time.Location // for dates
	Resolve   func(ctx context.Context, host string) ([]netip.Addr, error)
	Root      bool                    // root runs this
	Become    func(user string) error // makes the process another user's; for serve --check --as
	Version   string
	// Wall is the wall clock of a director; nil: time.Now.
	Wall func() time.Time
	// LetPipesBreak lets writing to a closed stdout or stderr fail, where it would end the process;
	// nil: it does so already. serve and hold go on without a reader of their log.
	LetPipesBreak func()
	// ForbidCores keeps the process from writing its memory to a file when it crashes; nil does
	// nothing. A director's memory has the keys of the mesh.
	ForbidCores func() error
	// SIGTERM, SIGINT and SIGHUP; serve and hold tell them apart, other commands end
	Signals <-chan os.Signal
}

// invocation is one run of the program.
type invocation struct {
	IO
	program string // as it was called

	planning bool // a plan is asked for, whatever the flags say
}

// Main runs the command line and returns the exit status. args[0] is the program's name.
func Main(ctx context.Context, args []string, io IO) int {
	inv := &invocation{IO: io, program: args[0]}
	err := inv.run(ctx, args)
	switch said := text(err); {
	case said == "":
	case wantsJSON(args):
		inv.printFailure(err, said)
	default:
		for line := range strings.Lines(said) {
			fmt.Fprintf(inv.Stderr, "Error: %s\n", api.Visible(strings.TrimSuffix(line, "\n")))
		}
	}
	return status(err)
}

func (inv *invocation) run(ctx context.Context, args []string) error {
	app := inv.app()
	line, err := parseLine(app.Commands, args)
	if err != nil {
		return err
	}
	if line.help {
		return inv.help(app, line.command)
	}
	if line.version {
		return app.RunContext(ctx, []string{line.program, "version"})
	}
	if line.command == nil {
		if err := inv.helpOn(inv.Stderr, app, nil); err != nil {
			return err
		}
		return exitf(exitUsage, "")
	}
	if line.command.Name != "serve" && line.command.Name != "hold" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		var watcher sync.WaitGroup
		defer watcher.Wait()
		defer cancel()
		watcher.Go(func() {
			select {
			case <-inv.Signals:
				cancel()
			case <-ctx.Done():
			}
		})
	}
	return app.RunContext(ctx, line.argv())
}

func (inv *invocation) app() *cli.App {
	app := &cli.App{
		Name:            "director",
		Usage:           "keep every user of a mail cluster on one backend",
		HideHelp:        true, // see help.go
		HideVersion:     true, // it is a command
		HideHelpCommand: true,
		Writer:          inv.Stdout,
		ErrWriter:       inv.Stderr,
		ExitErrHandler:  func(*cli.Context, error) {}, // Main decides
		Commands: []*cli.Command{
			inv.serveCommand(), inv.holdCommand(), inv.devCommand(),
			inv.lookupCommand(), inv.statusCommand(), inv.healthCommand(),
			inv.balanceCommand(), inv.mapCommand(),
			inv.pinsCommand(), inv.dumpCommand(), inv.historyCommand(), inv.watchCommand(),
			inv.whoCommand(), inv.doctorCommand(), inv.debugCommand(),
			inv.planCommand(),
			inv.addCommand(), inv.updateCommand(), inv.removeCommand(), inv.upCommand(),
			inv.downCommand(), inv.drainCommand(), inv.undrainCommand(),
			inv.moveCommand(), inv.kickCommand(), inv.flushCommand(), inv.rebalanceCommand(),
			inv.pinCommand(), inv.unpinCommand(), inv.importCommand(),
			inv.ringCommand(), inv.keysCommand(), inv.reloadCommand(),
			inv.dataCommand(),
			inv.benchCommand(), inv.versionCommand(), inv.completionCommand(),
			inv.manCommand(),
		},
	}
	prepare(app.Commands, "director")
	return app
}

// prepare sets what all commands have in common.
func prepare(commands []*cli.Command, parent string) {
	for _, c := range commands {
		c.HideHelp = true
		c.HelpName = parent + " " + c.Name
		giveAccess(c)
		c.OnUsageError = func(ctx *cli.Context, err error, _ bool) error {
			return usagef(ctx, "%v", err)
		}
		prepare(c.Subcommands, c.HelpName)
	}
}

// usagef ends a command that was called wrongly; the message ends with how to call it.
func usagef(c *cli.Context, format string, args ...any) error {
	return exitf(exitUsage, "%s; usage: %s", fmt.Sprintf(format, args...), c.Command.UsageText)
}

// arguments returns the positional arguments if there are least to most of them.
func arguments(c *cli.Context, least, most int) ([]string, error) {
	args := c.Args().Slice()
	if len(args) > most {
		return nil, usagef(c, "Extraneous arguments found: %s", strings.Join(args[most:], " "))
	}
	if len(args) < least {
		return nil, usagef(c, "arguments are missing")
	}
	return args, nil
}

// addr is where to find the director.
func (inv *invocation) addr(c *cli.Context) string {
	if c.IsSet("addr") {
		return c.String("addr")
	}
	if addr, ok := inv.LookupEnv("DIRECTOR_ADDR"); ok && addr != "" {
		return addr
	}
	return api.DefaultAddr
}

// addrs is where to find the directors, for commands that ask several.
func (inv *invocation) addrs(c *cli.Context) []string { return strings.Split(inv.addr(c), ",") }

// asking makes the action of a command that asks a director; it must have least to most arguments.
func (inv *invocation) asking(
	least, most int, action func(c *cli.Context, client *api.Client, args []string) error,
) cli.ActionFunc {
	return func(c *cli.Context) error {
		args, err := arguments(c, least, most)
		if err != nil {
			return err
		}
		client, err := inv.client(c)
		if err != nil {
			return err
		}
		defer client.Close()
		return action(c, client, args)
	}
}

// remark says something on stderr that is neither data nor an error.
func (inv *invocation) remark(format string, args ...any) {
	fmt.Fprintln(inv.Stderr, api.Visible(fmt.Sprintf(format, args...)))
}

// info says on stderr what was done, if that is wanted.
func (inv *invocation) info(c *cli.Context, format string, args ...any) {
	if c.Bool("verbose") {
		inv.remark("Info: "+format, args...)
	}
}

// SystemResolve resolves a name by the system's resolver.
func SystemResolve(ctx context.Context, host string) ([]netip.Addr, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, err
}

// letPipesBreak is for commands that must outlive the reader of what they write.
func (inv *invocation) letPipesBreak() {
	if inv.LetPipesBreak != nil {
		inv.LetPipesBreak()
	}
}
