package doveadm

import (
	"context"
	"iter"

	"directormesh/cli/api"
	"directormesh/ring"
)

// Director is what this door opens to. All methods may be called at the same time from many
// goroutines.
type Director interface {
	Self() api.Self
	Directors() api.Directors
	Backends() api.Backends
	Flushes() api.Flushes

	// Hash hashes a user name as the whole mesh does.
	Hash(user string) ring.UserHash
	// User returns where a user is and would be, and changes nothing.
	User(tag ring.Tag, h ring.UserHash) api.User
	// Mappings yields all live mappings ordered by tag and hash, without holding up anything else.
	Mappings() iter.Seq[api.Mapping]

	// Do carries out a change and returns when every live director has it. An error is an
	// *api.Error.
	Do(ctx context.Context, op api.Operation) (api.Outcome, error)
	// NoteChange puts a change that somebody asked for into the history. It does not wait.
	NoteChange(c api.AdminChange)
}
