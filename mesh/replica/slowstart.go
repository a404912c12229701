package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// stepsEvery is how often a director looks whether a backend that starts slowly is due more weight.
const stepsEvery = 500 * time.Millisecond

// starting lets backends that come into use start slowly. Since when and over how long stands in
// the table, so that any director can go on with it; the one that acts for all writes each step.
type starting struct {
	*output
	startingPort

	cfg      *Config
	clock    *meshtime.Clock
	table    *directory.Table
	nextStep mono.Time
}

// startingPort is what starting needs of the other parts of the core.
type startingPort interface {
	actsForAll() bool
	allKnow(register int) error
	apply(now mono.Time, change directory.Change, from *peer) *barrier.Change
	gossip(change directory.Change, blocks []wire.Block)
}

// slowly adds to a change that the backends that it brings into use start slowly: over the time
// that is given, else over that of the settings. While a director is in the mesh that knows no slow
// starts, one that is given is refused, and one of the settings is left out.
func (s *starting) slowly(
	change directory.Change, stamp directory.Stamp, given *time.Duration,
) (directory.Change, error) {
	over := s.cfg.SlowStart
	if given != nil {
		over = *given
	}
	if over > 0 {
		switch err := s.allKnow(directory.StartRegister); {
		case err != nil && given != nil:
			return directory.Change{}, err
		case err != nil:
			over = 0
		}
	}
	return s.table.StartSlowly(change, stamp, s.cfg.Name, over, given != nil)
}

// stepStarts gives backends that start slowly the weight that they are due, if that is this
// director's to do. Beside a director that knows no slow starts they get all of it: it goes by that
// already.
func (s *starting) stepStarts(now mono.Time) {
	if now < s.nextStep {
		return
	}
	s.nextStep = now.Add(stepsEvery)
	if !s.table.Starting() || !s.actsForAll() {
		return
	}
	end := s.allKnow(directory.StartRegister) != nil
	change := s.table.StepStarts(s.cfg.Name, s.clock.At(now), end)
	if change.Empty() {
		return
	}
	for _, row := range change.Backends {
		s.logStep(row)
	}
	if s.apply(now, change, nil) != nil {
		s.gossip(change, nil)
	}
}

func (s *starting) logStep(row directory.BackendRow) {
	stored, _ := s.table.Row(row.Addr)
	backend := Field{"backend", ring.AddrText(row.Addr)}
	tag := Field{"tag", string(stored.Presence.Value.Tag)}
	if percent := row.Start.Value.Percent; percent > 0 {
		s.logf(LogInfo, "slow start of a backend goes on", backend, tag,
			Field{"weight_percent", percent})
		return
	}
	s.logf(LogInfo, "slow start of a backend is over", backend, tag)
}
