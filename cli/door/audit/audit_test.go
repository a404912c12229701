package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/audit"
	"directormesh/ring"
)

func TestLog(t *testing.T) {
	ip := api.IP{Addr: netip.MustParseAddr("192.0.2.1")}
	tag, vhosts, hash := "ssd", 50, uint32(7)
	for _, test := range []struct {
		op   api.Operation
		want map[string]any
	}{
		{api.AddBackend{IP: ip}, map[string]any{"action": "add", "backend": "192.0.2.1"}},
		{api.AddBackend{IP: ip, Tag: &tag, VHosts: &vhosts},
			map[string]any{"action": "add", "backend": "192.0.2.1", "tag": "ssd", "vhosts": 50.0}},
		{api.UpdateBackend{IP: ip, VHosts: 5},
			map[string]any{"action": "update", "backend": "192.0.2.1", "vhosts": 5.0}},
		{api.RemoveBackend{IP: ip}, map[string]any{"action": "remove", "backend": "192.0.2.1"}},
		{api.BackendUp{IP: ip}, map[string]any{"action": "up", "backend": "192.0.2.1"}},
		{api.BackendDown{IP: ip}, map[string]any{"action": "down", "backend": "192.0.2.1"}},
		{api.Move{User: "alice@example.org", Backend: ip},
			map[string]any{"action": "move", "backend": "192.0.2.1", "user_hash": 17.0}},
		{api.Move{UserHash: &hash, Backend: ip},
			map[string]any{"action": "move", "backend": "192.0.2.1", "user_hash": 7.0}},
		{api.KickUser{User: "alice@example.org"},
			map[string]any{"action": "kick", "user_hash": 17.0}},
		{api.KickUser{User: "alice@example.org", Field: "user_mail"},
			map[string]any{"action": "kick", "field": "user_mail"}},
		{api.FlushUsers{MaxParallel: 3},
			map[string]any{"action": "flush", "backend": "all", "max_parallel": 3.0}},
		{api.CancelFlush{Backend: ip},
			map[string]any{"action": "cancel flush", "backend": "192.0.2.1"}},
		{api.Forget{}, map[string]any{"action": "forget", "backend": "all"}},
		{api.AddDirector{IP: ip, Port: 9090},
			map[string]any{"action": "ring add", "peer": "192.0.2.1", "port": 9090.0}},
		{api.RemoveDirector{Name: "d3"}, map[string]any{"action": "ring remove", "peer": "d3"}},
		{api.RemoveDirector{IP: ip},
			map[string]any{"action": "ring remove", "peer": "192.0.2.1", "port": 0.0}},
		{api.ImportMappings{Mappings: make([]api.ImportedMapping, 2)},
			map[string]any{"action": "import", "mappings": 2.0}},
	} {
		var out bytes.Buffer
		record := audit.Record{
			Who: "uid 7", Door: "http", Op: test.op,
			Hash: func(s string) ring.UserHash { return ring.UserHash(len(s)) }, Took: time.Second,
		}
		record.Log(zerolog.New(&out), api.Outcome{}, nil)
		want := map[string]any{
			"level": "info", "message": "admin change", "who": "uid 7", "door": "http",
			"failed_directors": []any{}, "took_ms": 1000.0,
		}
		for key, value := range test.want {
			want[key] = value
		}
		if diff := cmp.Diff(want, fields(t, &out)); diff != "" {
			t.Errorf("%T (-want +got):\n%s", test.op, diff)
		}
		if strings.Contains(out.String(), "alice") {
			t.Errorf("%T: the log has the user's name", test.op)
		}
	}
}

func TestLogFailure(t *testing.T) {
	var out bytes.Buffer
	record := audit.Record{Op: api.Forget{}}
	record.Log(zerolog.New(&out), api.Outcome{FailedDirectors: []string{"d2"}}, errors.New("no"))
	want := map[string]any{
		"level": "warn", "message": "admin change", "error": "no", "who": "", "door": "",
		"action": "forget", "backend": "all",
		"failed_directors": []any{"d2"}, "took_ms": 0.0,
	}
	if diff := cmp.Diff(want, fields(t, &out)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What is not on all disks is worth a warning.
func TestLogNotKept(t *testing.T) {
	var out bytes.Buffer
	record := audit.Record{Op: api.Forget{}}
	record.Log(zerolog.New(&out), api.Outcome{NotKept: []string{"d2"}}, nil)
	got := fields(t, &out)
	if got["level"] != "warn" || !cmp.Equal(got["not_kept"], []any{"d2"}) {
		t.Errorf("%v", got)
	}
}

func fields(t *testing.T, line *bytes.Buffer) map[string]any {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(line.Bytes(), &got); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return got
}

// A unix socket tells the user id of the other end, TCP its address.
func TestWho(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		addr := "127.0.0.1:0"
		if network == "unix" {
			addr = t.TempDir() + "/s"
		}
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		client, err := net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		served, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer served.Close()
		want := client.LocalAddr().String()
		if network == "unix" {
			want = localPeer(os.Getuid(), os.Getpid())
		}
		if got := audit.Who(served); got != want {
			t.Errorf("%s: %q, want %q", network, got, want)
		}
	}
}
