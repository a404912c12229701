package wire

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"directormesh/directory"
)

// KeyIDSize is how many bytes name a key.
const KeyIDSize = 4

// KeyID names a key of the mesh without showing it; zero: no key. Package keyring makes them.
type KeyID [KeyIDSize]byte

// String is how people and programs write the id.
func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// Version orders the values that one part of a keyring has had. The count of a new value is above
// all counts that its writer has seen. Zero: there is no value.
type Version struct {
	Count uint64
	By    string // the director that wrote it
}

// Compare orders by count, then by name.
func (v Version) Compare(other Version) int {
	return cmp.Or(cmp.Compare(v.Count, other.Count), strings.Compare(v.By, other.By))
}

// Keyring is the keys of a mesh, or what of them has changed. It goes over encrypted streams only,
// as the first message after the hello and whenever something changes; and a data directory keeps
// it. Package keyring has its laws.
type Keyring struct {
	Mesh     directory.MeshID // whose keys they are
	Whole    bool             // this is all; else it is what the sender thinks the receiver lacks
	Digest   uint64           // of all that the sender has
	Keys     []Key            // ids are different
	Primary  PrimaryKey
	Rotation Rotation
	Holders  []KeyHolder // names are different
}

// Key is a key of the mesh, or one that was removed.
type Key struct {
	ID      KeyID
	Secret  Secret // nil: removed, or each director has it from its own file
	Removed bool
}

// KeySize is the size of a key of the mesh, in bytes.
const KeySize = 32

// Secret is a key itself, KeySize bytes. It shows itself to nobody, whatever prints it.
type Secret []byte

// Format writes no byte of the secret.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(secret)") }

