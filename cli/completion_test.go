package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/door/httpapi/httpapitest"
)

// TestMain lets this test's program be the command line itself, for scripts that call it.
func TestMain(m *testing.M) {
	if os.Getenv("DIRECTOR_TEST_MAIN") != "" {
		os.Exit(Main(context.Background(), append([]string{"director"}, os.Args[1:]...), IO{
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv,
			Location: time.UTC, Resolve: testResolve,
			Root: os.Geteuid() == 0, Become: SystemBecome,
		}))
	}
	os.Exit(m.Run())
}

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
	completion := runCommand(t, "", "completion", "bash").stdout
	if err := os.WriteFile(script, []byte(completion), 0o600); err != nil {
		t.Fatal(err)
	}
	// The program is this test, which acts as the director's command line.
	program := filepath.Join(t.TempDir(), "director")
	self := "#!/bin/sh\nDIRECTOR_TEST_MAIN=1 exec " + quote(os.Args[0]) + " \"$@\"\n"
	if err := os.WriteFile(program, []byte(self), 0o700); err != nil {
		t.Fatal(err)
	}
	socket := httpapitest.Serve(t, httpapitest.Sample(), zerolog.Nop())
	const access = " --ca --cert --key --user --password-file"
	const changing, plans = "--addr -a --json --verbose -v", " --plan --if-plan"
	for line, want := range map[string]string{
		"director st":               "status",
		"director ring ":            "status add remove",
		"director ring st":          "status",
		"director -a X ring re":     "remove",
		"director flush --m":        "--max-parallel",
		"director ring status --":   "--addr --json --wait --timeout" + access + " --help",
		"director serve --user-exp": "--user-expire",
		// after a flag that takes a value comes a value, not a flag
		"director flush --max-parallel ":   "",
		"director flush --max-parallel --": "",
		"director serve --log-level ":      "debug info warn error",
		"director serve --log-level d":     "debug",
		"director bench --door l":          "login",
		"director completion ":             "bash zsh fish",
		"director man ":                    "director director.yaml",
		"director add ": changing + " --tag -t --standby --slow-start" + plans + access +
			" --help",
		"director flush --max-parallel 5 --w": "--watch",
		"director lookup -f FILE --js":        "--json",
		"director map -u add --ad":            "--addr",
		// backends and directors are asked for
		"PROGRAM -a SOCKET update ": "192.0.2.1 192.0.2.51 ::198.51.100.7",
		"PROGRAM update 192.0.2.5 -a SOCKET ": changing + " --slow-start" + plans + access +
			" --help",
		"PROGRAM update -a SOCKET 192.0.2.5":        "192.0.2.51",
		"PROGRAM flush -a SOCKET a":                 "all",
		"PROGRAM flush --max-parallel 5 -a SOCKET ": "all 192.0.2.1 192.0.2.51 ::198.51.100.7",
		"PROGRAM move alice -a SOCKET 192.0.2.5":    "192.0.2.51",
		"PROGRAM -a SOCKET ring remove 127.0.1":     "127.0.1.1 127.0.1.2 127.0.1.3 127.0.1.4",
		"PROGRAM down -a /no/such/socket ":          "",
	} {
		line = strings.NewReplacer("PROGRAM", program, "SOCKET", socket).Replace(line)
		words := strings.Split(line, " ")
		completes :=
			`. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _director; echo "${COMPREPLY[*]}"`
		out, err := exec.CommandContext(t.Context(), "bash",
			append([]string{"-c", completes, script}, words...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("bash: %v: %s", err, out)
		}
		if diff := cmp.Diff(want+"\n", string(out)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", line, diff)
		}
	}
}
