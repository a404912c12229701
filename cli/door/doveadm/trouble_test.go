package doveadm

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/door/doortest"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/logtest"
)

// The log tells why connections cannot be accepted, in the system's words and not Go's.
func TestAcceptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		l := doortest.NewPipeListener()
		serve(t, httpapitest.Sample(), doortest.FailFirst(l), Config{Log: zerolog.New(&log)})
		greet(t, l.Dial())
		line := log.Line("cannot accept connections of doveadm")
		if diff := cmp.Diff("too many open files", line["error"]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
