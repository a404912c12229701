//go:build e2e

package dovecot

import (
	"fmt"
	"testing"
)

// One name is two users, each in a tag of its own, with sessions in the same login process: a move
// of one of them ends that one's sessions and leaves the other's alone.
func TestMoveInOneTag(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, r release) {
		backends := startBackends(t, 4)
		for _, b := range backends {
			b.mark("alice")
		}
		first, second := backends[:2], backends[2:]
		// The tag is the port at which a user comes in.
		fields, more := "director_tag=%a", `service imap-login {
  service_count = 0
  process_limit = 1
  inet_listener imap2 {
    port = 1143
  }
}
`
		if r == dovecot24 {
			fields, more = "director_tag = %{local_port}", `service imap-login {
  restart_request_count = unlimited
  client_limit = 1000
  process_limit = 1
  inet_listener imap2 {
    port = 1143
  }
}
`
		}
		s := newSite(t, r, 1, nil, fields, more, "--mail-servers",
			fmt.Sprintf("%s@143 %s@143 %s@1143 %s@1143",
				first[0].ip, first[1].ip, second[0].ip, second[1].ip)).kicks()
		startSites(t, s)
		moved, home := openIMAP(t, s.port(143), "alice")
		stays, elsewhere := openIMAP(t, s.port(1143), "alice")
		target := other(first, named(t, first, home).name)
		named(t, second, elsewhere)

		s.director.must("move", "--wait", "alice", target.ip.String())
		if err := moved.ended(stopTime); err != nil {
			t.Errorf("the user who was moved: %v", err)
		}
		if err := stays.alive(); err != nil {
			t.Errorf("the other user of the same name: %v", err)
		}
		if _, at := openIMAP(t, s.port(143), "alice"); at != target.name {
			t.Errorf("after the move to %s the user is on %s", target.name, at)
		}
		if _, at := openIMAP(t, s.port(1143), "alice"); at != elsewhere {
			t.Errorf("the other user of the same name is on %s, was on %s", at, elsewhere)
		}
	})
}
