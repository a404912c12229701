package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"directormesh/cli/door/httpapi"
	"directormesh/mesh"
)

const (
	// doorsTimeout bounds how long running requests may take when the director stops.
	doorsTimeout = 5 * time.Second
	// leaveTimeout bounds how long leaving the mesh may take.
	leaveTimeout = 10 * time.Second
)

// Config is what a Daemon needs.
type Config struct {
	Options   Options
	Version   string
	LogOutput io.Writer
	Notify    func(state string)      // tells the service manager (sd_notify); nil: there is none
	Reload    func() (Options, error) // reads the settings again; nil: they stay as they are
}

// Daemon is a director: a mesh node with its doors.
type Daemon struct {
	options  Options
	version  string
	log      zerolog.Logger
	level    *level
	notify   func(string)
	reread   func() (Options, error)
	node     *mesh.Node
	director *director
	server   *httpapi.Server
	unix     net.Listener
	tcp      net.Listener // nil without --http
}

// New opens all sockets and joins the mesh. The doors do not answer before Run. What New has opened, Close closes.
func New(cfg Config) (_ *Daemon, err error) {
	d := &Daemon{options: cfg.Options, version: cfg.Version, notify: cfg.Notify, reread: cfg.Reload}
	if d.notify == nil {
		d.notify = func(string) {}
	}
	d.log, d.level = newLog(cfg.Options, cfg.LogOutput)
	defer func() {
		if err != nil {
			d.Close()
		}
	}()

	kicker, err := newKicker(cfg.Options)
	if err != nil {
		return nil, err
	}
	// The cheap and exclusive things first: a second director on this run directory must not join before it fails.
	if d.unix, err = listenUnix(cfg.Options.SocketPath(), cfg.Options.SocketMode); err != nil {
		return nil, err
	}
	if cfg.Options.HTTP != "" {
		if d.tcp, err = listenHTTP(cfg.Options.HTTP); err != nil {
			return nil, err
		}
	}
	registry, err := newRegistry(cfg.Version)
	if err != nil {
		return nil, err
	}
	d.node, err = mesh.New(mesh.Config{
		Name:             cfg.Options.NodeName,
		Mesh:             cfg.Options.MeshName,
		Bind:             cfg.Options.Bind,
		Advertise:        cfg.Options.Advertise,
		Join:             cfg.Options.Join,
		Keys:             cfg.Options.Keys,
		HashFormat:       cfg.Options.UsernameHash.String(),
		Expire:           cfg.Options.UserExpire,
		KickDelay:        cfg.Options.UserKickDelay,
		MaxParallelMoves: cfg.Options.MaxParallelMoves,
		Backends:         cfg.Options.Backends,
		Kicker:           kicker,
		Log:              d.log,
		Registerer:       registry,
	})
	if err != nil {
		return nil, err
	}
	d.director = &director{node: d.node, options: cfg.Options, version: cfg.Version}
	d.server, err = httpapi.New(httpapi.Config{
		Director:   d.director,
		Log:        d.log,
		Metrics:    promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		Registerer: registry,
	})
	return d, err
}

// newRegistry returns the registry of one director. Nothing is registered globally: a process may hold several.
func newRegistry(version string) (*prometheus.Registry, error) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "director_build_info",
		Help:        "Always 1; the label tells the version.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return registry, nil
}

// HTTPAddr returns where HTTP is served, nil without --http.
func (d *Daemon) HTTPAddr() net.Addr {
	if d.tcp == nil {
		return nil
	}
	return d.tcp.Addr()
}

// WaitSynced waits until the director answers lookups by itself.
func (d *Daemon) WaitSynced(ctx context.Context) error { return d.node.WaitSynced(ctx) }

// Close stops everything at once. It may be called twice, and after Run.
func (d *Daemon) Close() error {
	var errs []error
	if d.server != nil {
		errs = append(errs, d.server.Close())
	}
	for _, l := range []net.Listener{d.unix, d.tcp} {
		if l == nil {
			continue
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if d.node != nil {
		errs = append(errs, d.node.Close())
	}
	return errors.Join(errs...)
}

// serve runs the doors. The error of the first that fails goes to failed.
func (d *Daemon) serve(running *sync.WaitGroup, failed chan<- error) {
	for _, l := range []net.Listener{d.unix, d.tcp} {
		if l == nil {
			continue
		}
		running.Go(func() {
			if err := d.server.Serve(l); err != nil {
				select {
				case failed <- fmt.Errorf("serving %s: %w", l.Addr(), err):
				default:
				}
			}
		})
	}
}

// MeshAddr returns where other directors reach this one.
func (d *Daemon) MeshAddr() netip.AddrPort {
	for _, p := range d.node.Peers() {
		if p.Self {
			return p.Addr
		}
	}
	return netip.AddrPort{}
}
