package httpapi

import (
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/ring"
)

// operation is a path to which changes are posted.
type operation struct {
	path  string
	parse func(body []byte) (api.Operation, error)
}

func operations() []operation {
	return []operation{
		operationOf[api.AddBackend](),
		operationOf[api.UpdateBackend](),
		operationOf[api.RemoveBackend](),
		operationOf[api.BackendUp](),
		operationOf[api.BackendDown](),
		operationOf[api.Move](),
		operationOf[api.KickUser](),
		operationOf[api.FlushUsers](),
		operationOf[api.CancelFlush](),
		operationOf[api.Forget](),
		operationOf[api.AddDirector](),
		operationOf[api.RemoveDirector](),
	}
}

func operationOf[T api.Operation]() operation {
	var none T
	return operation{path: none.Path(), parse: func(body []byte) (api.Operation, error) {
		var op T
		if err := decode(body, &op); err != nil {
			return nil, err
		}
		return op, check(op)
	}}
}

// check refuses operations that lack what they need.
func check(op api.Operation) error {
	needs := func(ip api.IP, field string) error {
		if !ip.IsValid() {
			return api.Errorf(api.CodeBadRequest, "%s is missing", field)
		}
		return nil
	}
	port := func(p int) error {
		if p < 0 || p > 65535 {
			return api.Errorf(api.CodeBadRequest, "port %d is not from 1 to 65535", p)
		}
		return nil
	}
	switch op := op.(type) {
	case api.AddBackend:
		return needs(op.IP, "ip")
	case api.UpdateBackend:
		return needs(op.IP, "ip")
	case api.RemoveBackend:
		return needs(op.IP, "ip")
	case api.BackendUp:
		return needs(op.IP, "ip")
	case api.BackendDown:
		return needs(op.IP, "ip")
	case api.Move:
		if (op.User == "") == (op.UserHash == nil) {
			return api.Errorf(api.CodeBadRequest, "give either user or user_hash")
		}
		return needs(op.Backend, "backend")
	case api.KickUser:
		if op.User == "" {
			return api.Errorf(api.CodeBadRequest, "user is missing")
		}
	case api.FlushUsers:
		if op.MaxParallel < 0 {
			return api.Errorf(api.CodeBadRequest, "max_parallel %d is negative", op.MaxParallel)
		}
	case api.AddDirector:
		if err := port(op.Port); err != nil {
			return err
		}
		return needs(op.IP, "ip")
	case api.RemoveDirector:
		if err := port(op.Port); err != nil {
			return err
		}
		return needs(op.IP, "ip")
	}
	return nil
}

// change carries out an operation and logs who asked for what.
func (s *Server) change(parse func(body []byte) (api.Operation, error)) handler {
	return func(r *http.Request) (any, error) {
		body, err := readBody(r)
		if err != nil {
			return nil, err
		}
		op, err := parse(body)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		outcome, err := s.director.Do(r.Context(), op)
		if outcome.FailedDirectors == nil {
			outcome.FailedDirectors = []string{}
		}
		event := s.log.Info()
		if err != nil {
			event = s.log.Warn().Err(err)
		}
		event.Str("who", peer(r)).Func(s.describe(op)).Strs("failed_directors", outcome.FailedDirectors).
			Dur("took", time.Since(began)).Msg("admin change")
		return outcome, err
	}
}

// describe adds what an operation does to a log line. User names stay out of the log; their hashes go in.
func (s *Server) describe(op api.Operation) func(*zerolog.Event) {
	return func(e *zerolog.Event) {
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
		switch op := op.(type) {
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
			e.Stringer("user_hash", s.moved(op))
		case api.KickUser:
			e.Str("action", "kick")
			if op.Field != "" {
				e.Str("field", op.Field)
			} else {
				e.Stringer("user_hash", s.director.Hash(op.User))
			}
		case api.FlushUsers:
			backend("flush", op.Backend)
			e.Int("max_parallel", op.MaxParallel)
		case api.CancelFlush:
			backend("cancel flush", op.Backend)
		case api.Forget:
			backend("forget", op.Backend)
		case api.AddDirector:
			e.Str("action", "ring add").Str("director", op.IP.String()).Int("port", op.Port)
		case api.RemoveDirector:
			e.Str("action", "ring remove").Str("director", op.IP.String()).Int("port", op.Port)
		}
	}
}

func (s *Server) moved(op api.Move) ring.UserHash {
	if op.UserHash != nil {
		return ring.UserHash(*op.UserHash)
	}
	return s.director.Hash(op.User)
}
