package cli

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"directormesh/cli/daemon"
	"directormesh/cli/handover"
	"directormesh/cli/program"
)

// doveconfTime bounds one question to doveconf.
const doveconfTime = 10 * time.Second

// userFormats are how Dovecot on this host rewrites the user's name before it asks, for logins and
// for LMTP; "" where that is not known.
type userFormats struct{ logins, lmtp string }

// askDoveconf asks the Dovecot of this host, if there is one.
func (inv *invocation) askDoveconf(ctx context.Context) userFormats {
	path, _ := inv.LookupEnv("PATH")
	for _, dir := range filepath.SplitList(path) {
		doveconf, err := exec.LookPath(filepath.Join(dir, "doveconf"))
		if err != nil || !filepath.IsAbs(doveconf) {
			continue
		}
		return userFormats{
			logins: inv.userFormat(ctx, doveconf),
			lmtp:   inv.userFormat(ctx, doveconf, "-f", "protocol=lmtp"),
		}
	}
	return userFormats{}
}

// userFormat asks doveconf for one format. That it cannot tell is no fault of the settings here.
func (inv *invocation) userFormat(ctx context.Context, doveconf string, filter ...string) string {
	const setting = "auth_username_format"
	ctx, cancel := context.WithTimeout(ctx, doveconfTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, doveconf, append(filter, setting)...)
	cmd.Env = program.Environment(inv.LookupEnv)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(line, " = "); ok && name == setting {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// warning says that LMTP asks for another user than the one who logs in, if it does and this
// director is asked by both; "" if not.
func (f userFormats) warning(o daemon.Options) string {
	asked := o.Socket(handover.Login) != "" && o.Socket(handover.Userdb) != ""
	if !asked || f.logins == "" || f.lmtp == "" || f.logins == f.lmtp {
		return ""
	}
	return fmt.Sprintf(
		"Dovecot asks for users by auth_username_format = %s at logins and by %s in "+
			"LMTP, so that one user may have two backends; put the same in protocol lmtp, "+
			"after what 20-lmtp.conf has", f.logins, f.lmtp)
}
