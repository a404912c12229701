package daemon

import (
	"fmt"
	"strings"
	"time"

	"directormesh/cli/flushscript"
)

// minSessionsInterval keeps the cost for Dovecot low: a list of 100,000 sessions takes it 0.1 s.
const minSessionsInterval = time.Second

// sessionOptions are the settings for Dovecot's live sessions.
type sessionOptions struct {
	IPC         string // socket of Dovecot 2.3, "": none
	Anvil       string // socket of Dovecot 2.4, "": none
	Interval    time.Duration
	FlushScript *flushscript.Script // nil: none
}

// sessionSettings are those for Dovecot's live sessions.
func sessionSettings() []Setting {
	return []Setting{
		dovecotSocketSetting("kick-ipc", "", "ipc socket of Dovecot 2.3, "+
			"to list and end sessions, usually /run/dovecot/ipc (default: none)",
			func(o *Options) *string { return &o.Sessions.IPC }),
		dovecotSocketSetting("kick-anvil", "",
			"anvil socket of Dovecot 2.4 in its base_dir, to list and end sessions, "+
				"usually /run/dovecot/anvil (default: none)",
			func(o *Options) *string { return &o.Sessions.Anvil }),
		{
			Name: "sessions-interval", Value: "DURATION", Default: "45s",
			Usage: "how often sessions are listed to keep their mappings, " +
				"more often if --user-expire is short",
			read: func(o *Options, s string, _ Environment) (err error) {
				if o.Sessions.Interval, err = parseDuration(s); err == nil &&
					o.Sessions.Interval < minSessionsInterval {
					return fmt.Errorf("%q is too low; the least is %v", s, minSessionsInterval)
				}
				return err
			},
		},
		{
			Name: "flush-socket", Value: "URI", Default: "",
			Usage: "script run before a moved user is let in again: unix:PATH, " +
				"tcp:HOST:PORT or exec:PROGRAM (default: none)",
			read: func(o *Options, s string, _ Environment) error {
				if s == "" {
					return nil
				}
				script, err := flushscript.Parse(s)
				o.Sessions.FlushScript = &script
				return err
			},
		},
	}
}

// withoutMaster returns a login name without the master user in it.
func (o Options) withoutMaster(login string) string {
	if o.Auth.MasterSeparator == 0 {
		return login
	}
	user, _, _ := strings.Cut(login, string(rune(o.Auth.MasterSeparator)))
	return user
}
