package mesh

import (
	"bytes"
	"slices"

	"directormesh/mesh/keyring"
	"directormesh/mesh/wire"
)

// KeyStatus is a key of the mesh.
type KeyStatus struct {
	ID      wire.KeyID
	Primary bool     // this director encrypts with it
	Here    bool     // this director has it
	Streams int      // of this director that were opened with it, in both directions
	Holders []string // directors that report that they have it, sorted
	Packets uint64   // that directors report to have encrypted with it, about
}

// KeyringStatus is the keys of the mesh, as this director knows them.
type KeyringStatus struct {
	Keys      []KeyStatus // the primary first, then by id
	Directors []KeyHolderStatus
	Rotation  *RotationStatus // nil: none is under way
}

// KeyHolderStatus is what is known of the keys of a director.
type KeyHolderStatus struct {
	Name    string
	Away    bool       // not in touch
	Uses    wire.KeyID // zero: it has not reported
	Problem string     // why it cannot keep keys
}

// RotationStatus is a rotation under way.
type RotationStatus struct {
	New, Old wire.KeyID
	By       string // who began it
	Step     string // keyring.StepAdding or keyring.StepUsing
	FromFile bool
	Waits    []keyring.Lack
}

// Keys returns the keys of the mesh; there are none if it is not encrypted.
func (n *Node) Keys() KeyringStatus {
	var s KeyringStatus
	if len(n.cfg.Keys) == 0 {
		return s
	}
	streams := n.streamsByKey()
	n.keys.mu.Lock()
	defer n.keys.mu.Unlock()
	all := n.keys.ring
	known, live := n.keys.directors()
	for _, name := range known {
		h, _ := all.Holder(name)
		s.Directors = append(s.Directors, KeyHolderStatus{
			Name: name, Away: !slices.Contains(live, name), Uses: h.Uses, Problem: h.Problem,
		})
	}
	for i, id := range n.keys.idsLocked(known) {
		k := KeyStatus{ID: id, Streams: streams[id], Packets: all.Packets(id), Primary: i == 0}
		k.Here = slices.ContainsFunc(n.keys.used,
			func(secret []byte) bool { return keyring.ID(secret) == id })
		for _, name := range known {
			if h, _ := all.Holder(name); keyring.Has(h, id) {
				k.Holders = append(k.Holders, name)
			}
		}
		s.Keys = append(s.Keys, k)
	}
	if all.Rotating() {
		o := all.Rotation()
		s.Rotation = &RotationStatus{
			New: o.New, Old: o.Old, By: o.Version.By, Step: all.Step(), FromFile: o.FromFile,
			Waits: n.keys.waits,
		}
	}
	return s
}

// keysLacking is how many keys the mesh has, and how many directors have not reported that they
// have the one that encrypts here.
func (n *Node) keysLacking() (keys, lacking int) {
	s := n.Keys()
	if len(s.Keys) == 0 {
		return 0, 0
	}
	return len(s.Keys), len(s.Directors) - len(s.Keys[0].Holders)
}

// idsLocked lists the keys that any of these directors has, the one that encrypts here first.
func (k *keys) idsLocked(directors []string) []wire.KeyID {
	var others []wire.KeyID
	primary := keyring.ID(k.used[0])
	add := func(id wire.KeyID) {
		if id != primary {
			others = append(others, id)
		}
	}
	for _, secret := range k.used[1:] {
		add(keyring.ID(secret))
	}
	for _, live := range k.ring.Live() {
		add(live.ID)
	}
	for _, name := range directors {
		h, _ := k.ring.Holder(name)
		for _, held := range h.Keys {
			add(held.ID)
		}
	}
	slices.SortFunc(others, func(a, b wire.KeyID) int { return bytes.Compare(a[:], b[:]) })
	return append([]wire.KeyID{primary}, slices.Compact(others)...)
}
