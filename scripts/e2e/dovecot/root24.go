//go:build e2e

package dovecot

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// rootTime bounds the making of a directory with a Debian in it.
const rootTime = 6 * time.Minute

// hostPackages are those of a proxy host, and of what its operators type.
const hostPackages = "dovecot-imapd,dovecot-pop3d,dovecot-lmtpd,dovecot-managesieved," +
	"dovecot-submissiond,systemd,curl"

// made24 is the directory that root24 made, "" if none; TestMain removes it.
var made24 string

// root24 is a directory with Debian trixie, its Dovecot 2.4 and systemd, made once for all tests.
// DIRECTORMESH_TRIXIE can name one that is there already.
var root24 = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("DIRECTORMESH_TRIXIE"); dir != "" {
		return dir, nil
	}
	dir, err := os.MkdirTemp("", "dv24-")
	if err != nil {
		return "", err
	}
	if err := makeRoot("trixie", dir, hostPackages); err != nil {
		_ = os.RemoveAll(dir)
		return "", err
	}
	made24 = dir
	return dir, os.Chmod(dir, 0o755) // Dovecot's processes run as several users
})

// makeRoot makes a directory into a Debian with some packages.
func makeRoot(suite, dir, packages string) error {
	if _, err := exec.LookPath("debootstrap"); err != nil {
		return fmt.Errorf("%w; apt-get install debootstrap, or name a directory with a Debian 13 "+
			"in DIRECTORMESH_TRIXIE", err)
	}
	cmd := exec.Command("debootstrap", "--variant=minbase", "--include="+packages, suite, dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	timer := time.AfterFunc(rootTime, func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	})
	defer timer.Stop()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("debootstrap: %w: %s", err, lastLines(out.String(), 3))
	}
	return nil
}

// release is a release of Dovecot.
type release string

const (
	dovecot23 release = "2.3" // the machine's own
	dovecot24 release = "2.4"
)

// root returns the directory that is the root of the release's file system, "" for the machine's
// own.
func (r release) root(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("Dovecot changes users: run these tests as root")
	}
	if r == dovecot24 {
		root, err := root24()
		if err != nil {
			t.Skipf("Dovecot 2.4 is not tested: %v", err)
		}
		return root
	}
	if _, err := exec.LookPath("dovecot"); err != nil {
		t.Fatalf("%v; apt-get install dovecot-imapd dovecot-pop3d dovecot-lmtpd "+
			"dovecot-managesieved dovecot-submissiond", err)
	}
	return ""
}

// common is what the configurations of all instances of the release begin with.
func (r release) common() string {
	if r == dovecot24 {
		return `dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
auth_allow_cleartext = yes`
	}
	return `disable_plaintext_auth = no
default_vsz_limit = 1G`
}

// eachRelease runs a test with proxies of each release.
func eachRelease(t *testing.T, test func(t *testing.T, r release)) {
	for _, r := range []release{dovecot23, dovecot24} {
		t.Run("Dovecot "+string(r), func(t *testing.T) {
			t.Parallel()
			test(t, r)
		})
	}
}
