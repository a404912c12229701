package keyring

import (
	"slices"

	"directormesh/mesh/wire"
)

// Lack is a director that stands in the way of a change, and why.
type Lack struct {
	Director string
	Why      string // completes a sentence that begins with the director
}

// Known lists the directors that changes of keys must wait for: these, which are those that this
// director knows, and all that have said which keys they have. Sorted.
func (r *Ring) Known(peers []string) []string {
	known := slices.Clone(peers)
	for name, h := range r.holders {
		if !h.Gone {
			known = append(known, name)
		}
	}
	slices.Sort(known)
	return slices.Compact(known)
}

// Lacking lists the directors for which ok is false; they lack what why says. A director that has
// not reported its keys, or cannot keep any, is listed with that.
func (r *Ring) Lacking(directors []string, why string, ok func(wire.KeyHolder) bool) []Lack {
	var lacks []Lack
	for _, name := range directors {
		h, reports := r.Holder(name)
		switch {
		case !reports:
			lacks = append(lacks, Lack{name, "has not reported which keys it has"})
		case h.Problem != "":
			lacks = append(lacks, Lack{name, "cannot keep keys: " + h.Problem})
		case !ok(h):
			lacks = append(lacks, Lack{name, why})
		}
	}
	return lacks
}

// Has reports whether a director has a key.
func Has(h wire.KeyHolder, id wire.KeyID) bool {
	return slices.ContainsFunc(h.Keys, func(k wire.HeldKey) bool { return k.ID == id })
}

// NotReady lists the directors that cannot keep a changed keyring, or have not said.
func (r *Ring) NotReady(directors []string) []Lack {
	return r.Lacking(directors, "", func(wire.KeyHolder) bool { return true })
}

// Without lists the directors that do not have a key.
func (r *Ring) Without(directors []string, id wire.KeyID) []Lack {
	return r.Lacking(directors, "does not have the key",
		func(h wire.KeyHolder) bool { return Has(h, id) })
}

// NotUsing lists the directors that encrypt with another key.
func (r *Ring) NotUsing(directors []string, id wire.KeyID) []Lack {
	return r.Lacking(directors, "encrypts with another key",
		func(h wire.KeyHolder) bool { return h.Uses == id })
}

// Holding lists the directors that still have a key.
func (r *Ring) Holding(directors []string, id wire.KeyID) []Lack {
	return r.Lacking(directors, "still has the key",
		func(h wire.KeyHolder) bool { return !Has(h, id) })
}

// Waits lists whom the next step of the rotation under way waits for.
func (r *Ring) Waits(known []string) []Lack {
	o := r.rotation
	if !r.Rotating() || r.Removed(o.New) {
		return nil
	}
	if waits := r.Lacking(known, "does not have the new key",
		func(h wire.KeyHolder) bool { return Has(h, o.New) }); len(waits) > 0 {
		return waits
	}
	if waits := r.Lacking(known, "has not heard of the rotation",
		func(h wire.KeyHolder) bool { return h.Rotation == o.Begun }); len(waits) > 0 {
		return waits
	}
	if r.primary.Key != o.New {
		return nil
	}
	return r.NotUsing(known, o.New)
}

// Advance takes the steps of the rotation that can be taken, all directors being known, and returns
// the change, nil if there is none, and whom the next step waits for.
func (r *Ring) Advance(by string, known []string) (*wire.Keyring, []Lack) {
	change := r.nothing()
	for r.Rotating() {
		if waits := r.Waits(known); len(waits) > 0 {
			return orNil(change), waits
		}
		o := r.rotation
		switch {
		case r.Removed(o.New): // it was given up
		case r.primary.Key != o.New:
			r.use(by, o.New)
			change.Primary = r.primary
			continue
		case o.Old != wire.KeyID{}:
			// Where no more removed keys can be remembered, the old one stays.
			if removal, err := r.Remove(o.Old); err == nil {
				change.Keys = append(change.Keys, removal.Keys...)
			}
		}
		r.endRotation(by)
		change.Rotation = r.rotation
	}
	return orNil(change), nil
}

func orNil(m *wire.Keyring) *wire.Keyring {
	if Empty(m) {
		return nil
	}
	return m
}

// Packets is how many packets all directors have encrypted with a key, about.
func (r *Ring) Packets(id wire.KeyID) (sum uint64) {
	for _, h := range r.holders {
		for _, k := range h.Keys {
			if k.ID == id {
				sum += k.Packets
			}
		}
	}
	return sum
}

// Steps of a rotation.
const (
	StepAdding = "adding" // not every director has the new key, or knows of the rotation
	StepUsing  = "using"  // the new key encrypts, and not every director uses it
)

// Step is how far the rotation under way is.
func (r *Ring) Step() string {
	if r.primary.Key != r.rotation.New {
		return StepAdding
	}
	return StepUsing
}
