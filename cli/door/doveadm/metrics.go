package doveadm

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a connection is ended by the server: the values of the label.
const (
	refusedProtocol = "not_understood"
	refusedUnread   = "replies_not_read"
	refusedIdle     = "idle"
)

// metrics counts what this door does. All label values exist from the start.
type metrics struct {
	commands *prometheus.CounterVec
	refused  *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, commands map[string]command) (*metrics, error) {
	m := &metrics{
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "director_doveadm_commands_total",
			Help: "Commands of doveadm's protocol that were carried out or refused.",
		}, []string{"command"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "director_doveadm_disconnects_total",
			Help: "Connections of doveadm's protocol that this director ended, by reason.",
		}, []string{"reason"}),
	}
	for name := range commands {
		m.commands.WithLabelValues(name)
	}
	for _, reason := range []string{refusedProtocol, refusedUnread, refusedIdle} {
		m.refused.WithLabelValues(reason)
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.commands, m.refused} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics of the door for doveadm: %w", err)
		}
	}
	return m, nil
}
