//go:build e2e

package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"directormesh/cli/door/webauth/webauthtest"
)

// access is a mesh of two with a key, whose first director serves HTTPS at 127.0.0.101: user:alice
// and cert:ops.example.org are admins, user:bob is a reader, and user:guest is nobody. Passwords
// are the names.
type access struct {
	*mesh
	addr  string // of HTTPS
	files *webauthtest.Files
}

// accessFlags are those of a director that serves HTTPS.
func accessFlags(addr string, files *webauthtest.Files) []string {
	return []string{
		"--http", addr, "--web-config-file", files.Config(),
		"--http-admins", "user:alice,cert:ops.example.org", "--http-readers", "user:bob",
		"--http-hosts", "127.0.0.101",
	}
}

func startAccess(t *testing.T) *access {
	t.Helper()
	m := newMesh(t, 2, "--mail-servers", "192.0.2.1-192.0.2.4")
	key := m.keyFile("mesh", testKey)
	d1 := m.directors[0]
	a := &access{
		mesh:  m,
		addr:  netip.AddrPortFrom(d1.addr.Addr(), freePort(t, d1.addr.Addr())).String(),
		files: webauthtest.NewFiles(t, m.dir, "127.0.0.101"),
	}
	a.configure("alice", "bob", "guest")
	for name, pair := range map[string]string{"ops": "ops.example.org", "other": "x.example.org"} {
		cert, key := a.files.Authority.Issue(t, 2*time.Hour, pair)
		a.files.Write(name+".crt", string(cert))
		a.files.Write(name+".key", string(key))
	}
	for _, name := range []string{"alice", "bob", "guest", "wrong"} {
		a.files.Write(name, name+"\n")
	}
	d1.flags = append(d1.flags, accessFlags(a.addr, a.files)...)
	for _, d := range m.directors {
		d.flags = append(d.flags, "--encrypt-key-file", key)
		d.start()
	}
	m.awaitSynced(10*time.Second, m.directors...)
	return a
}

// configure writes the web configuration file with these users, whose hashes cost as much as those
// of people do.
func (a *access) configure(users ...string) {
	a.t.Helper()
	text := webauthtest.Text(a.t, []string{
		"client_ca_file: ca.crt", "client_auth_type: VerifyClientCertIfGiven",
	}, nil)
	text += "basic_auth_users:\n"
	for _, user := range users {
		hash, err := bcrypt.GenerateFromPassword([]byte(user), 10)
		if err != nil {
			a.t.Fatal(err)
		}
		text += "  " + user + ": " + string(hash) + "\n"
	}
	a.files.Write("web.yml", text)
}

// as are the flags of a command that asks over HTTPS.
func (a *access) as(words ...string) []string {
	all := append([]string{"-a", "https://" + a.addr, "--ca", a.files.Path("ca.crt")}, words...)
	for i, word := range all {
		if name, ok := strings.CutPrefix(word, "FILE:"); ok {
			all[i] = a.files.Path(name)
		}
	}
	return all
}

// visitor asks over HTTPS from an address of this machine.
type visitor struct {
	*http.Client
	base string
}

// visitor returns a visitor, whose connections end with the test.
func (a *access) visitor(from string) *visitor {
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: a.files.Authority.Pool()},
		DialContext: (&net.Dialer{
			Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)},
		}).DialContext,
		MaxIdleConnsPerHost: 8,
	}
	a.t.Cleanup(transport.CloseIdleConnections)
	return &visitor{
		&http.Client{Transport: transport, Timeout: 30 * time.Second}, "https://" + a.addr,
	}
}

