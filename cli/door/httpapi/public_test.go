package httpapi_test

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"directormesh/cli/door/httpapi"
	"directormesh/cli/door/httpapi/httpapitest"
)

// Over TCP without a check of who asks, no operation is carried out and no user is assigned.
func TestOnlyReadsOverTCP(t *testing.T) {
	d := httpapitest.Sample()
	addr := httpapitest.ServeTCP(t, d)
	bodies := map[string]string{
		"/v1/lookup": `{"user":"alice"}`, "/v1/lookup/batch": `{"user":"alice"}`,
	}
	for _, op := range samples() {
		raw, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		bodies[op.Path()] = string(raw)
	}
	for path, body := range bodies {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			status, answer := ask(t, addr, method, path, body, "Content-Type", "application/json")
			if status != http.StatusForbidden || !strings.Contains(answer, "director.sock") {
				t.Errorf("%s %s: %d %s", method, path, status, answer)
			}
		}
	}
	if done := d.Done(); len(done) != 0 {
		t.Errorf("something was done all the same: %v", done)
	}
	if status, answer := ask(t, addr, http.MethodGet, "/v1/user?name=alice", ""); status != 200 {
		t.Errorf("a query: %d %s", status, answer)
	}
}

// Anybody who reaches the address of the metrics gets three pages there, whatever the Host, and
// nothing else.
func TestPublic(t *testing.T) {
	d := httpapitest.Sample()
	const sample = "director_build_info 1\n"
	server := httpapi.NewPublic(httpapi.Config{
		Director: d, Log: zerolog.Nop(),
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(sample))
		}),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	addr := l.Addr().String()
	for path, want := range map[string]string{
		"/metrics": sample, "/healthz": "", "/readyz": "ready\n",
	} {
		status, body := ask(t, addr, http.MethodGet, path, "", "Host", "metrics.example.org")
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %q, want %q", path, status, body, want)
		}
	}
	others := []string{"/", "/metrics/", "/debug/pprof/", "/debug/pprof/heap"}
	for _, path := range append(others, servedPaths(t)...) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if status, body := ask(t, addr, method, path, "{}"); status != http.StatusNotFound {
				t.Errorf("%s %s: %d %s", method, path, status, body)
			}
		}
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Errorf("serving: %v", err)
	}
	if done := d.Done(); len(done) != 0 {
		t.Errorf("something was done: %v", done)
	}
}
