package daemon

import (
	"directormesh/cli/api"
	"directormesh/directory"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// importMappings translates mappings of another director. It may have another expire time than we;
// the moment at which a user's mapping ends without further activity is what both agree on.
func (d *director) importMappings(op api.ImportMappings) replica.Operation {
	mappings := make([]replica.ImportedMapping, len(op.Mappings))
	for i, m := range op.Mappings {
		mappings[i] = replica.ImportedMapping{
			Tag:      ring.Tag(m.Tag),
			Hash:     ring.UserHash(m.UserHash),
			Backend:  m.Backend.Addr,
			Activity: directory.Time(m.ExpiresAt.Add(-d.options.UserExpire).UnixMilli()),
		}
	}
	return replica.Import{Mappings: mappings, Keep: op.Keep}
}
