package dovecot

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const greeting = "VERSION\tanvil-server\t2\t0\n"

func TestAnvilList(t *testing.T) {
	const row = "\t127.0.0.1\t0123456789abcdef0123456789abcdef\t"
	tests := []struct {
		name, answer string
		want         []Connection
	}{
		{"none", "\n\n", nil},
		{"one", "\n77\talice\timap-login" + row + "192.0.2.1\n\n",
			[]Connection{{User: "alice", Backend: backend1, PID: 77}}},
		{
			"with fields",
			"user_a\tuser_b\n" +
				"77\tal\x01tice\timap-login" + row + "192.0.2.1\tx\t\n" +
				"78\tbob\tpop3-login" + row + "2001:db8::2\t\ty\n\n",
			[]Connection{
				{User: "al\tice", Backend: backend1, PID: 77, Fields: []Field{{"user_a", "x"}}},
				{User: "bob", Backend: backend2, PID: 78, Fields: []Field{{"user_b", "y"}}},
			},
		},
		{"not proxied", "\n77\talice\timap" + row + "\n\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path, requests := fakeServer(t, "anvil", "CONNECT-DUMP", greeting+tt.answer)
			got, err := Anvil{path}.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, compare); diff != "" {
				t.Errorf("connections (-want +got):\n%s", diff)
			}
			if got, want := <-requests,
				"VERSION\tanvil-client\t2\t0\n\nCONNECT-DUMP\n"; got != want {
				t.Errorf("asked %q, want %q", got, want)
			}
		})
	}
}

func TestAnvilRefused(t *testing.T) {
	for answer, want := range map[string]string{
		"VERSION\tanvil-server\t1\t0\n\n\n":                    "no greeting",
		greeting + "\n77\talice\timap-login\n\n":               "3 columns",
		greeting + "\nx\talice\timap-login\t\t\t192.0.2.1\n\n": "no process id",
	} {
		path, _ := fakeServer(t, "anvil", "CONNECT-DUMP", answer)
		_, err := (Anvil{path}).List(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", answer, err, want)
		}
	}
}

func TestAnvilKicks(t *testing.T) {
	tests := []struct {
		kick func(Anvil) (int, error)
		asks string
	}{
		{func(a Anvil) (int, error) { return a.KickUsers(t.Context(), "al\tice") },
			"KICK-USER\tal\x01tice"},
		{func(a Anvil) (int, error) {
			return a.KickField(t.Context(), "user_a", "x", netip.Addr{})
		}, "KICK-ALT-USER\tuser_a\tx"},
		{func(a Anvil) (int, error) { return a.KickField(t.Context(), "user_a", "x", backend2) },
			"KICK-ALT-USER\tuser_a\tx\t2001:db8::2"},
	}
	for _, tt := range tests {
		path, requests := fakeServer(t, "anvil", "KICK", greeting+"3\n")
		if got, err := tt.kick(Anvil{path}); err != nil || got != 3 {
			t.Errorf("%q: %d, %v; want 3", tt.asks, got, err)
		}
		if got, want := <-requests, "VERSION\tanvil-client\t2\t0\n\n"+tt.asks+"\n"; got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
	}
	path, _ := fakeServer(t, "anvil", "KICK", greeting+"-1\n")
	_, err := (Anvil{path}).KickUsers(t.Context(), "alice")
	if err == nil || !strings.Contains(err.Error(), `"-1"`) {
		t.Errorf("error %v for an answer that is no count", err)
	}
}

// Many users are kicked over a few connections, and their numbers are added up.
func TestAnvilKicksMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anvil")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	connections := make(chan int, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections <- 1
			go func() {
				defer c.Close()
				io.WriteString(c, greeting)
				for lines := bufio.NewScanner(c); lines.Scan(); {
					if user, ok := strings.CutPrefix(lines.Text(), "KICK-USER\tuser"); ok {
						io.WriteString(c, user+"\n") // so many sessions
					}
				}
			}()
		}
	}()
	var users []string
	want := 0
	for i := range kicksAtOnce + 1 {
		users = append(users, fmt.Sprint("user", i))
		want += i
	}
	if got, err := (Anvil{path}).KickUsers(t.Context(), users...); err != nil || got != want {
		t.Errorf("%d, %v; want %d", got, err, want)
	}
	if n := len(connections); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	if got, err := (Anvil{path}).KickUsers(t.Context()); err != nil || got != 0 ||
		len(connections) != 2 {
		t.Errorf("nobody: %d, %v", got, err)
	}
}

func TestAnvilErrors(t *testing.T) {
	checkErrors(t, "CONNECT-DUMP", func(ctx context.Context, path string) error {
		_, err := Anvil{path}.List(ctx)
		return err
	})
}

func TestAdmin(t *testing.T) {
	path, requests := fakeServer(t, "77", "KICK-USER", "VERSION\tmaster-admin-server\t1\t0\n+2\n")
	if got, err := (Admin{}).KickUser(t.Context(), path, "al\tice"); err != nil || got != 2 {
		t.Errorf("kicked %d, %v; want 2", got, err)
	}
	if got, want := <-requests,
		"VERSION\tmaster-admin-client\t1\t0\nKICK-USER\tal\x01tice\n"; got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
	path, _ = fakeServer(
		t, "78", "KICK-USER", "VERSION\tmaster-admin-server\t1\t0\n-Unknown command\n")
	if _, err := (Admin{}).KickUser(t.Context(), path, "alice"); err == nil ||
		!strings.Contains(err.Error(), "Unknown command") {
		t.Errorf("error %v for a refusal", err)
	}
	checkErrors(t, "KICK-USER", func(ctx context.Context, path string) error {
		_, err := Admin{}.KickUser(ctx, path, "alice")
		return err
	})
}

func TestAdminProcesses(t *testing.T) {
	base := t.TempDir()
	for _, name := range []string{
		"srv.imap-login/77", "srv.imap-login/x", "srv.pop3-login/78", "srv.auth/79", "login/80",
	} {
		path := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Admin{base}.Processes()
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]string{
		77: filepath.Join(base, "srv.imap-login/77"), 78: filepath.Join(base, "srv.pop3-login/78"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("processes (-want +got):\n%s", diff)
	}
	if got, err := (Admin{filepath.Join(base, "none")}).Processes(); err != nil || len(got) > 0 {
		t.Errorf("without a Dovecot: %v, %v", got, err)
	}
}
