package api

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What is written by hand is what encoding/json writes, and is read again.
func TestPlainJSON(t *testing.T) {
	text := rapid.OneOf(rapid.StringMatching(`[a-z]{1,5}@[a-z.]{0,9}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		request := LookupRequest{User: text.Draw(t, "user"), Tag: text.Draw(t, "tag")}
		raw, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(raw), string(request.AppendJSON(nil))); diff != "" {
			t.Fatalf("request (-want +got):\n%s", diff)
		}
		if got, ok := PlainLookupRequest(raw); ok && got != request {
			t.Fatalf("%s is read as %+v", raw, got)
		}

		answer := LookupAnswer{User: request.User, Tag: request.Tag}
		addr := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")
		if rapid.Bool().Draw(t, "answered") {
			answer.Backend.Addr, _ = netip.AddrFromSlice(
				addr[:rapid.SampledFrom([]int{4, 16}).Draw(t, "family")])
		} else {
			answer.Error = Errorf(CodeTryAgain, "%s", text.Draw(t, "message"))
		}
		if raw, err = json.Marshal(answer); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(raw), string(answer.AppendJSON(nil))); diff != "" {
			t.Fatalf("answer (-want +got):\n%s", diff)
		}
		var want, got LookupAnswer
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		if err := decodeAnswer(raw, &got); err != nil {
			t.Fatal(err)
		}
		diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }))
		if diff != "" {
			t.Fatalf("%s (-want +got):\n%s", raw, diff)
		}
	})
}

func TestPlainLookupRequest(t *testing.T) {
	for _, tt := range []struct {
		raw  string
		want LookupRequest
		ok   bool
	}{
		{`{"user":"alice@example.org"}` + "\r\n", LookupRequest{User: "alice@example.org"}, true},
		{`{"user":"a","tag":"ssd"}`, LookupRequest{User: "a", Tag: "ssd"}, true},
		{`{"user":""}`, LookupRequest{}, true},
		{`{"user":"a\"b"}`, LookupRequest{}, false},
		{`{"user":"ä"}`, LookupRequest{}, false},
		{`{"user":"a","tga":"ssd"}`, LookupRequest{}, false},
		{`{"user":"a"}}`, LookupRequest{}, false},
		{`{"user":"a"} `, LookupRequest{}, false},
		{`{"tag":"a","user":"b"}`, LookupRequest{}, false},
		{`{"user":"a`, LookupRequest{}, false},
		{``, LookupRequest{}, false},
	} {
		if got, ok := PlainLookupRequest([]byte(tt.raw)); got != tt.want || ok != tt.ok {
			t.Errorf("%q is read as %+v, %v", tt.raw, got, ok)
		}
	}
}

// What is read by hand means the same to encoding/json.
func FuzzPlain(f *testing.F) {
	for _, seed := range []string{
		`{"user":"a"}`, `{"user":"a","tag":"b"}`, `{"user":"a","tag":"","backend":"::1"}`,
		`{"user":"a","backend":"192.0.2.1"}`,
		`{"user":"\u0061"}`, `{"user":"a","backend":"x"}`, `{"user":"a","backend":""}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var want LookupRequest
		got, ok := PlainLookupRequest([]byte(raw))
		if ok && (json.Unmarshal([]byte(raw), &want) != nil || got != want) {
			t.Errorf("%q: %+v, want %+v", raw, got, want)
		}
		var read, wanted LookupAnswer
		err := decodeAnswer([]byte(raw), &read)
		if failed := json.Unmarshal([]byte(raw), &wanted); (failed == nil) != (err == nil) {
			t.Errorf("%q: %v, want %v", raw, err, failed)
		} else if err == nil &&
			(read.User != wanted.User || read.Tag != wanted.Tag || read.Backend != wanted.Backend) {
			t.Errorf("%q: %+v, want %+v", raw, read, wanted)
		}
	})
}