// MarshalText writes no byte of the secret either.
func (Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// PrimaryKey is the key that encrypts.
type PrimaryKey struct {
	Version Version
	Key     KeyID
}

// Rotation is a change of which keys are used: the new key encrypts from some point on, and the old
// one is removed then.
type Rotation struct {
	Begun    Version // names it
	Version  Version // of this row
	New, Old KeyID   // New may be what encrypts already; Old zero: none is removed
	FromFile bool    // each director reads the new key from its own file
	Ended    bool
}

// KeyHolder is what a director says of its own keys, or that it is no part of the mesh any more.
type KeyHolder struct {
	Name     string
	Version  Version
	Gone     bool      // it left, was removed or was forgotten
	Keys     []HeldKey // it can decrypt with these, and will after a restart
	Uses     KeyID     // it encrypts with this one
	Rotation Version   // the last rotation that it has heard of, as named by Begun
	Problem  string    // why it cannot keep a changed keyring; empty: it can
}

// HeldKey is a key of a director.
type HeldKey struct {
	ID      KeyID
	Packets uint64 // that the director has encrypted with it, about
}

// Limits of a keyring. Removed keys are never forgotten: a new key a day fills it in ten years.
const (
	MaxKeys = 4096
	// MaxHeldKeys bounds the keys of a director: an incoming stream is tried with each of them.
	MaxHeldKeys = 16
)

const (
	minKey     = 1 + 2 + KeyIDSize + 2 + 1
	minHeld    = 1 + 2 + KeyIDSize + 1
	minHolder  = 1 + 1 + 2*minVersion + 1 + 1 + 2 + KeyIDSize + 1
	minVersion = 1 + 1 + 1
)

func (m *Keyring) encode(w *writer) {
	w.array(7)
	w.uint(uint64(m.Mesh))
	w.bool(m.Whole)
	w.uint(m.Digest)
	w.list("keys", len(m.Keys), MaxKeys)
	for i := range m.Keys {
		m.Keys[i].encode(w)
	}
	m.Primary.encode(w)
	m.Rotation.encode(w)
	w.list("holders", len(m.Holders), 2*MaxDirectors)
	for i := range m.Holders {
		m.Holders[i].encode(w)
	}
}

func (m *Keyring) decode(r *reader) {
	extra := r.fields("message", 7)
	m.Mesh = directory.MeshID(r.uint64("mesh id"))
	m.Whole = r.bool("whole")
	m.Digest = r.uint64("digest")
	m.Keys = list(r, "keys", MaxKeys, minKey, decodeKey)
	m.Primary.decode(r)
	m.Rotation.decode(r)
	m.Holders = list(r, "holders", 2*MaxDirectors, minHolder, decodeHolder)
	r.end("message", extra)
}

func encodeKeyID(w *writer, id KeyID) { w.bytes(id[:]) }

func decodeKeyID(r *reader, field string) (id KeyID) {
	b := r.bytes(field, KeyIDSize)
	if r.err == nil && len(b) != KeyIDSize {
		r.fail(field, "%d bytes, %d are needed", len(b), KeyIDSize)
	}
	copy(id[:], b)
	return id
}

func (v *Version) encode(w *writer) {
	w.array(2)
	w.uint(v.Count)
	w.name("director name", v.By)
}

func (v *Version) decode(r *reader) {
	extra := r.fields("version", 2)
	v.Count = r.uint64("count")
	v.By = r.name("director name")
	r.end("version", extra)
}

func (k *Key) encode(w *writer) {
	if n := len(k.Secret); n != 0 && n != KeySize {
		w.fail("secret", "%d bytes, %d are needed", n, KeySize)
	}
	w.array(3)
	encodeKeyID(w, k.ID)
	w.bytes(k.Secret)
	w.bool(k.Removed)
}

func decodeKey(r *reader) (k Key) {
	extra := r.fields("key", 3)
	k.ID = decodeKeyID(r, "key id")
	if b := r.bytes("secret", KeySize); len(b) == KeySize {
		k.Secret = append(k.Secret, b...)
	} else if len(b) != 0 {
		r.fail("secret", "%d bytes, %d are needed", len(b), KeySize)
	}
	k.Removed = r.bool("removed")
	r.end("key", extra)
	return k
}

func (p *PrimaryKey) encode(w *writer) {
	w.array(2)
	p.Version.encode(w)
	encodeKeyID(w, p.Key)
}

func (p *PrimaryKey) decode(r *reader) {
	extra := r.fields("primary key", 2)
	p.Version.decode(r)
	p.Key = decodeKeyID(r, "key id")
	r.end("primary key", extra)
}

func (o *Rotation) encode(w *writer) {
	w.array(6)
	o.Begun.encode(w)
	o.Version.encode(w)
	encodeKeyID(w, o.New)
	encodeKeyID(w, o.Old)
	w.bool(o.FromFile)
	w.bool(o.Ended)
}

func (o *Rotation) decode(r *reader) {
	extra := r.fields("rotation", 6)
	o.Begun.decode(r)
	o.Version.decode(r)
	o.New = decodeKeyID(r, "new key id")
	o.Old = decodeKeyID(r, "old key id")
	o.FromFile = r.bool("from file")
	o.Ended = r.bool("ended")
	r.end("rotation", extra)
}

func (h *KeyHolder) encode(w *writer) {
	w.array(7)
	w.name("director name", h.Name)
	h.Version.encode(w)
	w.bool(h.Gone)
	w.list("held keys", len(h.Keys), MaxHeldKeys)
	for _, k := range h.Keys {
		w.array(2)
		encodeKeyID(w, k.ID)
		w.uint(k.Packets)
	}
	encodeKeyID(w, h.Uses)
	h.Rotation.encode(w)
	w.remark(h.Problem)
}

func decodeHolder(r *reader) (h KeyHolder) {
	extra := r.fields("holder", 7)
	h.Name = r.name("director name")
	h.Version.decode(r)
	h.Gone = r.bool("gone")
	h.Keys = list(r, "held keys", MaxHeldKeys, minHeld, decodeHeldKey)
	h.Uses = decodeKeyID(r, "key id")
	h.Rotation.decode(r)
	h.Problem = r.remark("problem")
	r.end("holder", extra)
	return h
}

func decodeHeldKey(r *reader) (k HeldKey) {
	extra := r.fields("held key", 2)
	k.ID = decodeKeyID(r, "key id")
	k.Packets = r.uint64("packets")
	r.end("held key", extra)
	return k
}
