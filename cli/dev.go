package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/cli/daemon"
	"directormesh/cli/gctuner"
)

const (
	devDirectors = 3
	devBackends  = "192.0.2.1-192.0.2.4 192.0.2.51-192.0.2.52@ssd"
	devLogins    = 300
	// devStartTimeout bounds how long the sample directors may take to find each other.
	devStartTimeout = 30 * time.Second
)

func (inv *invocation) devCommand() *cli.Command {
	return &cli.Command{
		Name:      "dev",
		Category:  categoryServe,
		Usage:     "run three sample directors and say what to try",
		UsageText: "director dev [--log-level LEVEL]",
		Description: `
Starts three directors on this machine in one process, with sample backends and sample logins,
prints the address of the first and some commands to try, and runs until it is interrupted.
Nothing outside a temporary directory is touched; the backends need not exist.`,
		Flags: []cli.Flag{&cli.StringFlag{
			Name: "log-level", DefaultText: "LEVEL", Value: "error",
			Usage: "what to log on stderr (default: error)",
		}},
		Action: func(c *cli.Context) error {
			if _, err := arguments(c, 0, 0); err != nil {
				return err
			}
			return inv.dev(c.Context, c.String("log-level"))
		},
	}
}

func (inv *invocation) dev(ctx context.Context, logLevel string) (err error) {
	dir, err := os.MkdirTemp("", "director-dev-")
	if err != nil {
		return fmt.Errorf("room for the sockets: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop(nil)

	var daemons []*daemon.Daemon
	join := ""
	for i := range devDirectors {
		d, err := inv.devDaemon(fmt.Sprintf("d%d", i+1), dir, join, logLevel)
		if err != nil {
			for _, started := range daemons {
				started.Close()
			}
			return exitf(status(err), "%v", err)
		}
		if i == 0 {
			join = d.MeshAddr().String()
		}
		daemons = append(daemons, d)
	}
	running.Go(func() { gctuner.Run(ctx) })
	for _, d := range daemons {
		running.Go(func() {
			if err := d.Run(ctx, nil); err != nil {
				stop(err)
			}
		})
	}
	if err := inv.devReady(ctx, dir); err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
			return cause
		}
		return err
	}
	if err := inv.devTell(dir); err != nil {
		return err
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

func devSocket(dir, name string) string { return filepath.Join(dir, name, "director.sock") }

// devDaemon starts one of the directors. Ports are chosen by the kernel.
func (inv *invocation) devDaemon(name, dir, join, logLevel string) (*daemon.Daemon, error) {
	env := daemon.SystemEnvironment()
	// settings of a real director do not count here
	env.LookupEnv = func(string) (string, bool) { return "", false }
	options, err := daemon.Load(map[string]string{
		"node-name":    name,
		"mesh-name":    "dev",
		"bind":         "127.0.0.1:0",
		"join":         join,
		"mail-servers": devBackends,
		"run-dir":      filepath.Join(dir, name),
		"log-level":    logLevel,
		"log-format":   "text",
	}, "", env)
	if err != nil {
		return nil, err
	}
	return daemon.New(daemon.Config{Options: options, Version: inv.Version, LogOutput: inv.Stderr})
}

// devReady waits until the directors are synced, logs the sample users in at different directors,
// and waits until the first one knows them all.
func (inv *invocation) devReady(ctx context.Context, dir string) error {
	clients := make([]*api.Client, devDirectors)
	for i := range clients {
		client, err := api.NewClient(devSocket(dir, fmt.Sprintf("d%d", i+1)))
		if err != nil {
			return err
		}
		defer client.Close()
		clients[i] = client
		if err := waitMesh(ctx, client); err != nil {
			return err
		}
	}
	for n := range devLogins {
		request := api.LookupRequest{User: fmt.Sprintf("user%03d@example.org", n)}
		if n%10 == 0 {
			request.Tag = "ssd"
		}
		if _, err := clients[n%devDirectors].Lookup(ctx, request); err != nil {
			return err
		}
	}
	return waitFor(ctx, "the first director did not hear of all logins", func() (bool, error) {
		self, err := clients[0].Self(ctx)
		return self.Users == devLogins, err
	})
}

// waitMesh waits until a director is synced with all the others.
func waitMesh(ctx context.Context, client *api.Client) error {
	return waitFor(ctx, "the directors did not find each other", func() (bool, error) {
		directors, err := client.Directors(ctx)
		return len(directors.Directors) == devDirectors && notSynced(directors) == "", err
	})
}

// waitFor asks until it is so.
func waitFor(ctx context.Context, failure string, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, devStartTimeout,
		exitf(exitTemporary, "%s within %v", failure, devStartTimeout))
	defer cancel()
	ticker := time.NewTicker(waitInterval)
	defer ticker.Stop()
	for {
		if done, err := so(); done || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (inv *invocation) devTell(dir string) error {
	text := `Three directors are running, with six backends and DEVLOGINS users. In another terminal:

  export DIRECTOR_ADDR=SOCKET1

  director status                          the backends and their users
  director ring status                     the directors
  director status user001@example.org      where one user is
  director lookup alice@example.org        the answer that a proxy would get
  director down 192.0.2.1                  no new users for a backend …
  director flush 192.0.2.1                 … and its users move away
  director status -a SOCKET2    the same from the second director

Ctrl-C ends them.
`
	text = strings.ReplaceAll(text, "\n  director ", "\n  "+quote(inv.program)+" ")
	text = strings.NewReplacer(
		"DEVLOGINS", fmt.Sprint(devLogins),
		"SOCKET1", devSocket(dir, "d1"),
		"SOCKET2", devSocket(dir, "d2"),
	).Replace(text)
	_, err := fmt.Fprint(inv.Stdout, text)
	return err
}
