package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/cli/daemon"
	"directormesh/cli/demo"
	"directormesh/cli/gctuner"
)

const (
	devDirectors = 3
	devLogins    = 300
	devVHosts    = 100
	devTag       = "ssd" // of the last two backends
	// Between two acts of trouble there is time to see what became of the last one.
	devQuiet  = 15 * time.Second
	devBroken = 30 * time.Second
	// devStartTimeout bounds how long the sample directors may take to find each other.
	devStartTimeout = 30 * time.Second
)

// devBackends are the addresses of the sample backends. On Linux they are this machine.
func devBackends() (addrs []netip.Addr) {
	for last := range 6 {
		addrs = append(addrs, netip.AddrFrom4([4]byte{127, 54, 0, byte(1 + last)}))
	}
	return addrs
}

func (inv *invocation) devCommand() *cli.Command {
	return &cli.Command{
		Name:      "dev",
		Category:  categoryServe,
		Usage:     "run three sample directors and say what to try",
		UsageText: "director dev [--demo] [--log-level LEVEL]",
		Description: `
Starts three directors on this machine in one process, with sample backends that greet like IMAP
servers and sample users who log in, prints the address of the web page and some commands to try,
and runs until it is interrupted. Nothing outside a temporary directory is touched.

With --demo it makes trouble and mends it again, for who wants to watch: a backend stops, one is
drained, a director stops, users are flushed.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "demo", Usage: "make trouble, and mend it again"},
			&cli.StringFlag{
				Name: "log-level", DefaultText: "LEVEL", Value: "error",
				Usage: "what to log on stderr (default: error)",
			},
		},
		Action: func(c *cli.Context) error {
			if _, err := arguments(c, 0, 0); err != nil {
				return err
			}
			return inv.dev(c.Context, c.Bool("demo"), c.String("log-level"))
		},
	}
}

// devMesh is the sample directors and what they have around them.
type devMesh struct {
	inv      *invocation
	dir      string
	logLevel string
	backends *demo.Backends // nil: this system has no such addresses
	clients  []*api.Client  // one for each director
	join     string         // the address of the first director, once it has one
	page     string         // where that one serves HTTP

	running sync.WaitGroup
	failed  context.CancelCauseFunc
	end     context.CancelFunc // ends the director that was started last
	ended   chan struct{}      // is closed when that has ended
}

func (inv *invocation) dev(ctx context.Context, trouble bool, logLevel string) (err error) {
	dir, err := os.MkdirTemp("", "director-dev-")
	if err != nil {
		return fmt.Errorf("room for the sockets: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	m := &devMesh{inv: inv, dir: dir, logLevel: logLevel}
	if m.backends, err = demo.Listen(devBackends()); err == nil {
		defer m.backends.Close()
	}
	ctx, m.failed = context.WithCancelCause(ctx)
	defer m.running.Wait()
	defer m.failed(nil)
	m.running.Go(func() { gctuner.Run(ctx) })
	for i := range devDirectors {
		if err := m.start(ctx, i); err != nil {
			return exitf(status(err), "%v", err)
		}
		client, err := api.NewClient(devSocket(dir, devName(i)))
		if err != nil {
			return err
		}
		defer client.Close()
		m.clients = append(m.clients, client)
	}
	if err := m.ready(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
			return cause
		}
		return err
	}
	if err := m.tell(); err != nil {
		return err
	}
	m.running.Go(func() {
		demo.LogIn(ctx, m.clients, devLogins, devTag, rand.New(rand.NewPCG(rand.Uint64(), 0)))
	})
	if trouble {
		m.running.Go(func() {
			if err := m.stage(ctx).Play(ctx); err != nil {
				m.failed(err)
			}
		})
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

func devName(i int) string { return fmt.Sprintf("d%d", i+1) }

func devSocket(dir, name string) string { return filepath.Join(dir, name, "director.sock") }

// start starts one of the directors. Ports are chosen by the kernel.
func (m *devMesh) start(ctx context.Context, i int) error {
	env := daemon.SystemEnvironment()
	// settings of a real director do not count here
	env.LookupEnv = func(string) (string, bool) { return "", false }
	var servers []string
	for n, addr := range devBackends() {
		server := addr.String()
		if n >= 4 {
			server += "@" + devTag
		}
		servers = append(servers, server)
	}
	settings := map[string]string{
		"node-name":    devName(i),
		"mesh-name":    "dev",
		"bind":         "127.0.0.1:0",
		"join":         m.join,
		"mail-servers": strings.Join(servers, " "),
		"run-dir":      filepath.Join(m.dir, devName(i)),
		"log-level":    m.logLevel,
		"log-format":   "text",
	}
	if m.backends != nil {
		settings["health-check"] = "imap:" + strconv.Itoa(int(m.backends.Port()))
	}
	if i == 0 {
		settings["http"] = "127.0.0.1:0"
	}
	options, err := daemon.Load(settings, "", env)
	if err != nil {
		return err
	}
	d, err := daemon.New(daemon.Config{
		Options: options, Version: m.inv.Version, LogOutput: m.inv.Stderr,
	})
	if err != nil {
		return err
	}
	if i == 0 {
		m.join, m.page = d.MeshAddr().String(), "http://"+d.HTTPAddr().String()+"/"
	}
	ctx, m.end = context.WithCancel(ctx)
	ended := make(chan struct{})
	m.ended = ended
	m.running.Go(func() {
		defer close(ended)
		if err := d.Run(ctx, nil); err != nil {
			m.failed(err)
		}
	})
	return nil
}

// stage is what trouble is made with.
func (m *devMesh) stage(ctx context.Context) *demo.Stage {
	return &demo.Stage{
		Directors: m.clients, Backends: m.backends, Addrs: devBackends(), VHosts: devVHosts,
		Quiet: devQuiet, Broken: devBroken,
		Stop: func() error {
			m.end()
			<-m.ended
			return nil
		},
		Start: func() error { return m.start(ctx, devDirectors-1) },
		Say: func(text string) {
			fmt.Fprintf(m.inv.Stdout, "%s %s\n", time.Now().Format(time.TimeOnly), text)
		},
	}
}

// ready waits until the directors are synced, logs the sample users in at different directors, and
// waits until the first one knows them all.
func (m *devMesh) ready(ctx context.Context) error {
	for _, client := range m.clients {
		if err := waitMesh(ctx, client); err != nil {
			return err
		}
	}
	for n := range devLogins {
		if _, err := m.clients[n%devDirectors].Lookup(ctx, demo.User(n, devTag)); err != nil {
			return err
		}
	}
	return waitFor(ctx, "the first director did not hear of all logins", func() (bool, error) {
		self, err := m.clients[0].Self(ctx)
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

func (m *devMesh) tell() error {
	text := `Three directors are running, with six backends and DEVLOGINS users who log in now and then.

  PAGE                  shows what they do; look at it in a browser

In another terminal:

  export DIRECTOR_ADDR=SOCKET1

  director status                          the backends and their users
  director ring status                     the directors
  director watch                           what happens, as it happens
  director status user001@example.org      where one user is
  director lookup alice@example.org        the answer that a proxy would get
  director plan drain BACKEND           what a change would do …
  director drain BACKEND                … and the change: its users move away
  director status -a SOCKET2    the same from the second director

Ctrl-C ends them.
`
	text = strings.ReplaceAll(text, "\n  director ", "\n  "+quote(m.inv.program)+" ")
	text = strings.NewReplacer(
		"DEVLOGINS", strconv.Itoa(devLogins),
		"PAGE", m.page,
		"BACKEND", devBackends()[0].String(),
		"SOCKET1", devSocket(m.dir, devName(0)),
		"SOCKET2", devSocket(m.dir, devName(1)),
	).Replace(text)
	_, err := fmt.Fprint(m.inv.Stdout, text)
	return err
}
