package daemon

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// level is a log level that can change while the process runs. As a sampler it is asked before an event costs anything.
type level struct{ atomic.Int32 }

// Sample implements zerolog.Sampler.
func (l *level) Sample(event zerolog.Level) bool { return event >= zerolog.Level(l.Load()) }

func (l *level) set(to zerolog.Level) { l.Store(int32(to)) }

// newLog returns a log of these options.
func newLog(o Options, out io.Writer) (zerolog.Logger, *level) {
	l := new(level)
	l.set(o.LogLevel)
	if o.LogText {
		out = zerolog.ConsoleWriter{Out: out, NoColor: true, TimeFormat: time.RFC3339}
	}
	return zerolog.New(out).Level(zerolog.DebugLevel).Sample(l).With().Timestamp().Str("director", o.NodeName).Logger(), l
}
