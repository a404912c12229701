package daemon

import (
	"context"

	"directormesh/cli/kick"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// kicker hands the mesh's kicks to a kick.Kicker.
type kicker struct{ kick.Kicker }

// newKicker returns the kicker that the settings ask for.
func newKicker(o Options) (kicker, error) {
	if o.KickCommand == "" {
		return kicker{kick.None{}}, nil
	}
	c, err := kick.NewCommand(o.KickCommand, o.MaxParallelKicks)
	if err != nil {
		return kicker{}, &ConfigError{Problems: []Problem{{Setting: "kick-command", Err: err}}}
	}
	return kicker{c}, nil
}

// Kick implements mesh.Kicker.
func (k kicker) Kick(ctx context.Context, tag ring.Tag, t replica.KickTarget) (count int, known bool, err error) {
	r, err := k.Kicker.Kick(ctx, kick.Target{
		Tag:     tag,
		ByHash:  t.ByHash,
		Hash:    t.Hash,
		Keep:    t.Keep,
		Backend: t.Backend,
		Field:   t.Field,
		Value:   t.Value,
	})
	return r.Count, r.Known, err
}
