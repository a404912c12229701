package httpapi

import (
	"net/http"
	"reflect"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/door/audit"
)

// operation is a path to which changes are posted.
type operation struct {
	path  string
	parse func(body []byte) (api.Operation, error)
}

// operations are all that there are.
func operations() []operation {
	var all []operation
	for _, none := range api.Operations() {
		all = append(all,
			operation{path: none.Path(), parse: func(body []byte) (api.Operation, error) {
				op := reflect.New(reflect.TypeOf(none))
				if err := decode(body, op.Interface()); err != nil {
					return nil, err
				}
				parsed := op.Elem().Interface().(api.Operation)
				return parsed, parsed.Check()
			}})
	}
	return all
}

// change carries out an operation and notes who asked for what.
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
		asked, began := peer(r), time.Now()
		outcome, err := s.director.Do(r.Context(), op)
		outcome = outcome.Complete()
		audit.Record{
			Who: asked.who, From: asked.from, Door: asked.door, Op: op, Hash: s.director.Hash,
			Took: time.Since(began),
		}.Note(s.log, s.director, outcome, err)
		return outcome, err
	}
}
