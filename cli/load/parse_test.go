package load

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parsed is an answer in a form that can be compared.
type parsed struct {
	Left                   int // bytes that were not taken
	None                   bool
	ID                     uint32
	User, Backend, Failure string
	Err                    bool
}

func parseAll(p protocol, text string) parsed {
	n, a, err := p.parse([]byte(text))
	return parsed{
		len(text) - n, a.none, a.id, string(a.user), string(a.backend), string(a.failure),
		err != nil,
	}
}

func TestParse(t *testing.T) {
	reply, auth, user, web := &authreply{}, &login{}, &userdb{}, &httpLookup{}
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for _, tt := range []struct {
		name string
		p    protocol
		text string
		want parsed
	}{
		{"version", reply, "VERSION\tdirector-authreply-server\t1\t0\n", parsed{None: true}},
		{"not complete", reply, "OK\t1\tuser=a\tproxy", parsed{Left: 17}},
		{"by address", reply, "OK\t70000\tuser=a@b\tproxy\tproxy_refresh=450\thost=192.0.2.1\nOK",
			parsed{Left: 2, ID: 70000, User: "a@b", Backend: "192.0.2.1"}},
		{"by name", reply, "OK\t1\tuser=a\tproxy\thost=mail\thostip=fd00::1\r\n",
			parsed{ID: 1, User: "a", Backend: "fd00::1"}},
		{"a mark behind", reply, "OK\t1\tuser=a\thost=192.0.2.1\tuser_director=5@192.0.2.9\n",
			parsed{ID: 1, User: "a", Backend: "192.0.2.1"}},
		{"no backend", reply, "OK\t1\tuser=a\n",
			parsed{ID: 1, User: "a", Failure: "the answer names no backend"}},
		{"for the moment", reply, "FAIL\t7\tcode=temp_fail\n",
			parsed{ID: 7, Failure: "FAIL code=temp_fail"}},
		{"no id", reply, "OK\tx\tuser=a\thost=192.0.2.1\n", parsed{Err: true}},
		{"id too large", reply, "FAIL\t4294967296\n", parsed{Err: true}},
		{"wrong password", auth, "FAIL\t2\tuser=a\tcode=x\n",
			parsed{ID: 2, Failure: "FAIL code=x"}},
		{"handshake", auth, "MECH\tPLAIN\tplaintext\n", parsed{None: true}},
		{"login", auth, "OK\t3\tuser=a\tproxy\thost=192.0.2.1\n",
			parsed{ID: 3, Backend: "192.0.2.1"}},
		{"passdb", user, "PASS\t3\tuser=a\tproxy\thost=192.0.2.1\n",
			parsed{ID: 3, Backend: "192.0.2.1"}},
		{"not found", user, "NOTFOUND\t3\n", parsed{ID: 3, Failure: "NOTFOUND "}},
		{"http", web, head + "Content-Length: 37\r\n\r\n" + `{"user":"a\"b","backend":"192.0.2.1"}`,
			parsed{User: `a\"b`, Backend: "192.0.2.1"}},
		{"http not complete", web, head + "Content-Length: 60\r\n\r\n{", parsed{Left: 72}},
		{"http head not complete", web, head, parsed{Left: 49}},
		{"http failure", web,
			"HTTP/1.1 503 X\r\nContent-Length: 33\r\n\r\n" + `{"error":{"code":"not_synced"}}  `,
			parsed{Failure: "not_synced"}},
		{"http, not ours", web, "HTTP/1.1 404 X\r\nContent-Length: 2\r\n\r\n{}",
			parsed{Failure: "HTTP/1.1 404 X"}},
		{"http without length", web, head + "Transfer-Encoding: chunked\r\n\r\n",
			parsed{Left: 79, Err: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, parseAll(tt.p, tt.text)); diff != "" {
				t.Errorf("%q (-want +got):\n%s", tt.text, diff)
			}
		})
	}
}

// What comes from a director may be anything.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"OK\t1\tuser=a\tproxy\thost=192.0.2.1\n", "FAIL\t1\n", "PASS\t1\thostip=::1\n", "\r\n",
		"VERSION\t1\t2\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 200 OK\r\n" +
			"Content-Length: 9999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n\"backend\":\"\\",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range []protocol{&authreply{}, &login{}, &userdb{}, &httpLookup{}} {
			n, a, err := p.parse([]byte(text))
			if n < 0 || n > len(text) {
				t.Fatalf("%T takes %d bytes of %d", p, n, len(text))
			}
			if n > 0 && err == nil && !a.none && (a.backend == nil) == (a.failure == nil) {
				t.Fatalf("%T: %+v is neither a success nor a failure", p, a)
			}
		}
	})
}

func TestNames(t *testing.T) {
	for _, pattern := range []string{"", "user", "%d%d", "%s", "a%d%", "a\t%d"} {
		if _, err := ParseNames(pattern); err == nil {
			t.Errorf("%q is accepted", pattern)
		}
	}
	n, err := ParseNames(`a"%d@ü`)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(n.append(nil, 41)); got != `a"42@ü` {
		t.Errorf("name %q", got)
	}
	if got := string(n.appendJSON(nil, 41)); got != `a\"42@ü` {
		t.Errorf("in JSON %q", got)
	}
}
