//go:build e2e

package dovecot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckAsksDoveconf has director serve --check read the settings of Dovecot as Debian ships it:
// in its 2.4 LMTP asks for users by another format than logins do, in its 2.3 it does not.
func TestCheckAsksDoveconf(t *testing.T) {
	for _, test := range []struct {
		release release
		warns   bool
	}{{dovecot23, false}, {dovecot24, true}} {
		t.Run(string(test.release), func(t *testing.T) {
			root := filepath.Join("/", test.release.root(t))
			binary, err := os.ReadFile(program)
			if err != nil {
				t.Fatal(err)
			}
			dir, err := os.MkdirTemp(filepath.Join(root, "tmp"), "check-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			if err := os.WriteFile(filepath.Join(dir, "director"), binary, 0o755); err != nil {
				t.Fatal(err)
			}
			inside := filepath.Join("/tmp", filepath.Base(dir), "director")
			got := runProgram(t, "", "chroot", root, inside, "serve", "--check",
				"--bind", "127.0.0.1:9090", "--mail-servers", "192.0.2.1")
			const differs = "by auth_username_format = %{user | lower} at logins and by " +
				"%{user | username | lower} in LMTP"
			if got.status != 0 || strings.Contains(got.stderr, differs) != test.warns {
				t.Errorf("%+v", got)
			}
			if !test.warns && strings.Contains(got.stderr, "auth_username_format") {
				t.Errorf("warns: %s", got.stderr)
			}
		})
	}
}
