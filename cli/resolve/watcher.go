package resolve

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"directormesh/ring"
)

// lookupTime bounds one lookup.
const lookupTime = 10 * time.Second

// Watcher looks names up again and again.
type Watcher struct {
	Resolver Resolver
	Names    []ring.HostName
	Every    time.Duration
	// Report is told of each lookup what it found, and what went wrong, "" if nothing did. It must
	// not block.
	Report func(name ring.HostName, found []ring.Target, problem string)
}

// Run looks up until ctx ends, and waits for the lookups that run then.
func (w *Watcher) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, name := range w.Names {
		all.Go(func() { w.watch(ctx, name) })
	}
}

func (w *Watcher) watch(ctx context.Context, name ring.HostName) {
	rounds := time.NewTicker(w.Every)
	defer rounds.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, lookupTime)
		found, err := Targets(limited, w.Resolver, name.Host)
		cancel()
		if ctx.Err() != nil {
			return // it did not fail, we stop
		}
		w.Report(name, found, Problem(err))
		select {
		case <-rounds.C:
		case <-ctx.Done():
			return
		}
	}
}

// Problem is an error of Targets in few words, without the name and the servers that were asked.
func Problem(err error) string {
	var dns *net.DNSError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &dns) && dns.IsTimeout:
		return "no answer in time"
	case errors.As(err, &dns):
		return dns.Err
	}
	return err.Error()
}
