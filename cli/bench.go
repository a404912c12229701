package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/cli/load"
)

func (inv *invocation) benchCommand() *cli.Command {
	return &cli.Command{
		Name:     "bench",
		Category: categoryOther,
		Usage:    "put load on directors, time and check their answers",
		UsageText: "director bench [-a ADDR,…] [--door authreply | http | login | userdb] " +
			"[--rate N | --depth N] [--duration D] [--users N] …",
		Description: `
Looks up users at one director or, with several addresses after -a, at all of them, as their
proxies would, and prints how long the answers took. Users who have no backend get one, as at a
login. Every answer is checked: all directors must name the same backend for a user.

With --rate N it makes N lookups a second, evenly over all directors. An answer's time counts
from the moment when its lookup was due, so a director that hangs makes all of them late. Without
--rate every connection keeps --depth lookups waiting, which measures the highest rate.

A door is one of the director's sockets, with its protocol. -a takes the addresses that other
commands take (director.sock); the socket of --door is in the same directory. Any other path is
the door's socket itself. "login" and "userdb" need an auth behind the director that lets all
users in.

The exit status is 75 if a lookup failed, and 76 if answers contradict each other.

  $ director bench -a /run/director/director.sock --rate 20000 --duration 60s`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(),
			&cli.StringFlag{
				Name: "door", Value: string(load.DoorAuthreply),
				Usage: "what to ask: authreply, http, login or userdb (default: authreply)",
			},
			&cli.StringFlag{
				Name: "rate", DefaultText: "N",
				Usage: "lookups a second, over all directors (default: as many as possible)",
			},
			&cli.StringFlag{
				Name: "depth", DefaultText: "N", Value: "16",
				Usage: "without --rate: lookups waiting on each connection (default: 16)",
			},
			&cli.StringFlag{
				Name: "connections", DefaultText: "N", Value: "4",
				Usage: "connections to each director (default: 4)",
			},
			&cli.StringFlag{
				Name: "duration", DefaultText: "D", Value: "10s", Usage: "how long (default: 10s)",
			},
			&cli.StringFlag{
				Name: "patience", DefaultText: "D", Value: "35s",
				Usage: "how long to wait for the last answers (default: 35s)",
			},
			&cli.StringFlag{
				Name: "users", DefaultText: "N", Value: "100000",
				Usage: "how many users are looked up (default: 100000)",
			},
			&cli.StringFlag{Name: "names", DefaultText: "PATTERN", Value: "user%d@example.org",
				Usage: "their names; %d becomes a number (default: user%d@example.org)"},
			&cli.StringFlag{Name: "tag", Usage: "their tag (default: none)"},
			&cli.StringFlag{Name: "zipf", DefaultText: "S", Usage: "the k-th user logs in k^-S " +
				"times as often as the first, S > 1 (default: all equally often)"},
			&cli.BoolFlag{
				Name: "each", Usage: "look up each user once at every director, then end",
			},
			&cli.BoolFlag{Name: "moves", Usage: "for a bench during moves or flushes: " +
				"a user's backend may change, but not back"},
			&cli.StringFlag{Name: "password", Usage: "of all users, for --door login"},
			&cli.StringFlag{
				Name: "service", Value: "imap", Usage: "for --door login (default: imap)",
			},
			&cli.StringFlag{
				Name: "seed", DefaultText: "N",
				Usage: "draw the same users again (default: random)",
			},
		},
		Action: func(c *cli.Context) error {
			if _, err := arguments(c, 0, 0); err != nil {
				return err
			}
			cfg, err := inv.benchConfig(c)
			if err != nil {
				return err
			}
			return inv.bench(c, cfg)
		},
	}
}

