package wire

import (
	"net/netip"

	"directormesh/directory"
	"directormesh/ring"
)

// Pins are the second field that was added to a Change. A row has the user's tag, by its place
// among the names, the user hash, and the register of the backend, whose value is the zero address
// if the user is not pinned any more.

const (
	maxPins   = 3 * directory.MaxPins // rows: twice as many as a table takes, and those not pinned
	minPin    = 1 + 1 + 1 + 1         // heads, tag, hash, register unset
	pinFields = 3
)

func encodePins(w *writer, names *nameList, pins []directory.PinRow) {
	w.list("pins", len(pins), maxPins)
	for i := range pins {
		p := &pins[i]
		w.array(pinFields)
		w.uint(names.ids[string(p.User.Tag)])
		w.uint(uint64(p.User.Hash))
		encodeRegister(w, names, p.Backend, func(a netip.Addr) {
			w.addr("pinned to", a, optional)
		})
	}
}

func (r *changeReader) pins() []directory.PinRow {
	return list(r.reader, "pins", maxPins, minPin, func(*reader) (p directory.PinRow) {
		extra := r.fields("pin", pinFields)
		p.User.Tag = ring.Tag(r.listed("tag"))
		p.User.Hash = ring.UserHash(r.uint32("user hash"))
		p.Backend = decodeRegister(r, "pinned", func() netip.Addr {
			return r.addr("pinned to", optional)
		})
		r.end("pin", extra)
		return p
	})
}
