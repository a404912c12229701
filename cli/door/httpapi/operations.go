package httpapi

import (
	"net/http"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/door/audit"
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
		operationOf[api.ImportMappings](),
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
	director := func(ip api.IP, port int, name string) error {
		switch {
		case port < 0 || port > 65535:
			return api.Errorf(api.CodeBadRequest, "port %d is not from 1 to 65535", port)
		case ip.IsValid() == (name != ""):
			return api.Errorf(api.CodeBadRequest, "give either ip or name")
		case name != "" && port != 0:
			return api.Errorf(api.CodeBadRequest, "port goes with ip, not with name")
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
		if op.MaxParallel < 0 || op.MaxParallel > api.MaxParallel {
			return api.Errorf(api.CodeBadRequest, "max_parallel is %d; give a number from 1 to %d",
				op.MaxParallel, api.MaxParallel)
		}
	case api.AddDirector:
		return director(op.IP, op.Port, op.Name)
	case api.RemoveDirector:
		return director(op.IP, op.Port, op.Name)
	case api.ImportMappings:
		if len(op.Mappings) > api.MaxImport {
			return api.Errorf(api.CodeBadRequest, "%d mappings are too many at once; send at most %d", len(op.Mappings), api.MaxImport)
		}
		for i, m := range op.Mappings {
			if !m.Backend.IsValid() || m.ExpiresAt.IsZero() {
				return api.Errorf(api.CodeBadRequest, "mapping %d has no backend or no expires_at", i+1)
			}
		}
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
		outcome = outcome.Complete()
		audit.Change{Who: peer(r), Door: "http", Op: op, Hash: s.director.Hash, Took: time.Since(began)}.Log(s.log, outcome, err)
		return outcome, err
	}
}
