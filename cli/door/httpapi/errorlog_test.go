package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"directormesh/cli/logtest"
)

// What net/http has to say is a line of our log, also where a handler panicked and its stack has
// many lines.
func TestHTTPTroubleIsLogged(t *testing.T) {
	log := new(logtest.Buffer)
	s, err := New(Config{Log: zerolog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	s.remote.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("odd") })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err) // it is closed once the trouble is logged
	}
	c.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(log.String()), &line); err != nil {
		t.Fatalf("%v: %q", err, log)
	}
	stack, _ := line["stack"].(string)
	if line["level"] != "error" || line["detail"] != "odd" ||
		!strings.Contains(stack, "errorlog_test.go") {
		t.Errorf("line %v", line)
	}
}

// What net/http says of connections is said in plain words.
func TestHTTPTroubleIsPlain(t *testing.T) {
	for _, test := range []struct{ said, message, key, want string }{
		{"http: Accept error: accept unix /run/x: accept4: too many open files; retrying in 5ms",
			"connections cannot be accepted, trying again", "error", "too many open files"},
		{"http: TLS handshake error from 127.0.0.1:4: EOF", "trouble with an HTTP connection",
			"detail",
			"TLS handshake error from 127.0.0.1:4: the connection broke off"},
	} {
		var out bytes.Buffer
		errorLog(zerolog.New(&out)).Print(test.said)
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line["message"] != test.message || line[test.key] != test.want {
			t.Errorf("%s: %v", test.said, line)
		}
	}
}

// A flood of trouble does not become a flood of lines.
func TestHTTPTroubleIsLimited(t *testing.T) {
	var out bytes.Buffer
	log := errorLog(zerolog.New(&out))
	for range 1000 {
		log.Print("http: Accept error: too many open files")
	}
	if lines := strings.Count(out.String(), "\n"); lines != 1 {
		t.Errorf("%d lines, want 1", lines)
	}
}
