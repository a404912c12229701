package httpapi

import (
	"log"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"directormesh/mesh/loglimit"
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
	detail := strings.TrimPrefix(strings.TrimSpace(string(entry)), "http: ")
	c.limit.Logger(c.log, kindOf(detail), time.Now()).Warn().Str("detail", detail).
		Msg("trouble with an HTTP connection")
	return len(entry), nil
}

// kindOf is what a line of net/http is about: its first two words, which name no connection.
func kindOf(detail string) string {
	words := strings.Fields(detail)
	return strings.Join(words[:min(2, len(words))], " ")
}
