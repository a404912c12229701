package httpapi_test

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/door/httpapi"
	"directormesh/cli/door/httpapi/httpapitest"
)

// pipes is a listener whose connections are pipes, so that they live in virtual time.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// A connection whose first request comes late is answered as long as lookups may take: its request
// may have come in time, while the process stood still.
func TestLateRequest(t *testing.T) {
	tests := []struct {
		after    time.Duration
		answered bool
	}{
		{0, true},
		{29 * time.Second, true},
		{31 * time.Second, false},
	}
	for _, tt := range tests {
		t.Run(tt.after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, err := httpapi.New(httpapi.Config{
					Director: httpapitest.Sample(), Log: zerolog.Nop(),
				})
				if err != nil {
					t.Fatal(err)
				}
				listener, served := make(pipes), make(chan error)
				go func() { served <- server.Serve(listener) }()
				ours, theirs := net.Pipe()
				listener <- theirs
				time.Sleep(tt.after)
				_, err = ours.Write([]byte("GET /v1/director HTTP/1.0\r\n\r\n"))
				var status string
				if err == nil {
					status, err = bufio.NewReader(ours).ReadString('\n')
				}
				answered := strings.Contains(status, http.StatusText(http.StatusOK))
				if answered != tt.answered {
					t.Errorf("the answer is %q, %v", status, err)
				}
				ours.Close()
				if err := server.Close(); err != nil {
					t.Error(err)
				}
				if err := <-served; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
