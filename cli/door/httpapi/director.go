package httpapi

import (
	"context"
	"iter"
	"time"

	"directormesh/cli/api"
	"directormesh/ring"
)

// Director is what this door opens to. All methods may be called at the same time from many
// goroutines.
type Director interface {
	Self() api.Self
	Directors() api.Directors
	Backends() api.Backends
	Pins() api.Pins
	Keys() api.Keys
	Health() api.Health
	Balance() api.Balance
	Names() api.Names
	Flushes() api.Flushes
	// Settings returns the settings without what may be secret.
	Settings() api.Settings

	// Hash hashes a user name as the whole mesh does.
	Hash(user string) ring.UserHash
	// User returns where a user is and would be, and changes nothing.
	User(tag ring.Tag, h ring.UserHash) api.User
	// TryLookup is Lookup for callers that cannot wait: false means that only Lookup can tell.
	TryLookup(tag ring.Tag, h ring.UserHash) (api.IP, bool)
	// TryLookups is TryLookup for several users in turn. It sets the Backend of each, to the zero
	// Addr where only Lookup can tell.
	TryLookups(users []ring.Lookup)
	// Lookup assigns and records like a login. It may wait; an error is an *api.Error.
	Lookup(ctx context.Context, tag ring.Tag, h ring.UserHash) (api.IP, error)
	// Mappings yields all live mappings ordered by tag and hash, without holding up anything else.
	Mappings() iter.Seq[api.Mapping]

	// History asks all directors for admin changes. An error is an *api.Error.
	History(ctx context.Context, q api.HistoryQuery) (api.History, error)
	// UserHistory asks all directors where a user was, and at a moment if it is not zero. An error
	// is an *api.Error.
	UserHistory(
		ctx context.Context, h ring.UserHash, at time.Time, q api.HistoryQuery,
	) (api.UserHistory, error)

	// Sessions asks all directors for sessions: of a user, unless that is nil, on a backend, unless
	// that is empty. An error is an *api.Error.
	Sessions(ctx context.Context, user *ring.UserHash, backend api.IP) (api.Sessions, error)

	// Doctor asks all directors what is wrong. An error is an *api.Error.
	Doctor(ctx context.Context) (api.Checkup, error)

	// Do carries out a change and returns when every live director has it. An error is an
	// *api.Error.
	Do(ctx context.Context, op api.Operation) (api.Outcome, error)
	// DoIf is Do on the condition that the table has this digest.
	DoIf(ctx context.Context, op api.Operation, table string) (api.Outcome, error)
	// Plan says what a change would do. An error is an *api.Error.
	Plan(ctx context.Context, op api.Operation) (api.Plan, error)
	// NoteChange puts a change that somebody asked for into the history. It does not wait.
	NoteChange(c api.AdminChange)
}
