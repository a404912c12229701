package daemon

import (
	"fmt"
	"time"

	"directormesh/cli/api"
	"directormesh/directory"
	"directormesh/mesh/replica"
)

func slowStartSettings() []Setting {
	return []Setting{{
		Name: "slow-start", Value: "DURATION", Default: "0s",
		Usage: "over how long a backend that comes into use gets its whole share of the new " +
			"users, 24h at most; 0s: at once; SIGHUP applies a new one",
		apply: (*Daemon).applyLimits,
		read: func(o *Options, s string, _ Environment) (err error) {
			if o.SlowStart, err = parseDuration(s); err == nil &&
				(o.SlowStart < 0 || o.SlowStart > directory.MaxSlowStart) {
				return fmt.Errorf("%q is not from 0s to 24h", s)
			}
			return err
		},
	}}
}

// slowStart translates over how long a backend is to get its whole share.
func slowStart(ms *int64) *time.Duration {
	if ms == nil {
		return nil
	}
	over := time.Duration(*ms) * time.Millisecond
	return &over
}

// slowStartOf shows how a backend starts, nil if it has its whole share.
func slowStartOf(b replica.BackendStatus) *api.SlowStart {
	if b.Backend.Start == 0 && b.StartedAt == 0 && b.StartEnds == 0 {
		return nil
	}
	return &api.SlowStart{
		Percent: b.Backend.Start, Since: meshTime(b.StartedAt), EndsAt: meshTime(b.StartEnds),
	}
}

// inspectedStart shows how a backend of a data directory starts, nil if it has its whole share.
func inspectedStart(s directory.Start) *api.SlowStart {
	if s.Percent == 0 {
		return nil
	}
	since, ends := wallTime(s.Since.Time()), wallTime(s.Ends())
	return &api.SlowStart{Percent: s.Percent, Since: &since, EndsAt: &ends}
}
