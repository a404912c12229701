package authrelay

import (
	"net"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/door/doortest"
	"directormesh/cli/logtest"
)

// The log tells why connections cannot be accepted, in the system's words and not Go's.
func TestAcceptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		s, err := New(Config{
			Protocol: Authreply, Director: &fakeDirector{}, Log: zerolog.New(&log),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		l := doortest.NewPipeListener()
		go s.Serve(doortest.FailFirst(l))
		client, door := net.Pipe()
		defer client.Close()
		l.Connect(door) // taken after the failure
		line := log.Line(texts[acceptFailed])
		if diff := cmp.Diff("too many open files", line["error"]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// The line about an auth that cannot be reached has its path, and says what to look at.
func TestUnreachableAuthIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth")
	s, err := New(Config{Protocol: Login, Auth: path, Director: &fakeDirector{}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.dial(t.Context())
	want := path + ": no such file or directory; is Dovecot running, and may this user connect?"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
