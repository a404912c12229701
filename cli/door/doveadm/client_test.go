package doveadm

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
)

// Client and Server understand each other.
func TestClient(t *testing.T) {
	d := httpapitest.Sample()
	d.BackendsIs.Backends[1].Tag = "a\tb"
	for _, network := range []string{"unix", "tcp"} {
		addr := "127.0.0.1:0"
		if network == "unix" {
			addr = filepath.Join(t.TempDir(), "s")
		}
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		serve(t, d, l, Config{Log: zerolog.Nop()})
		c, err := Dial(t.Context(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		backends, err := c.Backends()
		want := []api.Backend{
			d.BackendsIs.Backends[0], d.BackendsIs.Backends[1], d.BackendsIs.Backends[2],
		}
		want[1].Name = "" // does not travel
		if diff := cmp.Diff(want, backends, equalIP); diff != "" || err != nil {
			t.Errorf("backends (-want +got):\n%s%v", diff, err)
		}
		var users []User
		if err := c.Users(func(u User) error { users = append(users, u); return nil }); err != nil {
			t.Error(err)
		}
		at := time.Unix(1518085235, 0)
		if diff := cmp.Diff([]User{
			{Hash: 100, Backend: ip("192.0.2.1"), ExpiresAt: at},
			{Hash: 3045693125, Backend: ip("192.0.2.1"), ExpiresAt: at.Add(time.Second)},
			{Hash: 7, Backend: ip("192.0.2.51"), ExpiresAt: at.Add(time.Second)},
		}, users, equalIP); diff != "" {
			t.Errorf("users (-want +got):\n%s", diff)
		}
		enough := errors.New("enough")
		if err := c.Users(func(User) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("%v, want %v", err, enough)
		}
	}
}

// answering is a client of a server that has written all it ever will.
func answering(text string) *Client {
	conn := &scripted{Reader: strings.NewReader(text)}
	return &Client{
		addr: "/d", conn: conn, in: newReader(conn), release: func() bool { return true },
	}
}

func TestClientFailures(t *testing.T) {
	var odd *api.ProtocolError
	for _, text := range []string{
		"x\n\n", "192.0.2.1\t100\t0\t\tU\n\n", "192.0.2.1\t1001\t0\t\tU\t0\n\n",
		"192.0.2.1\t-1\t0\t\tU\t0\n\n", "b1\t1\t0\t\tU\t0\n\n",
		"192.0.2.1\t1\tx\t\tU\t0\n\n", "192.0.2.1\t1\t1\t\tU\tnow\n\n",
		strings.Repeat("x", 2*maxReply),
	} {
		if b, err := answering(text).Backends(); !errors.As(err, &odd) {
			t.Errorf("backends %q: %v, %v", text, b, err)
		}
	}
	for _, text := range []string{
		"x\n\n", "1\t2\n\n", "1\tx\t192.0.2.1\n\n", "-1\t2\t192.0.2.1\n\n", "1\t2\tb1\n\n",
		"4294967296\t2\t192.0.2.1\n\n",
	} {
		if err := answering(text).Users(func(User) error { return nil }); !errors.As(err, &odd) {
			t.Errorf("users %q: %v", text, err)
		}
	}
	for _, text := range []string{"", "192.0.2.1\t100\t0\t\tU\t0\n", "192.0.2.1"} {
		if b, err := answering(text).Backends(); err == nil || errors.As(err, &odd) ||
			!strings.Contains(err.Error(), "disconnected") {
			t.Errorf("cut off after %q: %v, %v", text, b, err)
		}
	}
	// What comes behind the known fields does not matter, nor does an unknown state.
	b, err := answering("192.0.2.1\t100\t0\t\tX\t0\tmore\r\n\n").Backends()
	if err != nil || len(b) != 1 || b[0].State != api.StateUp {
		t.Errorf("%v, %v", b, err)
	}
}

// A program that is no director gives another error than no program at all.
func TestDial(t *testing.T) {
	if _, err := Dial(t.Context(), filepath.Join(t.TempDir(), "none")); err == nil ||
		!strings.Contains(err.Error(), "no such file") {
		t.Errorf("no socket: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "220 mail.example.org ESMTP\r\n")
			conn.Close()
		}
	}()
	var odd *api.ProtocolError
	if _, err := Dial(t.Context(), l.Addr().String()); !errors.As(err, &odd) {
		t.Errorf("a mail server: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ended, l.Addr().String()); err == nil {
		t.Error("dialled although the context has ended")
	}
}

// Whatever answers: what is understood has the values that stand there.
func FuzzClient(f *testing.F) {
	f.Add("192.0.2.1\t100\t2\t\tU\t0\n2001:db8::1\t0\t0\ta\x01tb\tD\t1518085235\n\n")
	f.Add("3045693125\t1518085235\t192.0.2.1\n1\t0\t::198.51.100.7\n\n")
	f.Add("x\n")
	f.Fuzz(func(t *testing.T, text string) {
		backends, err := answering(text).Backends()
		for _, b := range backends {
			if !b.IP.IsValid() || b.VHosts < 0 || b.VHosts > 1000 || b.Users < 0 {
				t.Errorf("%q has backend %+v, %v", text, b, err)
			}
		}
		err = answering(text).Users(func(u User) error {
			if !strings.Contains(text, strconv.FormatUint(uint64(u.Hash), 10)) ||
				!u.Backend.IsValid() {
				t.Errorf("%q has user %+v", text, u)
			}
			return nil
		})
		if err == nil && !strings.Contains(text, "\n") {
			t.Errorf("%q is taken for a whole list", text)
		}
	})
}
