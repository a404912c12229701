package demo

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"directormesh/cli/api"
)

// drainTime is in how long a backend is drained.
const drainTime = 20 * time.Second

// Stage is what trouble is made with.
type Stage struct {
	Directors []*api.Client // any of them may be stopped
	Backends  *Backends     // nil: they answer nobody anyway
	Addrs     []netip.Addr  // of backends, at least two
	VHosts    int           // that each has
	Quiet     time.Duration // before something goes wrong
	Broken    time.Duration // until it is mended
	// Stop ends the last of the directors in good order, Start starts it again.
	Stop, Start func() error
	Say         func(text string) // tells the audience
}

// act is something that goes wrong, or that an operator does, and how it is undone.
type act struct {
	says, then string
	begin, end func(ctx context.Context) error
}

// Play makes trouble and mends it again, act by act, until ctx ends or the stage falls.
func (s *Stage) Play(ctx context.Context) error {
	for {
		for _, a := range s.acts() {
			if err := s.perform(ctx, a); err != nil || ctx.Err() != nil {
				return err
			}
		}
	}
}

func (s *Stage) perform(ctx context.Context, a act) error {
	for _, step := range []struct {
		wait time.Duration
		says string
		does func(context.Context) error
	}{{s.Quiet, a.says, a.begin}, {s.Broken, a.then, a.end}} {
		select {
		case <-time.After(step.wait):
		case <-ctx.Done():
			return nil
		}
		s.Say(step.says)
		if err := step.does(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s: %w", step.says, err)
		}
	}
	return nil
}

func (s *Stage) acts() []act {
	first, second := s.Addrs[0], s.Addrs[1]
	acts := []act{
		{
			fmt.Sprintf("%v is drained within %v", second, drainTime),
			fmt.Sprintf("the drain of %v ends", second),
			s.do(api.DrainBackend{IP: api.IP{Addr: second}, OverMS: drainTime.Milliseconds()}),
			s.do(api.UndrainBackend{IP: api.IP{Addr: second}}),
		},
		{
			"a director stops", "the director starts again",
			func(context.Context) error { return s.Stop() },
			func(context.Context) error { return s.Start() },
		},
		{
			fmt.Sprintf("%v gets fewer vhosts, and a flush moves users away", first),
			fmt.Sprintf("%v gets its vhosts back, and a flush", first),
			s.do(api.UpdateBackend{IP: api.IP{Addr: first}, VHosts: s.VHosts / 4},
				api.FlushUsers{}),
			s.do(api.UpdateBackend{IP: api.IP{Addr: first}, VHosts: s.VHosts},
				api.FlushUsers{}),
		},
	}
	if s.Backends == nil {
		return acts
	}
	return append([]act{{
		fmt.Sprintf("%v stops answering", first), fmt.Sprintf("%v answers again", first),
		func(context.Context) error { s.Backends.Stop(first); return nil },
		func(context.Context) error { s.Backends.Start(first); return nil },
	}}, acts...)
}

// do is operations one after the other, at the first director, which is never stopped.
func (s *Stage) do(ops ...api.Operation) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, op := range ops {
			if _, err := s.Directors[0].Do(ctx, op); err != nil {
				return err
			}
		}
		return nil
	}
}
