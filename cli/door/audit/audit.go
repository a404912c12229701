package audit

import (
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/mesh/wording"
	"directormesh/ring"
)

// A Journal keeps admin changes beside the log. It does not wait.
type Journal interface {
	NoteChange(c api.AdminChange)
}

// Record says which operation a client asked for. It is noted once, when the operation has ended.
type Record struct {
	Who  string
	From string // address of whom Who names by more than that; else ""
	Door string // where it was asked for
	Op   api.Operation
	Hash func(user string) ring.UserHash // hashes names as the mesh does
	Took time.Duration
}

// Note writes how the operation went to the log and into the journal.
func (r Record) Note(log zerolog.Logger, journal Journal, outcome api.Outcome, err error) {
	r.Log(log, outcome, err)
	d := r.Op.Describe(r.Hash)
	c := api.AdminChange{
		Who: r.Who, From: r.From, Door: r.Door, Action: d.Action, TookMS: r.Took.Milliseconds(),
		FailedDirectors: outcome.FailedDirectors, NotKept: outcome.NotKept,
	}
	if err != nil {
		c.Error = wording.Plain(err).Error()
	}
	for _, f := range d.Fields {
		c.Details = append(c.Details, api.ChangeDetail{
			Name: f.Name, Value: fmt.Sprint(f.Value),
		})
	}
	journal.NoteChange(c)
}

// Log writes how the operation went: at level info, or as a warning if it failed.
func (r Record) Log(log zerolog.Logger, outcome api.Outcome, err error) {
	event := log.Info()
	switch {
	case err != nil:
		event = log.Warn().Err(wording.Plain(err))
	case len(outcome.SessionsLeft) > 0, len(outcome.NoKicker) > 0, len(outcome.NotKept) > 0:
		event = log.Warn()
	}
	left := 0
	for _, l := range outcome.SessionsLeft {
		left += l.Sessions
	}
	if left > 0 {
		event.Int("sessions_left", left)
	}
	if len(outcome.NoKicker) > 0 {
		event.Strs("no_kicker", outcome.NoKicker)
	}
	if len(outcome.NotKept) > 0 {
		event.Strs("not_kept", outcome.NotKept)
	}
	if outcome.Key != "" {
		event.Str("key", outcome.Key)
	}
	failed := outcome.FailedDirectors
	if failed == nil {
		failed = []string{}
	}
	if r.From != "" {
		event.Str("from", r.From)
	}
	event.Str("who", r.Who).Str("door", r.Door).Func(r.describe).Strs("failed_directors", failed).
		Float64("took_ms", Milliseconds(r.Took)).Msg("admin change")
}

// describe adds what the operation does.
func (r Record) describe(e *zerolog.Event) {
	d := r.Op.Describe(r.Hash)
	e.Str("action", d.Action)
	for _, f := range d.Fields {
		switch v := f.Value.(type) {
		case string:
			e.Str(f.Name, v)
		case int:
			e.Int(f.Name, v)
		case uint32:
			e.Uint32(f.Name, v)
		}
	}
}

// Milliseconds is the unit of times in the log, whose fields end with "_ms"; it is exact to a
// tenth.
func Milliseconds(d time.Duration) float64 { return float64(d/(100*time.Microsecond)) / 10 }
