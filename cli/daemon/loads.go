package daemon

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/agent"
	"directormesh/cli/dovecot"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/mesh/wording"
	"directormesh/ring"
)

const (
	// loadsAtATime bounds how many backends are asked at a time: a list of a million sessions takes
	// memory.
	loadsAtATime = 8
	// loadTime bounds how long a backend may take to say how loaded it is.
	loadTime = 9 * time.Second
	// loadsReported is how often it is said that a backend's load is not known.
	loadsReported = 10 * time.Minute
)

// loads finds out how loaded backends are, for balancing.
type loads struct {
	node  loadsNode
	every time.Duration
	log   zerolog.Logger
	// own counts the sessions of this director's proxies, by backend; nil: backends are asked.
	own func(context.Context) (map[netip.Addr]uint64, error)
	ask func(ctx context.Context, backend netip.Addr) (uint64, error)

	// told is when it was last said that a load is not known, of own by the zero Addr.
	told map[netip.Addr]time.Time
}

// loadsNode is what loads needs of mesh.Node.
type loadsNode interface {
	LoadsWanted() []netip.Addr
	ReportLoads(loads []wire.Load, known bool)
}

// newLoads returns what finds out loads; nil if the settings do not ask for it.
func newLoads(o Options, node loadsNode, s *sessions, log zerolog.Logger) *loads {
	l := &loads{
		node: node, every: replica.LoadRound(o.UserExpire), log: log,
		told: make(map[netip.Addr]time.Time),
	}
	if o.Balance.Mode == wire.BalanceOff {
		return nil
	}
	switch o.Balance.Source {
	case wire.ProxySessions:
		l.own = s.count
	case wire.BackendSessions:
		doveadm := dovecot.NewDoveadm(o.Doveadm.Port, o.Doveadm.TLS, o.Doveadm.Key)
		l.ask = func(ctx context.Context, backend netip.Addr) (uint64, error) {
			sessions, err := doveadm.List(ctx, backend)
			return uint64(len(sessions)), err
		}
	case wire.BusyPercent:
		l.ask = func(ctx context.Context, backend netip.Addr) (uint64, error) {
			busy, err := agent.Busy(ctx, netip.AddrPortFrom(backend, o.Balance.AgentPort))
			return uint64(busy), err
		}
	}
	return l
}

// count counts the sessions that the proxies here have, by backend.
func (s *sessions) count(ctx context.Context) (map[netip.Addr]uint64, error) {
	counts := make(map[netip.Addr]uint64)
	for _, source := range s.sources {
		list, err := source.Fresh(ctx)
		if err != nil {
			return nil, err
		}
		for one := range list.All() {
			counts[one.Backend]++
		}
	}
	return counts, nil
}

// run reports loads until ctx ends.
func (l *loads) run(ctx context.Context, running *sync.WaitGroup) {
	if l == nil {
		return
	}
	running.Go(func() {
		ticker := time.NewTicker(l.every)
		defer ticker.Stop()
		for {
			l.report(ctx)
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	})
}

func (l *loads) report(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	if l.own != nil {
		counts, err := l.own(ctx)
		if err != nil {
			l.tell(netip.Addr{}, err)
		}
		l.node.ReportLoads(listOf(counts), err == nil)
		return
	}
	backends := l.node.LoadsWanted()
	if len(backends) == 0 {
		return
	}
	l.node.ReportLoads(listOf(l.askAll(ctx, backends)), true)
}

// askAll asks backends for their loads; those that do not answer are left out.
func (l *loads) askAll(ctx context.Context, backends []netip.Addr) map[netip.Addr]uint64 {
	var mu sync.Mutex
	var asking sync.WaitGroup
	counts := make(map[netip.Addr]uint64)
	failures := make(map[netip.Addr]error)
	slots := make(chan struct{}, loadsAtATime)
	for _, backend := range backends {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			load, err := l.ask(ctx, backend)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failures[backend] = err
				return
			}
			counts[backend] = load
		})
	}
	asking.Wait()
	for _, backend := range backends {
		if err := failures[backend]; err != nil {
			l.tell(backend, err)
		}
	}
	return counts
}

func listOf(counts map[netip.Addr]uint64) []wire.Load {
	list := make([]wire.Load, 0, len(counts))
	for backend, load := range counts {
		list = append(list, wire.Load{Backend: backend, Load: load})
	}
	return list
}

// tell says that a load is not known, now and then.
func (l *loads) tell(backend netip.Addr, err error) {
	now := time.Now()
	if at, ok := l.told[backend]; ok && now.Sub(at) < loadsReported {
		return
	}
	l.told[backend] = now
	if !backend.IsValid() {
		l.log.Warn().Err(wording.Plain(err)).
			Msg("sessions cannot be counted, weights stay as they are")
		return
	}
	l.log.Warn().Err(wording.Plain(err)).Str("backend", ring.AddrText(backend)).
		Msg("load of a backend is not known, weights stay as they are")
}
