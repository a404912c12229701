package daemon

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"directormesh/cli/api"
	"directormesh/directory"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// Do implements httpapi.Director.
func (d *director) Do(ctx context.Context, op api.Operation) (api.Outcome, error) {
	if change, without, err := keyOperation(op); change != nil || err != nil {
		return d.changeKeys(ctx, change, without, err)
	}
	if _, ok := op.(api.Reload); ok {
		return d.askReload(ctx)
	}
	return d.carryOut(ctx, op, func(op replica.Operation) replica.Operation { return op })
}

// carryOut carries out a change of table or mappings, in the form in which the mesh is to have it.
func (d *director) carryOut(
	ctx context.Context, op api.Operation, form func(replica.Operation) replica.Operation,
) (api.Outcome, error) {
	operation, err := d.operation(op)
	if err != nil {
		return api.Outcome{}, err
	}
	began := wallTime(d.node.MeshTime())
	o, err := d.node.Do(ctx, form(operation))
	if err != nil {
		return api.Outcome{}, apiError(err)
	}
	outcome := api.Outcome{
		FailedDirectors: o.FailedPeers, Users: o.Mapped, Count: o.Count, Known: o.Known,
		NoKicker: o.Blind, NotKept: o.NotKept, KeptByNone: o.KeptByNone,
	}
	outcome.Away = d.away(o.FailedPeers, began)
	for _, left := range o.Left {
		outcome.SessionsLeft = append(outcome.SessionsLeft, api.SessionsLeft(left))
	}
	if _, ok := op.(api.RemoveBackend); ok && d.noKicker { // the kicks of others are not waited for
		outcome.NoKicker = []string{d.options.NodeName}
	}
	if _, ok := op.(api.FlushUsers); ok {
		outcome.Flush = &api.FlushID{Director: o.Flush.Director, ID: o.Flush.ID}
	}
	return outcome.Complete(), nil
}

// awayBefore is how long before an operation a director must have been silent to have been away
// then: others fail meanwhile.
const awayBefore = time.Second

// away returns which of the directors that failed had been away when an operation began.
func (d *director) away(failed []string, began time.Time) []api.AwayDirector {
	list := []api.AwayDirector{}
	if len(failed) == 0 {
		return list
	}
	for _, p := range d.node.Peers() {
		silent := !p.SilentSince.IsZero() && p.SilentSince.Before(began.Add(-awayBefore))
		if silent && slices.Contains(failed, p.Name) {
			list = append(list, api.AwayDirector{Director: p.Name, Since: p.SilentSince.UTC()})
		}
	}
	return list
}

// operation translates a change into the words of the mesh.
func (d *director) operation(op api.Operation) (replica.Operation, error) {
	if pin := d.pinOperation(op); pin != nil {
		return pin, nil
	}
	switch op := op.(type) {
	case api.AddBackend:
		add := replica.AddBackend{
			Addr: op.IP.Addr, VHosts: op.VHosts, Standby: op.Standby,
			SlowStart: slowStart(op.SlowStartMS),
		}
		if op.Tag != nil {
			add.Tag = ring.Tag(*op.Tag)
		}
		return add, nil
	case api.UpdateBackend:
		update := replica.UpdateBackend{
			Addr: op.IP.Addr, VHosts: op.VHosts, SlowStart: slowStart(op.SlowStartMS),
		}
		if op.Tag != nil {
			tag := ring.Tag(*op.Tag)
			update.Tag = &tag
		}
		return update, nil
	case api.RemoveBackend:
		return replica.RemoveBackend{Addr: op.IP.Addr}, nil
	case api.BackendUp:
		return replica.SetDown{Addr: op.IP.Addr, SlowStart: slowStart(op.SlowStartMS)}, nil
	case api.BackendDown:
		return replica.SetDown{Addr: op.IP.Addr, Down: true}, nil
	case api.Move:
		return replica.Move{
			Hash: d.userHash(op.User, op.UserHash), Backend: op.Backend.Addr, Wait: op.Wait,
		}, nil
	case api.KickUser:
		return replica.KickUser{Field: op.Field, Value: op.User}, nil
	case api.FlushUsers:
		return replica.Flush{Addr: op.Backend.Addr, MaxParallel: op.MaxParallel}, nil
	case api.CancelFlush:
		return replica.CancelFlush{Addr: op.Backend.Addr}, nil
	case api.Forget:
		return replica.Forget{Addr: op.Backend.Addr}, nil
	case api.DrainBackend:
		return replica.Drain{
			Addr: op.IP.Addr, Pace: pace(op.By, op.OverMS, op.MaxParallel), Force: op.Force,
		}, nil
	case api.UndrainBackend:
		return replica.Undrain{Addr: op.IP.Addr, SlowStart: slowStart(op.SlowStartMS)}, nil
	case api.Rebalance:
		rebalance := replica.Rebalance{Pace: pace(op.By, op.OverMS, op.MaxParallel)}
		if op.Tag != nil {
			tag := ring.Tag(*op.Tag)
			rebalance.Tag = &tag
		}
		return rebalance, nil
	case api.ResetBalance:
		reset := replica.ResetFactors{}
		if op.Tag != nil {
			tag := ring.Tag(*op.Tag)
			reset.Tag = &tag
		}
		return reset, nil
	case api.AddDirector:
		if op.Name != "" {
			return replica.SetDirectorRemoved{Name: op.Name}, nil
		}
		return replica.SetDirectorRemoved{
			Addr: netip.AddrPortFrom(op.IP.Addr, d.directorPort(op.Port)),
		}, nil
	case api.RemoveDirector:
		return d.removeDirector(op)
	case api.ImportMappings:
		return d.importMappings(op), nil
	}
	return nil, api.Errorf(api.CodeBadRequest, "%T is no change that is known here", op)
}

// pace translates how fast users are to be moved. Mesh time follows the wall clocks.
func pace(by *time.Time, overMS int64, parallel int) replica.Pace {
	p := replica.Pace{Over: time.Duration(overMS) * time.Millisecond, MaxParallel: parallel}
	if by != nil {
		p.By = directory.Time(by.UnixMilli())
	}
	return p
}

// directorPort is the port of a director that was named without one: our own.
func (d *director) directorPort(port int) uint16 {
	if port != 0 {
		return uint16(port)
	}
	for _, p := range d.node.Peers() {
		if p.Self {
			return p.Addr.Port()
		}
	}
	return d.options.Bind.Port()
}

// removeDirector finds the director that is meant when only its address is given.
func (d *director) removeDirector(op api.RemoveDirector) (replica.Operation, error) {
	if op.Name != "" {
		return replica.SetDirectorRemoved{Name: op.Name, Removed: true}, nil
	}
	if op.Port != 0 {
		return replica.SetDirectorRemoved{
			Addr: netip.AddrPortFrom(op.IP.Addr, uint16(op.Port)), Removed: true,
		}, nil
	}
	var found []netip.AddrPort
	for _, p := range d.node.Peers() {
		if p.Addr.Addr() == op.IP.Addr && !p.Removed {
			found = append(found, p.Addr)
		}
	}
	switch len(found) {
	case 0:
		return nil, api.Errorf(api.CodeNotFound, "%v", replica.ErrUnknownDirector)
	case 1:
		return replica.SetDirectorRemoved{Addr: found[0], Removed: true}, nil
	}
	return nil, api.Errorf(api.CodeBadRequest, "there are %d directors at %s; give the port too",
		len(found), op.IP)
}
