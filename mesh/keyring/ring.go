package keyring

import (
	"bytes"
	"cmp"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// maxGone bounds the directors that are remembered to be gone; beyond it the oldest are forgotten.
const maxGone = wire.MaxDirectors

// ID names a key.
func ID(secret []byte) (id wire.KeyID) {
	b, err := hkdf.Key(sha256.New, secret, nil, "director mesh key id", len(id))
	if err == nil { // fails for sizes only that there are not
		copy(id[:], b)
	}
	return id
}

// Ring is the keyring of a mesh as one director has it. Its methods are not safe for concurrent
// use. What they return shares no memory with the Ring, but for secrets, which never change.
type Ring struct {
	mesh     directory.MeshID
	keys     map[wire.KeyID]wire.Key
	primary  wire.PrimaryKey
	rotation wire.Rotation
	holders  map[string]wire.KeyHolder
	count    uint64 // not below any that was seen
}

// New returns the keyring of a mesh in which nobody has changed a key yet.
func New(mesh directory.MeshID) *Ring {
	return &Ring{
		mesh: mesh, keys: make(map[wire.KeyID]wire.Key), holders: make(map[string]wire.KeyHolder),
	}
}

// Mesh says whose keyring it is; 0 if that is not known yet.
func (r *Ring) Mesh() directory.MeshID { return r.mesh }

// SetMesh makes it the keyring of another mesh, as when this director has founded one.
func (r *Ring) SetMesh(mesh directory.MeshID) { r.mesh = mesh }

// Merge takes in what another director has, or had, and returns what of it was news; nil: nothing.
// Keys whose secret is not that of their id, and what is beyond the limits, do not count.
func (r *Ring) Merge(m *wire.Keyring) *wire.Keyring {
	news := r.nothing()
	for _, k := range m.Keys {
		if r.mergeKey(k) {
			news.Keys = append(news.Keys, r.keys[k.ID])
		}
	}
	r.saw(m.Primary.Version)
	if comparePrimary(m.Primary, r.primary) > 0 {
		r.primary = m.Primary
		news.Primary = r.primary
	}
	r.saw(m.Rotation.Version)
	if compareRotation(m.Rotation, r.rotation) > 0 {
		r.rotation = m.Rotation
		news.Rotation = r.rotation
	}
	for _, h := range m.Holders {
		r.saw(h.Version)
		if r.mergeHolder(h) {
			news.Holders = append(news.Holders, r.holders[h.Name])
		}
	}
	r.forgetGone()
	if Empty(news) {
		return nil
	}
	return news
}

func (r *Ring) mergeKey(k wire.Key) bool {
	if k.ID == (wire.KeyID{}) || len(k.Secret) > 0 && ID(k.Secret) != k.ID {
		return false
	}
	had, ok := r.keys[k.ID]
	if !ok && len(r.keys) >= wire.MaxKeys {
		return false
	}
	merged := wire.Key{ID: k.ID, Removed: had.Removed || k.Removed}
	if !merged.Removed {
		merged.Secret = larger(had.Secret, k.Secret)
	}
	r.keys[k.ID] = merged
	return !ok || merged.Removed != had.Removed || !bytes.Equal(merged.Secret, had.Secret)
}

func larger(a, b wire.Secret) wire.Secret {
	if bytes.Compare(a, b) < 0 {
		return b
	}
	return a
}

func (r *Ring) mergeHolder(h wire.KeyHolder) bool {
	had, ok := r.holders[h.Name]
	if h.Name == "" || !ok && len(r.holders) >= 2*wire.MaxDirectors || compareHolder(h, had) <= 0 {
		return false
	}
	h.Keys = slices.Clone(h.Keys)
	r.holders[h.Name] = h
	return true
}

// forgetGone bounds the directors that are gone.
func (r *Ring) forgetGone() {
	var gone []wire.KeyHolder
	for _, h := range r.holders {
		if h.Gone {
			gone = append(gone, h)
		}
	}
	if len(gone) <= maxGone {
		return
	}
	slices.SortFunc(gone, func(a, b wire.KeyHolder) int { return a.Version.Compare(b.Version) })
	for _, h := range gone[:len(gone)-maxGone] {
		delete(r.holders, h.Name)
	}
}

// Two values of one version differ only where a writer lost what it had written, or lies; what
// follows the version in these orders makes all take the same one.

func comparePrimary(a, b wire.PrimaryKey) int {
	return cmp.Or(a.Version.Compare(b.Version), bytes.Compare(a.Key[:], b.Key[:]))
}

func compareRotation(a, b wire.Rotation) int {
	return cmp.Or(a.Version.Compare(b.Version), a.Begun.Compare(b.Begun),
		bytes.Compare(a.New[:], b.New[:]), bytes.Compare(a.Old[:], b.Old[:]),
		compareBool(a.FromFile, b.FromFile), compareBool(a.Ended, b.Ended))
}

func compareHolder(a, b wire.KeyHolder) int {
	return cmp.Or(a.Version.Compare(b.Version), compareBool(a.Gone, b.Gone),
		bytes.Compare(a.Uses[:], b.Uses[:]), a.Rotation.Compare(b.Rotation),
		strings.Compare(a.Problem, b.Problem), slices.CompareFunc(a.Keys, b.Keys, compareHeld))
}

func compareHeld(a, b wire.HeldKey) int {
	return cmp.Or(bytes.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.Packets, b.Packets))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (r *Ring) saw(v wire.Version) { r.count = max(r.count, v.Count) }

// next is the version of a value that is written now.
func (r *Ring) next(by string) wire.Version {
	r.count++
	return wire.Version{Count: r.count, By: by}
}

// nothing is an empty message about this keyring.
func (r *Ring) nothing() *wire.Keyring { return &wire.Keyring{Mesh: r.mesh} }

// Empty reports whether a message has no part of a keyring.
func Empty(m *wire.Keyring) bool {
	return len(m.Keys) == 0 && m.Primary == wire.PrimaryKey{} &&
		m.Rotation == wire.Rotation{} && len(m.Holders) == 0
}

// Whole returns all there is, sorted.
func (r *Ring) Whole() *wire.Keyring {
	m := &wire.Keyring{
		Mesh: r.mesh, Whole: true, Digest: r.Digest(), Primary: r.primary, Rotation: r.rotation,
		Holders: r.Holders(),
	}
	for _, id := range r.ids() {
		m.Keys = append(m.Keys, r.keys[id])
	}
	return m
}

func (r *Ring) ids() []wire.KeyID {
	return slices.SortedFunc(maps.Keys(r.keys), func(a, b wire.KeyID) int {
		return bytes.Compare(a[:], b[:])
	})
}

// Digest is the same for equal keyrings. Secrets do not enter it.
func (r *Ring) Digest() uint64 {
	h := fnv.New64a()
	number := func(n uint64) { _, _ = h.Write(binary.BigEndian.AppendUint64(nil, n)) }
	flag := func(b bool) { _, _ = h.Write([]byte{map[bool]byte{true: 1}[b]}) }
	text := func(s string) { number(uint64(len(s))); _, _ = h.Write([]byte(s)) }
	version := func(v wire.Version) { number(v.Count); text(v.By) }
	id := func(k wire.KeyID) { _, _ = h.Write(k[:]) }
	for _, key := range r.ids() {
		k := r.keys[key]
		id(k.ID)
		flag(len(k.Secret) > 0)
		flag(k.Removed)
	}
	version(r.primary.Version)
	id(r.primary.Key)
	version(r.rotation.Begun)
	version(r.rotation.Version)
	id(r.rotation.New)
	id(r.rotation.Old)
	flag(r.rotation.FromFile)
	flag(r.rotation.Ended)
	for _, holder := range r.Holders() {
		text(holder.Name)
		version(holder.Version)
		flag(holder.Gone)
		id(holder.Uses)
		version(holder.Rotation)
		text(holder.Problem)
		number(uint64(len(holder.Keys)))
		for _, k := range holder.Keys {
			id(k.ID)
			number(k.Packets)
		}
	}
	return h.Sum64()
}

// Live lists the keys that were added and not removed, sorted. Those without a secret are in each
// director's own file.
func (r *Ring) Live() (live []wire.Key) {
	for _, id := range r.ids() {
		if k := r.keys[id]; !k.Removed {
			live = append(live, k)
		}
	}
	return live
}

// Removed reports whether a key was removed.
func (r *Ring) Removed(id wire.KeyID) bool { return r.keys[id].Removed }

// Primary is the key that was chosen to encrypt; zero: nobody has chosen one.
func (r *Ring) Primary() wire.KeyID { return r.primary.Key }

// Rotation is the last rotation; of version zero if there was none.
func (r *Ring) Rotation() wire.Rotation { return r.rotation }

// Rotating reports whether a rotation is under way.
func (r *Ring) Rotating() bool { return r.rotation.Version.Count > 0 && !r.rotation.Ended }

// Holders lists what all directors say, those that are gone among them, by name.
func (r *Ring) Holders() []wire.KeyHolder {
	holders := make([]wire.KeyHolder, 0, len(r.holders))
	for _, name := range slices.Sorted(maps.Keys(r.holders)) {
		h := r.holders[name]
		h.Keys = slices.Clone(h.Keys)
		holders = append(holders, h)
	}
	return holders
}

// Holder returns what a director says of its keys; ok is false if it has not, or is gone.
func (r *Ring) Holder(name string) (h wire.KeyHolder, ok bool) {
	h, ok = r.holders[name]
	return h, ok && !h.Gone
}

// Knows reports whether a key was ever added or removed.
func (r *Ring) Knows(id wire.KeyID) bool {
	_, ok := r.keys[id]
	return ok
}
