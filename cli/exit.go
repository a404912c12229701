package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"directormesh/cli/api"
	"directormesh/cli/daemon"
)

// The exit statuses, as doveadm uses them.
const (
	exitUsage       = 64
	exitNotPossible = 65
	exitNotFound    = 68
	exitTemporary   = 75
	exitProtocol    = 76
	exitConfig      = 78
	exitInterrupted = 130 // 128 + SIGINT, as shells say it
)

// exitError ends a command with a status. An empty text means that all has been said already.
type exitError struct {
	status int
	text   string
}

func (e *exitError) Error() string { return e.text }

func exitf(status int, format string, args ...any) error {
	return &exitError{status: status, text: fmt.Sprintf(format, args...)}
}

// status returns the exit status for an error.
func status(err error) int {
	var exit *exitError
	var refused *api.Error
	var protocol *api.ProtocolError
	var config *daemon.ConfigError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.status
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &protocol):
		return exitProtocol
	case errors.As(err, &config):
		if config.Temporary() {
			return exitTemporary
		}
		return exitConfig
	case errors.As(err, &refused):
		switch refused.Code {
		case api.CodeNotFound:
			return exitNotFound
		case api.CodeBadRequest, api.CodeForbidden, api.CodeUnauthorized, api.CodeNoSuchMethod:
			return exitNotPossible
		}
	}
	return exitTemporary
}

// text returns what to say about an error, one line for each problem; "" if nothing.
func text(err error) string {
	if err == nil {
		return ""
	}
	var exit *exitError
	if errors.As(err, &exit) && exit.text == "" {
		return ""
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	var output *fs.PathError
	if errors.As(err, &output) && output.Op == "write" && output.Path == os.Stdout.Name() {
		return "the output cannot be written: " + api.Cause(err)
	}
	return strings.TrimSpace(err.Error())
}

// apiError returns what the director reported of what it was asked; nil if err is something else,
// such as that it does not answer this client.
func apiError(err error) *api.Error {
	var e *api.Error
	if errors.As(err, &e) {
		switch e.Code {
		case api.CodeUnauthorized, api.CodeForbidden, api.CodeTooManyRequests:
			return nil
		}
	}
	return e
}
