package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
)

// askSocket gets a path over a unix socket.
func askSocket(t *testing.T, socket, path string) (int, string) {
	t.Helper()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://director" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func ptr[T any](v T) *T { return &v }

// samples has one operation of each type, with every field set.
func samples() []api.Operation {
	ip := httpapitest.IP("192.0.2.1")
	return []api.Operation{
		api.AddBackend{IP: ip, Tag: ptr("ssd"), VHosts: ptr(50), Standby: ptr(true),
			SlowStartMS: ptr(int64(600_000))},
		api.UpdateBackend{
			IP: ip, Tag: ptr("ssd"), VHosts: 7, SlowStartMS: ptr(int64(600_000)),
		},
		api.RemoveBackend{IP: ip},
		api.BackendUp{IP: ip, SlowStartMS: ptr(int64(0))},
		api.BackendDown{IP: ip},
		api.Move{User: "alice", Backend: ip, Wait: true},
		api.Move{UserHash: ptr(uint32(5)), Backend: ip},
		api.KickUser{User: "alice"},
		api.KickUser{User: "alice", Field: "user_mail"},
		api.FlushUsers{Backend: ip, MaxParallel: 5},
		api.CancelFlush{},
		api.CancelFlush{Backend: ip},
		api.Forget{Backend: ip},
		api.AddDirector{IP: ip, Port: 9090},
		api.RemoveDirector{IP: ip, Port: 9090},
		api.AddDirector{Name: "d3"},
		api.RemoveDirector{Name: "d3"},
		api.ImportMappings{Mappings: imported(api.MaxImport), Keep: true},
		api.AddKey{},
		api.AddKey{Key: "AAAA"},
		api.UseKey{ID: "5e0d1c3a", Without: []string{"d3"}},
		api.RemoveKey{ID: "91b04f27", Without: []string{"d3", "d4"}},
		api.RotateKeys{FromFile: true, Without: []string{"d3"}},
		api.Reload{},
		api.DrainBackend{IP: ip, OverMS: 60_000, MaxParallel: 50, Force: true},
		api.DrainBackend{IP: ip, By: ptr(time.Date(2018, 2, 8, 10, 20, 35, 0, time.UTC))},
		api.UndrainBackend{IP: ip, SlowStartMS: ptr(int64(60_000))},
		api.ResetBalance{Tag: ptr("ssd")},
		api.Rebalance{Tag: ptr("ssd"), OverMS: 60_000, MaxParallel: 50},
		api.Rebalance{By: ptr(time.Date(2018, 2, 8, 10, 20, 35, 0, time.UTC))},
		api.PinUser{User: "alice", Backend: ip, Wait: true},
		api.PinUser{UserHash: ptr(uint32(5)), Backend: ip},
		api.UnpinUser{User: "alice", Tag: "ssd"},
		api.UnpinUser{UserHash: ptr(uint32(5))},
	}
}

// TestSamplesAreAll checks that there is a sample of each type of operation, and none has a field
// that no sample sets.
func TestSamplesAreAll(t *testing.T) {
	unset := make(map[string]bool)
	for _, op := range api.Operations() {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(op)) {
			unset[fmt.Sprintf("%T.%s", op, field.Name)] = true
		}
	}
	for _, op := range samples() {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(op)) {
			if !reflect.ValueOf(op).FieldByIndex(field.Index).IsZero() {
				delete(unset, fmt.Sprintf("%T.%s", op, field.Name))
			}
		}
	}
	for name := range unset {
		t.Errorf("no sample sets %s", name)
	}
}

// imported returns mappings that need as much room in JSON as any, but for tags.
func imported(n int) []api.ImportedMapping {
	mappings := make([]api.ImportedMapping, n)
	for i := range mappings {
		mappings[i] = api.ImportedMapping{
			Tag: "ssd", UserHash: math.MaxUint32 - uint32(i),
			Backend:   httpapitest.IP("2001:db8:1111:2222:3333:4444:5555:6666"),
			ExpiresAt: time.Date(2018, 2, 8, 10, 20, 35, 123456789, time.UTC),
		}
	}
	return mappings
}

