package authrelay

import (
	"time"

	"github.com/rs/zerolog"

	"directormesh/mesh/loglimit"
)

// cause is a kind of trouble: the label of a counter and, with its text, a line in the log.
type cause string

const (
	authUnreachable cause = "auth_unreachable"
	authClosed      cause = "auth_closed"
	authStuck       cause = "auth_does_not_read"
	authLine        cause = "auth_line_too_long"
	clientLine      cause = "client_line_too_long"
	clientStuck     cause = "client_does_not_read"
	clientVersion   cause = "client_version"
	badField        cause = "bad_field"
	lookupFailed    cause = "lookup_failed"
	tooManyRequests cause = "too_many_requests"
	tooManyHeld     cause = "too_many_held"
	acceptFailed    cause = "accept_failed"
)

// texts are the log lines of all causes.
var texts = map[cause]string{
	authUnreachable: "auth cannot be reached, a client was turned away",
	authClosed:      "auth has closed a connection",
	authStuck:       "auth does not read what it is asked, a connection to it was closed",
	authLine:        "auth has sent a line that is too long, its connection was closed",
	clientLine:      "a client has sent a line that is too long, its connection was closed",
	clientStuck:     "a client does not read what it has asked for, its connection was closed",
	clientVersion:   "a client speaks another protocol, its connection was closed",
	badField:        "a reply has an address or port that cannot be read, it counts as absent",
	lookupFailed:    "a user's lookup failed, the client got a temporary failure",
	tooManyRequests: "too many open requests, a client got a temporary failure",
	tooManyHeld:     "too many users wait, a client got a temporary failure",
	acceptFailed:    "connections cannot be accepted, trying again",
}

// troubles counts trouble and logs it within measure. Safe for concurrent use.
type troubles struct {
	log     zerolog.Logger
	metrics *metrics
	limit   loglimit.Limiter
}

// note counts trouble. The event that it returns is for the details, and writes nothing if there
// was such a line lately; send it with Msg(texts[c]).
func (t *troubles) note(c cause) *zerolog.Event {
	t.metrics.troubles.WithLabelValues(string(c)).Inc()
	return t.limit.Logger(t.log, string(c), time.Now()).Warn()
}
