package keyring

import (
	"bytes"
	"errors"
	"slices"

	"directormesh/mesh/wire"
)

// Errors of changes.
var (
	ErrTooManyKeys = errors.New("there are as many keys as there can be; remove one first")
	ErrFull        = errors.New("the keyring remembers as many removed keys as it can; " +
		"found the mesh anew to begin another one")
	ErrRemoved = errors.New("the key was removed, and removed is final")
)

// Add adds a key, and returns the change. A key that is there already is no error; then the change
// is empty.
func (r *Ring) Add(secret wire.Secret) (*wire.Keyring, error) {
	return r.add(wire.Key{ID: ID(secret), Secret: secret})
}

// AddFromFile adds a key that each director reads from its own file.
func (r *Ring) AddFromFile(id wire.KeyID) (*wire.Keyring, error) { return r.add(wire.Key{ID: id}) }

func (r *Ring) add(k wire.Key) (*wire.Keyring, error) {
	_, had := r.keys[k.ID]
	switch {
	case r.Removed(k.ID):
		return nil, ErrRemoved
	case !had && len(r.keys) >= wire.MaxKeys:
		return nil, ErrFull
	case !had && len(r.Live()) >= wire.MaxHeldKeys:
		return nil, ErrTooManyKeys
	}
	change := r.nothing()
	if r.mergeKey(k) {
		change.Keys = []wire.Key{r.keys[k.ID]}
	}
	return change, nil
}

// use makes a key the primary.
func (r *Ring) use(by string, id wire.KeyID) {
	r.primary = wire.PrimaryKey{Version: r.next(by), Key: id}
}

// Remove removes a key for good.
func (r *Ring) Remove(id wire.KeyID) (*wire.Keyring, error) {
	if _, had := r.keys[id]; !had && len(r.keys) >= wire.MaxKeys {
		return nil, ErrFull
	}
	change := r.nothing()
	if r.mergeKey(wire.Key{ID: id, Removed: true}) {
		change.Keys = []wire.Key{r.keys[id]}
	}
	return change, nil
}

// Rotate begins a rotation: the new key is to encrypt, and the old one to be removed. The new key
// was added, or is one of the directors' files. An old key of zero is none.
func (r *Ring) Rotate(by string, from, to wire.KeyID, fromFile bool) *wire.Keyring {
	v := r.next(by)
	r.rotation = wire.Rotation{Begun: v, Version: v, New: to, Old: from, FromFile: fromFile}
	change := r.nothing()
	change.Rotation = r.rotation
	return change
}

// endRotation ends it as it stands.
func (r *Ring) endRotation(by string) {
	r.rotation.Version = r.next(by)
	r.rotation.Ended = true
}

// Report sets what a director says of its own keys, and returns the change; nil: it has said so
// already.
func (r *Ring) Report(h wire.KeyHolder) *wire.Keyring {
	slices.SortFunc(h.Keys, compareHeld)
	had := r.holders[h.Name]
	if h.Version = had.Version; had.Version.Count > 0 && compareHolder(h, had) == 0 {
		return nil
	}
	return r.write(h.Name, h)
}

// Part notes that a director is no part of the mesh any more; nil: that was known, or it never was
// one.
func (r *Ring) Part(by, name string) *wire.Keyring {
	if _, ok := r.Holder(name); !ok {
		return nil
	}
	return r.write(by, wire.KeyHolder{Name: name, Gone: true})
}

func (r *Ring) write(by string, h wire.KeyHolder) *wire.Keyring {
	h.Version = r.next(by)
	h.Keys = slices.Clone(h.Keys)
	r.holders[h.Name] = h
	r.forgetGone()
	change := r.nothing()
	change.Holders = []wire.KeyHolder{h}
	return change
}

// Usable returns the secrets that a director can use, the one that encrypts first: those of the
// keyring, and those of its file that were not removed. There may be none.
func (r *Ring) Usable(file [][]byte) [][]byte {
	usable := [][]byte{}
	add := func(secret []byte) {
		has := slices.ContainsFunc(usable, func(u []byte) bool { return bytes.Equal(u, secret) })
		if len(secret) > 0 && !has && len(usable) < wire.MaxHeldKeys && !r.Removed(ID(secret)) {
			usable = append(usable, secret)
		}
	}
	chosen := func(secret []byte) bool { return ID(secret) == r.primary.Key }
	live := r.Live()
	for _, k := range live {
		if chosen(k.Secret) {
			add(k.Secret)
		}
	}
	for _, secret := range file {
		if chosen(secret) {
			add(secret)
		}
	}
	for _, secret := range file {
		add(secret)
	}
	for _, k := range live {
		add(k.Secret)
	}
	return usable
}
