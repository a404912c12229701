// Package openapitest makes the description of the HTTP interface in OpenAPI's format, out of the
// types and comments of package api, and checks messages against it. Only tests use it; the server
// embeds what it has made.
package openapitest

import (
	"bytes"
	"encoding/json"

	"directormesh/cli/api"
)

const about = "What the commands of a director use, and programs may use too. It is served at " +
	"director.sock and at the address of --http; see cli/doc/http.md. Names are " +
	"snake_case, times are RFC 3339 in UTC, durations are milliseconds in fields that end " +
	"in _ms. Lists are never null. New releases add fields, paths and values, and never " +
	"change or remove one: ignore what you do not know. The extension x-commands names, " +
	"for each command of director that takes --json, the schema of what it prints."

// Generate returns the description. apiDir is where the source of package api is.
func Generate(apiDir string) ([]byte, error) {
	s, err := newSchemas(apiDir)
	if err != nil {
		return nil, err
	}
	failure := s.answer(api.Failure{})
	paths := object{}
	for _, e := range s.endpoints() {
		path, ok := paths[e.path].(object)
		if !ok {
			path = object{}
			paths[e.path] = path
		}
		path[lower(e.method)] = s.operation(e, failure)
	}
	s.commands()
	s.close()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	err = encoder.Encode(object{
		"openapi": "3.0.3",
		"info": object{
			"title": "Director", "version": "1", "description": about,
			"license": object{"name": "MIT"},
		},
		"servers":    []any{object{"url": "/"}},
		"paths":      paths,
		"components": object{"schemas": s.made},
		"x-commands": commandSchemas(),
	})
	return out.Bytes(), err
}

// eventStream is the media type of server-sent events.
const eventStream = "text/event-stream"

// operation describes an endpoint.
func (s *schemas) operation(e endpoint, failure object) object {
	kind := "application/json"
	if e.stream {
		kind = "application/x-ndjson" // the schema is that of a line
	}
	if e.events {
		kind = eventStream // the schema is that of an event's data
	}
	described := object{
		"summary":     e.summary,
		"operationId": operationID(e),
		"responses": object{
			"200": object{
				"description": "The answer.",
				"content":     object{kind: object{"schema": s.answer(e.answer)}},
			},
			"default": object{
				"description": "What went wrong. The status goes with the code.",
				"content":     object{"application/json": object{"schema": failure}},
			},
		},
	}
	if len(e.parameters) > 0 {
		var parameters []any
		for _, p := range e.parameters {
			schema := object{"type": p.kind}
			if p.kind == "date-time" {
				schema = object{"type": "string", "format": p.kind}
			}
			parameters = append(parameters, object{
				"name": p.name, "in": "query", "description": p.about, "schema": schema,
			})
		}
		described["parameters"] = parameters
	}
	if e.body != nil {
		described["requestBody"] = object{
			"required": true, "content": object{kind: object{"schema": s.request(e.body)}},
		}
	}
	return described
}
