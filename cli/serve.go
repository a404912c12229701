package cli

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
	"github.com/urfave/cli/v2"

	"directormesh/cli/daemon"
	"directormesh/cli/gctuner"
	"directormesh/cli/handover"
)

func (inv *invocation) serveCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{
			Name: "config", DefaultText: "FILE",
			Usage: "YAML file of settings, keys as the flags below (environment: DIRECTOR_CONFIG)",
		},
		&cli.BoolFlag{Name: "check", Usage: "check the settings and exit"},
		&cli.StringFlag{
			Name:        "as",
			DefaultText: "USER",
			Usage: "with --check: check with the rights of the user " +
				"that the director will run as",
		},
	}
	for _, setting := range daemon.Settings() {
		usage := setting.Usage
		if setting.Default != "" {
			usage += " (default: " + setting.Default + ")"
		}
		if setting.Switch {
			flags = append(flags, &cli.BoolFlag{Name: setting.Name, Usage: setting.Usage})
			continue
		}
		flags = append(flags, &cli.StringFlag{
			Name: setting.Name, DefaultText: setting.Value, Usage: usage,
		})
	}
	return &cli.Command{
		Name:      "serve",
		Category:  categoryServe,
		Usage:     "run a director",
		UsageText: "director serve [--config FILE] [--check [--as USER]] [--SETTING VALUE …]",
		Description: `
Runs a director in the foreground and logs to stderr. Each setting can be a flag, an environment
variable (--user-expire is DIRECTOR_USER_EXPIRE) or a key of the YAML file; the first of these
counts. SIGTERM leaves the mesh in good order, a second SIGTERM exits at once; SIGHUP reads
the settings again. Exit status 78 means that a setting is wrong.

  $ director serve --join 198.51.100.1 --mail-servers 192.0.2.1-192.0.2.9`,
		Flags:  flags,
		Action: inv.serve,
	}
}

func (inv *invocation) serve(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	given := make(map[string]string)
	for _, setting := range daemon.Settings() {
		if c.IsSet(setting.Name) {
			given[setting.Name] = c.String(setting.Name)
		}
	}
	path := c.String("config")
	if !c.IsSet("config") {
		path, _ = inv.LookupEnv("DIRECTOR_CONFIG")
	}
	env := daemon.SystemEnvironment()
	env.LookupEnv = inv.LookupEnv
	load := func() (daemon.Options, error) { return daemon.Load(given, path, env) }

	if c.Bool("check") {
		return inv.check(c, load)
	}
	if c.IsSet("as") {
		return usagef(c, "--as goes with --check; a director runs as the user who starts it")
	}
	inv.letPipesBreak()
	if inv.ForbidCores != nil {
		if err := inv.ForbidCores(); err != nil {
			return exitf(exitTemporary, "cannot forbid core files, which would have the keys of "+
				"the mesh: %v", err)
		}
	}
	options, err := inv.loadPatiently(c.Context, load)
	if err != nil {
		return err
	}
	handed, err := handover.Take(handover.Environment{LookupEnv: inv.LookupEnv, PID: os.Getpid()})
	if err != nil {
		return exitf(exitTemporary, "%v", err)
	}
	d, err := daemon.New(daemon.Config{
		Options:   options,
		Version:   inv.Version,
		LogOutput: inv.Stderr,
		Wall:      inv.Wall,
		Notify:    notifySystemd,
		Reload:    load,
		Handed:    handed,
	})
	if err != nil {
		handed.Close()
		return exitf(status(err), "%v", err)
	}
	if err := handed.Started(); err != nil {
		d.Close()
		return exitf(exitTemporary, "%v", err)
	}
	ctx, stop := context.WithCancel(c.Context)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop()
	beside.Go(func() { handed.WatchMaster(ctx, stop) })
	beside.Go(func() { gctuner.Run(ctx) })
	return d.Run(ctx, inv.Signals)
}

// namePause is how long serve waits before it asks name servers again that have not answered.
const namePause = 5 * time.Second

// loadPatiently reads the settings, again and again for as long as nothing is wrong with them but
// that no name server answers: after a power cut everything comes up at the same time.
func (inv *invocation) loadPatiently(
	ctx context.Context, load func() (daemon.Options, error),
) (daemon.Options, error) {
	for first := true; ; first = false {
		options, err := load()
		var config *daemon.ConfigError
		if !errors.As(err, &config) || !config.Temporary() {
			return options, err
		}
		if first {
			inv.remark("%s; trying again until name servers answer",
				strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		timer := time.NewTimer(namePause)
		select {
		case <-timer.C:
			continue
		case sig := <-inv.Signals:
			if sig == syscall.SIGHUP {
				continue
			}
		case <-ctx.Done():
		}
		timer.Stop()
		return options, context.Canceled
	}
}

// check reads the settings as the user that the director will run as: root may read more than that
// one.
func (inv *invocation) check(c *cli.Context, load func() (daemon.Options, error)) error {
	formats := inv.askDoveconf(c.Context) // the director's user need not be able to
	who := ""
	if c.IsSet("as") {
		who = c.String("as")
		if err := inv.Become(who); err != nil {
			return exitf(exitTemporary, "%v", err)
		}
	}
	options, err := load()
	if err != nil {
		return err
	}
	if warning := formats.warning(options); warning != "" {
		inv.remark("Warning: %s", warning)
	}
	for _, name := range options.Names.Unresolved {
		inv.remark("Warning: mail-servers: %s; its backends come later", name)
	}
	switch {
	case who != "":
		inv.remark("settings are good for user %s", who)
	case inv.Root:
		inv.remark("settings are good for root; if the director will run as another user, " +
			"check as that one with --as USER")
	default:
		inv.remark("settings are good")
	}
	return nil
}

// notifySystemd notifies the service manager, if one started us.
func notifySystemd(state string) {
	if os.Getenv("NOTIFY_SOCKET") != "" {
		_, _ = sdnotify.SdNotify(false, state) // nobody to tell if it fails
	}
}
