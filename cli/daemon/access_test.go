package daemon

import (
	"crypto/tls"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/door/audit"
	"directormesh/cli/door/webauth/webauthtest"
	"directormesh/cli/handover"
)

const accessHost = "director1.example.org"

// accessOptions are those of a director that serves HTTPS: user:alice is an admin, user:bob a
// reader. It returns the files too.
func accessOptions(t *testing.T, more map[string]string) (Options, *webauthtest.Files) {
	t.Helper()
	files := webauthtest.NewFiles(t, t.TempDir(), accessHost)
	files.Configure(nil, map[string]string{"alice": "secret", "bob": "bobs"})
	options, err := Load(accessFlags(t, files, more), "", accessEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	return options, files
}

func accessEnvironment() Environment {
	env := testEnvironment(nil, nil)
	env.ReadFile = os.ReadFile
	env.Mode = func(path string) (fs.FileMode, error) {
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		return info.Mode(), nil
	}
	return env
}

func accessFlags(
	t *testing.T, files *webauthtest.Files, more map[string]string,
) map[string]string {
	t.Helper()
	flags := map[string]string{
		"node-name": "d1", "bind": "127.0.0.1:0", "mail-servers": "192.0.2.1-192.0.2.2",
		"run-dir": socketDir(t), "http": "127.0.0.1:0", "web-config-file": files.Config(),
		"http-admins": "user:alice", "http-readers": "user:bob", "http-hosts": accessHost,
	}
	for name, value := range more {
		flags[name] = value
	}
	return flags
}

// TestAccessSettings loads settings that would let somebody in whom nobody knows, or that could
// have no effect.
func TestAccessSettings(t *testing.T) {
	files := webauthtest.NewFiles(t, t.TempDir(), accessHost)
	files.Configure(nil, map[string]string{"alice": "secret"})
	files.Write("open.yml", webauthtest.Text(t, nil, nil))
	for _, tt := range []struct {
		name  string
		flags map[string]string
		want  string // "": no problem
	}{
		{"all", nil, ""},
		{"any address", map[string]string{"http": "0.0.0.0:9443"}, ""},
		{"no address", map[string]string{"http": ""}, ""},
		{"nobody", map[string]string{"http-admins": "", "http-readers": "", "http-hosts": ""}, ""},
		{"any address without a file", map[string]string{"http": "0.0.0.0:9443",
			"web-config-file": "", "http-admins": "", "http-readers": ""},
			"http: \"0.0.0.0:9443\" is not a loopback address"},
		{"names without a file", map[string]string{"web-config-file": "", "http-admins": ""},
			"http-readers: nobody can prove a name without --web-config-file"},
		{"admins without a file", map[string]string{"web-config-file": "", "http-readers": ""},
			"http-admins: nobody can prove a name without --web-config-file"},
		{"admins without hosts", map[string]string{"http-hosts": ""}, "http-hosts: is empty"},
		{"name of no kind", map[string]string{"http-admins": "alice"},
			"http-admins: \"alice\" is not user:NAME or cert:NAME"},
		{"no host", map[string]string{"http-hosts": "https://x"}, "http-hosts: "},
		{"no address at all", map[string]string{"http": "x"}, "http: \"x\" is not IP:PORT"},
		{"a file that lets everybody in", map[string]string{
			"web-config-file": files.Path("open.yml")},
			"web-config-file: " + files.Path("open.yml") + ": asks nobody who they are"},
		{"no file", map[string]string{"web-config-file": files.Path("none.yml")},
			"web-config-file: " + files.Path("none.yml") + " cannot be read"},
	} {
		_, err := Load(accessFlags(t, files, tt.flags), "", accessEnvironment())
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want) ||
			strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
	for _, secret := range []string{"director.key", "web.yml"} {
		if err := os.Chmod(files.Path(secret), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Load(accessFlags(t, files, nil), "", accessEnvironment())
		if err == nil || !strings.Contains(err.Error(), secret+" has mode 0644") {
			t.Errorf("a %s that all can read: %v", secret, err)
		}
		if err := os.Chmod(files.Path(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// askHTTPS makes a request and returns the status and the body.
func askHTTPS(
	t *testing.T, at string, files *webauthtest.Files, method, user string,
) (int, string) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: files.Authority.Pool(), ServerName: accessHost,
	}}
	defer transport.CloseIdleConnections()
	url, body := "https://"+at, ""
	if method == http.MethodPost {
		url, body = url+"/v1/backends/update", `{"ip":"192.0.2.1","vhosts":50}`
	} else {
		url += "/v1/backends"
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = accessHost
	req.Header.Set("Content-Type", "application/json")
	if name, password, ok := strings.Cut(user, ":"); ok {
		req.SetBasicAuth(name, password)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// TestAccess asks a director over HTTPS, and gives it other roles, hosts and users as it runs.
func TestAccess(t *testing.T) {
	options, files := accessOptions(t, nil)
	flags := make(chan map[string]string, 1)
	r := start(t, options, func() (Options, error) {
		return Load(accessFlags(t, files, <-flags), "", accessEnvironment())
	})
	r.state(t, "READY=1")
	const get, post = http.MethodGet, http.MethodPost
	expect := func(method, user string, want int) {
		t.Helper()
		if status, body := askHTTPS(t, r.HTTPAddr().String(), files, method, user); status != want {
			t.Errorf("%s as %q: %d, want %d: %s", method, user, status, want, body)
		}
	}
	reload := func(more map[string]string) {
		t.Helper()
		more["run-dir"] = options.RunDir
		r.signals <- syscall.SIGHUP
		flags <- more
		r.signals <- syscall.SIGHUP // taken when the first is done
		flags <- more
	}
	expect(get, "", 401)
	expect(get, "alice:secret", 200)
	expect(post, "alice:secret", 200)
	expect(post, "bob:bobs", 403)
	line := r.log.Await("admin change", 10*time.Second)
	if line == nil || line["who"] != "user:alice" || line["from"] == nil {
		t.Errorf("line %v of the change", line)
	}

	reload(map[string]string{"http-admins": "user:bob", "http-readers": ""})
	r.log.Await("settings reloaded", 10*time.Second)
	if line := r.log.Line("settings reloaded"); cmp.Diff(
		[]any{"http-readers", "http-admins"}, line["reloaded"]) != "" {
		t.Errorf("line %v", line)
	}
	expect(get, "alice:secret", 403)
	expect(post, "bob:bobs", 200)
	reload(map[string]string{"http-hosts": "other.example.org", "http-admins": "user:bob"})
	expect(post, "bob:bobs", 403)
	expect(get, "bob:bobs", 200)

	files.Write("web.yml", "")
	reload(map[string]string{"http-admins": "user:alice"})
	if r.log.Await("settings not reloaded, nothing has changed", 10*time.Second) == nil {
		t.Error("a bad file does not stop a reload")
	}
	expect(get, "", 401)
	expect(get, "alice:secret", 403)
	expect(get, "bob:bobs", 200)
	files.Configure(nil, map[string]string{"alice": "new"})
	reload(map[string]string{"http-admins": "user:alice"})
	expect(post, "alice:new", 200)
	expect(get, "bob:bobs", 401)
}

// TestNameWithTooManyConnections asks as one user over as many connections as the door takes, from
// several addresses: some are left for others.
func TestNameWithTooManyConnections(t *testing.T) {
	options, files := accessOptions(t, nil)
	r := start(t, options, nil)
	r.state(t, "READY=1")
	limit, err := descriptorLimit()
	if err != nil {
		t.Fatal(err)
	}
	var kinds []handover.Kind
	for _, s := range r.sockets {
		kinds = append(kinds, s.kind)
	}
	most := shareOut(limit, kinds)[handover.HTTP]
	refused := 0
	for i := range most {
		from := net.IPv4(127, 0, 9, byte(1+i%8))
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{
				RootCAs: files.Authority.Pool(), ServerName: accessHost,
			},
			DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}).DialContext,
		}
		defer transport.CloseIdleConnections()
		url := "https://" + r.HTTPAddr().String() + "/v1/backends"
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("bob", "bobs")
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		switch resp.StatusCode {
		case http.StatusTooManyRequests:
			refused++
		case http.StatusOK:
		default:
			t.Fatalf("connection %d: status %d", i, resp.StatusCode)
		}
	}
	if want := most - audit.Identity("user:bob").Share(most); refused != want {
		t.Errorf("%d of %d connections of one user were refused, want %d", refused, most, want)
	}
	at := r.HTTPAddr().String()
	if status, _ := askHTTPS(t, at, files, http.MethodGet, "alice:secret"); status != 200 {
		t.Errorf("another user gets %d", status)
	}
}

// TestPackagedSettings holds the settings of the packaged file to those that there are, those in
// its comments too.
func TestPackagedSettings(t *testing.T) {
	path := filepath.Join("..", "..", "scripts", "packaging", "director.yaml")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^#([a-z-]+:)`).ReplaceAllString(string(raw), "$1")
	values, problems := parseFile(path, []byte(text))
	if len(problems) > 0 || values["http-admins"].text != "user:alice,cert:ops@example.org" {
		t.Errorf("problems %v, admins %q", problems, values["http-admins"].text)
	}
}

// TestGuideSettings holds the settings that the guide to installing has people write to those that
// there are, and to the lines of the packaged file, in the comments too, in whose place they go.
func TestGuideSettings(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join("..", "doc", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	packaged, err := os.ReadFile(filepath.Join("..", "..", "scripts", "packaging", "director.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^ +```yaml\n(.*?)^ +```$").FindSubmatch(guide)
	if block == nil {
		t.Fatal("the guide has no settings")
	}
	lines := regexp.MustCompile(`(?m)^ +`).ReplaceAllString(string(block[1]), "")
	values, problems := parseFile("install.md", []byte(lines))
	if len(problems) > 0 || len(values) < 5 {
		t.Errorf("problems %v, settings %v", problems, values)
	}
	for name := range values {
		if !regexp.MustCompile(`(?m)^#?` + name + `:`).Match(packaged) {
			t.Errorf("director.yaml has no line for %s", name)
		}
	}
}

// TestPackagedUnit holds the unit to what keeps secrets in.
func TestPackagedUnit(t *testing.T) {
	unit, err := os.ReadFile(filepath.Join("..", "..", "scripts", "packaging", "director.service"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"LimitCORE=0", "UMask=0077", "User=director"} {
		if !strings.Contains(string(unit), "\n"+line+"\n") {
			t.Errorf("the unit has no line %s", line)
		}
	}
}

// TestHandedHTTPS serves HTTPS on a listener that others have opened beyond the loopback, and never
// without TLS.
func TestHandedHTTPS(t *testing.T) {
	options, files := accessOptions(t, map[string]string{"http": ""})
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	r := startHanded(t, options, &handover.Handed{
		Sockets: []handover.Socket{{Kind: handover.HTTP, Listener: l}},
	})
	r.state(t, "READY=1")
	at := r.HTTPAddr().String()
	if status, _ := askHTTPS(t, at, files, http.MethodGet, ""); status != 401 {
		t.Errorf("status %d without a password", status)
	}
	if status, _ := askHTTPS(t, at, files, http.MethodGet, "bob:bobs"); status != 200 {
		t.Errorf("status %d with a password", status)
	}
	resp, err := http.Get("http://" + at + "/v1/backends")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if raw, err := io.ReadAll(resp.Body); err != nil || strings.Contains(string(raw), "192.0.2") {
		t.Errorf("an answer without TLS: %s, %v", raw, err)
	}
}