// Too many mappings at once are refused, and so are mappings that lack a field.
func TestBadImport(t *testing.T) {
	d := httpapitest.Sample()
	client, err := api.NewClient(httpapitest.Serve(t, d, zerolog.Nop()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for text, mappings := range map[string][]api.ImportedMapping{
		"4097 mappings are too many at once; send at most 4096": imported(api.MaxImport + 1),
		"body is larger than 2097152 bytes; send less at once":  imported(8 * api.MaxImport),
		"mapping 1 has no backend or no expires_at": {
			{UserHash: 7, ExpiresAt: time.Now()},
		},
		"mapping 2 has no backend or no expires_at": {
			imported(1)[0], {UserHash: 7, Backend: httpapitest.IP("192.0.2.1")},
		},
	} {
		if _, err := client.Do(t.Context(), api.ImportMappings{Mappings: mappings}); err == nil ||
			err.Error() != text {
			t.Errorf("%v, want %s", err, text)
		}
	}
	if done := d.Done(); len(done) > 0 {
		t.Errorf("%d were done", len(done))
	}
}

// Each operation arrives as it was sent, is answered with the outcome, and leaves a log line that
// says who and what, without a user name.
func TestOperations(t *testing.T) {
	for _, op := range samples() {
		t.Run(strings.TrimPrefix(fmt.Sprintf("%T", op), "api."), func(t *testing.T) {
			d := httpapitest.Sample()
			d.OutcomeIs = func(api.Operation) (api.Outcome, error) {
				return api.Outcome{
					FailedDirectors: []string{"d3"}, Away: []api.AwayDirector{},
					NotKept: []string{}, Reloaded: []string{}, NeedRestart: []string{},
					SessionsLeft: []api.SessionsLeft{{Director: "d2", Sessions: 1}},
					NoKicker:     []string{"d4"}, Users: 4,
					Flush: &api.FlushID{Director: "d1", ID: 2},
					Count: 3, Known: true,
				}, nil
			}
			var log bytes.Buffer
			client, err := api.NewClient(httpapitest.Serve(t, d, zerolog.New(&log)))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			got, err := client.Do(t.Context(), op)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := d.OutcomeIs(op)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			diff := cmp.Diff([]api.Operation{op}, d.Done(), cmpopts.EquateComparable(api.IP{}))
			if diff != "" {
				t.Errorf("operation (-want +got):\n%s", diff)
			}
			var line map[string]any
			if err := json.Unmarshal(log.Bytes(), &line); err != nil {
				t.Fatalf("%v in the log %q", err, log.String())
			}
			if who := fmt.Sprintf("uid %d pid %d", os.Getuid(), os.Getpid()); line["who"] != who {
				t.Errorf("who is %q in the log, want %q", line["who"], who)
			}
			noted := d.Noted()
			if len(noted) != 1 || noted[0].Who != line["who"] ||
				noted[0].Door != "director.sock" || noted[0].Action != line["action"] ||
				noted[0].Error != "" || strings.Contains(fmt.Sprint(noted), "alice") {
				t.Errorf("noted %+v, logged %v", noted, line)
			}
			if line["door"] != "director.sock" || line["message"] != "admin change" ||
				line["action"] == nil || line["took_ms"] == nil {
				t.Errorf("log line %s lacks something", log.String())
			}
			if strings.Contains(log.String(), "alice") {
				t.Errorf("a user name is in the log: %s", log.String())
			}
		})
	}
}

func TestOperationFails(t *testing.T) {
	d := httpapitest.Sample()
	d.OutcomeIs = func(api.Operation) (api.Outcome, error) {
		return api.Outcome{}, api.Errorf(api.CodeNotFound, "doesn't exist")
	}
	var log bytes.Buffer
	client, err := api.NewClient(httpapitest.Serve(t, d, zerolog.New(&log)))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = client.Do(t.Context(), api.BackendUp{IP: httpapitest.IP("192.0.2.1")})
	if diff := cmp.Diff(api.Errorf(api.CodeNotFound, "doesn't exist"), err); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if !strings.Contains(log.String(), `"level":"warn"`) ||
		!strings.Contains(log.String(), "doesn't exist") {
		t.Errorf("the failure is not in the log: %s", log.String())
	}
	if noted := d.Noted(); len(noted) != 1 || noted[0].Error != "doesn't exist" {
		t.Errorf("noted %+v", noted)
	}
}

// A field that is not optional must be there: none of them has a harmless zero, and "all backends"
// must have been said.
func TestMissingFields(t *testing.T) {
	d := httpapitest.Sample()
	addr := httpapitest.Serve(t, d, zerolog.Nop())
	for _, op := range samples() {
		raw, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			t.Fatal(err)
		}
		for i := range reflect.TypeOf(op).NumField() {
			name, options, _ := strings.Cut(reflect.TypeOf(op).Field(i).Tag.Get("json"), ",")
			if options == "omitempty" {
				continue
			}
			for _, without := range []func(map[string]json.RawMessage){
				func(f map[string]json.RawMessage) { delete(f, name) },
				func(f map[string]json.RawMessage) { f[name] = json.RawMessage("null") },
			} {
				rest := maps.Clone(fields)
				without(rest)
				body, err := json.Marshal(rest)
				if err != nil {
					t.Fatal(err)
				}
				status, answer := ask(t, addr, http.MethodPost, op.Path(), string(body))
				if status != http.StatusBadRequest ||
					!strings.Contains(answer, name+" is missing") {
					t.Errorf("%T without %s: %d %s", op, name, status, answer)
				}
			}
		}
	}
	if done := d.Done(); len(done) != 0 {
		t.Errorf("something was done all the same: %v", done)
	}
}

// A parameter of a query that is not known must not select everything.
func TestUnknownParameters(t *testing.T) {
	addr := httpapitest.ServeTCP(t, httpapitest.Sample())
	for path, want := range map[string]string{
		"/v1/mappings?backnd=192.0.2.1": `no parameter \"backnd\" here; ` +
			"there are backend, hash",
		"/v1/mappings?backend=":                   "backend is empty",
		"/v1/mappings?hash=1&hash=2":              "hash is given 2 times",
		"/v1/flushes/watch?director=d1":           "give director and id of one flush",
		"/v1/flushes/watch?host=192.0.2.1":        "no parameter",
		"/v1/user?user=alice":                     "no parameter",
		"/v1/user?name=":                          "name is empty",
		"/v1/backends?tag=ssd":                    "no parameter",
		"/v1/directors?name=d1":                   "no parameter",
		"/v1/director?x":                          "no parameter",
		"/v1/flushes?id=1":                        "no parameter",
		"/v1/mappings?backend=192.0.2.1;hash=100": "query is not of the form",
	} {
		status, body := ask(t, addr, http.MethodGet, path, "")
		if status != http.StatusBadRequest || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want 400 with %s", path, status, body, want)
		}
	}
}

