package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A check as root says as whom it checked; a check as the director's user sees what that one may
// not read.
func TestCheckAs(t *testing.T) {
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	err := os.WriteFile(keys, []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	check := func(args ...string) (status int, said string) {
		cmd := exec.CommandContext(t.Context(), os.Args[0],
			append([]string{"serve", "--check", "--node-name", "d1"}, args...)...)
		cmd.Env = append(os.Environ(), "DIRECTOR_TEST_MAIN=1")
		out, _ := cmd.CombinedOutput() // the status tells
		return cmd.ProcessState.ExitCode(), strings.ReplaceAll(string(out), dir, "DIR")
	}
	type test struct {
		args   []string
		status int
		said   string
	}
	tests := []test{
		{[]string{"--as", "nobody", "--encrypt-key-file", keys},
			exitTemporary, "Error: only root can check as another user; run this as nobody\n"},
		{[]string{"--encrypt-key-file", keys}, 0, "settings are good\n"},
	}
	if os.Geteuid() == 0 {
		tests = []test{
			{[]string{"--encrypt-key-file", keys}, 0,
				"settings are good for root; if the director will run as another user, " +
					"check as that one with --as USER\n"},
			{[]string{"--as", "nobody", "--encrypt-key-file", keys}, exitConfig,
				"Error: encrypt-key-file: DIR/keys cannot be read: permission denied (from flag " +
					"--encrypt-key-file)\n"},
			{[]string{"--as", "nobody"}, 0, "settings are good for user nobody\n"},
			{[]string{"--as", "no-such-user"},
				exitTemporary, "Error: there is no user \"no-such-user\" on this host\n"},
		}
	}
	for _, tt := range tests {
		if status, said := check(tt.args...); status != tt.status || said != tt.said {
			t.Errorf("%v: %d %q, want %d %q", tt.args, status, said, tt.status, tt.said)
		}
	}
	if r := runCommand(t, "", "serve", "--as", "nobody"); r.status != exitUsage {
		t.Errorf("--as without --check: %+v", r)
	}
}
