package cli

import (
	"context"
	"fmt"

	"directormesh/cli/daemon"
	"directormesh/cli/dovecot"
	"directormesh/cli/handover"
)

// userFormats are how Dovecot on this host rewrites the user's name before it asks, for logins and
// for LMTP; "" where that is not known.
type userFormats struct{ logins, lmtp string }

// askDoveconf asks the Dovecot of this host, if there is one.
func (inv *invocation) askDoveconf(ctx context.Context) userFormats {
	const setting = "auth_username_format"
	return userFormats{
		logins: dovecot.Doveconf(ctx, inv.LookupEnv, setting),
		lmtp:   dovecot.Doveconf(ctx, inv.LookupEnv, setting, "-f", "protocol=lmtp"),
	}
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
