package session

import (
	"net/netip"
	"strconv"
	"strings"

	"directormesh/ring"
)

// MarkField is the passdb field in which a session carries its user's hash and its backend.
const MarkField = "user_director"

// Mark returns the value of MarkField for the sessions of a user on a backend.
func Mark(h ring.UserHash, backend netip.Addr) string {
	return string(ring.AppendAddrText(append(strconv.AppendUint(nil, uint64(h), 10), '@'), backend))
}

// parseMark returns whose session it is by the value of MarkField.
func parseMark(value string) (ring.UserHash, bool) {
	hash, _, ok := strings.Cut(value, "@")
	if !ok {
		return 0, false // no error to be made for each session
	}
	h, err := strconv.ParseUint(hash, 10, 32)
	return ring.UserHash(h), err == nil
}
