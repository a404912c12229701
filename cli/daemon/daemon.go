package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"directormesh/cli/doctor"
	"directormesh/cli/door/bulk"
	"directormesh/cli/door/webauth"
	"directormesh/cli/eventhook"
	"directormesh/cli/feed"
	"directormesh/cli/handover"
	"directormesh/cli/kick"
	"directormesh/cli/lossy"
	"directormesh/cli/resolve"
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
	Wall      func() time.Time        // the wall clock; nil: time.Now
	Notify    func(state string)      // tells the service manager (sd_notify); may be nil
	Reload    func() (Options, error) // reads the settings again; nil: they stay as they are
	// Resolver looks up names of backends; nil: the system's.
	Resolver resolve.Resolver
	// sockets that others have opened for this director; nil: none. Close closes them
	Handed *handover.Handed
}

// Daemon is a director: a mesh node with its doors.
type Daemon struct {
	options  Options
	version  string
	log      zerolog.Logger
	lines    *lossy.Writer // of the log
	level    *level
	notify   func(string)
	reread   func() (Options, error)
	reloads  *reloads
	node     *mesh.Node
	director *director
	sessions *sessions
	vacancy  *vacancy      // nil: backends are not asked for sessions
	health   *health       // nil: backends are not checked
	loads    *loads        // nil: load is not evened out
	names    *names        // nil: there are none to follow
	lists    *bulk.Lane    // in which the doors make their lists
	gate     *webauth.Gate // nil without a web configuration file
	feed     *feed.Feed    // of what happens
	hooks    *eventhook.Hooks
	sockets  []socket
	doors    []*door
}

// New opens all sockets and joins the mesh. The doors do not answer before Run. What New has
// opened, Close closes.
func New(cfg Config) (_ *Daemon, err error) {
	d := &Daemon{
		options: cfg.Options, version: cfg.Version, notify: cfg.Notify, reread: cfg.Reload,
		lists: bulk.NewLane(runtime.GOMAXPROCS(0)),
	}
	if d.notify == nil {
		d.notify = func(string) {}
	}
	d.log, d.level, d.lines = newLog(cfg.Options, cfg.LogOutput)
	defer func() {
		if err != nil {
			d.Close()
		}
	}()

	if d.sessions, _, err = newSessions(cfg.Options, d.log); err != nil {
		return nil, err
	}
	// The cheap and exclusive things first: a second director on this run directory must not join
	// before it fails.
	if err = d.openSockets(cfg.Handed); err != nil {
		return nil, err
	}
	registry, err := newRegistry(cfg.Version, cfg.Options)
	if err != nil {
		return nil, err
	}
	if d.reloads, err = newReloads(registry); err != nil {
		return nil, err
	}
	if err = registerLog(registry, d.lines); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	if d.gate, err = newGate(d, registry); err != nil {
		return nil, err
	}
	if d.feed, err = newFeed(cfg.Options, registry); err != nil {
		return nil, err
	}
	if err = d.newEventHooks(registry); err != nil {
		return nil, err
	}
	d.vacancy = newVacancy(cfg.Options, d.sessions.hash, d.log)
	data, err := openData(cfg.Options.DataDir)
	if err != nil {
		return nil, err
	}
	d.node, err = mesh.New(mesh.Config{
		Wall:             cfg.Wall,
		Data:             data,
		DataGoOn:         cfg.Options.DataDamaged,
		HistoryBytes:     cfg.Options.HistoryBytes,
		HistoryAge:       cfg.Options.HistoryAge,
		Name:             cfg.Options.NodeName,
		Mesh:             cfg.Options.MeshName,
		Bind:             cfg.Options.Bind,
		Advertise:        cfg.Options.Advertise,
		Join:             cfg.Options.Join,
		Keys:             cfg.Options.Keys,
		ReadKeys:         cfg.Options.ReadKeys,
		ServeAlone:       cfg.Options.ServeAlone,
		HashFormat:       cfg.Options.UsernameHash.String(),
		Expire:           cfg.Options.UserExpire,
		KickDelay:        cfg.Options.UserKickDelay,
		MaxParallelMoves: cfg.Options.MaxParallelMoves,
		SlowStart:        cfg.Options.SlowStart,
		Backends:         cfg.Options.Backends,
		Watches:          len(cfg.Options.Health.Checks) > 0,
		Balance:          cfg.Options.Balance.forMesh(),
		Names:            cfg.Options.Names.forMesh(),
		Kicker:           kicker{d.sessions.kicker},
		Vacancy:          d.vacancy.forMesh(),
		Hook:             newHook(cfg.Options, d.sessions.mesh.name),
		Happened:         d.happened,
		Log:              d.log,
		Registerer:       registry,
	})
	if err != nil {
		return nil, startError(cfg.Options.DataDir, err)
	}
	if err = d.sessions.attach(d.node, d.fifos(), registry); err != nil {
		return nil, err
	}
	if d.health, err = newHealth(cfg.Options, d.node, registry); err != nil {
		return nil, err
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	d.names = newNames(cfg.Options, d.node, cfg.Resolver)
	d.loads = newLoads(cfg.Options, d.node, d.sessions, d.log)
	d.director = &director{
		node: d.node, options: cfg.Options, version: cfg.Version,
		noKicker: d.sessions.kicker == kick.None{}, reloads: make(chan reloadRequest),
	}
	d.node.Handle(doctor.Topic, d.answerDoctor)
	return d, d.makeDoors(registry)
}

// newRegistry returns the registry of one director. Nothing is registered globally: a process may
// hold several.
func newRegistry(version string, o Options) (*prometheus.Registry, error) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "director_build_info",
		Help:        "Always 1; the label has the version.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "director_info",
		Help: "Always 1; the labels have the names of the director, as the label peer of others " +
			"has it, and of the mesh.",
		ConstLabels: prometheus.Labels{"director": o.NodeName, "mesh": o.MeshName},
	})
	info.Set(1)
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		build, info, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return registry, nil
}

// WaitSynced waits until the director answers lookups by itself.
func (d *Daemon) WaitSynced(ctx context.Context) error { return d.node.WaitSynced(ctx) }

// Close stops everything at once. It may be called twice, and after Run.
func (d *Daemon) Close() error {
	errs := []error{d.closeDoors()}
	if d.node != nil {
		errs = append(errs, d.node.Close())
	}
	d.vacancy.close()
	if d.sessions != nil {
		errs = append(errs, d.sessions.close())
	}
	d.lines.Close()
	return errors.Join(errs...)
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
