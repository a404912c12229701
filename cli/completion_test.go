package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The scripts of all shells change only when a command does.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		r := runCommand(t, "", "completion", shell)
		if r.status != 0 || r.stderr != "" {
			t.Errorf("%s: %+v", shell, r)
		}
		golden(t, "completion."+shell, r.stdout)
	}
}

// bash completes what it should.
func TestBashCompletion(t *testing.T) {
	script := filepath.Join(t.TempDir(), "director")
	if err := os.WriteFile(script, []byte(runCommand(t, "", "completion", "bash").stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"director st":               "status",
		"director ring ":            "status add remove",
		"director ring st":          "status",
		"director -a X ring re":     "remove",
		"director flush --m":        "--max-parallel",
		"director ring status --":   "--addr --json --wait --timeout --help",
		"director serve --user-exp": "--user-expire",
	} {
		words := strings.Split(line, " ")
		program := `. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _director; echo "${COMPREPLY[*]}"`
		out, err := exec.CommandContext(t.Context(), "bash", append([]string{"-c", program, script}, words...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("bash: %v: %s", err, out)
		}
		if diff := cmp.Diff(want+"\n", string(out)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", line, diff)
		}
	}
}
