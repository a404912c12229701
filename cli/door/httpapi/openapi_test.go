package httpapi_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/door/httpapi"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/door/httpapi/openapitest"
)

// description is that of the interface, for all tests.
var description = sync.OnceValues(func() (*openapitest.Description, error) {
	return openapitest.Load(httpapi.OpenAPI())
})

// described checks an answer against the description of the interface. Each answer that a test
// asks for is.
func described(t *testing.T, method, path string, status int, body string) {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	if !strings.HasPrefix(path, "/v1/") || status == http.StatusMethodNotAllowed ||
		path == "/v1/openapi.json" {
		return
	}
	d, err := description()
	if err != nil {
		t.Fatal(err)
	}
	if status >= http.StatusBadRequest {
		err = d.Check("Failure", body)
	} else {
		err = d.CheckAnswer(method, path, status, body)
	}
	if err != nil {
		t.Errorf("%s %s answers %d with what openapi.json does not describe: %v",
			method, path, status, err)
	}
}

// The description is made of package api, and is served as it is.
func TestOpenAPI(t *testing.T) {
	made, err := openapitest.Generate(filepath.Join("..", "..", "api"))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	there, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(there), string(made)); diff != "" {
		t.Errorf("openapi.json (-there +made of package api, run with -update):\n%s", diff)
	}
	addr := httpapitest.Serve(t, documented(), zerolog.Nop())
	status, body := ask(t, addr, http.MethodGet, "/v1/openapi.json", "")
	if status != http.StatusOK || body != string(there) {
		t.Errorf("served with status %d, %d bytes of %d", status, len(body), len(there))
	}
	if status, _ := ask(t, addr, http.MethodPost, "/v1/openapi.json", "{}"); status != 405 {
		t.Errorf("POST has status %d", status)
	}
}

// Each request that the server answers is described, and each that is described is answered.
func TestOpenAPIIsComplete(t *testing.T) {
	d, err := description()
	if err != nil {
		t.Fatal(err)
	}
	addr := httpapitest.Serve(t, documented(), zerolog.Nop())
	served := make(map[string]bool)
	for _, path := range servedPaths(t) {
		for _, method := range []string{
			http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch,
		} {
			status, _ := ask(t, addr, method, path+"?no=such", "")
			if status != http.StatusMethodNotAllowed && status != http.StatusNotFound {
				served[method+" "+path] = true
			}
		}
	}
	if diff := cmp.Diff(served, d.Requests()); diff != "" {
		t.Errorf("requests (-served +described); a new one goes to queries in "+
			"openapitest/endpoints.go, or to api.Operations, then run with -update:\n%s", diff)
	}
}

// What has a field too few or too many, or one of another type, is not as described.
func TestOpenAPIIsStrict(t *testing.T) {
	d, err := description()
	if err != nil {
		t.Fatal(err)
	}
	const good = `{"ip":"192.0.2.1","tag":"","vhosts":1,"down":false,"users":3,"slow_start":null}`
	if err := d.Check("DataBackend", good); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{
		strings.Replace(good, `,"users":3`, ``, 1),
		strings.Replace(good, `"users":3`, `"users":3,"more":1`, 1),
		strings.Replace(good, `"vhosts":1`, `"vhosts":"1"`, 1),
		strings.Replace(good, `"tag":""`, `"tag":null`, 1),
		`[]`,
	} {
		if err := d.Check("DataBackend", bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
