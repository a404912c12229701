package daemon

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/door/authrelay"
	"directormesh/cli/handover"
)

// doorRow is all that the daemon knows of a kind of door: how it is opened, bounded, served and
// explained. Its metrics, its field in the start-up line and its row in cli/doc/security.md follow.
type doorRow struct {
	kind  handover.Kind // also its label in metrics
	unix  *unixRow      // nil: it has no unix socket
	tcp   *tcpRow       // nil: it does not listen on TCP
	more  []Setting     // beside those of its sockets
	takes appetite

	// serve makes its server. Without one the server of sameAs answers here too; without both the
	// door is not a listener.
	serve  serverMaker
	sameAs handover.Kind

	who string // may connect, for people
	may string // what they may do then
}

// serverMaker makes the server of a door, once the mesh is joined.
type serverMaker func(*Daemon, *prometheus.Registry) (server, error)

// unixRow is where a door listens on a unix socket: one setting for the path, and one for the mode,
// whose name ends in "-mode".
type unixRow struct {
	setting   string
	usage     string // "": there is no setting for the path, it is always file
	file      string // by default, in the run directory unless absolute
	mode      string // by default
	modeUsage string

	// behind returns Dovecot's socket behind the door; "": there is no such door. It is nil for a
	// door without a socket behind it.
	behind func(*Options) string
}

// tcpRow is where a door listens on TCP: a setting for an address, by default nowhere.
type tcpRow struct {
	setting, usage string
	any            bool // any address will do, not only the loopback's
	guarded        bool // any address will do with a web configuration file
}

// doorTable has all kinds of doors, in the order in which they are opened. The API is the first:
// its socket reports whether the run directory is free.
func doorTable() []doorRow {
	const (
		everything = "everything"
		anybody    = "every user of this host, without a check"
		processes  = "login processes, and every other user of this host"
	)
	return []doorRow{
		{
			kind: handover.API, serve: (*Daemon).httpDoor,
			// Scripts look up many users at a time.
			takes: appetite{connections: 2048, cost: 1, least: 96, quarter: true},
			unix: &unixRow{setting: "socket", file: apiSocket, mode: "0600",
				modeUsage: "mode of director.sock; any user who may write to it may " +
					"change everything"},
			who: "any user who may write to it", may: everything,
		},
		{
			kind: handover.HTTP, sameAs: handover.API,
			takes: appetite{connections: 256, cost: 1},
			more:  accessSettings(),
			tcp: &tcpRow{setting: "http", guarded: true, usage: "serve HTTP there too: on a " +
				"loopback address queries only, with --web-config-file HTTPS (default: no)"},
			who: anybody + "; with `--web-config-file` whom `--http-readers` and `--http-admins` " +
				"name, with a password or a certificate",
			may: "read: all queries, no lookup and no change; admins over HTTPS: everything",
		},
		{
			kind: handover.Metrics, serve: (*Daemon).metricsDoor,
			takes: appetite{connections: 64, cost: 1},
			tcp: &tcpRow{setting: "metrics", any: true,
				usage: "serve /metrics, /healthz and /readyz there, and nothing else; " +
					"any address (default: no)"},
			who: "anybody who reaches it, without a check",
			may: "read `/metrics`, `/healthz` and `/readyz`",
		},
		{
			kind: handover.Login, serve: authDoor(authrelay.Login, authLogin),
			// In Dovecot 2.4 each login has a process of its own.
			takes: appetite{connections: 20_000, cost: 2},
			unix: &unixRow{setting: "login-socket", file: "login/director", mode: "0666",
				behind:    authLogin,
				usage:     "socket for login processes, in --run-dir unless absolute; empty: none",
				modeUsage: "mode of --login-socket"},
			more: []Setting{dovecotSocketSetting("auth-login-socket", "/run/dovecot/auth-login",
				"Dovecot's auth socket of type login; empty: no --login-socket",
				func(o *Options) *string { return &o.Auth.AuthLoginSocket })},
			who: processes, may: "ask Dovecot's auth, as they could directly",
		},
		{
			kind: handover.Userdb, serve: authDoor(authrelay.Userdb, authUserdb),
			takes: appetite{connections: 5_000, cost: 2},
			unix: &unixRow{setting: "userdb-socket", file: "director-userdb", mode: "0600",
				behind:    authUserdb,
				usage:     "socket for LMTP and doveadm, in --run-dir unless absolute; empty: none",
				modeUsage: "mode of --userdb-socket; any user who may connect can look users up"},
			more: []Setting{dovecotSocketSetting("auth-userdb-socket", "/run/dovecot/auth-userdb",
				"Dovecot's auth socket of type userdb; empty: no --userdb-socket",
				func(o *Options) *string { return &o.Auth.AuthUserdbSocket })},
			who: "LMTP, doveadm", may: "look users up",
		},
		{
			kind: handover.Authreply, serve: authDoor(authrelay.Authreply, nil),
			takes: appetite{connections: 1_000, cost: 1},
			unix: &unixRow{setting: "authreply-socket", file: "director-authreply", mode: "0600",
				usage: "socket that adds backends to auth's reply lines, in --run-dir unless " +
					"absolute; empty: none",
				modeUsage: "mode of --authreply-socket"},
			more: []Setting{separatorSetting()},
			who:  "programs that read auth's replies themselves", may: "ask where users are",
		},
		{
			kind: handover.Admin, serve: (*Daemon).adminDoor,
			takes: appetite{connections: 512, cost: 1},
			unix: &unixRow{setting: "admin-socket", file: "director-admin", mode: "0600",
				usage: `socket for "doveadm director" and poolmon, ` +
					`in --run-dir unless absolute; empty: none`,
				modeUsage: "mode of --admin-socket; any user who may write to it may " +
					"change everything"},
			tcp: &tcpRow{setting: "admin-tcp",
				usage: "serve doveadm there too; only a loopback address (default: no)"},
			who: "any user who may write to it; over TCP " + anybody,
			may: "everything that `doveadm director` does",
		},
		{
			kind: handover.Notify, // the FIFO, which sessions read
			who:  processes, may: "prolong mappings that are there",
		},
	}
}

// doorOf returns the row of a kind.
func doorOf(k handover.Kind) doorRow {
	rows := doorTable()
	return rows[slices.IndexFunc(rows, func(r doorRow) bool { return r.kind == k })]
}

// field is the name under which the start-up line gives the address of a door of this kind, unless
// it was opened on TCP beside a unix socket.
func (r doorRow) field() string {
	switch {
	case r.unix != nil:
		return fieldOf(r.unix.setting)
	case r.tcp != nil:
		return fieldOf(r.tcp.setting)
	}
	return string(r.kind) + "_socket"
}

// fieldOf names a field of the log after a setting.
func fieldOf(setting string) string { return strings.ReplaceAll(setting, "-", "_") }

// settings are those of a door, in the order of the help.
func (r doorRow) settings() []Setting {
	var all []Setting
	if u := r.unix; u != nil {
		if u.usage != "" {
			all = append(all, socketSetting(u.setting, u.file, u.usage, r.kind))
		}
		all = append(all, modeSetting(u.setting+"-mode", u.mode, u.modeUsage, r.kind))
	}
	all = append(all, r.more...)
	if r.tcp != nil {
		all = append(all, addressSetting(*r.tcp, r.kind))
	}
	return all
}

// doorSettings are those of all doors.
func doorSettings() []Setting {
	var all []Setting
	for _, r := range doorTable() {
		all = append(all, r.settings()...)
	}
	return all
}
