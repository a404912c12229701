package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseAddress(t *testing.T) {
	tests := []struct {
		in   string
		want address
	}{
		{"/run/director/director.sock",
			address{"unix", "/run/director/director.sock", "http://director"}},
		{"./director.sock", address{"unix", "./director.sock", "http://director"}},
		{"run/d.sock", address{"unix", "run/d.sock", "http://director"}},
		{"unix:d.sock", address{"unix", "./d.sock", "http://director"}},
		{"unix:/d.sock", address{"unix", "/d.sock", "http://director"}},
		{"127.0.0.1:9091", address{"tcp", "127.0.0.1:9091", "http://127.0.0.1:9091"}},
		{"[::1]:9091", address{"tcp", "[::1]:9091", "http://[::1]:9091"}},
		{"http://localhost:9091/", address{"", "", "http://localhost:9091"}},
		{"https://d1.example.org/director", address{"", "", "https://d1.example.org/director"}},
	}
	for _, tt := range tests {
		got, err := parseAddress(tt.in)
		if err != nil {
			t.Errorf("parseAddress(%q): %v", tt.in, err)
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(address{})); diff != "" {
			t.Errorf("parseAddress(%q) (-want +got):\n%s", tt.in, diff)
		}
	}
	for _, in := range []string{
		"", "localhost", ":9091", "host:", "ftp://x/", "http://", "http://x/?q", "http://x/#f",
		"http://[::1",
	} {
		if got, err := parseAddress(in); err == nil {
			t.Errorf("parseAddress(%q) = %+v, want an error", in, got)
		} else if !strings.Contains(err.Error(), fmt.Sprintf("%q", in)) {
			t.Errorf("parseAddress(%q): the error %q does not quote the input", in, err)
		}
	}
}

// Each way in which a director cannot be reached has words of its own.
func TestExplain(t *testing.T) {
	dial := func(err error) error {
		return &url.Error{
			Op: "Get", URL: "http://director/v1",
			Err: &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", err)},
		}
	}
	tests := []struct {
		err  error
		want string
	}{
		{dial(syscall.ENOENT), "no such file; is it running?"},
		{dial(syscall.ECONNREFUSED), "nobody listens there"},
		{dial(syscall.EACCES), "permission denied; run this as"},
		{dial(syscall.ETIMEDOUT), "it did not answer in time"},
		{dial(syscall.EHOSTUNREACH), "no route to host; pick another"},
		{&url.Error{Err: &net.OpError{
			Op: "dial", Err: &net.DNSError{Name: "d9.example.org", IsNotFound: true},
		}}, "host d9.example.org cannot be resolved"},
		{fmt.Errorf("x: %w", context.Canceled), "interrupted"},
		{fs.ErrNotExist, "no such file"},
		{errors.New("odd"), "odd; pick another"},
	}
	for _, tt := range tests {
		e := &UnreachableError{Addr: "/d.sock", Err: tt.err}
		if got := e.Error(); !strings.HasPrefix(got, "cannot reach director at /d.sock: "+tt.want) {
			t.Errorf("%v: %q, want it to begin with %q", tt.err, got, tt.want)
		}
		if strings.Contains(e.Error(), "\n") {
			t.Errorf("%v: more than one line", tt.err)
		}
	}
}

// Addresses travel in the text form of all outputs and come back.
func TestIPText(t *testing.T) {
	for _, text := range []string{
		"", "192.0.2.1", "2001:db8::1", "::198.51.100.7", "::ffff:192.0.2.1", "::1",
	} {
		var ip IP
		if err := ip.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got, err := ip.MarshalText(); err != nil || string(got) != text || ip.String() != text {
			t.Errorf("%q came out as %q, %q, %v", text, got, ip.String(), err)
		}
	}
	var ip IP
	if err := ip.UnmarshalText([]byte("fe80::1%eth0")); err == nil {
		t.Error("an address with a zone was taken")
	}
}

// A director that hangs accepts connections and never answers.
func TestHangingDirector(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := NewClient(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.queryTimeout = 20 * time.Millisecond
	_, err = c.Self(t.Context())
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) ||
		!strings.Contains(err.Error(), "it did not answer in time") {
		t.Errorf("error %v, want an UnreachableError that says so", err)
	}
}
