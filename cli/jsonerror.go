package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"directormesh/cli/api"
)

// Codes of failures that no director has reported.
const (
	codeUsage       api.Code = "usage"          // the command was called wrongly
	codeUnreachable api.Code = "unreachable"    // no director answers at the address
	codeNoDirector  api.Code = "not_a_director" // what answers there is no director
	codeConfig      api.Code = "config"         // settings are wrong
	codeInterrupted api.Code = "interrupted"    // by a signal
	codeNotPossible api.Code = "not_possible"   // it cannot be done, here or now
)

// wantsJSON reports whether a command line asks for JSON, be it in good order or not.
func wantsJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--json")
}

// printFailure prints an error as a director answers one: a line of JSON. It goes where all errors
// go, because stdout has answers only.
func (inv *invocation) printFailure(err error, said string) {
	raw, marshalErr := json.Marshal(api.Failure{
		Error: &api.Error{Code: codeOf(err), Message: said},
	})
	if marshalErr != nil {
		raw = []byte(said) // cannot be: both are text
	}
	fmt.Fprintf(inv.Stderr, "%s\n", api.VisibleJSON(raw))
}

// codeOf says what kind of failure an error is: the director's code where it has reported one, else
// by the exit status.
func codeOf(err error) api.Code {
	var refused *api.Error
	var unreachable *api.UnreachableError
	switch {
	case errors.As(err, &refused):
		return refused.Code
	case errors.As(err, &unreachable):
		return codeUnreachable
	case errors.Is(err, context.Canceled):
		return codeInterrupted
	}
	switch status(err) {
	case exitUsage:
		return codeUsage
	case exitNotPossible:
		return codeNotPossible
	case exitNotFound:
		return api.CodeNotFound
	case exitProtocol:
		return codeNoDirector
	case exitConfig:
		return codeConfig
	}
	return api.CodeTemporary
}
