package daemon

import (
	"context"
	"errors"
	"strings"

	"directormesh/cli/api"
	"directormesh/directory"
	"directormesh/mesh"
	"directormesh/mesh/replica"
	"directormesh/mesh/wording"
)

// meshError is an error of the mesh in the words of the API.
type meshError struct {
	err  error
	code api.Code
	text string // empty: what the error says
}

// meshErrors are all errors that operations and lookups may end with.
func meshErrors() []meshError {
	const stopping = "this director is stopping, ask another one"
	return []meshError{
		{directory.ErrUnknownBackend, api.CodeNotFound, "doesn't exist"},
		{directory.ErrVHosts, api.CodeVHosts, ""},
		{directory.ErrFull, api.CodeBadRequest, ""},
		{directory.ErrTooLittleLeft, api.CodeTooLittleLeft, ""},
		{directory.ErrNotDrained, api.CodeBadRequest, ""},
		{directory.ErrNotPinned, api.CodeNotFound, ""},
		{directory.ErrParallel, api.CodeBadRequest, ""},
		{directory.ErrSlowStart, api.CodeBadRequest, ""},
		{mesh.ErrInvalid, api.CodeBadRequest, ""},
		{mesh.ErrClosed, api.CodeTemporary, stopping},
		{replica.ErrTryAgain, api.CodeTryAgain, "user is already being moved"},
		{replica.ErrNotSynced, api.CodeNotSynced, "this director is not synced yet, try again"},
		{replica.ErrRemoved, api.CodeNotSynced, ""},
		{replica.ErrOnlyDirector, api.CodeBadRequest, ""},
		{replica.ErrUnknownDirector, api.CodeNotFound, ""},
		{replica.ErrNothingToCancel, api.CodeNotFound, ""},
		{replica.ErrOtherTable, api.CodeOtherTable, ""},
		{replica.ErrPinned, api.CodePinned, ""},
		{replica.ErrNoPlan, api.CodeBadRequest, ""},
		{replica.ErrOlderRelease, api.CodeBadRequest, ""},
		{replica.ErrSharedAddress, api.CodeBadRequest, ""},
		{replica.ErrStampAhead, api.CodeNotSynced, ""},
		{replica.ErrClockStepped, api.CodeTimeout, ""},
		{replica.ErrOvertaken, api.CodeOvertaken, ""},
		{replica.ErrLeftCluster, api.CodeTimeout, ""},
		{context.Canceled, api.CodeTemporary, stopping},
		{context.DeadlineExceeded, api.CodeTimeout, "not every director has confirmed in time"},
	}
}

// apiError says in the words of the API what the mesh reported.
func apiError(err error) error {
	var temporary *replica.TemporaryError
	var reported *api.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &reported):
		return reported
	case errors.As(err, &temporary):
		return api.Errorf(api.CodeTemporary, "%v", wording.Plain(temporary))
	case errors.Is(err, directory.ErrTagDiffers):
		which := strings.TrimPrefix(err.Error(), directory.ErrTagDiffers.Error()+": ")
		return api.Errorf(api.CodeTagDiffers, "host tag can't be changed: %s", which)
	}
	for _, m := range append(meshErrors(), keyErrors()...) {
		switch {
		case !errors.Is(err, m.err):
		case m.text != "":
			return api.Errorf(m.code, "%s", m.text)
		default:
			return api.Errorf(m.code, "%v", wording.Plain(err))
		}
	}
	return api.Errorf(api.CodeInternal, "%v", wording.Plain(err))
}