// ask makes a request as a user, "" for nobody, and returns the status; 0 if there was no answer.
// Headers are pairs of a name and a value.
func (v *visitor) ask(
	user, password, method, path, body string, header ...string,
) (status int, answer string) {
	req, err := http.NewRequest(method, v.base+path, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Content-Type", "application/json")
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := v.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(raw)
}

// TestAccessEdits empties, breaks, deletes and mends the web configuration file again and again, as
// careless people do, while clients poll over old connections and new ones. Nobody without a
// password gets an answer, and each right user gets one.
func TestAccessEdits(t *testing.T) {
	t.Parallel() // it mostly waits
	a := startAccess(t)
	good, err := os.ReadFile(a.files.Config())
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var polling sync.WaitGroup
	var asked, answered atomic.Int64
	poll := func(from, user string, want int, fresh bool) {
		polling.Go(func() {
			v := a.visitor(from)
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				if fresh {
					v.CloseIdleConnections()
				}
				status, body := v.ask(user, user, http.MethodGet, "/v1/backends", "")
				if status != want {
					t.Errorf("%q gets %d, want %d: %s", user, status, want, body)
					return
				}
				if asked.Add(1); status == 200 {
					answered.Add(1)
				}
			}
		})
	}
	for i, fresh := range []bool{false, true, true} {
		poll(fmt.Sprintf("127.0.5.%d", i+1), "", 401, fresh)
		poll(fmt.Sprintf("127.0.5.%d", i+11), "bob", 200, fresh)
	}
	spoil := func(content []byte) {
		if err := os.WriteFile(a.files.Config(), content, 0o600); err != nil { // not at once
			t.Error(err)
		}
	}
	for range 3 {
		for _, content := range [][]byte{
			nil, good[:len(good)/2], []byte("{}\n"), []byte("tls_server_config: [\n"),
			[]byte(webauthtest.Text(t, nil, nil)), good,
		} {
			spoil(content)
			pause(t, 600*time.Millisecond)
		}
		if err := os.Remove(a.files.Config()); err != nil {
			t.Fatal(err)
		}
		pause(t, 1500*time.Millisecond)
		spoil(good)
	}
	close(stop)
	polling.Wait()
	if asked.Load() < 1000 || answered.Load() < 300 {
		t.Errorf("only %d questions and %d answers", asked.Load(), answered.Load())
	}
	t.Logf("%d questions, %d answers", asked.Load(), answered.Load())
	d1 := a.directors[0]
	if n := strings.Count(d1.log(), "the last good one stays in use"); n < 5 {
		t.Errorf("%d lines about bad files", n)
	}
	v := a.visitor("127.0.5.1")
	a.configure("alice")
	within(t, 5*time.Second, func() error {
		if status, _ := v.ask("bob", "bob", http.MethodGet, "/v1/backends", ""); status != 401 {
			return fmt.Errorf("who was taken out of the file gets %d", status)
		}
		return nil
	})
	if got := metricsOf(t, d1)["director_web_config_good"]; got != 1 {
		t.Errorf("director_web_config_good is %v", got)
	}
}

// TestAccessCommands asks and changes over HTTPS by commands. A wrong password of one user is not
// forgiven for the certificate of another.
func TestAccessCommands(t *testing.T) {
	a := startAccess(t)
	d1 := a.directors[0]
	ops := []string{"--cert", "FILE:ops.crt", "--key", "FILE:ops.key"}
	for _, tt := range []struct {
		words  []string
		status int
		says   string // an expression for stderr
	}{
		{[]string{"status"}, 65, "must know who asks"},
		{[]string{"status", "--user", "bob", "--password-file", "FILE:bob"}, 0, ""},
		{[]string{"down", "192.0.2.1", "--user", "bob", "--password-file", "FILE:bob"}, 65,
			"user:bob may only ask queries"},
		{[]string{"lookup", "x", "--user", "bob", "--password-file", "FILE:bob"}, 65, "only ask"},
		{[]string{"status", "--user", "guest", "--password-file", "FILE:guest"}, 65, "no role"},
		{[]string{"status", "--cert", "FILE:other.crt", "--key", "FILE:other.key"}, 65,
			"cert:x.example.org has no role"},
		{append([]string{"down", "192.0.2.1", "--user", "bob", "--password-file", "FILE:wrong"},
			ops...), 65, "user or password is wrong"},
		{append([]string{"down", "192.0.2.1", "--user", "bob", "--password-file", "FILE:bob"},
			ops...), 65, "user:bob may only ask"},
		{append([]string{"lookup", "x"}, ops...), 0, ""},
		{append([]string{"down", "192.0.2.1"}, ops...), 0, ""},
		{[]string{"down", "192.0.2.2", "--user", "alice", "--password-file", "FILE:alice"}, 0, ""},
	} {
		got := runCommand(t, a.as(tt.words...)...)
		if tt.says != "" {
			checkFails(t, got, tt.status, tt.says)
		} else if got.status != 0 {
			t.Errorf("%v: %d %s", tt.words, got.status, got.stderr)
		}
	}
	a.files.Write("names", strings.Join(users("many", 5000), "\n")+"\n")
	many := runCommand(t, a.as("lookup", "-f", "FILE:names", "--user", "alice",
		"--password-file", "FILE:alice")...)
	if many.status != 0 || strings.Count(many.stdout, "192.0.2.") != 5000 {
		t.Errorf("lookups of a file: %d, %d answers: %s", many.status,
			strings.Count(many.stdout, "192.0.2."), many.stderr)
	}
	if text := table(t, d1); strings.Count(text, "down") != 2 {
		t.Errorf("two backends should be down:\n%s", text)
	}
	for _, who := range []string{"user:alice", "cert:ops.example.org"} {
		if !strings.Contains(d1.log(), fmt.Sprintf(`"who":%q`, who)) {
			t.Errorf("no change of %s is logged", who)
		}
	}
	if strings.Contains(d1.log(), `"who":"user:bob","door"`) {
		t.Error("a change of a reader is logged")
	}
}

