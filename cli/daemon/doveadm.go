package daemon

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/door/doveadm"
)

// maxSocketPath is the kernel's limit for the path of a unix socket.
const maxSocketPath = 107

// adminSettings are those of the door for doveadm.
func adminSettings() []Setting {
	return []Setting{
		{
			Name: "admin-socket", Value: "PATH", Default: "director-admin",
			Usage: "socket for \"doveadm director\" and poolmon, in --run-dir unless absolute; empty: none",
			read: func(o *Options, s string, _ Environment) error {
				o.AdminSocket = s
				if !filepath.IsAbs(s) && len(o.SocketPath()) > maxSocketPath {
					return nil // it is run-dir that is too long
				}
				if path := o.AdminSocketPath(); len(path) > maxSocketPath {
					return fmt.Errorf("%q makes a socket path of %d bytes; the most is %d", s, len(path), maxSocketPath)
				}
				return nil
			},
		},
		{
			Name: "admin-socket-mode", Value: "MODE", Default: "0600", Usage: "mode of --admin-socket; who may write to it may change everything",
			read: func(o *Options, s string, _ Environment) error {
				mode, err := strconv.ParseUint(s, 8, 32)
				if err != nil || mode > 0o777 {
					return fmt.Errorf("%q is not an octal mode such as 0660", s)
				}
				o.AdminSocketMode = fs.FileMode(mode)
				return nil
			},
		},
		{
			Name: "admin-tcp", Value: "IP:PORT", Default: "", Usage: "serve doveadm there too; a loopback address (default: no)",
			read: func(o *Options, s string, _ Environment) error { o.AdminTCP = s; return checkHTTP(s) },
		},
	}
}

// AdminSocketPath is where doveadm asks this director, "" if nowhere.
func (o Options) AdminSocketPath() string {
	if o.AdminSocket == "" || filepath.IsAbs(o.AdminSocket) {
		return o.AdminSocket
	}
	return filepath.Join(o.RunDir, o.AdminSocket)
}

func (d *Daemon) adminDoor(registry *prometheus.Registry) (server, error) {
	return doveadm.New(doveadm.Config{
		Director:         d.director,
		Log:              d.log,
		MaxParallelKicks: d.options.MaxParallelKicks,
		Registerer:       registry,
	})
}
