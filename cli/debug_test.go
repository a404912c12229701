package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/daemon"
)

// unpack returns the files of a bundle by their names.
func unpack(t *testing.T, bundle []byte) map[string]string {
	t.Helper()
	packed, err := gzip.NewReader(bytes.NewReader(bundle))
	if err != nil {
		t.Fatal(err)
	}
	parts := make(map[string]string)
	for files := tar.NewReader(packed); ; {
		head, err := files.Next()
		if err == io.EOF {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		parts[strings.TrimPrefix(head.Name, "director-debug/")] = string(text)
	}
}

// A bundle of a director that knows keys, passwords and users has what helps, and none of these.
func TestDebugHasNoSecrets(t *testing.T) {
	dir, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	key := daemon.NewKey()
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	options, err := daemon.Load(map[string]string{
		"node-name": "d1", "bind": "127.0.0.1:0", "mail-servers": "192.0.2.1-192.0.2.2",
		"run-dir": filepath.Join(dir, "run"), "encrypt-key-file": write("keys", key+"\n"),
		"auth-login-socket": "", "auth-userdb-socket": "",
		"health-check": "imap:1", "health-login": write("login", "proberuser:proberword"),
		"kick-command":  "true --password=kickerword",
		"event-command": "true --password=hookword",
		"event-url":     "http://hookuser:hookword@127.0.0.1:1/pathword?token=tokenword",
		"event-kinds":   "keys", "log-level": "error",
	}, "", daemon.SystemEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	d, err := daemon.New(daemon.Config{Options: options, Version: "1.2.3", LogOutput: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, nil) }()
	t.Cleanup(func() { cancel(); <-ended })
	if err := d.WaitSynced(ctx); err != nil {
		t.Fatal(err)
	}
	socket := options.SocketPath()
	client, err := api.NewClient(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if _, err := client.Lookup(ctx, api.LookupRequest{User: "alice@example.org"}); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{
		"move alice@example.org 192.0.2.2", "kick bob@example.org", "kick -f user_x fieldword",
		"status carol@example.org", "update 192.0.2.1 50",
	} {
		if r := runCommand(t, "", append(strings.Fields(command), "-a", socket)...); r.status != 0 {
			t.Fatalf("%s: %+v", command, r)
		}
	}
	// All of that must be among the events, or the test shows nothing.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		r := runCommand(t, "", "watch", "--once", "-a", socket)
		if strings.Contains(r.stdout, "update 192.0.2.1") {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the events do not tell of the commands: %+v", r)
		}
	}

	path := filepath.Join(dir, "bundle")
	if r := runCommand(t, "", "debug", "-o", path, "-a", socket); r.status != 0 || r.stdout != "" {
		t.Fatalf("%+v", r)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v", err, info.Mode())
	}
	bundle, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts := unpack(t, bundle)
	for _, part := range debugParts {
		if len(parts[part.name]) < 10 {
			t.Errorf("%s has %q", part.name, parts[part.name])
		}
	}
	for part, want := range map[string]string{
		"settings.json": `"name":"encrypt-key-file","value":"` + dir, "about.txt": "release 1.2.3",
		"backends.json": `"vhosts":50`, "doctor.json": `"verdict"`,
		"goroutines.txt": "goroutine profile:", "metrics.txt": "director_",
	} {
		if !strings.Contains(parts[part], want) {
			t.Errorf("%s lacks %q: %.300s", part, want, parts[part])
		}
	}
	for _, secret := range []string{
		key, strings.TrimRight(key, "="), hex.EncodeToString(raw), string(raw),
		"alice", "bob", "carol", "fieldword", "proberuser", "proberword", "kickerword", "hookword",
		"hookuser", "pathword", "tokenword",
	} {
		for name, text := range parts {
			if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
				t.Errorf("%s has %q", name, secret)
			}
		}
	}
	if r := runCommand(t, "", "debug", "-o", path, "-a", socket); r.status != exitTemporary {
		t.Errorf("a file that is there is overwritten: %+v", r)
	}
}
