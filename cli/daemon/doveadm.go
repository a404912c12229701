package daemon

import (
	"io/fs"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/door/doveadm"
)

// adminSettings are those of the door for doveadm.
func adminSettings() []Setting {
	return []Setting{
		socketSetting("admin-socket", "director-admin", "socket for \"doveadm director\" and poolmon, in --run-dir unless absolute; empty: none",
			func(o *Options) *string { return &o.AdminSocket }),
		modeSetting("admin-socket-mode", "0600", "mode of --admin-socket; who may write to it may change everything",
			func(o *Options) *fs.FileMode { return &o.AdminSocketMode }),
		{
			Name: "admin-tcp", Value: "IP:PORT", Default: "", Usage: "serve doveadm there too; a loopback address (default: no)",
			read: func(o *Options, s string, _ Environment) error { o.AdminTCP = s; return checkHTTP(s) },
		},
	}
}

// AdminSocketPath is where doveadm asks this director, "" if nowhere.
func (o Options) AdminSocketPath() string { return o.inRunDir(o.AdminSocket) }

func (d *Daemon) adminDoor(registry *prometheus.Registry) (server, error) {
	return doveadm.New(doveadm.Config{
		Director:         d.director,
		Log:              d.log,
		MaxParallelKicks: d.options.MaxParallelKicks,
		Registerer:       registry,
	})
}
