package daemon

import (
	"context"
	"net/netip"

	"directormesh/cli/flushscript"
	"directormesh/mesh"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// flushHook runs the operator's flush script for the mesh.
type flushHook struct {
	script flushscript.Script
	name   func(backend netip.Addr) string // host name of a backend, "" if it has none
}

// newHook returns the hook that the settings ask for, nil if none.
func newHook(o Options, name func(netip.Addr) string) mesh.Hook {
	if o.Sessions.FlushScript == nil {
		return nil
	}
	return flushHook{script: *o.Sessions.FlushScript, name: name}
}

// Run implements mesh.Hook.
func (h flushHook) Run(ctx context.Context, run replica.RunHook) (ok bool, err error) {
	err = h.script.Run(ctx, flushscript.Flush{
		Hash: run.Hash,
		Old: ring.Backend{
			Addr:   run.Old.Addr,
			Tag:    run.Tag,
			VHosts: run.Old.VHosts.Value,
			Down:   run.Old.State.Value.Down,
		},
		New:     run.New,
		NewName: h.name(run.New),
	})
	return err == nil, err
}
