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
	if line["level"] != "warn" || !strings.HasPrefix(line["detail"].(string), "panic serving 127.0.0.1:") {
		t.Errorf("line %v", line)
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
