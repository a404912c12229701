package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"directormesh/cli/door/httpapi"
	"directormesh/cli/door/rawconn"
	"directormesh/cli/handover"
)

// door is one way to reach this director: what is spoken, and where.
type door struct {
	server    server
	listeners []net.Listener
}

// server answers at a door. Serve takes over the listener and returns nil after Close; Close ends
// all connections and waits for everything that the server has started; twice is fine.
type server interface {
	Serve(l net.Listener) error
	Close() error
}

// drainer is a server that can end in good order: it accepts nothing more, answers what is pending,
// and then closes.
type drainer interface {
	Shutdown(ctx context.Context) error
}

// makeDoors makes the servers of all doors that have a listener.
func (d *Daemon) makeDoors(registry *prometheus.Registry) error {
	if err := d.boundDoors(registry); err != nil {
		return err
	}
	for _, row := range doorTable() {
		var listeners []net.Listener
		for _, s := range d.sockets {
			if s.listener != nil && (s.kind == row.kind || doorOf(s.kind).sameAs == row.kind) {
				listeners = append(listeners, s.listener)
			}
		}
		if len(listeners) == 0 || row.serve == nil {
			continue
		}
		server, err := row.serve(d, registry)
		if err != nil {
			return err
		}
		d.doors = append(d.doors, &door{server: server, listeners: listeners})
	}
	return nil
}

// boundDoors bounds the connections of each door, so that all doors together leave descriptors for
// the mesh.
func (d *Daemon) boundDoors(registry *prometheus.Registry) error {
	limit, err := descriptorLimit()
	if err != nil {
		return fmt.Errorf("the limit of file descriptors cannot be read: %w", err)
	}
	metrics, err := newCrowdMetrics(registry)
	if err != nil {
		return fmt.Errorf("registering metrics of the doors: %w", err)
	}
	var kinds []handover.Kind
	for _, s := range d.sockets {
		if s.listener != nil && !slices.Contains(kinds, s.kind) {
			kinds = append(kinds, s.kind)
		}
	}
	crowds := make(map[handover.Kind]*crowd)
	for kind, most := range shareOut(limit, kinds) {
		crowds[kind] = newCrowd(string(kind), most, d.log, metrics)
	}
	for i := range d.sockets {
		if s := &d.sockets[i]; s.listener != nil {
			guarded := d.gate != nil && s.listener.Addr().Network() == "tcp" &&
				(s.kind == handover.API || s.kind == handover.HTTP)
			raw := rawconn.Listener{Listener: s.listener}
			s.listener = crowdListener{raw, crowds[s.kind], guarded}
		}
	}
	return nil
}

func (d *Daemon) httpDoor(registry *prometheus.Registry) (server, error) {
	config := httpapi.Config{
		Director:   d.director,
		Log:        d.log,
		Metrics:    promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		Registerer: registry,
		Lists:      d.lists,
		Events:     d.feed,
	}
	if d.gate != nil {
		config.Gate = d.gate
	}
	return httpapi.New(config)
}

// metricsDoor serves what anybody may see.
func (d *Daemon) metricsDoor(registry *prometheus.Registry) (server, error) {
	return httpapi.NewPublic(httpapi.Config{
		Director: d.director,
		Log:      d.log,
		Metrics:  promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
	}), nil
}

// serve runs the doors. The error of the first that fails goes to failed.
func (d *Daemon) serve(running *sync.WaitGroup, failed chan<- error) {
	for _, o := range d.doors {
		for _, l := range o.listeners {
			running.Go(func() {
				if err := o.server.Serve(l); err != nil {
					select {
					case failed <- fmt.Errorf("serving %s: %w", l.Addr(), err):
					default:
					}
				}
			})
		}
	}
}

// shutDoors ends all doors in good order, at the same time: none is to hold up another. What is
// left when ctx ends is cut off.
func (d *Daemon) shutDoors(ctx context.Context) error {
	errs := make([]error, len(d.doors))
	var doors sync.WaitGroup
	for i, o := range d.doors {
		doors.Go(func() {
			if s, ok := o.server.(drainer); ok {
				errs[i] = s.Shutdown(ctx)
			} else {
				errs[i] = o.server.Close()
			}
		})
	}
	doors.Wait()
	return errors.Join(errs...)
}

// closeDoors ends all doors at once. It may be called twice, and before there are any.
func (d *Daemon) closeDoors() error {
	var errs []error
	for _, o := range d.doors {
		errs = append(errs, o.server.Close())
	}
	for _, s := range d.sockets {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
