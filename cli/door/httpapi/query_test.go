package httpapi_test

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
)

var update = flag.Bool("update", false, "rewrite golden files")

// golden compares got with testdata/name, or writes it there with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// ask makes a request over TCP and returns the status and the body.
func ask(t *testing.T, addr, method, path, body string, header ...string) (int, string) {
	t.Helper()
	network, host, err := api.Endpoint(addr)
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + host
	if network == "unix" {
		base = "http://director"
	}
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, host)
		},
	}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	described(t, method, path, resp.StatusCode, string(raw))
	return resp.StatusCode, string(raw)
}

// The answers are promised; a difference in this golden file breaks somebody's script.
func TestAnswers(t *testing.T) {
	d := httpapitest.Sample()
	d.FlushesIs = func() api.Flushes {
		started := time.Date(2018, 2, 8, 9, 20, 35, 0, time.UTC)
		return api.Flushes{Flushes: []api.Flush{
			{Director: "d1", ID: 1, Backend: httpapitest.IP("192.0.2.1"), Total: 10, Moved: 3,
				Moving: 2, Failed: 1, StartedAt: started, EndedAt: &started, Cancelled: true},
			{Director: "d2", ID: 9, StartedAt: started, Lost: true},
		}}
	}
	addr := httpapitest.ServeTCP(t, d)
	var out bytes.Buffer
	for _, path := range []string{
		"/v1/director", "/v1/directors", "/v1/backends",
		"/v1/user?name=USER@EXAMPLE.COM&tag=ssd", "/v1/user?hash=5", "/v1/user?hash=-5", "/v1/user",
		"/v1/mappings", "/v1/mappings?backend=192.0.2.51,192.0.2.7", "/v1/mappings?hash=100",
		"/v1/mappings?backend=x", "/v1/mappings?hash=x",
		"/v1/flushes", "/v1/flushes/watch", "/v1/flushes/watch?director=d1&id=1",
		"/v1/flushes/watch?director=d7&id=1",
		"/v1/flushes/watch?director=d1&id=x", "/v1/flushes/watch?backend=x",
		"/healthz", "/readyz", "/metrics", "/v1/nothing",
	} {
		status, body := ask(t, addr, http.MethodGet, path, "")
		out.WriteString(http.MethodGet + " " + path + "\n" +
			http.StatusText(status) + "\n" + body + "\n")
	}
	golden(t, "answers.txt", out.Bytes())
}

func TestReady(t *testing.T) {
	tests := []struct {
		self   api.Self
		status int
		body   string
	}{
		{api.Self{Synced: true}, 200, "ready\n"},
		{api.Self{Synced: true, Alone: true, Reason: "no peer answers"},
			200, "ready, serving alone: no peer answers\n"},
		{api.Self{Synced: true, DataDir: &api.DataDir{}, Missing: []string{"d2", "d3"}},
			200, "ready, without d2, d3, which served when this director ended\n"},
		{api.Self{Synced: true, DataDir: &api.DataDir{Problem: "no space left on device"}},
			200, "ready, but the data directory keeps nothing: no space left on device\n"},
		{api.Self{Reason: "joining"}, 503, "not synced: joining\n"},
		{api.Self{Synced: true, Leaving: true}, 503, "leaving\n"},
	}
	for _, tt := range tests {
		d := httpapitest.Sample()
		d.SelfIs = tt.self
		status, body := ask(t, httpapitest.ServeTCP(t, d), http.MethodGet, "/readyz", "")
		if status != tt.status || body != tt.body {
			t.Errorf("%+v: %d %q, want %d %q", tt.self, status, body, tt.status, tt.body)
		}
	}
}

// A browser on this machine must not be a way in for foreign pages to queries.
func TestForeignHosts(t *testing.T) {
	addr := httpapitest.ServeTCP(t, httpapitest.Sample())
	for _, tt := range []struct {
		host   string
		status int
	}{
		{"127.0.0.1:80", 200}, {"[::1]:80", 200}, {"localhost", 200},
		{"evil.example.org", 403}, {"192.0.2.1:80", 403},
	} {
		status, body := ask(t, addr, http.MethodGet, "/v1/director", "", "Host", tt.host)
		if status != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.host, status, tt.status, body)
		}
	}
}

func TestProfilesOnlyOnSocket(t *testing.T) {
	d := httpapitest.Sample()
	status, _ := ask(t, httpapitest.ServeTCP(t, d), http.MethodGet, "/debug/pprof/cmdline", "")
	if status != http.StatusNotFound {
		t.Errorf("status %d over TCP, want 404", status)
	}
	if status, _ := askSocket(t, httpapitest.Serve(t, d, zerolog.Nop()),
		"/debug/pprof/goroutine?debug=1"); status != http.StatusOK {
		t.Errorf("status %d on the socket, want 200", status)
	}
}
