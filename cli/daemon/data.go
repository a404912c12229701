package daemon

import (
	"errors"
	"fmt"

	"directormesh/cli/api"
	"directormesh/mesh"
	"directormesh/mesh/store"
)

// dataSetting names the setting in errors.
const dataSetting = "data-dir"

// openData returns the data directory; nil if there is none.
func openData(path string) (store.FS, error) {
	if path == "" {
		return nil, nil
	}
	d, err := store.Dir(path)
	if err != nil {
		return nil, wrongData("%s cannot be used: %s; name a directory that the director may write",
			path, api.Cause(err))
	}
	return d, nil
}

// startError says what to do about an error of the mesh, if it is one of its data directory or
// keys.
func startError(path string, err error) error {
	var other *store.IdentityError
	switch {
	case errors.As(err, &other):
		return wrongData("%s belongs to mesh %q, and this director to mesh %q; name another "+
			"directory, or correct --mesh-name", path, other.Found.Mesh, other.Want.Mesh)
	case errors.Is(err, mesh.ErrKeysRemoved):
		return &ConfigError{Problems: []Problem{{Setting: "encrypt-key-file", Err: errors.New(
			"every key in it was removed from the mesh; put one in that the mesh uses")}}}
	case errors.Is(err, mesh.ErrDataDamaged):
		return wrongData("%s is damaged, and there is no director to join that could have what "+
			"is lost; to go on with what is left, start with --data-dir-damaged=continue", path)
	case errors.Is(err, store.ErrLocked):
		return fmt.Errorf("%s: another process uses %s; stop that one first", dataSetting, path)
	}
	return err
}

func wrongData(format string, args ...any) error {
	return &ConfigError{Problems: []Problem{{
		Setting: dataSetting, Err: fmt.Errorf(format, args...),
	}}}
}

// dataStatus shows how the data directory does; nil if there is none.
func dataStatus(s mesh.DataStatus) *api.DataDir {
	if !s.On {
		return nil
	}
	shown := &api.DataDir{Bytes: s.Bytes}
	if s.Problem != nil {
		shown.Problem = api.Cause(s.Problem)
	}
	return shown
}
