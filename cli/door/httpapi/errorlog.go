package httpapi

import (
	"log"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// Lines of net/http about connections that go wrong: so many within this time.
const (
	complaintsAtOnce = 10
	complaintsPeriod = 10 * time.Second
)

// errorLog gives net/http, which writes plain lines to stderr otherwise, a log in the form of all
// others.
func errorLog(to zerolog.Logger) *log.Logger {
	return log.New(&complaints{
		log:   to,
		limit: zerolog.BurstSampler{Burst: complaintsAtOnce, Period: complaintsPeriod},
	}, "", 0)
}

type complaints struct {
	log   zerolog.Logger
	limit zerolog.BurstSampler
}

// Write implements io.Writer for one entry, which has several lines if a handler panicked.
func (c *complaints) Write(entry []byte) (int, error) {
	if c.limit.Sample(zerolog.WarnLevel) {
		detail := strings.TrimPrefix(strings.TrimSpace(string(entry)), "http: ")
		c.log.Warn().Str("detail", detail).Msg("trouble with an HTTP connection")
	}
	return len(entry), nil
}
