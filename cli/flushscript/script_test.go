package flushscript

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/ring"
)

var moved = Flush{
	Hash: 3045693125,
	Old:  ring.Backend{Addr: netip.MustParseAddr("192.0.2.1"), VHosts: 50, Down: true},
	New:  netip.MustParseAddr("192.0.2.2"),
}

const wantRequest = "VERSION\tscript\t4\t0\n-\nFLUSH\n3045693125\n192.0.2.1\n192.0.2.2\n" +
	"down\n50\n\n"

func TestParse(t *testing.T) {
	bad := map[string]string{
		"":                         "does not begin with",
		"/run/flush":               "does not begin with",
		"http://192.0.2.1":         "does not begin with",
		"unix:":                    "names nothing",
		"unix:run/flush":           "absolute",
		"exec:flush":               "absolute",
		"tcp:192.0.2.1":            "HOST:PORT",
		"tcp:192.0.2.1:0":          "no port",
		"tcp:192.0.2.1:smtp":       "no port",
		"tcp:[2001:db8::1]:70000":  "no port",
		"unix:/run/%x":             "unknown variable",
		"unix:/run/flush%":         "lone %",
		"exec:/usr/bin/flush%%%":   "lone %",
		"tcp:%i.example.org%z:999": "unknown variable",
	}
	for uri, want := range bad {
		if _, err := Parse(uri); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): error %v, want one with %q", uri, err, want)
		}
	}
}

func TestTargets(t *testing.T) {
	six := moved
	six.New = netip.MustParseAddr("2001:db8::1")
	named := moved
	named.NewName = "b2.example.org"
	tests := []struct {
		uri   string
		flush Flush
		want  string
	}{
		{"unix:/run/flush", moved, "/run/flush"},
		{"unix:/run/%i/%h-100%%", moved, "/run/192.0.2.2/192.0.2.2-100%"},
		{"unix:/run/%i/%h", named, "/run/192.0.2.2/b2.example.org"},
		{"tcp:%i:999", moved, "192.0.2.2:999"},
		{"tcp:%i:999", six, "[2001:db8::1]:999"},
		{"tcp:[%i]:999", six, "[2001:db8::1]:999"},
		{"tcp:%h:999", six, "[2001:db8::1]:999"},
		{"tcp:%h:999", named, "b2.example.org:999"},
		{"exec:/bin/%i", six, "/bin/2001:db8::1"},
	}
	for _, tt := range tests {
		s, err := Parse(tt.uri)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.at(tt.flush); err != nil || got != tt.want {
			t.Errorf("%s: target %q, %v; want %q", tt.uri, got, err, tt.want)
		}
	}
}

// serve answers one connection and returns what was asked.
func serve(t *testing.T, l net.Listener, answer string) <-chan string {
	t.Helper()
	asked := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			asked <- err.Error()
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		request := make([]byte, len(wantRequest))
		n, _ := io.ReadFull(c, request)
		asked <- string(request[:n])
		io.WriteString(c, answer)
	}()
	return asked
}

func TestSockets(t *testing.T) {
	tests := []struct {
		name, answer string
		want         string // in the error; "": none
	}{
		{"success", "+\n", ""},
		{"success with text", "flushed\nall of it\n+\n", ""},
		{"failure", "-\n", "failed"},
		{"failure with a reason", "disk full\n-\n", `"disk full"`},
		{"nothing", "", "ended without"},
		{"no last line", "+", "ended without"},
		{"something else", "what?\n", `"what?"`},
		{"too much", strings.Repeat("x\n", maxAnswer), "more than"},
	}
	for _, tt := range tests {
		for _, network := range []string{"unix", "tcp"} {
			t.Run(network+" "+tt.name, func(t *testing.T) {
				address := "127.0.0.1:0"
				if network == "unix" {
					address = filepath.Join(t.TempDir(), "flush")
				}
				l, err := net.Listen(network, address)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				asked := serve(t, l, tt.answer)
				s, err := Parse(network + ":" + l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				err = s.Run(t.Context(), moved)
				switch {
				case tt.want == "" && err != nil:
					t.Errorf("error %v", err)
				case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
					t.Errorf("error %v, want one with %q", err, tt.want)
				}
				if diff := cmp.Diff(wantRequest, <-asked); diff != "" {
					t.Errorf("request (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestUnreachable(t *testing.T) {
	s, err := Parse("unix:" + filepath.Join(t.TempDir(), "nobody"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context(), moved); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v without a socket", err)
	}
}

// A script that hangs is left when the time is up.
func TestHanging(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "flush"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := Parse("unix:" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Run(ctx, moved); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v from a script that hangs", err)
	}
}

func program(t *testing.T, body string) Script {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flush")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := Parse("exec:" + path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPrograms(t *testing.T) {
	out := filepath.Join(t.TempDir(), "args")
	if err := program(t, `printf '%s\n' "$@" >`+out).Run(t.Context(), moved); err != nil {
		t.Errorf("error %v", err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	diff := cmp.Diff("FLUSH\n3045693125\n192.0.2.1\n192.0.2.2\ndown\n50\n", string(got))
	if diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	if err := program(t, `echo disk full >&2; exit 1`).Run(t.Context(), moved); err == nil ||
		!strings.Contains(err.Error(), `"disk full"`) {
		t.Errorf("error %v does not tell what the program said", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	hangs := program(t, `sleep 1000 & wait`)
	if err := hangs.Run(ctx, moved); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v from a program that hangs", err)
	}
}

// A program gets little of the director's environment: no settings, no sockets.
func TestProgramEnvironment(t *testing.T) {
	t.Setenv("DIRECTOR_ENCRYPT_KEY_FILE", "/etc/keys")
	t.Setenv("LISTEN_FDS", "3")
	err := program(t, `env | grep -E "^(DIRECTOR_|LISTEN_|PATH=)"; exit 1`).Run(t.Context(), moved)
	if err == nil || !strings.Contains(err.Error(), "PATH=") {
		t.Fatalf("the program does not tell its environment: %v", err)
	}
	if got := err.Error(); strings.Contains(got, "DIRECTOR_") || strings.Contains(got, "LISTEN_") {
		t.Errorf("the program got %s", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, uri := range []string{
		"unix:/run/flush", "tcp:%i:999", "tcp:[%i]:1", "exec:/bin/%h", "exec:/%%", "tcp:[::1%i:1",
	} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		s, err := Parse(uri)
		if err != nil {
			return
		}
		if _, err := s.at(moved); err != nil {
			t.Errorf("%q was accepted, but cannot be expanded: %v", uri, err)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, answer := range []string{"", "+", "+\n", "-\n", "text\n-\n", "+\n\n"} {
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		err := readAnswer(strings.NewReader(answer))
		ok := answer == "+\n" || strings.HasSuffix(answer, "\n+\n")
		if len(answer) < maxAnswer && ok != (err == nil) {
			t.Errorf("%q: error %v", answer, err)
		}
	})
}
