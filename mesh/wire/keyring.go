package wire

import "directormesh/directory"

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
