package kick

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// script writes a shell script and returns its path.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kick")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommandArguments(t *testing.T) {
	keep := netip.MustParseAddr("192.0.2.7")
	tests := []struct {
		name   string
		target Target
		want   []string
	}{
		{"by hash", Target{Tag: "ssd", ByHash: true, Hash: 3045693125, Keep: keep},
			[]string{"ssd", "3045693125", "192.0.2.7"}},
		{"by hash, keeping none", Target{ByHash: true, Hash: 1}, []string{"", "1", ""}},
		{"backend", Target{Tag: "ssd", Backend: keep}, []string{"--backend", "ssd", "192.0.2.7"}},
		{"user", Target{Value: "alice bob@example.org"},
			[]string{"--user", "alice bob@example.org"}},
		{"field", Target{Field: "user_mail", Value: "x"}, []string{"--field", "user_mail", "x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			line := script(t, `printf '%s\n' "$@" >"$1"; echo 3`) + "  " + out
			c, err := NewCommand(line, NewTurns(2))
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Kick(t.Context(), tt.target)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Result{Count: 3, Known: true}, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			raw, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Join(append([]string{out}, tt.want...), "\n") + "\n"
			if diff := cmp.Diff(want, string(raw)); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCommandCount(t *testing.T) {
	tests := []struct {
		output string
		want   Result
	}{
		{"0\n", Result{Known: true}},
		{" 12 \n", Result{Count: 12, Known: true}},
		{"", Result{}},
		{"some\n", Result{}},
		{"-1", Result{}},
		{"99999999999", Result{}},
		{"3 sessions", Result{}},
	}
	for _, tt := range tests {
		if got := parseCount(tt.output); got != tt.want {
			t.Errorf("parseCount(%q) = %+v, want %+v", tt.output, got, tt.want)
		}
	}
}

func TestCommandFailures(t *testing.T) {
	c, err := NewCommand(script(t, `echo 5; echo "ipc: no such file" >&2; exit 3`), NewTurns(1))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Kick(t.Context(), Target{ByHash: true, Hash: 1})
	if got != (Result{}) {
		t.Errorf("a failed command knows something: %+v", got)
	}
	if err == nil || !strings.Contains(err.Error(), "exit status 3") ||
		!strings.Contains(err.Error(), "ipc: no such file") {
		t.Errorf("error %v does not tell the exit status and what the command said", err)
	}
}

// A command that hangs is killed together with its children, and does not keep others from running
// for longer.
func TestCommandTimeout(t *testing.T) {
	c, err := NewCommand(script(t, `sleep 1000 & wait`), NewTurns(1))
	if err != nil {
		t.Fatal(err)
	}
	c.timeout = 50 * time.Millisecond
	began := time.Now()
	got, err := c.Kick(t.Context(), Target{ByHash: true, Hash: 1})
	if err == nil || !strings.Contains(err.Error(), "took too long") || got.Known {
		t.Errorf("got %+v, %v; want an error that says it took too long", got, err)
	}
	if took := time.Since(began); took >= waitDelay {
		t.Errorf("it took %v: a child kept the output open", took)
	}
}

// Who waits for a turn does so as long as the context lasts, and has all the time of a command
// then.
func TestCommandTurns(t *testing.T) {
	c, err := NewCommand(script(t, `echo 1`), NewTurns(1))
	if err != nil {
		t.Fatal(err)
	}
	free, err := c.turns.take(t.Context(), Target{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Kick(ctx, Target{}); err == nil ||
		!strings.Contains(err.Error(), "1 kicks are under way") {
		t.Errorf("error %v without a turn", err)
	}
	c.timeout = 10 * time.Second
	time.AfterFunc(50*time.Millisecond, free)
	if got, err := c.Kick(t.Context(), Target{}); err != nil ||
		got != (Result{Count: 1, Known: true}) {
		t.Errorf("%+v, %v after a wait; want one session", got, err)
	}
}

func TestNewCommandRefuses(t *testing.T) {
	for _, line := range []string{"", "   ", "/no/such/program", "no-such-program-anywhere"} {
		if _, err := NewCommand(line, NewTurns(1)); err == nil {
			t.Errorf("NewCommand(%q) gave no error", line)
		}
	}
}

// A command gets little of the director's environment: no settings, no sockets.
func TestCommandEnvironment(t *testing.T) {
	t.Setenv("DIRECTOR_ENCRYPT_KEY_FILE", "/etc/keys")
	t.Setenv("LISTEN_FDS", "3")
	t.Setenv("LANG", "C")
	out := filepath.Join(t.TempDir(), "out")
	c, err := NewCommand(script(t, `env >"$1"; echo 1`)+" "+out, NewTurns(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Kick(t.Context(), Target{Value: "bob"}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got := string(raw)
	if strings.Contains(got, "DIRECTOR_") || strings.Contains(got, "LISTEN_") {
		t.Errorf("the command got\n%s", got)
	}
	if !strings.Contains(got, "LANG=C\n") || !strings.Contains(got, "PATH=") {
		t.Errorf("the command lacks LANG or PATH:\n%s", got)
	}
}

func TestNone(t *testing.T) {
	got, err := (None{}).Kick(t.Context(), Target{ByHash: true})
	if err != nil || got != (Result{Blind: true}) {
		t.Errorf("None kicked: %+v, %v", got, err)
	}
}
