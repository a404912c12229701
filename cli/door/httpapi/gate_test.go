package httpapi_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/door/webauth"
	"directormesh/cli/logtest"
)

// answer is what a request got.
type answer struct {
	status int
	body   string
	header http.Header
	close  bool // this was the last one on its connection
}

// askHTTPS makes a request over HTTPS as a user whose password is the name; "" gives none. Headers
// are pairs of a name and a value.
func askHTTPS(
	t *testing.T, g *httpapitest.Guarded, c *http.Client, user, method, path, body string,
	header ...string,
) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(
		t.Context(), method, "https://"+g.Addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = httpapitest.Host
	if user != "" {
		req.SetBasicAuth(user, user)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, string(raw), resp.Header, resp.Close}
}

const upBody = `{"ip":"192.0.2.1"}`

// TestForeignPages posts a change with the password of an admin, as a browser does that remembers
// it. What a foreign page can send is refused, where the admin's own request is carried out.
func TestForeignPages(t *testing.T) {
	d := httpapitest.Sample()
	g := httpapitest.ServeHTTPS(t, d, zerolog.Nop())
	c := g.Client(t, nil)
	const own = "https://" + httpapitest.Host
	for _, tt := range []struct {
		name   string
		header []string
		status int
		says   string
	}{
		{"no browser", nil, 200, ""},
		{"own page", []string{"Sec-Fetch-Site", "same-origin", "Origin", own}, 200, ""},
		{"typed in", []string{"Sec-Fetch-Site", "none"}, 200, ""},
		{"foreign page", []string{"Sec-Fetch-Site", "cross-site"}, 403, "another site"},
		{"page of a sister", []string{"Sec-Fetch-Site", "same-site"}, 403, "another site"},
		{"foreign origin", []string{"Origin", "https://evil.example.org"}, 403, "another site"},
		{"no origin", []string{"Origin", "null"}, 403, "another site"},
		{"origin without TLS", []string{"Origin", "http://" + httpapitest.Host}, 403,
			"another site"},
		{"foreign name", []string{"Host", "evil.example.org"}, 403, "http-hosts"},
		{"foreign name and origin", []string{"Host", "evil.example.org", "Origin",
			"https://evil.example.org", "Sec-Fetch-Site", "same-origin"}, 403, "http-hosts"},
		{"form", []string{"Content-Type", "application/x-www-form-urlencoded"}, 400,
			"send application/json"},
		{"text", []string{"Content-Type", "text/plain"}, 400, "send application/json"},
		{"no type", []string{"Content-Type", ""}, 400, "send application/json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(d.Done())
			got := askHTTPS(t, g, c, "admin", http.MethodPost, "/v1/backends/up", upBody,
				tt.header...)
			if got.status != tt.status || !strings.Contains(got.body, tt.says) {
				t.Errorf("status %d, want %d: %s", got.status, tt.status, got.body)
			}
			if carried := len(d.Done()) > before; carried != (tt.status == 200) {
				t.Errorf("status %d, and it was carried out: %v", got.status, carried)
			}
		})
	}
}

// everyPath has a request for each path that there is, and for some that are not.
func everyPath(t *testing.T) (gets []string, posts map[string]string) {
	t.Helper()
	posts = map[string]string{
		"/v1/lookup": `{"user":"alice"}`, "/v1/lookup/batch": `{"user":"alice"}`,
	}
	for _, op := range samples() {
		raw, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		posts[op.Path()] = string(raw)
	}
	return []string{
		"/v1/director", "/v1/directors", "/v1/backends", "/v1/user?name=alice", "/v1/mappings",
		"/v1/keys", "/v1/flushes", "/v1/flushes/watch", "/healthz", "/readyz", "/metrics", "/",
		"/v1/nothing", "/debug/pprof/", "//v1/director", "/v1/../v1/director",
	}, posts
}

// TestNobodyGetsAnAnswer asks for each path without a password, with a wrong one and as somebody
// without a role.
func TestNobodyGetsAnAnswer(t *testing.T) {
	d := httpapitest.Sample()
	g := httpapitest.ServeHTTPS(t, d, zerolog.Nop())
	c := g.Client(t, nil)
	gets, posts := everyPath(t)
	for _, tt := range []struct {
		user   string
		status int
	}{{"", http.StatusUnauthorized}, {"guest", http.StatusForbidden}} {
		for _, path := range gets {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				got := askHTTPS(t, g, c, tt.user, method, path, "")
				if got.status != tt.status || strings.Contains(got.body, "192.0.2") {
					t.Errorf("%q %s %s: %d %s", tt.user, method, path, got.status, got.body)
				}
			}
		}
		for path, body := range posts {
			got := askHTTPS(t, g, c, tt.user, http.MethodPost, path, body)
			if got.status != tt.status {
				t.Errorf("%q %s: %d %s", tt.user, path, got.status, got.body)
			}
		}
	}
	got := askHTTPS(t, g, c, "mallory", http.MethodGet, "/v1/director", "")
	if got.status != http.StatusUnauthorized ||
		!strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("a wrong password: %d %s", got.status, got.header)
	}
	if done := d.Done(); len(done) != 0 {
		t.Errorf("something was done: %v", done)
	}
}

