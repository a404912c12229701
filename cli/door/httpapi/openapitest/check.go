package openapitest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Description is a description that messages are checked against.
type Description struct {
	doc *openapi3.T
	raw struct {
		Commands map[string]string `json:"x-commands"`
	}
}

// Load reads a description, and demands that it is one by OpenAPI's rules. Its schemas are made
// strict: a message must not have more than what is described, though clients must bear it.
func Load(text []byte) (*Description, error) {
	d := new(Description)
	if err := json.Unmarshal(text, &d.raw); err != nil {
		return nil, err
	}
	var err error
	if d.doc, err = openapi3.NewLoader().LoadFromData(text); err != nil {
		return nil, err
	}
	if err := d.doc.Validate(openapi3.NewLoader().Context); err != nil {
		return nil, err
	}
	closed := false
	var strict func(s *openapi3.SchemaRef)
	strict = func(s *openapi3.SchemaRef) {
		if s == nil || s.Ref != "" {
			return
		}
		if s.Value.Properties != nil {
			s.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: &closed}
		}
		for _, property := range s.Value.Properties {
			strict(property)
		}
		strict(s.Value.Items)
	}
	for _, s := range d.doc.Components.Schemas {
		strict(s)
	}
	return d, nil
}

// Requests are the requests that are described, such as "GET /v1/backends".
func (d *Description) Requests() map[string]bool {
	requests := make(map[string]bool)
	for path, item := range d.doc.Paths.Map() {
		for method := range item.Operations() {
			requests[method+" "+path] = true
		}
	}
	return requests
}

// Commands are the commands that print JSON, each with the schema of it.
func (d *Description) Commands() map[string]string { return d.raw.Commands }

// Check compares a JSON value with a schema of this name.
func (d *Description) Check(schema, value string) error {
	s := d.doc.Components.Schemas[schema]
	if s == nil {
		return fmt.Errorf("there is no schema %s", schema)
	}
	return visit(s.Value, value)
}

func visit(s *openapi3.Schema, text string) error {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return fmt.Errorf("%q is not JSON: %w", text, err)
	}
	if err := s.VisitJSON(value, openapi3.EnableFormatValidation()); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}

// CheckAnswer compares an answer of the server with what is described of the request.
func (d *Description) CheckAnswer(method, path string, status int, body string) error {
	item := d.doc.Paths.Find(path)
	if item == nil || item.GetOperation(method) == nil {
		return fmt.Errorf("%s %s is not described; add it to queries in "+
			"cli/door/httpapi/openapitest/endpoints.go", method, path)
	}
	response := item.GetOperation(method).Responses.Status(status)
	if response == nil {
		response = item.GetOperation(method).Responses.Default()
	}
	for kind, content := range response.Value.Content {
		schema := content.Schema.Value
		if kind == "application/json" {
			return visit(schema, body)
		}
		for line := range strings.Lines(body) {
			if kind == eventStream {
				var ok bool
				if line, ok = strings.CutPrefix(line, "data: "); !ok {
					continue
				}
			}
			if err := visit(schema, line); err != nil {
				return err
			}
		}
	}
	return nil
}
