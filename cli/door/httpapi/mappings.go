package httpapi

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/door/bulk"
	"directormesh/ring"
)

// mappings answers GET /v1/mappings: one line each.
func (s *Server) mappings(w http.ResponseWriter, r *http.Request) error {
	query, err := parameters(r, "backend", "hash")
	if err != nil {
		return err
	}
	var (
		wanted map[netip.Addr]bool
		hash   ring.UserHash
		byHash = query.Has("hash")
	)
	if query.Has("backend") {
		if wanted, err = parseBackends(query.Get("backend")); err != nil {
			return err
		}
	}
	if byHash {
		if hash, err = parseHash(query.Get("hash")); err != nil {
			return err
		}
	}
	var lines []byte
	add := func(m api.Mapping) bool {
		if (wanted == nil || wanted[m.Backend.Addr]) && (!byHash || m.UserHash == uint32(hash)) {
			lines = appendMapping(lines, m)
		}
		return false
	}
	return bulk.Walk(r.Context(), s.lists, s.director.Mappings(), add, func() error {
		deadline(w, streamTimeout)
		if len(lines) == 0 {
			return nil
		}
		_, err := w.Write(lines)
		lines = lines[:0]
		return err
	})
}

// appendMapping appends the JSON of m and a newline. It is written out because reflection would
// take most of the time that a list of ten million needs; a test compares it with encoding/json.
func appendMapping(b []byte, m api.Mapping) []byte {
	b = append(b, `{"tag":`...)
	b = appendString(b, m.Tag)
	b = append(b, `,"user_hash":`...)
	b = strconv.AppendUint(b, uint64(m.UserHash), 10)
	b = append(b, `,"backend":"`...)
	b = ring.AppendAddrText(b, m.Backend.Addr)
	b = append(b, `","expires_at":"`...)
	b = m.ExpiresAt.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","moving":`...)
	b = strconv.AppendBool(b, m.Moving)
	return append(b, '}', '\n')
}

// appendString appends s as a JSON string. Tags hardly ever need escapes; those go through
// encoding/json.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string always can
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