// TestAccessForeignPages sends what a page of another site could have an admin's browser send,
// which knows the password.
func TestAccessForeignPages(t *testing.T) {
	a := startAccess(t)
	v := a.visitor("127.0.5.1")
	before := table(t, a.directors[0])
	const path, body = "/v1/backends/down", `{"ip":"192.0.2.1"}`
	own := "https://" + a.addr
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site", "Origin", own},
		{"Origin", "https://evil.example.org"}, {"Origin", "null"}, {"Origin", "http://" + a.addr},
		{"Host", "evil.example.org"}, {"Host", "evil.example.org", "Origin",
			"https://evil.example.org", "Sec-Fetch-Site", "same-origin"},
		{"Content-Type", "text/plain"}, {"Content-Type", "application/x-www-form-urlencoded"},
		{"Content-Type", "multipart/form-data; boundary=x"},
	} {
		status, answer := v.ask("alice", "alice", http.MethodPost, path, body, header...)
		if status != 403 && status != 400 {
			t.Errorf("%v: %d %s", header, status, answer)
		}
	}
	if after := table(t, a.directors[0]); after != before {
		t.Errorf("the table has changed:\n%s", after)
	}
	status, answer := v.ask("alice", "alice", http.MethodPost, path, body,
		"Origin", own, "Sec-Fetch-Site", "same-origin")
	if status != 200 || table(t, a.directors[0]) == before {
		t.Errorf("the own page: %d %s", status, answer)
	}
}

// TestAccessReload gives a running director other roles and hosts by SIGHUP.
func TestAccessReload(t *testing.T) {
	dir := t.TempDir()
	ip := netip.MustParseAddr("127.0.0.101")
	files := webauthtest.NewFiles(t, dir, ip.String())
	files.Configure(nil, map[string]string{"alice": "alice", "bob": "bob"})
	addr := netip.AddrPortFrom(ip, freePort(t, ip)).String()
	settings := func(admins, hosts string) {
		files.Write("director.yaml", fmt.Sprintf("mail-servers: 192.0.2.1-192.0.2.4\nhttp: %q\n"+
			"web-config-file: %s\nhttp-admins: %s\nhttp-hosts: %s\n",
			addr, files.Config(), admins, hosts))
	}
	m := newMesh(t, 1, "--config", files.Path("director.yaml"))
	settings("user:alice", "127.0.0.101")
	d := m.directors[0]
	d.start()
	m.awaitSynced(10*time.Second, d)
	v := (&access{mesh: m, addr: addr, files: files}).visitor("127.0.5.1")
	expect := func(user string, want int) {
		t.Helper()
		within(t, 5*time.Second, func() error {
			status, body := v.ask(user, user, http.MethodPost, "/v1/lookup", `{"user":"x"}`)
			if status != want {
				return fmt.Errorf("%s gets %d, want %d: %s", user, status, want, body)
			}
			return nil
		})
	}
	expect("alice", 200)
	expect("bob", 403)
	settings("user:bob", "127.0.0.101")
	d.signal(syscall.SIGHUP)
	expect("bob", 200)
	expect("alice", 403)
	settings("user:bob", "elsewhere.example.org")
	d.signal(syscall.SIGHUP)
	expect("bob", 403)
	settings("bob", "127.0.0.101") // no name of a kind: nothing changes
	d.signal(syscall.SIGHUP)
	within(t, 5*time.Second, func() error {
		if !strings.Contains(d.log(), "settings not reloaded, nothing has changed") {
			return fmt.Errorf("no line about wrong settings")
		}
		return nil
	})
	expect("bob", 403)
}

// TestAccessNeedsUsers starts directors whose web configuration would let somebody in whom nobody
// knows: each refuses with one line.
func TestAccessNeedsUsers(t *testing.T) {
	m := newMesh(t, 1)
	files := webauthtest.NewFiles(t, m.dir, "127.0.0.101")
	anybody := []string{"client_auth_type: RequireAnyClientCert"}
	for name, text := range map[string]string{
		"asks for no TLS":            "basic_auth_users: {}\n",
		"asks nobody who they are":   webauthtest.Text(t, nil, nil),
		"verifies no certificate":    webauthtest.Text(t, anybody, nil),
		"cannot be read":             "",
		"not what a web config":      "tls_server_config: [",
		"no bcrypt hash":             webauthtest.Text(t, nil, nil) + "basic_auth_users: {a: b}\n",
		"director.crt cannot be rea": "",
	} {
		files.Write("web.yml", text)
		gone := map[string]string{
			"cannot be read": "web.yml", "director.crt cannot be rea": "director.crt",
		}[name]
		if gone != "" {
			files.Configure(nil, map[string]string{"a": "b"})
			if err := os.Rename(files.Path(gone), files.Path("gone")); err != nil {
				t.Fatal(err)
			}
		}
		args := append([]string{"serve", "--run-dir", filepath.Join(m.dir, "bad"), "--bind",
			"127.0.0.120:0"}, accessFlags("127.0.0.101:0", files)...)
		checkFails(t, runCommand(t, args...), 78, "web-config-file: .*"+name)
		if gone != "" {
			if err := os.Rename(files.Path("gone"), files.Path(gone)); err != nil {
				t.Fatal(err)
			}
		}
	}
	args := []string{"serve", "--run-dir", filepath.Join(m.dir, "bad"), "--bind", "127.0.0.120:0",
		"--http", "192.0.2.1:9443"}
	checkFails(t, runCommand(t, args...), 78, "http: .*give --web-config-file")
}
