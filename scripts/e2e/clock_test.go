//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"directormesh/cli"
	"directormesh/cli/api"
)

// wallOff is the variable that says by how much the wall clock of a director is off. Only this
// test's own program reads it.
const wallOff = "E2E_WALL_CLOCK_OFF"

// serveOff runs a director as the program does, with a wall clock that is off: no process can be
// given a wall clock of its own from outside.
func serveOff() int {
	off, err := time.ParseDuration(os.Getenv(wallOff))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	return cli.Main(context.Background(), os.Args, cli.IO{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv,
		Location: time.Local, Resolve: cli.SystemResolve, Version: "e2e", Signals: signals,
		Wall: func() time.Time { return time.Now().Add(off) },
	})
}

// setWall has the director run with a wall clock that is off by so much from its next start on.
func (p *process) setWall(off time.Duration) {
	p.t.Helper()
	if off == 0 {
		p.program, p.env = "", nil
		return
	}
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	p.program, p.env = self, []string{wallOff + "=" + off.String()}
}

// TestWallClockIsOff makes sure that a wall clock that is off does what tests with such clocks rely
// on: the director says so.
func TestWallClockIsOff(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 1, "--mail-servers", "192.0.2.1")
	d := m.directors[0]
	for _, off := range []time.Duration{time.Hour, 0} {
		d.setWall(off)
		d.start()
		m.awaitSynced(10*time.Second, d)
		must(t, d, "lookup", "alice@example.org")
		const expire = 15 * time.Minute
		err := client(t, d).Mappings(t.Context(), api.MappingFilter{}, func(m api.Mapping) error {
			if got := time.Until(m.ExpiresAt) - expire; (got - off).Abs() > time.Minute {
				t.Errorf("mesh time of a director whose wall clock is off by %v is off by %v", off,
					got)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		d.kill()
	}
}
