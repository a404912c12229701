package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"directormesh/cli/api"
)

// decode decodes one JSON value that came from outside into a struct. A field that is not known is
// refused, and so is the absence of one that is not marked omitempty: a misspelt or forgotten field
// must not be taken for its zero.
func decode(raw []byte, into any) error {
	if !utf8.Valid(raw) {
		return api.Errorf(api.CodeBadRequest, "request is not valid UTF-8")
	}
	target := reflect.ValueOf(into).Elem()
	given := reflect.New(givenType(target.Type()))
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(given.Interface()); err != nil {
		return api.Errorf(api.CodeBadRequest, "%s", wrongJSON(err, target.Type()))
	}
	if d.More() {
		return api.Errorf(api.CodeBadRequest, "request has more than one JSON value; send one")
	}
	return take(target, given.Elem(), "")
}

// givenTypes remembers what givenType makes: types are few and made from them again and again.
var givenTypes sync.Map // reflect.Type → reflect.Type

// givenType is a struct type with the same fields in JSON, all of them pointers, so that it shows
// which were given.
func givenType(t reflect.Type) reflect.Type {
	if known, ok := givenTypes.Load(t); ok {
		return known.(reflect.Type)
	}
	fields := make([]reflect.StructField, t.NumField())
	for i := range fields {
		f := t.Field(i)
		switch {
		case isStructs(f.Type):
			f.Type = reflect.PointerTo(reflect.SliceOf(givenType(f.Type.Elem())))
		case f.Type.Kind() != reflect.Pointer:
			f.Type = reflect.PointerTo(f.Type)
		}
		fields[i] = reflect.StructField{Name: f.Name, Type: f.Type, Tag: f.Tag}
	}
	made := reflect.StructOf(fields)
	givenTypes.Store(t, made)
	return made
}

// isStructs reports whether a field is a list of objects, whose fields are looked at as well.
func isStructs(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

// take copies what was given into a struct; at is where that stands in the request.
func take(target, given reflect.Value, at string) error {
	for i := range target.NumField() {
		name, optional := fieldName(target.Type().Field(i))
		from, to := given.Field(i), target.Field(i)
		switch {
		case from.IsNil():
			if !optional {
				return api.Errorf(api.CodeBadRequest, "%s%s is missing", at, name)
			}
		case to.Kind() == reflect.Pointer:
			to.Set(from)
		case isStructs(to.Type()):
			list := from.Elem()
			to.Set(reflect.MakeSlice(to.Type(), list.Len(), list.Len()))
			for j := range list.Len() {
				if err := take(to.Index(j), list.Index(j), elementName(at+name, j)); err != nil {
					return err
				}
			}
		default:
			to.Set(from.Elem())
		}
	}
	return nil
}

// fieldName is a field's name in JSON, and whether it may be absent.
func fieldName(f reflect.StructField) (name string, optional bool) {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name, strings.Contains(options, "omitempty")
}

// elementName is where the fields of an element of a list stand, counted from 1 as people do.
func elementName(list string, index int) string {
	return fmt.Sprintf("%s, number %d: ", list, index+1)
}

// wrongJSON says in our words what is wrong with a request for this type.
func wrongJSON(err error, t reflect.Type) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var date *time.ParseError
	unknown, isUnknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	switch {
	case errors.Is(err, io.EOF):
		return "request is empty; send a JSON object"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "request breaks off before its JSON ends"
	case errors.As(err, &syntax):
		return fmt.Sprintf("request is not JSON: look at byte %d", syntax.Offset)
	case errors.As(err, &kind) && kind.Field == "":
		return "request is a JSON " + kind.Value + "; send an object"
	case errors.As(err, &kind):
		return kind.Field + " cannot be a JSON " + kind.Value + "; give " + wanted(kind.Type)
	case errors.As(err, &date), strings.Contains(err.Error(), "Time.UnmarshalJSON"):
		return "request has a time that is not written like 2026-02-08T12:20:35Z"
	case isUnknown:
		return "there is no field " + unknown + " here; the fields are " + fieldNames(t)
	}
	return err.Error() // of an UnmarshalText of ours
}

// wanted names what a field takes.
func wanted(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number from 0 that fits"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.String:
		return "a string"
	}
	return "a string such as \"192.0.2.1\""
}

// fieldNames lists the fields of a type, and those of its lists of objects.
func fieldNames(t reflect.Type) string {
	var names []string
	for i := range t.NumField() {
		name, _ := fieldName(t.Field(i))
		if isStructs(t.Field(i).Type) {
			name += " (of " + fieldNames(t.Field(i).Type.Elem()) + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// parameters returns the parameters of a query, which may have these. Others are refused like
// fields that are not known: a misspelt filter must not select everything. So are empty and
// repeated ones, but for the tag: "" is the default tag.
func parameters(r *http.Request, known ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, api.Errorf(api.CodeBadRequest, "query is not of the form NAME=VALUE&NAME=VALUE")
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		switch {
		case !slices.Contains(known, name):
			return nil, api.Errorf(api.CodeBadRequest, "there is no parameter %q here; %s",
				name, listed(known))
		case len(values) > 1:
			return nil, api.Errorf(api.CodeBadRequest, "%s is given %d times; give it once",
				name, len(values))
		case values[0] == "" && name != "tag":
			return nil, api.Errorf(api.CodeBadRequest, "%s is empty; give a value or leave it out",
				name)
		}
	}
	return query, nil
}

func listed(parameters []string) string {
	if len(parameters) == 0 {
		return "there are none"
	}
	return "there are " + strings.Join(parameters, ", ")
}
