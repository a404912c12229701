package doveadm

import (
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/logtest"
)

// exhausted is a listener that finds no descriptor for the first connection.
type exhausted struct {
	*pipeListener
	told bool
}

func (l *exhausted) Accept() (net.Conn, error) {
	if l.told {
		return l.pipeListener.Accept()
	}
	l.told = true
	err := os.NewSyscallError("accept4", syscall.EMFILE)
	return nil, &net.OpError{Op: "accept", Net: "unix", Err: err}
}

// The log tells why connections cannot be accepted, in the system's words and not Go's.
func TestAcceptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		l := newPipeListener()
		serve(t, httpapitest.Sample(), &exhausted{pipeListener: l}, Config{Log: zerolog.New(&log)})
		greet(t, l.dial())
		line := log.Line("cannot accept connections of doveadm")
		if diff := cmp.Diff("too many open files", line["error"]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
