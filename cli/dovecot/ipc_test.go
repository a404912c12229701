package dovecot

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	backend1 = netip.MustParseAddr("192.0.2.1")
	backend2 = netip.MustParseAddr("2001:db8::2")
	compare  = cmpopts.EquateComparable(netip.Addr{})
)

const header = ":username\tservice\tsrc-ip\tdest-ip\tdest-port\n"

func TestIPCList(t *testing.T) {
	tests := []struct {
		name, answer string
		want         []Connection
	}{
		{"no login process has proxied", "+\n", nil},
		{"none is left", "+(null)\n", nil},
		{"no connections", header + header + "+\n", nil},
		{
			"processes with different columns",
			":username\tuser_mail\tservice\tsrc-ip\tdest-ip\tdest-port\n" +
				":zoe\talt-zoe\tpop3\t127.0.0.1\t192.0.2.1\t110\n" +
				":amy\t\tpop3\t127.0.0.1\t192.0.2.1\t110\n" +
				header +
				":zoe\timap\t127.0.0.1\t2001:db8::2\t143\n" +
				":username\tuser_a\tuser_b\tservice\tsrc-ip\tdest-ip\tdest-port\n" +
				":bob\tx\x01ty\tz\timap\t::1\t192.0.2.1\t143\n+\n",
			[]Connection{
				{User: "zoe", Backend: backend1, Fields: []Field{{"user_mail", "alt-zoe"}}},
				{User: "amy", Backend: backend1},
				{User: "zoe", Backend: backend2},
				{User: "bob", Backend: backend1,
					Fields: []Field{{"user_a", "x\ty"}, {"user_b", "z"}}},
			},
		},
		{
			"a user called as the column",
			header + ":username\timap\t127.0.0.1\t192.0.2.1\t143\n+\n",
			[]Connection{{User: "username", Backend: backend1}},
		},
		{
			"no address", header + ":zoe\timap\t127.0.0.1\t\t143\n+\n",
			[]Connection{{User: "zoe"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path, requests := fakeServer(t, "ipc", "proxy", tt.answer)
			got, err := IPC{path}.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, compare); diff != "" {
				t.Errorf("connections (-want +got):\n%s", diff)
			}
			if got, want := <-requests, "proxy\t*\tLIST-FULL\n"; got != want {
				t.Errorf("asked %q, want %q", got, want)
			}
		})
	}
}

func TestIPCListRefused(t *testing.T) {
	for answer, want := range map[string]string{
		":zoe\timap\t127.0.0.1\t192.0.2.1\t143\n+\n":                "without the names",
		header + ":zoe\timap\t127.0.0.1\n+\n":                       "3 columns instead of 5",
		header + ":zoe\timap\t127.0.0.1\t192.0.2.1\t143\tmore\n+\n": "6 columns instead of 5",
		"-Unknown command\n":                                        `"Unknown command"`,
	} {
		path, _ := fakeServer(t, "ipc", "proxy", answer)
		_, err := (IPC{path}).List(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", answer, err, want)
		}
	}
}

func TestIPCKicks(t *testing.T) {
	tests := []struct {
		answer string
		kick   func(IPC) (int, error)
		asks   string
		want   int
	}{
		{"+2\n", func(c IPC) (int, error) { return c.KickUsers(t.Context(), "alice", "b\tob") },
			"KICK\talice\tb\x01tob", 2},
		{"+\n", func(c IPC) (int, error) { return c.KickUsers(t.Context(), "alice") },
			"KICK\talice", 0},
		{"+(null)\n", func(c IPC) (int, error) { return c.KickUsers(t.Context(), "alice") },
			"KICK\talice", 0},
		{":data\n+1\n", func(c IPC) (int, error) {
			return c.KickField(t.Context(), "user_mail", "x")
		}, "KICK-ALT\tuser_mail\tx", 1},
		{"+1\n", func(c IPC) (int, error) { return c.KickHash(t.Context(), 3244357836, backend1) },
			"KICK-DIRECTOR-HASH\t3244357836\t192.0.2.1", 1},
		{"+1\n", func(c IPC) (int, error) { return c.KickHash(t.Context(), 1, netip.Addr{}) },
			"KICK-DIRECTOR-HASH\t1", 1},
		{"+7\n", func(c IPC) (int, error) { return c.KickHost(t.Context(), "192.0.2.1") },
			"KICK-HOST\t192.0.2.1", 7},
	}
	for _, tt := range tests {
		path, requests := fakeServer(t, "ipc", "proxy", tt.answer)
		if got, err := tt.kick(IPC{path}); err != nil || got != tt.want {
			t.Errorf("%q: %d, %v; want %d", tt.asks, got, err, tt.want)
		}
		if got, want := <-requests, "proxy\t*\t"+tt.asks+"\n"; got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
	}
	path, _ := fakeServer(t, "ipc", "proxy", "+many\n")
	_, err := (IPC{path}).KickUsers(t.Context(), "alice")
	if err == nil || !strings.Contains(err.Error(), `"many"`) {
		t.Errorf("error %v for an answer that is no number", err)
	}
}

func TestIPCErrors(t *testing.T) {
	checkErrors(t, "proxy", func(ctx context.Context, path string) error {
		_, err := IPC{path}.List(ctx)
		return err
	})
}
