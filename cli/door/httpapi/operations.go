package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/door/audit"
)

// operation is a path to which changes are posted.
type operation struct {
	path  string
	plan  string // where a plan of it is asked for; "": there is none
	parse func(body []byte) (api.Operation, error)
}

// operations are all that there are.
func operations() []operation {
	var all []operation
	for _, none := range api.Operations() {
		all = append(all, operation{
			path: none.Path(), plan: api.PlanPath(none),
			parse: func(body []byte) (api.Operation, error) {
				op := reflect.New(reflect.TypeOf(none))
				if err := decode(body, op.Interface()); err != nil {
					return nil, err
				}
				parsed := op.Elem().Interface().(api.Operation)
				return parsed, parsed.Check()
			},
		})
	}
	return all
}

// do carries out an operation, if the table has a digest; "" is no condition.
func (s *Server) do(ctx context.Context, op api.Operation, table string) (api.Outcome, error) {
	if table == "" {
		return s.director.Do(ctx, op)
	}
	return s.director.DoIf(ctx, op, table)
}

// parsed is the operation of a request.
func parsed(
	r *http.Request, parse func(body []byte) (api.Operation, error),
) (api.Operation, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	return parse(body)
}

// plan says what an operation would do.
func (s *Server) plan(parse func(body []byte) (api.Operation, error)) handler {
	return func(r *http.Request) (any, error) {
		if _, err := parameters(r); err != nil {
			return nil, err
		}
		op, err := parsed(r, parse)
		if err != nil {
			return nil, err
		}
		return s.director.Plan(r.Context(), op)
	}
}

// change carries out an operation and notes who asked for what.
func (s *Server) change(parse func(body []byte) (api.Operation, error)) handler {
	return func(r *http.Request) (any, error) {
		query, err := parameters(r, "if_plan")
		if err != nil {
			return nil, err
		}
		op, err := parsed(r, parse)
		if err != nil {
			return nil, err
		}
		table := query.Get("if_plan")
		if table != "" && api.PlanPath(op) == "" {
			return nil, api.Errorf(api.CodeBadRequest, "there are no plans of this change")
		}
		asked, began := peer(r), time.Now()
		outcome, err := s.do(r.Context(), op, table)
		outcome = outcome.Complete()
		audit.Record{
			Who: asked.who, From: asked.from, Door: asked.door, Op: op, Hash: s.director.Hash,
			Took: time.Since(began),
		}.Note(s.log, s.director, outcome, err)
		return outcome, err
	}
}
