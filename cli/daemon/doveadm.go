package daemon

import (
	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/door/doveadm"
)

func (d *Daemon) adminDoor(registry *prometheus.Registry) (server, error) {
	return doveadm.New(doveadm.Config{
		Director:         d.director,
		Log:              d.log,
		MaxParallelKicks: d.options.MaxParallelKicks,
		Registerer:       registry,
		Lists:            d.lists,
	})
}
