package daemon

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/dovecot"
	"directormesh/cli/probe"
	"directormesh/cli/session"
	"directormesh/mesh/meshtest/metrictest"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

var (
	backend1 = netip.MustParseAddr("192.0.2.1")
	backend2 = netip.MustParseAddr("2001:db8::2")
	stranger = netip.MustParseAddr("203.0.113.9")
)

func twoBackends() []replica.BackendStatus {
	return []replica.BackendStatus{
		{Backend: ring.Backend{Addr: backend1}},
		{Backend: ring.Backend{Addr: backend2, Tag: "ssd"}},
	}
}

// Sessions are counted for each backend of the table and no other, over all lists.
func TestSessionCounts(t *testing.T) {
	source := func(backends ...netip.Addr) *session.Source {
		list := func(context.Context) (all []dovecot.Connection, err error) {
			for _, b := range backends {
				all = append(all, dovecot.Connection{User: "alice", Backend: b})
			}
			return all, nil
		}
		s := session.NewSource(list, func(string) ring.UserHash { return 1 },
			func() time.Time { return time.UnixMilli(1500) })
		t.Cleanup(s.Close)
		return s
	}
	sources := []*session.Source{
		source(backend1, backend1, stranger), source(backend1, backend2), source(backend2),
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newSessionCounts(sources, twoBackends))
	want := map[string]float64{
		"director_backend_sessions 192.0.2.1 ":       0,
		"director_backend_sessions 2001:db8::2 ssd":  0,
		"director_sessions_listed_timestamp_seconds": 0,
	}
	if diff := cmp.Diff(want, metrictest.Values(t, registry)); diff != "" {
		t.Errorf("before the first list (-want +got):\n%s", diff)
	}
	for _, s := range sources[:2] {
		if _, err := s.Fresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want["director_backend_sessions 192.0.2.1 "] = 3
	want["director_backend_sessions 2001:db8::2 ssd"] = 1
	want["director_sessions_listed_timestamp_seconds"] = 1.5
	if diff := cmp.Diff(want, metrictest.Values(t, registry)); diff != "" {
		t.Errorf("with two lists (-want +got):\n%s", diff)
	}
}

// Checks are counted for each backend, and those of one that has gone are forgotten.
func TestCheckCounts(t *testing.T) {
	backends := twoBackends()
	c := newCheckCounts(func() []replica.BackendStatus { return backends })
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	c.count(backend1, "")
	c.count(backend1, "")
	c.count(backend1, probe.Words()[0])
	c.count(backend2, "")
	c.count(stranger, "")
	want := map[string]float64{
		"director_backend_health_checks_total 192.0.2.1 good ":        2,
		"director_backend_health_checks_total 192.0.2.1 failed ":      1,
		"director_backend_health_checks_total 2001:db8::2 good ssd":   1,
		"director_backend_health_checks_total 2001:db8::2 failed ssd": 0,
	}
	if diff := cmp.Diff(want, metrictest.Values(t, registry)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	backends = backends[:1]
	if got := metrictest.Values(t, registry); len(got) != 2 || len(c.counts) != 1 {
		t.Errorf("%v of one backend, %d kept", got, len(c.counts))
	}
}
