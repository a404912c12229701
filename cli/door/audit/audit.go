package audit

import (
	"net"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/ring"
)

// Who names the other end of a connection: the user id for a unix socket, else the address.
func Who(c net.Conn) string {
	if u, ok := c.(*net.UnixConn); ok {
		return unixPeer(u)
	}
	return c.RemoteAddr().String()
}

// Change is a change that somebody asked for.
type Change struct {
	Who  string
	Door string // where it was asked for
	Op   api.Operation
	Hash func(user string) ring.UserHash // hashes names as the mesh does
	Took time.Duration
}

// Log writes how a change went: at level info, or as a warning if it failed.
func (c Change) Log(log zerolog.Logger, outcome api.Outcome, err error) {
	event := log.Info()
	switch {
	case err != nil:
		event = log.Warn().Err(err)
	case len(outcome.SessionsLeft) > 0, len(outcome.NoKicker) > 0:
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
	failed := outcome.FailedDirectors
	if failed == nil {
		failed = []string{}
	}
	event.Str("who", c.Who).Str("door", c.Door).Func(c.describe).Strs("failed_directors", failed).
		Float64("took_ms", Milliseconds(c.Took)).Msg("admin change")
}

// describe adds what the operation does.
func (c Change) describe(e *zerolog.Event) {
	backend := func(action string, ip api.IP) {
		e.Str("action", action)
		if ip.IsValid() {
			e.Str("backend", ip.String())
		} else {
			e.Str("backend", "all")
		}
	}
	tag := func(tag *string) {
		if tag != nil {
			e.Str("tag", *tag)
		}
	}
	director := func(action string, ip api.IP, port int, name string) {
		e.Str("action", action)
		if name != "" {
			e.Str("peer", name)
		} else {
			e.Str("peer", ip.String()).Int("port", port)
		}
	}
	switch op := c.Op.(type) {
	case api.AddBackend:
		backend("add", op.IP)
		tag(op.Tag)
		if op.VHosts != nil {
			e.Int("vhosts", *op.VHosts)
		}
	case api.UpdateBackend:
		backend("update", op.IP)
		tag(op.Tag)
		e.Int("vhosts", op.VHosts)
	case api.RemoveBackend:
		backend("remove", op.IP)
	case api.BackendUp:
		backend("up", op.IP)
	case api.BackendDown:
		backend("down", op.IP)
	case api.Move:
		backend("move", op.Backend)
		e.Uint32("user_hash", uint32(c.moved(op)))
	case api.KickUser:
		e.Str("action", "kick")
		if op.Field != "" {
			e.Str("field", op.Field)
		} else {
			e.Uint32("user_hash", uint32(c.Hash(op.User)))
		}
	case api.FlushUsers:
		backend("flush", op.Backend)
		e.Int("max_parallel", op.MaxParallel)
	case api.CancelFlush:
		backend("cancel flush", op.Backend)
	case api.Forget:
		backend("forget", op.Backend)
	case api.AddDirector:
		director("ring add", op.IP, op.Port, op.Name)
	case api.RemoveDirector:
		director("ring remove", op.IP, op.Port, op.Name)
	case api.ImportMappings:
		e.Str("action", "import").Int("mappings", len(op.Mappings))
	}
}

func (c Change) moved(op api.Move) ring.UserHash {
	if op.UserHash != nil {
		return ring.UserHash(*op.UserHash)
	}
	return c.Hash(op.User)
}

// Milliseconds is the unit of times in the log, whose fields end with "_ms"; it is exact to a tenth.
func Milliseconds(d time.Duration) float64 { return float64(d/(100*time.Microsecond)) / 10 }
