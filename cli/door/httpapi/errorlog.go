package httpapi

import (
	"log"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"directormesh/mesh/loglimit"
	"directormesh/mesh/wording"
)

// errorLog gives net/http, which writes plain lines to stderr otherwise, a log in the form of all
// others.
func errorLog(to zerolog.Logger) *log.Logger {
	return log.New(&complaints{log: to}, "", 0)
}

type complaints struct {
	log   zerolog.Logger
	limit loglimit.Limiter
}

// Write implements io.Writer for one entry, which has several lines if a handler panicked.
func (c *complaints) Write(entry []byte) (int, error) {
	said := strings.TrimPrefix(strings.TrimSpace(string(entry)), "http: ")
	log := c.limit.Logger(c.log, kindOf(said), time.Now())
	if panicked, ok := strings.CutPrefix(said, "panic serving "); ok {
		first, stack, _ := strings.Cut(panicked, "\n")
		who, why, _ := strings.Cut(first, ": ")
		log.Error().Str("who", who).Str("detail", why).Str("stack", stack).
			Msg("an HTTP request ended in a fault of this program")
		return len(entry), nil
	}
	if why, ok := strings.CutPrefix(said, "Accept error: "); ok {
		why, _, _ = strings.Cut(why, "; retrying")
		log.Warn().Str("error", wording.Text(why)).
			Msg("connections cannot be accepted, trying again")
		return len(entry), nil
	}
	log.Warn().Str("detail", wording.Text(said)).Msg("trouble with an HTTP connection")
	return len(entry), nil
}

// kindOf is what a line of net/http is about: its first two words, which name no connection.
func kindOf(detail string) string {
	words := strings.Fields(detail)
	return strings.Join(words[:min(2, len(words))], " ")
}
