package kick

import (
	"context"
	"net/netip"

	"directormesh/ring"
)

// Target says whose sessions to end. Exactly one of its forms is used: ByHash with Hash and Keep,
// Backend, or Value with Field.
type Target struct {
	Tag ring.Tag // only sessions on backends of this tag; not for Value

	ByHash bool          // the sessions of the user Hash,
	Hash   ring.UserHash //
	Keep   netip.Addr    // but not those on this backend; zero: all of them

	Backend netip.Addr // all sessions on this backend

	Value string // all sessions of the user of this name,
	Field string // or with Value in this auth field if one is given
}

// Result is what a kicker knows after a kick.
type Result struct {
	Count int  // sessions ended
	Known bool // these were certainly all of them
	Left  int  // sessions that it saw and could not end
	Blind bool // it has no way to reach sessions
}

// Kicker ends sessions. It must be safe for concurrent use and stop when the context ends. A Result
// beside an error is not Known.
type Kicker interface {
	Kick(ctx context.Context, t Target) (Result, error)
}

// None is the kicker of a director that has no way to reach sessions. It ends nothing and knows
// nothing.
type None struct{}

// Kick implements Kicker.
func (None) Kick(context.Context, Target) (Result, error) { return Result{Blind: true}, nil }
