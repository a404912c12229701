package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"directormesh/cli/api"
	"directormesh/mesh/meshtest/metrictest"
)

// The encoder written by hand gives what encoding/json gives.
func TestAppendMapping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := api.Mapping{
			Tag:       rapid.String().Draw(t, "tag"),
			UserHash:  rapid.Uint32().Draw(t, "hash"),
			ExpiresAt: time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "expires")),
			Moving:    rapid.Bool().Draw(t, "moving"),
		}
		addr, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address"))
		m.Backend = api.IP{Addr: addr}
		got := appendMapping(nil, m)
		m.ExpiresAt = m.ExpiresAt.UTC()
		want, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want)+"\n" {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	})
}

// Any bytes give a request or an error that says why not; a request comes out of its own JSON
// again.
func FuzzReadRequest(f *testing.F) {
	for _, line := range []string{
		`{"user":"alice@example.org"}`, `{"user":"a","tag":"ssd"}` + "\n", "", "{}", "null",
		`{"user":1}`, "[[[[", "{\"user\":\"\xff\"}", `{"user":"a"}{}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var req api.LookupRequest
		in := bufio.NewReaderSize(bytes.NewReader(line), maxLine)
		if err := readRequest(in, &req); err != nil {
			if err.Error() == "" {
				t.Errorf("%q is refused without a reason", line)
			}
			return
		}
		raw, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		var again api.LookupRequest
		if err := decode(raw, &again); err != nil || again != req {
			t.Errorf("%q gives %+v, and that %+v, %v", line, req, again, err)
		}
	})
}

// Any body is refused or gives an operation that has what it needs.
func FuzzOperation(f *testing.F) {
	for i := range operations() {
		f.Add(i, []byte(`{"ip":"192.0.2.1","vhosts":5,"tag":"x"}`))
		f.Add(i, []byte(`{"user":"a","backend":"2001:db8::1","wait":true}`))
		f.Add(i, []byte(`{"user_hash":4294967295,"backend":"::192.0.2.1"}`))
		f.Add(i, []byte(`{"backend":"","max_parallel":3}`))
		f.Add(i, []byte(`{"ip":"7","port":9090}`))
		f.Add(i, []byte(`{"mappings":[{"tag":"x","user_hash":7,"backend":"192.0.2.1",`+
			`"expires_at":"2026-11-23T15:15:54Z"}]}`))
	}
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		all := operations()
		if which < 0 || which >= len(all) {
			return
		}
		op, err := all[which].parse(body)
		if err != nil {
			return
		}
		if op.Path() != all[which].path {
			t.Errorf("%T on %s", op, all[which].path)
		}
		if m, ok := op.(api.ImportMappings); ok && len(m.Mappings) > api.MaxImport {
			t.Errorf("%d mappings are taken at once", len(m.Mappings))
		}
	})
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := newMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	m.serves("/v1/lookup")
	m.lookups.Shard().Answered(1, time.Millisecond)
	m.lookups.Shard().Failed(time.Millisecond)
	m.served("/v1/lookup", 503)
	got := metrictest.Values(t, registry)
	want := map[string]float64{
		"director_lookups_total http answered":        1,
		"director_lookups_total http failed":          1,
		"director_http_requests_total /v1/lookup 5xx": 1,
	}
	for key, n := range want {
		if got[key] != n {
			t.Errorf("%s is %v, want %v (all: %v)", key, got[key], n, got)
		}
	}
	if _, err := newMetrics(registry); err == nil {
		t.Error("registering twice gave no error")
	}
}
