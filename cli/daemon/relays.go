package daemon

import (
	"fmt"
	"io/fs"
	"net/netip"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/door/authrelay"
	"directormesh/mesh"
	"directormesh/mesh/replica"
)

// relayOptions are the settings of the doors in front of Dovecot's auth. A socket path is in RunDir
// unless absolute; "" means that there is no such door.
type relayOptions struct {
	LoginSocket         string
	LoginSocketMode     fs.FileMode
	AuthLoginSocket     string // of Dovecot; "": no login door either
	UserdbSocket        string
	UserdbSocketMode    fs.FileMode
	AuthUserdbSocket    string // of Dovecot; "": no userdb door either
	AuthreplySocket     string
	AuthreplySocketMode fs.FileMode
	MasterSeparator     byte // between user and master user; 0: none
}

// relaySettings are those of the doors in front of Dovecot's auth.
func relaySettings() []Setting {
	return []Setting{
		socketSetting("login-socket", "login/director", "socket for login processes, in --run-dir unless absolute; empty: none",
			func(o *Options) *string { return &o.Relays.LoginSocket }),
		modeSetting("login-socket-mode", "0666", "mode of --login-socket",
			func(o *Options) *fs.FileMode { return &o.Relays.LoginSocketMode }),
		dovecotSocketSetting("auth-login-socket", "/run/dovecot/auth-login", "Dovecot's auth socket of type login; empty: no --login-socket",
			func(o *Options) *string { return &o.Relays.AuthLoginSocket }),
		socketSetting("userdb-socket", "director-userdb", "socket for LMTP and doveadm, in --run-dir unless absolute; empty: none",
			func(o *Options) *string { return &o.Relays.UserdbSocket }),
		modeSetting("userdb-socket-mode", "0600", "mode of --userdb-socket; who may connect learns about users",
			func(o *Options) *fs.FileMode { return &o.Relays.UserdbSocketMode }),
		dovecotSocketSetting("auth-userdb-socket", "/run/dovecot/auth-userdb", "Dovecot's auth socket of type userdb; empty: no --userdb-socket",
			func(o *Options) *string { return &o.Relays.AuthUserdbSocket }),
		socketSetting("authreply-socket", "director-authreply", "socket that completes auth reply lines, also in --run-dir; empty: none",
			func(o *Options) *string { return &o.Relays.AuthreplySocket }),
		modeSetting("authreply-socket-mode", "0600", "mode of --authreply-socket",
			func(o *Options) *fs.FileMode { return &o.Relays.AuthreplySocketMode }),
		{
			Name: "master-user-separator", Value: "CHARACTER", Default: "",
			Usage: "what stands before a master user, as auth_master_user_separator (default: none)",
			read: func(o *Options, s string, _ Environment) error {
				switch {
				case s == "":
				case len(s) > 1 || s[0] >= utf8.RuneSelf:
					return fmt.Errorf("%q is not a single ASCII character", s)
				default:
					o.Relays.MasterSeparator = s[0]
				}
				return nil
			},
		},
	}
}

// LoginSocketPath is where login processes ask this director, "" if nowhere.
func (o Options) LoginSocketPath() string {
	if o.Relays.AuthLoginSocket == "" {
		return ""
	}
	return o.inRunDir(o.Relays.LoginSocket)
}

// UserdbSocketPath is where LMTP and doveadm ask this director, "" if nowhere.
func (o Options) UserdbSocketPath() string {
	if o.Relays.AuthUserdbSocket == "" {
		return ""
	}
	return o.inRunDir(o.Relays.UserdbSocket)
}

// AuthreplySocketPath is where reply lines are completed, "" if nowhere.
func (o Options) AuthreplySocketPath() string { return o.inRunDir(o.Relays.AuthreplySocket) }

func (d *Daemon) loginDoor(registry *prometheus.Registry) (server, error) {
	return d.relay(authrelay.Login, d.options.Relays.AuthLoginSocket, registry)
}

func (d *Daemon) userdbDoor(registry *prometheus.Registry) (server, error) {
	return d.relay(authrelay.Userdb, d.options.Relays.AuthUserdbSocket, registry)
}

func (d *Daemon) authreplyDoor(registry *prometheus.Registry) (server, error) {
	return d.relay(authrelay.Authreply, "", registry)
}

func (d *Daemon) relay(p authrelay.Protocol, auth string, registry *prometheus.Registry) (server, error) {
	cfg := authrelay.Config{
		Protocol:   p,
		Auth:       auth,
		Director:   &relayDirector{Node: d.node, names: hostNames{backends: d.node.Backends}},
		HashFormat: d.options.UsernameHash,
		Separator:  d.options.Relays.MasterSeparator,
		Log:        d.log,
		Registerer: registry,
	}
	if p != authrelay.Userdb { // of LMTP and doveadm no sessions are listed, and none can be kicked
		cfg.Seen, cfg.Mark = d.sessions.seen(), d.sessions.mark()
	}
	// Login processes freeze if nobody has the FIFO open. One that was handed over is kept open by
	// whoever did so, even while this director is dead; without one they are not told to write at
	// all.
	if d.fifo() != nil {
		cfg.ProxyRefresh = d.options.UserExpire / 2
	}
	return authrelay.New(cfg)
}

// relayDirector is what relays know of the mesh.
type relayDirector struct {
	*mesh.Node
	names hostNames
}

// Names implements authrelay.Director.
func (d *relayDirector) Names() map[netip.Addr]string { return d.names.at(time.Now()) }

// namesAge is how old what is known of backends' host names may be.
const namesAge = time.Second

// hostNames are the host names of backends that were configured by name. They are read from the
// table now and then: asking it for each login would cost more than the lookup.
type hostNames struct {
	backends func() []replica.BackendStatus
	known    atomic.Pointer[knownNames]
}

type knownNames struct {
	until time.Time
	names map[netip.Addr]string // only of backends that have one
}

// at returns the names that are known. Safe for concurrent use; nobody may change them.
func (h *hostNames) at(now time.Time) map[netip.Addr]string {
	known := h.known.Load()
	if known == nil || now.After(known.until) {
		fresh := &knownNames{until: now.Add(namesAge)}
		for _, b := range h.backends() {
			if b.Backend.Name == "" {
				continue
			}
			if fresh.names == nil {
				fresh.names = make(map[netip.Addr]string)
			}
			fresh.names[b.Backend.Addr] = b.Backend.Name
		}
		h.known.Store(fresh)
		known = fresh
	}
	return known.names
}