// What is wrong with a request is said; nothing is done then.
func TestBadRequests(t *testing.T) {
	d := httpapitest.Sample()
	addr := httpapitest.Serve(t, d, zerolog.Nop())
	tests := []struct {
		path, body string
		want       string // part of the message
	}{
		{"/v1/backends/add", ``, "request is empty; send a JSON object"},
		{"/v1/backends/add", `{`, "request breaks off before its JSON ends"},
		{"/v1/backends/add", `{"ip" "192.0.2.1"}`, "request is not JSON: look at byte 7"},
		{"/v1/backends/add", `{"ip":5}`, "ip cannot be a JSON number; give a string such as"},
		{"/v1/backends/add", `{"ip":"192.0.2.1","tag":5}`,
			"tag cannot be a JSON number; give a string"},
		{"/v1/moves", `{"user":"a","backend":"192.0.2.1","wait":1}`,
			"wait cannot be a JSON number; give true or false"},
		{"/v1/backends/add", `[]`, "request is a JSON array; send an object"},
		{"/v1/backends/add", `{}`, "ip is missing"},
		{"/v1/backends/add", `null`, "ip is missing"},
		{"/v1/backends/add", `{"ip":""}`, "ip is missing"},
		{"/v1/backends/add", `{"ip":"192.0.2.300"}`, "192.0.2.300"},
		{"/v1/backends/add", `{"ip":"fe80::1%eth0"}`, "zone"},
		{"/v1/backends/add", `{"ip":"192.0.2.1","vhost":5}`,
			`there is no field "vhost" here; the fields are ip, tag, vhosts`},
		{"/v1/backends/add", `{"ip":"192.0.2.1"} {}`, "more than one"},
		{"/v1/backends/add", `{"ip":"192.0.2.1","vhosts":5.5}`,
			"vhosts cannot be a JSON number 5.5; give a whole number"},
		{"/v1/backends/add", `{"ip":"192.0.2.1","tag":"` + strings.Repeat("x", 70000) + `"}`,
			"larger than"},
		{"/v1/backends/update", `{"vhosts":1}`, "ip is missing"},
		{"/v1/backends/update", `{"ip":"192.0.2.1"}`, "vhosts is missing"},
		{"/v1/backends/remove", `{}`, "ip is missing"},
		{"/v1/backends/up", `{}`, "ip is missing"},
		{"/v1/backends/down", `{}`, "ip is missing"},
		{"/v1/moves", `{"backend":"192.0.2.1"}`, "either user or user_hash"},
		{"/v1/moves", `{"user":"a","user_hash":1,"backend":"192.0.2.1"}`,
			"either user or user_hash"},
		{"/v1/moves", `{"user":"a"}`, "backend is missing"},
		{"/v1/moves", "{\"user\":\"\xff\",\"backend\":\"192.0.2.1\"}", "UTF-8"},
		{"/v1/kicks", `{}`, "user is missing"},
		{"/v1/flushes", `{}`, "backend is missing"},
		{"/v1/flushes", `{"backend":"","max_parallel":-1}`, "give a number from 1 to 10000"},
		{"/v1/flushes", `{"backend":"","max_parallel":10001}`, "give a number from 1 to 10000"},
		{"/v1/mappings/forget", `{}`, "backend is missing"},
		{"/v1/mappings/import",
			`{"mappings":[{"backend":"192.0.2.1","expires_at":"2018-02-08T10:20:35Z"}]}`,
			"mappings, number 1: user_hash is missing"},
		{"/v1/mappings/import", `{"mappings":[{"user_hash":-1,"backend":"192.0.2.1",` +
			`"expires_at":"2018-02-08T10:20:35Z"}]}`,
			"give a whole number from 0 that fits"},
		{"/v1/mappings/import",
			`{"mappings":[{"user_hash":1,"backend":"192.0.2.1","expires_at":"soon"}]}`,
			"a time that is not written like"},
		{"/v1/directors/add", `{}`, "give either ip or name"},
		{"/v1/directors/add", `{"ip":"192.0.2.1","port":70000}`, "70000"},
		{"/v1/directors/remove", `{"ip":"192.0.2.1","port":-1}`, "-1"},
		{"/v1/backends/drain", `{}`, "ip is missing"},
		{"/v1/backends/drain", `{"ip":"192.0.2.1","over_ms":-1}`, "give a number from 1"},
		{"/v1/backends/drain", `{"ip":"192.0.2.1","over_ms":1,"by":"2018-02-08T10:20:35Z"}`,
			"either by or over_ms"},
		{"/v1/backends/rebalance", `{"max_parallel":10001}`, "give a number from 1 to 10000"},
		{"/v1/backends/undrain", `{}`, "ip is missing"},
		{"/v1/lookup", `{"tag":"x"}`, "user is missing"},
		{"/v1/lookup", `{"user":""}`, "empty"},
	}
	for _, tt := range tests {
		status, body := ask(t, addr, http.MethodPost, tt.path, tt.body)
		var failure api.Failure
		if err := json.Unmarshal([]byte(body), &failure); err != nil || failure.Error == nil {
			t.Errorf("%s %.80s: body %q is no failure", tt.path, tt.body, body)
			continue
		}
		if status != http.StatusBadRequest || failure.Error.Code != api.CodeBadRequest ||
			!strings.Contains(failure.Error.Message, tt.want) {
			t.Errorf("%s %.80s: %d %+v; want 400 with %q",
				tt.path, tt.body, status, failure.Error, tt.want)
		}
	}
	status, _ := ask(t, addr, http.MethodGet, "/v1/backends/add", "")
	if status != http.StatusMethodNotAllowed {
		t.Errorf("GET of a change: status %d, want 405", status)
	}
	if done := d.Done(); len(done) != 0 {
		t.Errorf("something was done all the same: %v", done)
	}
}
