package daemon

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/cli/lossy"
)

// level is a log level that can change while the process runs. As a sampler it is asked before an
// event costs anything.
type level struct{ atomic.Int32 }

// Sample implements zerolog.Sampler.
func (l *level) Sample(event zerolog.Level) bool { return event >= zerolog.Level(l.Load()) }

func (l *level) set(to zerolog.Level) { l.Store(int32(to)) }

// newLog returns a log of these options, and what writes it, which the caller closes.
func newLog(o Options, out io.Writer) (zerolog.Logger, *level, *lossy.Writer) {
	l := new(level)
	l.set(o.LogLevel)
	log := func(out io.Writer) zerolog.Logger {
		if o.LogText {
			out = zerolog.ConsoleWriter{Out: out, NoColor: true, TimeFormat: time.RFC3339}
		}
		return zerolog.New(out).Level(zerolog.DebugLevel).Sample(l).With().Timestamp().
			Str("director", o.NodeName).Logger()
	}
	w := lossy.New(out, func(lost uint64) []byte {
		var line bytes.Buffer
		lines := log(&line)
		lines.Warn().Uint64("lines", lost).Msg("log lines were lost: nobody took them")
		return line.Bytes()
	})
	return log(w), l, w
}

// registerLog counts the lines that are lost.
func registerLog(registry *prometheus.Registry, w *lossy.Writer) error {
	return registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "director_log_lines_dropped_total",
		Help: "Log lines that were lost because stderr was not read in time.",
	}, func() float64 { return float64(w.Lost()) }))
}
