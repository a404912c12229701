package mesh

import (
	"slices"

	"directormesh/directory"
	"directormesh/mesh/keyring"
	"directormesh/mesh/wire"
	"directormesh/mesh/wording"
)

// queue has a part of the keyring sent to all. keys.mu is locked.
func (k *keeper) queue(m *wire.Keyring) {
	if m == nil || keyring.Empty(m) {
		return
	}
	if k.outbox == nil {
		k.outbox = &wire.Keyring{}
	}
	out := k.outbox
	for _, key := range m.Keys {
		out.Keys = slices.DeleteFunc(out.Keys, func(o wire.Key) bool { return o.ID == key.ID })
		out.Keys = append(out.Keys, key)
	}
	if m.Primary.Version.Compare(out.Primary.Version) > 0 {
		out.Primary = m.Primary
	}
	if m.Rotation.Version.Compare(out.Rotation.Version) > 0 {
		out.Rotation = m.Rotation
	}
	for _, h := range m.Holders {
		out.Holders = slices.DeleteFunc(out.Holders,
			func(o wire.KeyHolder) bool { return o.Name == h.Name })
		out.Holders = append(out.Holders, h)
	}
}

// send sends a message to one peer, or to all, over the encrypted streams within the mesh.
func (k *keys) send(m *wire.Keyring, to ...string) {
	encoded, err := wire.Encode(m)
	if err != nil {
		k.n.metrics.drop(dropUnencodable)
		k.n.limited("keyring").Error().AnErr("error", wording.Plain(err)).
			Msg("the keyring cannot be sent")
		return
	}
	var streams []*outStream
	k.n.coreMu.Lock()
	for name, o := range k.n.out {
		theirs := k.n.core.PeerMesh(name)
		meant := len(to) == 0 || slices.Contains(to, name)
		if meant && (theirs == m.Mesh || theirs == 0) && o.s.secret != nil {
			streams = append(streams, o)
		}
	}
	k.n.coreMu.Unlock()
	var room []byte
	for _, o := range streams {
		if o.add(encoded) == nil { // else the stream ends, and the next one begins with it
			room = o.push(room)
		}
	}
}

// openingLocked is what streams begin with: the keys, and what this director reports.
func (k *keys) openingLocked() *wire.Keyring {
	m := k.ring.Whole()
	m.Holders = slices.DeleteFunc(m.Holders,
		func(h wire.KeyHolder) bool { return h.Name != k.n.cfg.Name })
	return m
}

// setOpeningLocked renews what streams begin with.
func (k *keys) setOpeningLocked() {
	m := k.openingLocked()
	encoded, err := wire.Encode(m)
	if err != nil || m.Mesh == 0 {
		k.opening.Store(nil)
		return
	}
	k.opening.Store(&openingKeys{m.Mesh, encoded})
}

// begin makes the keyring the first message of a stream to a director of this mesh, or
// to one that belongs to none yet.
func (k *keys) begin(out *outStream, mesh directory.MeshID) error {
	first := k.opening.Load()
	if first == nil || out.s.secret == nil || mesh != 0 && mesh != first.mesh {
		return nil
	}
	return out.add(first.encoded)
}
