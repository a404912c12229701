package names

import (
	"maps"
	"slices"

	"directormesh/mesh/wire"
)

// Sights is what one director sees of names.
type Sights map[Key]*wire.NameSight

// Note takes in what is seen of a name.
func (s Sights) Note(sight *wire.NameSight) {
	key := Key{sight.Name, sight.Tag}
	if _, known := s[key]; !known && len(s) >= wire.MaxNames {
		return // no honest director watches so many
	}
	s[key] = sight
}

// Messages returns all that is seen, for a peer that has nothing of it yet: one message at least.
func (s Sights) Messages() []*wire.Names {
	messages := []*wire.Names{{Whole: true}}
	for i, key := range s.keys() {
		if i > 0 {
			messages = append(messages, new(wire.Names))
		}
		messages[i].Names = []wire.NameSight{*s[key]}
	}
	return messages
}

func (s Sights) keys() []Key { return slices.SortedFunc(maps.Keys(s), Key.Compare) }
