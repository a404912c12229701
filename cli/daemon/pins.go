package daemon

import (
	"directormesh/cli/api"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// pinOperation translates a change of pins into the words of the mesh; nil if it is none.
func (d *director) pinOperation(op api.Operation) replica.Operation {
	switch op := op.(type) {
	case api.PinUser:
		return replica.Pin{
			Hash: d.userHash(op.User, op.UserHash), Backend: op.Backend.Addr, Wait: op.Wait,
		}
	case api.UnpinUser:
		return replica.Unpin{User: ring.User{
			Tag: ring.Tag(op.Tag), Hash: d.userHash(op.User, op.UserHash),
		}}
	}
	return nil
}

// userHash is the hash of a user who is named by name or by hash.
func (d *director) userHash(user string, hash *uint32) ring.UserHash {
	if hash != nil {
		return ring.UserHash(*hash)
	}
	return d.Hash(user)
}

// Pins implements httpapi.Director.
func (d *director) Pins() api.Pins {
	list := []api.Pin{}
	for _, p := range d.node.Pins() {
		list = append(list, api.Pin{
			UserHash: uint32(p.User.Hash), Tag: string(p.User.Tag),
			Backend: api.IP{Addr: p.Backend}, Since: wallTime(p.Since), Counts: p.Counts,
		})
	}
	return api.Pins{Pins: list}
}
