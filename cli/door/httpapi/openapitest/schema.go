package openapitest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"directormesh/cli/api"
)

// object is a part of a description, as JSON has it.
type object = map[string]any

// schemas makes the schemas of Go types, each type once.
type schemas struct {
	comments map[string]map[string]string // by type and field, both as in Go; field "": the type's
	made     object
	requests map[string]bool // types that clients send: nothing may be in them that is not known
}

func newSchemas(apiDir string) (*schemas, error) {
	comments, err := commentsOf(apiDir)
	if err != nil {
		return nil, err
	}
	return &schemas{comments: comments, made: object{}, requests: make(map[string]bool)}, nil
}

// request is the schema of what a client sends.
func (s *schemas) request(value any) object {
	s.requests[reflect.TypeOf(value).Name()] = true
	return s.of(reflect.TypeOf(value))
}

func (s *schemas) answer(value any) object { return s.of(reflect.TypeOf(value)) }

// of returns the schema of a type; that of a struct is a reference.
func (s *schemas) of(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[api.IP]():
		return object{"type": "string", "description": `An IP address; "" if there is none.`}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return s.text(t)
	case reflect.Int, reflect.Int64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Struct:
		s.make(t)
		return object{"$ref": "#/components/schemas/" + t.Name()}
	}
	panic(fmt.Sprintf("openapitest has no schema for %v: add one in schema.go", t))
}

func (s *schemas) text(t reflect.Type) object {
	text := object{"type": "string"}
	if t == reflect.TypeFor[api.Code]() {
		text["description"] = "What kind of failure it is. New releases may add some."
	}
	return text
}

// make makes the schema of a struct.
func (s *schemas) make(t reflect.Type) {
	if s.made[t.Name()] != nil {
		return
	}
	properties, required := object{}, []string{}
	made := object{"type": "object", "properties": properties}
	s.made[t.Name()] = made // before the fields: a type may contain itself
	if comment := s.comments[t.Name()][""]; comment != "" {
		made["description"] = comment
	}
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		absent := strings.Contains(options, "omitempty")
		property := s.property(field.Type, absent)
		comment := s.comments[t.Name()][field.Name]
		if property["$ref"] != nil && comment != "" {
			property = object{"allOf": []any{property}}
		}
		if comment != "" {
			property["description"] = comment
		}
		if values := enums[t.Name()+"."+field.Name]; values != nil {
			property["enum"] = values
		}
		properties[name] = property
		if !absent {
			required = append(required, name)
		}
	}
	slices.Sort(required)
	if len(required) > 0 && !s.requests[t.Name()] {
		made["required"] = required
	}
}

// property is the schema of a field. One that is a pointer may be null, unless it is left out then.
func (s *schemas) property(t reflect.Type, absent bool) object {
	if t.Kind() != reflect.Pointer {
		return s.of(t)
	}
	property := s.of(t.Elem())
	if absent {
		return property
	}
	if property["$ref"] != nil {
		property = object{"allOf": []any{property}}
	}
	property["nullable"] = true
	return property
}

// close forbids what is not known in what clients send, as the server does.
func (s *schemas) close() {
	for name := range s.requests {
		s.made[name].(object)["additionalProperties"] = false
	}
}

// enums are the fields that have some values only.
var enums = map[string][]string{
	"Director.Type":       {api.TypeSelf, api.TypePeer, api.TypeRemoved},
	"Director.State":      {api.StateHandshaking, api.StateSyncing, api.StateSynced},
	"Backend.State":       {api.StateUp, api.StateDown},
	"BackendHealth.State": {api.StateUp, api.StateDown},
	"BackendHealth.Health": {
		api.HealthGood, api.HealthFailing, api.HealthFailed, api.HealthKept, api.HealthCleared,
		api.HealthUnseen,
	},
	"Observer.Sees":       {api.HealthGood, api.HealthFailing, api.HealthUnseen},
	"Rotation.Step":       {api.StepAdding, api.StepUsing},
	"HistoryLapse.Reason": {api.LapseBegun, api.LapseStopped, api.LapseCrashed, api.LapseLost},
	"UserStay.Certainty":  {api.StayThere, api.StayThereIfActive, api.StayNowhere, api.StayUnknown},
}

// commentsOf reads what the source says of types and their fields.
func commentsOf(dir string) (map[string]map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no Go files in %s: %v", dir, err)
	}
	comments := make(map[string]map[string]string)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, declared := range parsed.Decls {
			group, ok := declared.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				named, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				fields := map[string]string{"": sentence(group.Doc.Text())}
				if structure, ok := named.Type.(*ast.StructType); ok {
					for _, field := range structure.Fields.List {
						text := field.Doc.Text()
						if text == "" {
							text = field.Comment.Text()
						}
						for _, name := range field.Names {
							fields[name.Name] = sentence(text)
						}
					}
				}
				comments[named.Name.Name] = fields
			}
		}
	}
	return comments, nil
}

// sentence is a comment in one line, as a sentence.
func sentence(comment string) string {
	text := strings.Join(strings.Fields(comment), " ")
	if text == "" {
		return ""
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// sorted is a list of the keys, in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
