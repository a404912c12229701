//go:build e2e

package dovecot

import (
	"strings"
	"testing"
)

// The Dovecot that is tested as 2.4 is one. Making its directory keeps the machine busy, so this
// runs before the tests that run at the same time.
func TestRoot24(t *testing.T) {
	root := dovecot24.root(t)
	got := runProgram(t, "", "chroot", root, "dovecot", "--version")
	if got.status != 0 || !strings.HasPrefix(got.stdout, "2.4.") {
		t.Errorf("dovecot --version: %+v", got)
	}
}
