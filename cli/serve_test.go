package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/cli/daemon"
	"directormesh/cli/logtest"
)

// serve runs until a SIGTERM; SIGHUP reads the file again.
func TestServe(t *testing.T) {
	dir, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "director.yml")
	write := func(level string) {
		t.Helper()
		text := "bind: 127.0.0.1:0\nmail-servers: [192.0.2.1, 192.0.2.2@ssd]\nlog-level: " + level +
			"\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("info")

	signals := make(chan os.Signal)
	log := new(logtest.Buffer)
	ended := make(chan int, 1)
	go func() {
		ended <- Main(
			t.Context(), []string{"director", "serve", "--config", config, "--node-name", "d7"}, IO{
				Stdout: new(bytes.Buffer), Stderr: log, Version: "1.2.3", Signals: signals,
				LookupEnv: func(name string) (string, bool) {
					return dir, name == "DIRECTOR_RUN_DIR"
				},
			})
	}()
	until := func(what string, so func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !so(); {
			if time.Now().After(deadline) {
				t.Fatalf("%s: never; the log is\n%s", what, log)
			}
			<-time.After(pollInterval)
		}
	}
	socket := filepath.Join(dir, "director.sock")
	until("an answer", func() bool { return runCommand(t, "", "status", "-a", socket).status == 0 })
	r := runCommand(t, "", "status", "-a", socket)
	if !regexp.MustCompile(`192\.0\.2\.2 +ssd +100`).MatchString(r.stdout) {
		t.Errorf("the table of the file is not there: %+v", r)
	}
	until("the name of the flag in the log", func() bool { // which is written a little later
		return strings.Contains(log.String(), `"director":"d7"`)
	})
	write("debug")
	signals <- syscall.SIGHUP
	until("reload", func() bool {
		return strings.Contains(log.String(), `"reloaded":["log-level"]`)
	})
	signals <- syscall.SIGTERM
	if status := <-ended; status != 0 {
		t.Errorf("exit status %d; the log is\n%s", status, log)
	}
}

// A socket that belongs to another director is no configuration error, but says what to do.
func TestServeTwice(t *testing.T) {
	dir, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	args := []string{
		"serve", "--run-dir", dir, "--bind", "127.0.0.1:0", "--log-level", "error", "--node-name",
		"d1",
	}
	signals := make(chan os.Signal, 1)
	ended := make(chan int, 1)
	first := new(logtest.Buffer)
	go func() {
		ended <- Main(t.Context(), append([]string{"director"}, args...), IO{
			Stdout: new(bytes.Buffer), Stderr: first, Signals: signals,
			LookupEnv: func(string) (string, bool) { return "", false },
		})
	}()
	for deadline := time.Now().Add(20 * time.Second); runCommand(t, "", "status", "-a",
		filepath.Join(dir, "director.sock")).status != 0; {
		if time.Now().After(deadline) {
			t.Fatalf("the first one does not start: %s", first)
		}
		<-time.After(pollInterval)
	}
	r := runCommand(t, "", args...)
	if r.status != exitTemporary ||
		!strings.HasPrefix(r.stderr, "Error: run-dir: another process serves ") {
		t.Errorf("the second one: %+v", r)
	}
	signals <- syscall.SIGTERM
	if status := <-ended; status != 0 {
		t.Errorf("the first one: exit status %d, %s", status, first)
	}
}

// A Dovecot whose LMTP asks for another user than logins do is seen by --check; one that cannot be
// asked, or is not there, is no trouble.
func TestCheckAsksDoveconf(t *testing.T) {
	const good = "settings are good"
	for _, test := range []struct {
		name, script string
		more         []string
		warns        bool
	}{
		{"no Dovecot", "", nil, false},
		{"same", `echo 'auth_username_format = %{user | lower}'`, nil, false},
		{"Debian 13", `case "$*" in
*protocol=lmtp*) echo 'auth_username_format = %{user | username | lower}';;
*) echo 'auth_username_format = %{user | lower}';;
esac`, nil, true},
		{"not asked by LMTP", `echo "auth_username_format = $*"`,
			[]string{"--userdb-socket="}, false},
		{"fails", "echo 'doveconf: Fatal: no' >&2; exit 89", nil, false},
		{"says something else", "echo hello", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if test.script != "" {
				script := "#!/bin/sh\n" + test.script + "\n"
				err := os.WriteFile(filepath.Join(dir, "doveconf"), []byte(script), 0o755)
				if err != nil {
					t.Fatal(err)
				}
			}
			var stderr bytes.Buffer
			args := []string{"director", "serve", "--check", "--run-dir", dir, "--node-name", "d1",
				"--bind", "127.0.0.1:0"}
			status := Main(t.Context(), append(args, test.more...), IO{
				Stdout: new(bytes.Buffer), Stderr: &stderr,
				LookupEnv: func(name string) (string, bool) {
					if name != "PATH" {
						return "", false
					}
					return "/none:" + dir, true
				},
			})
			said := stderr.String()
			if status != 0 || !strings.Contains(said, good) {
				t.Errorf("exit status %d: %s", status, said)
			}
			if strings.Contains(said, "LMTP") != test.warns || strings.Count(said, "\n") > 2 {
				t.Errorf("said: %s", said)
			}
		})
	}
}

// A start waits for name servers that do not answer, and says so once; nothing else is waited for.
func TestWaitsForNameServers(t *testing.T) {
	late := &daemon.ConfigError{} // nothing is wrong with what could be read
	wrong := &daemon.ConfigError{Problems: []daemon.Problem{
		{Setting: "bind", Err: errors.New("is wrong")},
	}}
	for _, test := range []struct {
		name    string
		answers []error // one after the other, the last one for good
		signal  os.Signal
		loads   int
		waited  time.Duration
		want    error
		said    int
	}{
		{"at once", []error{nil}, nil, 1, 0, nil, 0},
		{"wrong", []error{wrong}, nil, 1, 0, wrong, 0},
		{"late", []error{late, late, nil}, nil, 3, 2 * namePause, nil, 1},
		{"late and wrong", []error{late, wrong}, nil, 2, namePause, wrong, 1},
		{"told to end", []error{late}, syscall.SIGTERM, 1, 0, context.Canceled, 1},
		{"told to read again", []error{late, nil}, syscall.SIGHUP, 2, 0, nil, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			var stderr bytes.Buffer
			signals := make(chan os.Signal, 1)
			if test.signal != nil {
				signals <- test.signal
			}
			inv := &invocation{IO: IO{Stderr: &stderr, Signals: signals}}
			began, loads := time.Now(), 0
			_, err := inv.loadPatiently(t.Context(), func() (daemon.Options, error) {
				loads++
				return daemon.Options{}, test.answers[min(loads, len(test.answers))-1]
			})
			if !errors.Is(err, test.want) || loads != test.loads ||
				time.Since(began) != test.waited {
				t.Errorf("%s: %v after %v and %d loads", test.name, err, time.Since(began), loads)
			}
			said := strings.Count(stderr.String(), "trying again until name servers answer")
			if said != test.said {
				t.Errorf("%s: said %d times: %s", test.name, said, &stderr)
			}
		})
	}
}