// TestReadersOnlyRead asks each query and each change as a reader, by password and by certificate.
func TestReadersOnlyRead(t *testing.T) {
	d := httpapitest.Sample()
	g := httpapitest.ServeHTTPS(t, d, zerolog.Nop())
	pair := g.Files.Authority.Pair(t, "reader.example.org")
	gets, posts := everyPath(t)
	for name, c := range map[string]*http.Client{
		"reader": g.Client(t, nil), "": g.Client(t, &pair),
	} {
		for _, path := range gets[:10] {
			got := askHTTPS(t, g, c, name, http.MethodGet, path, "")
			if got.status != http.StatusOK {
				t.Errorf("%q %s: %d %s", name, path, got.status, got.body)
			}
		}
		for path, body := range posts {
			for _, method := range []string{http.MethodPost, http.MethodPut, "GETX"} {
				got := askHTTPS(t, g, c, name, method, path, body)
				if got.status != http.StatusForbidden ||
					!strings.Contains(got.body, "http-admins") {
					t.Errorf("%q %s %s: %d %s", name, method, path, got.status, got.body)
				}
			}
		}
		if got := askHTTPS(t, g, c, name, http.MethodGet, "/debug/pprof/", ""); got.status != 404 {
			t.Errorf("profiles: %d", got.status)
		}
	}
	if done := d.Done(); len(done) != 0 {
		t.Errorf("something was done: %v", done)
	}
}

// TestAuditNamesUsers checks that the line of a change says who made it, and from where.
func TestAuditNamesUsers(t *testing.T) {
	log := new(logtest.Buffer)
	g := httpapitest.ServeHTTPS(t, httpapitest.Sample(), zerolog.New(log))
	pair := g.Files.Authority.Pair(t, "other.example.org", "admin.example.org")
	for user, c := range map[string]*http.Client{
		"admin": g.Client(t, nil), "": g.Client(t, &pair),
	} {
		got := askHTTPS(t, g, c, user, http.MethodPost, "/v1/backends/up", upBody)
		if got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		from, _ := fields["from"].(string)
		who, _ := fields["who"].(string)
		if fields["message"] == "admin change" && fields["door"] == "http" &&
			strings.HasPrefix(from, "127.0.0.1:") {
			seen[who] = true
		}
	}
	if !seen["user:admin"] || !seen["cert:admin.example.org"] || len(seen) != 2 {
		t.Errorf("changes of %v:\n%s", seen, log)
	}
}

// TestNoForeignReaders checks that no answer lets pages of other sites read it.
func TestNoForeignReaders(t *testing.T) {
	g := httpapitest.ServeHTTPS(t, httpapitest.Sample(), zerolog.Nop())
	c := g.Client(t, nil)
	gets, _ := everyPath(t)
	for _, method := range []string{http.MethodGet, http.MethodOptions} {
		for _, path := range gets {
			got := askHTTPS(t, g, c, "admin", method, path, "",
				"Origin", "https://evil.example.org", "Access-Control-Request-Method", "POST")
			for name := range got.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s %s: %s", method, path, name)
				}
			}
		}
	}
}

// TestEditsEndStreams takes the right to a stream away while it goes on, and before that another
// right, which changes nothing.
func TestEditsEndStreams(t *testing.T) {
	rights := webauth.Rights{Admins: []string{"user:admin"}, Hosts: []string{httpapitest.Host}}
	for name, edit := range map[string]func(*httpapitest.Guarded){
		"roles": func(g *httpapitest.Guarded) {
			g.Gate.SetRights(webauth.Rights{Readers: rights.Admins, Hosts: rights.Hosts})
		},
		"hosts": func(g *httpapitest.Guarded) {
			g.Gate.SetRights(webauth.Rights{Admins: rights.Admins})
		},
		"password": func(g *httpapitest.Guarded) {
			g.Files.Configure(nil, map[string]string{"admin": "new"})
			g.Gate.Look()
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := httpapitest.ServeHTTPS(t, httpapitest.Sample(), zerolog.Nop())
			lines, in := io.Pipe()
			defer in.Close()
			req, err := http.NewRequestWithContext(
				t.Context(), http.MethodPost, "https://"+g.Addr+"/v1/lookup/batch", lines)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = httpapitest.Host
			req.SetBasicAuth("admin", "admin")
			req.Header.Set("Content-Type", "application/x-ndjson")
			first := make(chan error, 1)
			go func() {
				_, err := io.WriteString(in, `{"user":"alice"}`+"\n")
				first <- err
			}()
			resp, err := g.Client(t, nil).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if err := <-first; err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%v, %d", err, resp.StatusCode)
			}
			answers := bufio.NewReader(resp.Body)
			next := func() error {
				_, err := answers.ReadString('\n')
				return err
			}
			if err := next(); err != nil {
				t.Fatal(err)
			}
			g.Gate.SetRights(rights)
			if _, err := io.WriteString(in, `{"user":"bob"}`+"\n"); err != nil {
				t.Fatal(err)
			}
			if err := next(); err != nil {
				t.Errorf("an edit that takes nothing away has ended the stream: %v", err)
			}
			edit(g)
			if err := next(); err == nil {
				t.Error("the stream goes on")
			}
		})
	}
}

// TestRefusedAreCutOff checks that a connection which was admitted once ends when its client may
// not ask any more: it would not yield to others.
func TestRefusedAreCutOff(t *testing.T) {
	g := httpapitest.ServeHTTPS(t, httpapitest.Sample(), zerolog.Nop())
	c := g.Client(t, nil)
	const path = "/v1/backends"
	if got := askHTTPS(t, g, c, "", http.MethodGet, path, ""); got.close {
		t.Error("a connection that has proved nothing is cut off")
	}
	askHTTPS(t, g, c, "reader", http.MethodGet, path, "")
	g.Gate.SetRights(webauth.Rights{})
	if got := askHTTPS(t, g, c, "reader", http.MethodGet, path, ""); !got.close {
		t.Error("a connection of somebody without rights goes on")
	}
}
