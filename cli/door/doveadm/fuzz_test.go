package doveadm

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/ring"
)

// scripted is a connection whose client has written all it ever will.
type scripted struct {
	io.Reader
	out bytes.Buffer
}

func (c *scripted) Write(b []byte) (int, error)      { return c.out.Write(b) }
func (c *scripted) Close() error                     { return nil }
func (c *scripted) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (c *scripted) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (c *scripted) SetDeadline(time.Time) error      { return nil }
func (c *scripted) SetReadDeadline(time.Time) error  { return nil }
func (c *scripted) SetWriteDeadline(time.Time) error { return nil }

// Whatever a client writes: changes are complete, replies are lines of printable fields, and it
// ends.
func FuzzConnection(f *testing.F) {
	for name := range commands() {
		f.Add([]byte(name + "\t192.0.2.1\t50\n"))
		f.Add([]byte(name + "\talice\t192.0.2.51\tnowait\n" + name + "\n"))
		f.Add([]byte(name + "\t2001:db8::1@a\x01t\t4294967295\r\n" + name + "\t\t7\n"))
	}
	f.Add([]byte(strings.Repeat("x", maxLine) + "\n"))
	f.Add([]byte("HOST-LIST"))
	f.Fuzz(func(t *testing.T, written []byte) {
		d := httpapitest.Sample()
		conn := &scripted{
			Reader: io.MultiReader(strings.NewReader(greeting+"\n"), bytes.NewReader(written)),
		}
		s, err := New(Config{Director: d, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		newConnection(s, conn).run()
		for _, op := range d.Done() {
			checkOperation(t, op)
		}
		if out := conn.out.Bytes(); !bytes.HasPrefix(out, []byte(greeting+"\n")) ||
			out[len(out)-1] != '\n' || bytes.ContainsAny(out, "\r\x00") {
			t.Errorf("%q is answered %q", written, out)
		}
	})
}

func checkOperation(t *testing.T, op api.Operation) {
	t.Helper()
	complete := true
	switch op := op.(type) {
	case api.AddBackend:
		complete = op.IP.IsValid() &&
			(op.VHosts == nil || *op.VHosts >= 0 && *op.VHosts <= ring.MaxVHosts) &&
			(op.Tag == nil || *op.Tag != "")
	case api.UpdateBackend:
		complete = op.IP.IsValid() && op.VHosts >= 0 && op.VHosts <= ring.MaxVHosts
	case api.RemoveBackend:
		complete = op.IP.IsValid()
	case api.BackendUp:
		complete = op.IP.IsValid()
	case api.BackendDown:
		complete = op.IP.IsValid()
	case api.Move:
		complete = op.Backend.IsValid() && op.UserHash != nil
	case api.FlushUsers:
		complete = op.MaxParallel >= 0
	case api.AddDirector:
		complete = op.IP.IsValid() && op.Port >= 0 && op.Port <= 65535
	case api.RemoveDirector:
		complete = op.IP.IsValid() && op.Port >= 0 && op.Port <= 65535
	}
	if !complete {
		t.Errorf("asked for %#v", op)
	}
}
