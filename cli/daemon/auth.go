package daemon

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/door/authrelay"
	"directormesh/mesh"
	"directormesh/mesh/replica"
)

// authOptions are the settings of the doors in front of Dovecot's auth, beside where they are.
type authOptions struct {
	AuthLoginSocket  string // of Dovecot; "": no login door either
	AuthUserdbSocket string // of Dovecot; "": no userdb door either
	MasterSeparator  byte   // between user and master user; 0: none
}

// separatorSetting is that of master users.
func separatorSetting() Setting {
	return Setting{
		Name: "master-user-separator", Value: "CHARACTER", Default: "",
		Usage: "character before a master user's name, as auth_master_user_separator " +
			"(default: none)",
		read: func(o *Options, s string, _ Environment) error {
			switch {
			case s == "":
			case len(s) > 1 || s[0] >= utf8.RuneSelf:
				return fmt.Errorf("%q is not a single ASCII character", s)
			default:
				o.Auth.MasterSeparator = s[0]
			}
			return nil
		},
	}
}

// The sockets of Dovecot's that these doors stand before.
func authLogin(o *Options) string  { return o.Auth.AuthLoginSocket }
func authUserdb(o *Options) string { return o.Auth.AuthUserdbSocket }

// authDoor returns what makes the server of a door that completes auth replies. behind returns the
// socket of Dovecot's auth behind the door; it is nil for a door without one.
func authDoor(p authrelay.Protocol, behind func(*Options) string) serverMaker {
	return func(d *Daemon, registry *prometheus.Registry) (server, error) {
		auth := ""
		if behind != nil {
			auth = behind(&d.options)
		}
		return d.authRelay(p, auth, registry)
	}
}

func (d *Daemon) authRelay(
	p authrelay.Protocol, auth string, registry *prometheus.Registry,
) (server, error) {
	cfg := authrelay.Config{
		Protocol:   p,
		Auth:       auth,
		Director:   &authDirector{Node: d.node, names: hostNames{backends: d.node.Backends}},
		HashFormat: d.options.UsernameHash,
		Separator:  d.options.Auth.MasterSeparator,
		Log:        d.log,
		Registerer: registry,
	}
	if p != authrelay.Userdb { // of LMTP and doveadm no sessions are listed, and none can be kicked
		cfg.Seen, cfg.Mark = d.sessions.seen(), d.sessions.mark()
	}
	// Login processes freeze on a FIFO that no process has open. A FIFO that was handed over stays
	// open even while this director is dead. Without one, login processes do not write at all.
	if len(d.fifos()) > 0 {
		cfg.ProxyRefresh = d.options.UserExpire / 2
	}
	return authrelay.New(cfg)
}

// authDirector is what these doors know of the mesh.
type authDirector struct {
	*mesh.Node
	names hostNames
}

// Names implements authrelay.Director.
func (d *authDirector) Names() map[netip.Addr]string { return d.names.at(time.Now()) }

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
