package httpapi

import (
	_ "embed" // for the description of the interface
	"net/http"
)

// openAPIPath is where the description of the interface is served.
const openAPIPath = "/v1/openapi.json"

// openAPI is made of the types and comments of package api by the tests of this package.
//
//go:embed openapi.json
var openAPI []byte

// OpenAPI returns the description of the interface in the format of OpenAPI 3. It must not be
// changed.
func OpenAPI() []byte { return openAPI }

// describe answers GET /v1/openapi.json.
func describe(w http.ResponseWriter, r *http.Request) {
	if err := admit(w, r, http.MethodGet); err != nil {
		fail(w, err)
		return
	}
	deadline(w, requestTimeout)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI) // a client that is gone needs no answer
}
