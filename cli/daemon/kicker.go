package daemon

import (
	"context"

	"directormesh/cli/kick"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// kicker hands the mesh's kicks to a kick.Kicker.
type kicker struct{ kick.Kicker }

// Kick implements mesh.Kicker.
func (k kicker) Kick(
	ctx context.Context, tag ring.Tag, t replica.KickTarget,
) (replica.KickResult, error) {
	r, err := k.Kicker.Kick(ctx, kick.Target{
		Tag:     tag,
		ByHash:  t.ByHash,
		Hash:    t.Hash,
		Keep:    t.Keep,
		Backend: t.Backend,
		Field:   t.Field,
		Value:   t.Value,
	})
	return replica.KickResult{Count: r.Count, Known: r.Known, Left: r.Left, Blind: r.Blind}, err
}
