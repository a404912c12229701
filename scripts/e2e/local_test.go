//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestLocalUser is a user of the director's host without rights: no door but those of login
// processes opens, no file with a secret can be read, and --http answers queries alone.
func TestLocalUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	a := startAccess(t)
	d1 := a.directors[0]
	for _, name := range []string{
		"director.sock", "director-admin", "director-userdb", "director-authreply",
	} {
		path := filepath.Join(d1.runDir, name)
		if _, err := os.Stat(path); err != nil {
			continue // there is no Dovecot behind it
		}
		got := runAs(t, stranger(), "status", "-a", path)
		checkFails(t, got, 75, "permission denied")
	}
	for _, command := range [][]string{
		{"lookup", "alice"}, {"down", "192.0.2.1"}, {"flush", "all"}, {"kick", "alice"},
	} {
		got := runAs(t, stranger(), append(command, "-a", d1.socket())...)
		checkFails(t, got, 75, "permission denied")
	}
	for _, path := range []string{
		a.files.Config(), a.files.Path("director.key"), filepath.Join(a.dir, "mesh.key"),
		fmt.Sprintf("/proc/%d/environ", d1.cmd.Process.Pid),
		fmt.Sprintf("/proc/%d/mem", d1.cmd.Process.Pid),
	} {
		read := exec.Command("head", "-c", "1", path)
		read.SysProcAttr = &syscall.SysProcAttr{Credential: stranger()}
		if out, err := read.CombinedOutput(); err == nil {
			t.Errorf("%s can be read: %q", path, out)
		}
	}
	signal := exec.Command("/bin/kill", "-HUP", fmt.Sprint(d1.cmd.Process.Pid))
	signal.SysProcAttr = &syscall.SysProcAttr{Credential: stranger()}
	if err := signal.Run(); err == nil {
		t.Error("another user may signal the director")
	}
	must(t, d1, "status")
}

// TestSecretsStayOut does all that operators do, by names of users and with passwords, and looks
// for these and for the keys where others could see them: the log, the files of the run directory,
// all that is served, and the list of processes.
func TestSecretsStayOut(t *testing.T) {
	a := startAccess(t)
	d1 := a.directors[0]
	a.files.Write("bob-hunter2", "hunter2\n")
	a.files.Write("alice", "alice\n")
	const name = "very.secret.name"
	for _, command := range [][]string{
		{"lookup", name}, {"status", name}, {"move", name, "192.0.2.2"}, {"kick", name},
		{"flush", "all"}, {"map", "-u", name},
	} {
		runCommand(t, append(command, "-a", d1.socket())...)
	}
	runCommand(t, a.as("status", "--user", "bob", "--password-file", "FILE:bob-hunter2")...)
	v := a.visitor("127.0.5.1")
	if status, body := v.ask("alice", "alice", http.MethodGet, "/v1/backends", ""); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	key, err := os.ReadFile(a.files.Path("director.key"))
	if err != nil {
		t.Fatal(err)
	}
	web, err := os.ReadFile(a.files.Config())
	if err != nil {
		t.Fatal(err)
	}
	_, hash, _ := strings.Cut(string(web), "alice: ")
	secrets := []string{
		name, "hunter2", testKey, strings.Split(string(key), "\n")[1], strings.Fields(hash)[0],
	}
	shown := map[string]string{}
	for _, d := range a.directors {
		shown["log of "+d.name] = d.log()
		for _, of := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", d.cmd.Process.Pid, of))
			if err != nil {
				t.Fatal(err)
			}
			shown[of+" of "+d.name] = string(text)
		}
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", d.cmd.Process.Pid))
		if err != nil || !regexp.MustCompile(`Max core file size +0 `).Match(limits) {
			t.Errorf("%s may write core files: %v, %s", d.name, err, limits)
		}
	}
	for _, path := range []string{
		"/metrics", "/v1/director", "/v1/directors", "/v1/backends", "/v1/mappings", "/v1/flushes",
		"/readyz", "/v1/keys",
	} {
		_, shown[path] = v.ask("alice", "alice", http.MethodGet, path, "")
	}
	for what, text := range shown {
		if len(text) == 0 {
			t.Errorf("%s is empty", what)
		}
		for i, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s has secret number %d", what, i)
			}
		}
	}
	files, err := os.ReadDir(d1.runDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files { // the log is the test's
		if f.Type().IsRegular() && f.Name() != "log" {
			t.Errorf("the director has written a file: %s", f.Name())
		}
	}
}
