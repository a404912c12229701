package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"directormesh/cli/api"
	"directormesh/mesh/replica"
)

// ErrForced is what Run returns when a second signal cut the leaving short.
var ErrForced = errors.New(
	"stopped at once by a second signal; peers will take this director for failed")

// impatience is how much later than the first a second signal must come to cut the leaving short.
// Ctrl-C on a terminal, a shell's kill of a group and a service manager often send two at once.
const impatience = time.Second

// statusInterval is how often the service manager gets the state of the director.
const statusInterval = 500 * time.Millisecond

// Run serves until a SIGTERM or SIGINT comes, ctx ends, or something fails for good. Then it stops
// the doors, leaves the mesh in good order and closes everything; another such signal cuts that
// short. SIGHUP reloads.
func (d *Daemon) Run(ctx context.Context, signals <-chan os.Signal) error {
	var running sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer running.Wait()
	defer stop()
	defer d.Close()

	d.logStart()
	failed := make(chan error, 1)
	d.serve(&running, failed)
	d.sessions.run(ctx, &running, d.fifos(), failed)
	d.health.run(ctx, &running)
	running.Go(func() { d.hooks.Run(ctx) })
	d.loads.run(ctx, &running)
	d.names.run(ctx, &running)
	running.Go(func() { d.tellStatus(ctx) })
	if d.gate != nil {
		running.Go(func() { d.gate.Run(ctx) })
	}

	for {
		select {
		case s := <-signals:
			if s == syscall.SIGHUP {
				_, _, _ = d.reload() // it has logged how it went
				continue
			}
			d.log.Info().Stringer("signal", s).Msg("director is leaving")
			return d.leave(signals)
		case r := <-d.director.reloads:
			d.answerReload(r)
		case <-ctx.Done():
			d.log.Info().Msg("director is leaving")
			return d.leave(signals)
		case err := <-failed:
			return err
		case err := <-d.node.Fatal():
			return err
		}
	}
}

// leave stops in good order. The doors close first: a client that asks after we have left must not
// get an answer from us.
func (d *Daemon) leave(signals <-chan os.Signal) error {
	d.director.leaving.Store(true)
	d.notify("STOPPING=1\nSTATUS=leaving the mesh")
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var watcher sync.WaitGroup
	defer watcher.Wait()
	left := make(chan struct{})
	defer close(left)
	began := time.Now()
	watcher.Go(func() {
		for {
			select {
			case s := <-signals:
				if s != syscall.SIGHUP && time.Since(began) >= impatience {
					cancel(ErrForced)
					return
				}
			case <-left:
				return
			}
		}
	})

	doors, doorsDone := context.WithTimeout(ctx, doorsTimeout)
	defer doorsDone()
	if err := d.shutDoors(doors); err != nil {
		d.log.Warn().Str("error", cutShort(doors, err)).Msg("requests were cut off")
	}
	mesh, meshDone := context.WithTimeout(ctx, leaveTimeout)
	defer meshDone()
	err := d.node.Leave(mesh)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		d.log.Warn().Str("error", cutShort(mesh, err)).Msg("mesh was not left in good order")
		return nil
	}
	d.log.Info().Msg("director has left")
	return nil
}

// cutShort says why something did not end in good order within ctx.
func cutShort(ctx context.Context, err error) string {
	switch {
	case errors.Is(context.Cause(ctx), ErrForced):
		return "a second signal ended it"
	case errors.Is(err, context.DeadlineExceeded):
		return "it took too long"
	}
	return api.Cause(err)
}

// logStart writes the line that sums up how this director runs.
func (d *Daemon) logStart() {
	event := d.log.Info().
		Str("version", d.version).
		Str("mesh", d.options.MeshName).
		Strs("join", d.options.Join).
		Int("backends", len(d.options.Backends)).
		Bool("encrypted", len(d.options.Keys) > 0)
	for _, s := range d.sockets {
		event.Str(s.field, s.String())
	}
	event.Stringer("bind", d.options.Bind).Stringer("advertise", d.MeshAddr()).
		Msg("director started")
	if len(d.options.Keys) == 0 {
		d.log.Warn().Msg(
			"the mesh has no key: any host that reaches its port can read and change everything; " +
				"make one and give it with --encrypt-key-file")
	}
	for _, name := range d.options.Names.Unresolved {
		d.log.Warn().Str("reason", name).Msg(
			"name of backends could not be looked up at the start, its backends come later")
	}
	if d.director.noKicker {
		d.log.Warn().Msg(
			"this director cannot end sessions, so moved users keep theirs on the old backend; " +
				"set kick-ipc, kick-anvil or kick-command")
	}
}

// tellStatus keeps the service manager informed: READY=1 once the director answers by itself.
func (d *Daemon) tellStatus(ctx context.Context) {
	ticker := time.NewTicker(statusInterval)
	defer ticker.Stop()
	ready, last := false, ""
	for {
		self := d.node.Self()
		state := "STATUS=" + statusText(self, d.node.Peers())
		if self.Synced && !ready {
			ready = true
			state = "READY=1\n" + state
		}
		if state != last {
			last = state
			d.notify(state)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// statusText sums up the director in one line. It has no numbers that change all the time.
func statusText(self replica.SelfStatus, peers []replica.PeerStatus) string {
	live := 0
	for _, p := range peers {
		if !p.Self && p.Reachable {
			live++
		}
	}
	text := "synced"
	if !self.Synced {
		text = "not synced: " + self.Reason
	}
	if self.Alone {
		return text + ", serving alone"
	}
	return fmt.Sprintf("%s, %d peers reachable", text, live)
}
