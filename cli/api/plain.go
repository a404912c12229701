package api

import (
	"bytes"
	"encoding/json"

	"directormesh/ring"
)

// Lists of a million lookups are common, and nearly all of their lines look alike. What follows
// reads and writes such lines at a fraction of encoding/json's cost, and leaves all others to it.

// AppendJSON appends the request as encoding/json encodes it.
func (r LookupRequest) AppendJSON(b []byte) []byte {
	b = appendString(append(b, `{"user":`...), r.User)
	if r.Tag != "" {
		b = appendString(append(b, `,"tag":`...), r.Tag)
	}
	return append(b, '}')
}

// AppendJSON appends the answer as encoding/json encodes it.
func (a LookupAnswer) AppendJSON(b []byte) []byte {
	b = appendString(append(b, `{"user":`...), a.User)
	if a.Tag != "" {
		b = appendString(append(b, `,"tag":`...), a.Tag)
	}
	b = append(ring.AppendAddrText(append(b, `,"backend":"`...), a.Backend.Addr), '"')
	if a.Error != nil {
		raw, _ := json.Marshal(a.Error) // it has texts only, which can be encoded
		b = append(append(b, `,"error":`...), raw...)
	}
	return append(b, '}')
}

// appendString appends a string as encoding/json encodes it.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if !plain(s[i]) {
			raw, _ := json.Marshal(s) // strings can be encoded
			return append(b, raw...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// plain reports whether a character stands for itself in encoding/json's strings.
func plain(c byte) bool {
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
}

// PlainLookupRequest reads a request that looks as AppendJSON writes it and has nothing to
// unescape. It is false for all others, right or wrong.
func PlainLookupRequest(raw []byte) (r LookupRequest, ok bool) {
	user, rest, ok := cutString(raw, `{"user":"`)
	if !ok {
		return LookupRequest{}, false
	}
	tag, rest, tagged := cutString(rest, `,"tag":"`)
	if string(bytes.TrimRight(rest, "\r\n")) != "}" {
		return LookupRequest{}, false
	}
	r.User = string(user)
	if tagged {
		r.Tag = string(tag)
	}
	return r, true
}

// decodeAnswer reads an answer.
func decodeAnswer(raw []byte, a *LookupAnswer) error {
	user, rest, ok := cutString(raw, `{"user":"`)
	tag, rest, tagged := cutString(rest, `,"tag":"`)
	backend, rest, placed := cutString(rest, `,"backend":"`)
	if !ok || !placed || string(rest) != "}" {
		return json.Unmarshal(raw, a)
	}
	a.User = string(user)
	if tagged {
		a.Tag = string(tag)
	}
	return a.Backend.UnmarshalText(backend)
}

// cutString cuts what comes before a string, and the string with its end, off the front of raw. If
// they are not there, or the string has something to unescape, it returns raw.
func cutString(raw []byte, before string) (value, rest []byte, ok bool) {
	if len(raw) < len(before) || string(raw[:len(before)]) != before {
		return nil, raw, false
	}
	value = raw[len(before):]
	for i, c := range value {
		if c == '"' {
			return value[:i], value[i+1:], true
		}
		if !plain(c) {
			break
		}
	}
	return nil, raw, false
}