// bench puts the load on the directors and reports how it went.
func (inv *invocation) bench(c *cli.Context, cfg load.Config) error {
	line := &benchLine{out: inv.Stderr}
	if isTerminal(inv.Stderr) {
		cfg.Progress = line.show
	}
	costs := inv.newCosts(c)
	defer costs.close()
	costs.begin(c.Context)
	result, err := load.Run(c.Context, cfg)
	line.end()
	switch {
	case c.Context.Err() != nil && result == nil:
		return c.Context.Err()
	case err != nil:
		return exitf(exitTemporary, "%s; give the directors by -a, and what to ask there by --door",
			err)
	}
	report := newBenchReport(cfg, result, costs.end(context.WithoutCancel(c.Context)))
	if c.Bool("json") {
		err = inv.printJSON(report)
	} else {
		err = report.print(inv.Stdout)
	}
	if err != nil {
		return err
	}
	return benchVerdict(c.Context, report)
}

// benchVerdict is the error for a load that did not go well.
func benchVerdict(ctx context.Context, r benchReport) error {
	switch {
	case r.Wrong > 0:
		return exitf(exitProtocol,
			"%d answers contradict others; use --moves if users were moved meanwhile", r.Wrong)
	case r.Failed > 0:
		return exitf(exitTemporary, "%d of %d lookups failed; the report says why",
			r.Failed, r.Failed+r.Lookups)
	case r.Lookups == 0 && ctx.Err() == nil:
		return exitf(exitTemporary, "no lookup was answered; see \"director ring status\"")
	}
	return ctx.Err()
}

// benchConfig reads the flags, and reports all that is wrong with them.
func (inv *invocation) benchConfig(c *cli.Context) (load.Config, error) {
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	number := func(flag string) int {
		n, err := parsePositive(c, flag, c.String(flag))
		note(err)
		return n
	}
	cfg := load.Config{
		Door:        load.Door(c.String("door")),
		Tag:         c.String("tag"),
		Connections: number("connections"),
		Depth:       number("depth"),
		Moves:       c.Bool("moves"),
		Login:       load.Login{Password: c.String("password"), Service: c.String("service")},
		Seed:        rand.Uint64(),
	}
	cfg.Users = load.Users{Count: number("users"), Each: c.Bool("each")}
	var err error
	if cfg.Users.Names, err = load.ParseNames(c.String("names")); err != nil {
		note(usagef(c, "%v", err))
	}
	duration := func(flag string) time.Duration {
		d, err := time.ParseDuration(c.String(flag))
		if err != nil || d <= 0 {
			note(usagef(c, "--%s %s: give a time such as 30s or 5m", flag, c.String(flag)))
		}
		return d
	}
	cfg.Duration, cfg.Patience = duration("duration"), duration("patience")
	if c.IsSet("zipf") {
		if _, err := fmt.Sscanf(c.String("zipf"), "%g", &cfg.Users.Zipf); err != nil ||
			cfg.Users.Zipf <= 1 {
			note(usagef(c, "--zipf %s: give a number above 1", c.String("zipf")))
		}
	}
	if c.IsSet("rate") {
		cfg.Rate = float64(number("rate"))
	}
	if c.IsSet("rate") && c.IsSet("depth") {
		note(usagef(c, "give --rate or --depth, not both"))
	}
	if c.IsSet("seed") {
		cfg.Seed = uint64(number("seed"))
	}
	cfg.Directors, err = benchTargets(c, cfg.Door, inv.addrs(c))
	note(err)
	if len(errs) > 0 {
		return cfg, errs[0]
	}
	if err := cfg.Check(); err != nil {
		return cfg, usagef(c, "%v", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return cfg, nil
}

// benchTargets returns where the door of each director is.
func benchTargets(c *cli.Context, door load.Door, addrs []string) ([]load.Target, error) {
	var targets []load.Target
	for _, addr := range addrs {
		network, address, err := api.Endpoint(addr)
		if err == nil && door != load.DoorHTTP && strings.Contains(addr, "://") {
			err = errors.New("give the path of a socket")
		}
		if err != nil {
			return nil, usagef(c, "%v", err)
		}
		if network == "unix" && filepath.Base(address) == load.DoorHTTP.Socket() {
			address = filepath.Join(filepath.Dir(address), door.Socket())
		}
		targets = append(targets, load.Target{Name: addr, Network: network, Address: address})
	}
	return targets, nil
}
