package daemon

import (
	"context"

	"directormesh/cli/api"
	"directormesh/mesh/replica"
)

// DoIf implements httpapi.Director.
func (d *director) DoIf(ctx context.Context, op api.Operation, table string) (api.Outcome, error) {
	return d.carryOut(ctx, op, func(op replica.Operation) replica.Operation {
		return replica.IfTable{Digest: table, Operation: op}
	})
}

// Plan implements httpapi.Director.
func (d *director) Plan(ctx context.Context, op api.Operation) (api.Plan, error) {
	operation, err := d.operation(op)
	if err != nil {
		return api.Plan{}, err
	}
	p, err := d.node.Plan(ctx, operation)
	if err != nil {
		return api.Plan{}, apiError(err)
	}
	plan := api.Plan{
		Table: p.Table, Users: p.Users, Due: p.Due, Forgotten: p.Forgotten,
		Moves:    make([]api.PlannedMoves, len(p.Moves)),
		Backends: make([]api.PlannedBackend, len(p.Backends)),
		LeastMS:  p.Least.Milliseconds(), SlowStartMS: p.SlowStart.Milliseconds(),
	}
	for i, m := range p.Moves {
		plan.Moves[i] = api.PlannedMoves{
			Tag: string(m.Tag), From: api.IP{Addr: m.From}, To: api.IP{Addr: m.To}, Users: m.Users,
		}
	}
	for i, b := range p.Backends {
		plan.Backends[i] = api.PlannedBackend{
			IP: api.IP{Addr: b.Backend.Addr}, Tag: string(b.Backend.Tag), Users: b.Users,
			UsersAfter: b.UsersAfter, Share: b.Share, ShareAfter: b.ShareAfter,
		}
	}
	return plan, nil
}
