package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi"
	"directormesh/cli/door/httpapi/httpapitest"
)

// documented answers changes with something to see in each field that may be filled.
func documented() *httpapitest.Director {
	d := httpapitest.Sample()
	started := time.Date(2018, 2, 8, 9, 20, 35, 0, time.UTC)
	ended := started.Add(time.Minute)
	d.FlushesIs = func() api.Flushes {
		return api.Flushes{Flushes: []api.Flush{
			{Director: "d1", ID: 1, Backend: httpapitest.IP("192.0.2.1"), Total: 10, Moved: 3,
				Moving: 2, StartedAt: started},
			{Director: "d2", ID: 9, Total: 70, Moved: 70, StartedAt: started, EndedAt: &ended},
		}}
	}
	d.OutcomeIs = func(op api.Operation) (api.Outcome, error) {
		switch op.(type) {
		case api.UpdateBackend:
			return api.Outcome{
				FailedDirectors: []string{"d3", "d4"},
				Away:            []api.AwayDirector{{Director: "d4", Since: started}},
			}, nil
		case api.BackendDown:
			return api.Outcome{Users: 2500}, nil
		case api.ImportMappings:
			return api.Outcome{Count: 1}, nil
		case api.CancelFlush:
			return api.Outcome{Count: 2}, nil
		case api.KickUser:
			return api.Outcome{
				Count: 3, Known: true,
				SessionsLeft: []api.SessionsLeft{{Director: "d2", Sessions: 1}},
			}, nil
		case api.FlushUsers:
			return api.Outcome{Flush: &api.FlushID{Director: "d1", ID: 1}}, nil
		}
		return api.Outcome{}, nil
	}
	return d
}

// plain stands in the document for the answer of a change with nothing to tell.
const plain = "{ … }"

// shown is an answer as the document prints it: JSON with line breaks, streams line by line. The
// answer of a change with nothing to tell is written out once, at the first path of all changes.
func shown(t *testing.T, path, body string) string {
	t.Helper()
	nothing, err := json.Marshal(api.Outcome{}.Complete())
	if err != nil {
		t.Fatal(err)
	}
	body = strings.TrimRight(body, "\n")
	if body == string(nothing) && path != "/v1/backends/add" {
		return plain
	}
	var out bytes.Buffer
	stream := strings.Contains(body, "\n") || path == "/v1/flushes/watch" || path == "/v1/events"
	if stream || json.Indent(&out, []byte(body), "", "  ") != nil {
		return body
	}
	return out.String()
}

var example = regexp.MustCompile("(?s)```http\n(GET|POST) (\\S+)\n(.*?)\n?\n\\d+ .*?```")

// TestDocument runs each example of the document as it stands there, and demands that each path has
// one.
func TestDocument(t *testing.T) {
	document := filepath.Join("..", "..", "doc", "http.md")
	before, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	addr := httpapitest.Serve(t, documented(), zerolog.Nop())
	seen, requests := make(map[string]bool), make(map[string]bool)
	after := example.ReplaceAllStringFunc(string(before), func(block string) string {
		m := example.FindStringSubmatch(block)
		method, target, request := m[1], m[2], m[3]
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		seen[u.Path], requests[method+" "+u.Path] = true, true
		if request != "" {
			request += "\n"
		}
		status, body := ask(t, addr, method, target, request)
		return fmt.Sprintf("```http\n%s %s\n%s\n%d %s\n%s\n```",
			method, target, request, status, http.StatusText(status), shown(t, u.Path, body))
	})
	if *update {
		if err := os.WriteFile(document, []byte(after), 0o644); err != nil {
			t.Fatal(err)
		}
		before = []byte(after)
	}
	if diff := cmp.Diff(string(before), after); diff != "" {
		t.Errorf("%s (-there +answered, run with -update):\n%s", document, diff)
	}
	checkList(t, after, requests)
	for _, path := range servedPaths(t) {
		if !seen[path] {
			t.Errorf("%s has no example of %s", document, path)
		}
	}
}

// listed are the requests in the table at the top of the document.
var listed = regexp.MustCompile("`((?:GET|POST) /\\S*)`")

// checkList compares that table with the requests of the examples. These have no example: the page
// for people, two requests of programs that only watch, and one whose answer is as long as the
// document.
func checkList(t *testing.T, document string, examples map[string]bool) {
	t.Helper()
	top, _, _ := strings.Cut(document, "\n## ")
	for _, without := range []string{"/metrics", "/healthz", "/v1/openapi.json", "/"} {
		examples["GET "+without] = true
	}
	list := make(map[string]bool)
	for _, m := range listed.FindAllStringSubmatch(top, -1) {
		list[m[1]] = true
	}
	if diff := cmp.Diff(examples, list); diff != "" {
		t.Errorf("requests at the top of the document (-with an example +listed):\n%s", diff)
	}
}

// servedPaths are the paths whose requests the server counts.
func servedPaths(t *testing.T) []string {
	t.Helper()
	registry := prometheus.NewRegistry()
	server, err := httpapi.New(httpapi.Config{Director: documented(), Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range families {
		if f.GetName() != "director_http_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "path" {
					paths = append(paths, l.GetValue())
				}
			}
		}
	}
	if len(paths) == 0 {
		t.Error("the server counts requests of no path")
	}
	return paths
}
