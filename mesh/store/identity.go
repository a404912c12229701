package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Identity says whose directory it is.
type Identity struct {
	Mesh     string `json:"mesh"` // mesh name
	Director string `json:"director"`
}

// identityFile is what the file holds.
type identityFile struct {
	Format int `json:"format"`
	Identity
}

const maxIdentity = 4 << 10 // bytes of the file

var errLaterFormat = errors.New("later format")

// parseIdentity reads the content of the file. A later format gives errLaterFormat.
func parseIdentity(b []byte) (Identity, error) {
	var f identityFile
	if err := json.Unmarshal(b, &f); err != nil {
		return Identity{}, err
	}
	switch {
	case f.Format > Format:
		return Identity{}, errLaterFormat
	case f.Format < 1 || f.Mesh == "" || f.Director == "":
		return Identity{}, errors.New("incomplete")
	}
	return f.Identity, nil
}

func readIdentity(d FS) (Identity, error) {
	in, err := d.Open(identityName)
	if err != nil {
		return Identity{}, err
	}
	b, err := io.ReadAll(io.LimitReader(in, maxIdentity))
	if err = errors.Join(err, in.Close()); err != nil {
		return Identity{}, err
	}
	return parseIdentity(b)
}

// writeIdentity replaces the file. Nothing of it is lost if that fails.
func writeIdentity(d FS, id Identity) error {
	b, err := json.MarshalIndent(identityFile{Format, id}, "", "  ")
	if err != nil {
		return err
	}
	return Replace(d, identityName, append(b, '\n'))
}

// An IdentityError is returned for a directory of another mesh.
type IdentityError struct{ Found, Want Identity }

func (e *IdentityError) Error() string {
	return fmt.Sprintf("it belongs to mesh %q, not %q", e.Found.Mesh, e.Want.Mesh)
}
