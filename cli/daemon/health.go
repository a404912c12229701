package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/api"
	"directormesh/cli/probe"
	"directormesh/mesh"
	"directormesh/mesh/replica"
)

// healthOptions are the settings for checks of backends.
type healthOptions struct {
	Checks []probe.Check // none: backends are not checked here
	Login  *probe.Login  // test user; nil: nobody logs in
}

func healthSettings() []Setting {
	return []Setting{
		{
			Name: "health-check", Value: "PROTOCOL:PORT,…", Default: "", joint: ",",
			Usage: "check each backend at these ports every 5s and take failed ones out of use: " +
				"imap, pop3, lmtp, managesieve, submission or tcp, with +tls, +starttls, +proxy1 " +
				"or +proxy2 behind the port (default: no checks)",
			read: func(o *Options, s string, _ Environment) (err error) {
				o.Health.Checks, err = probe.ParseChecks(s)
				return err
			},
		},
		{
			Name: "health-login", Value: "FILE", Default: "",
			Usage: "USER:PASSWORD of a test user who logs in with each check " +
				"(default: nobody logs in)",
			differ: func(before, after Options) bool {
				return !sameLogin(before.Health.Login, after.Health.Login)
			},
			read: func(o *Options, s string, env Environment) (err error) {
				if s == "" {
					return nil
				}
				if err := checkSecretFile(s, "give the test user another password",
					env); err != nil {
					return err
				}
				raw, err := env.ReadFile(s)
				if err != nil {
					return fmt.Errorf("%s cannot be read: %s", s, api.Cause(err))
				}
				if o.Health.Login, err = probe.ParseLogin(string(raw)); err != nil {
					return fmt.Errorf("%s: %w", s, err)
				}
				return nil
			},
		},
	}
}

func sameLogin(a, b *probe.Login) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// checkHealth refuses a test user without anything to log in to.
func checkHealth(o Options) []Problem {
	logsIn := func(c probe.Check) bool {
		return c.Protocol != probe.TCP && c.Protocol != probe.LMTP
	}
	if o.Health.Login == nil || slices.ContainsFunc(o.Health.Checks, logsIn) {
		return nil
	}
	return []Problem{{Setting: "health-login", Err: errors.New("no check logs in; name a port of " +
		"imap, pop3, managesieve or submission in --health-check")}}
}

// health checks the backends for the mesh; nil if they are not checked.
type health struct {
	watcher probe.Watcher
}

// newHealth makes what checks backends, with its metrics; nil if the settings ask for no checks.
func newHealth(o Options, node *mesh.Node, registry prometheus.Registerer) (*health, error) {
	checks := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "director_health_checks_total",
		Help: "Checks of backends that ended, by result: good, or how they failed.",
	}, []string{"result"})
	if err := registry.Register(checks); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	results := map[probe.Word]prometheus.Counter{"": checks.WithLabelValues("good")}
	for _, word := range probe.Words() {
		results[word] = checks.WithLabelValues(string(word))
	}
	if len(o.Health.Checks) == 0 {
		return nil, nil
	}
	each := newCheckCounts(node.Backends)
	if err := registry.Register(each); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	return &health{probe.Watcher{
		Prober:  &probe.Prober{Login: o.Health.Login},
		Checks:  o.Health.Checks,
		Every:   replica.HealthRound,
		Servers: node.Watched,
		Report:  func(server netip.Addr, failure string) { node.Observe(server, failure) },
		Seed:    rand.Uint64(),
		Count: func(server netip.Addr, word probe.Word) {
			results[word].Inc()
			each.count(server, word)
		},
	}}, nil
}

// run checks until ctx ends.
func (h *health) run(ctx context.Context, running *sync.WaitGroup) {
	if h != nil {
		running.Go(func() { h.watcher.Run(ctx) })
	}
}
