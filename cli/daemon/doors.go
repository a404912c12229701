package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"directormesh/cli/door/httpapi"
	"directormesh/cli/handover"
)

// door is one way to reach this director: what is spoken, and where.
type door struct {
	kind      handover.Kind
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
	makers := []struct {
		kind handover.Kind
		make func(*prometheus.Registry) (server, error)
	}{
		{handover.API, d.httpDoor}, // and handover.HTTP: the same server
		{handover.Login, d.loginDoor},
		{handover.Userdb, d.userdbDoor},
		{handover.Authreply, d.authreplyDoor},
		{handover.Admin, d.adminDoor},
	}
	for _, m := range makers {
		var listeners []net.Listener
		for _, s := range d.sockets {
			if s.listener != nil && (s.kind == m.kind || s.kind == handover.HTTP && m.kind == handover.API) {
				listeners = append(listeners, s.listener)
			}
		}
		if len(listeners) == 0 {
			continue
		}
		server, err := m.make(registry)
		if err != nil {
			return err
		}
		d.doors = append(d.doors, &door{kind: m.kind, server: server, listeners: listeners})
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
			s.listener = crowdListener{s.listener, crowds[s.kind]}
		}
	}
	return nil
}

func (d *Daemon) httpDoor(registry *prometheus.Registry) (server, error) {
	return httpapi.New(httpapi.Config{
		Director:   d.director,
		Log:        d.log,
		Metrics:    promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		Registerer: registry,
	})
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

// socket is a listener, or the FIFO of login processes, opened here or handed over.
type socket struct {
	kind     handover.Kind
	listener net.Listener // nil: it is the FIFO
	fifo     *os.File
}

func (s socket) String() string {
	if s.listener == nil {
		return s.fifo.Name()
	}
	return s.listener.Addr().String()
}

func (s socket) close() error {
	var err error
	if s.listener != nil {
		err = s.listener.Close()
	} else {
		err = s.fifo.Close()
	}
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// openSockets takes what was handed over and opens the sockets of the other doors.
func (d *Daemon) openSockets(handed *handover.Handed) error {
	taken := make(map[handover.Kind]bool)
	if handed != nil {
		for _, s := range handed.Sockets {
			taken[s.Kind] = true
			d.sockets = append(d.sockets, socket{kind: s.Kind, listener: s.Listener, fifo: s.FIFO})
		}
	}
	for _, s := range d.options.unixSockets() {
		if taken[s.kind] || s.path == "" {
			continue
		}
		l, err := listenUnix(s.setting, s.path, s.mode)
		if err != nil {
			return err
		}
		d.sockets = append(d.sockets, socket{kind: s.kind, listener: l})
	}
	for _, s := range []struct {
		kind    handover.Kind
		setting string
		addr    string
	}{{handover.HTTP, "http", d.options.HTTP}, {handover.Admin, "admin-tcp", d.options.AdminTCP}} {
		if s.addr == "" || taken[s.kind] {
			continue
		}
		l, err := listenTCP(s.setting, s.addr)
		if err != nil {
			return err
		}
		d.sockets = append(d.sockets, socket{kind: s.kind, listener: l})
	}
	return nil
}

// unixSocket says where a door listens unless its socket was handed over.
type unixSocket struct {
	kind    handover.Kind
	setting string // by which the path is chosen
	path    string // "": nowhere
	mode    fs.FileMode
}

// unixSockets lists the sockets of all doors. The API's comes first: it tells whether the run
// directory is free.
func (o Options) unixSockets() []unixSocket {
	return []unixSocket{
		{handover.API, "run-dir", o.SocketPath(), o.SocketMode},
		{handover.Login, "login-socket", o.LoginSocketPath(), o.Relays.LoginSocketMode},
		{handover.Userdb, "userdb-socket", o.UserdbSocketPath(), o.Relays.UserdbSocketMode},
		{handover.Authreply, "authreply-socket", o.AuthreplySocketPath(), o.Relays.AuthreplySocketMode},
		{handover.Admin, "admin-socket", o.AdminSocketPath(), o.AdminSocketMode},
	}
}

// startField is the field of the start-up line that tells the address of a door.
func startField(k handover.Kind) string {
	switch k {
	case handover.API:
		return "socket"
	case handover.HTTP:
		return "http"
	}
	return string(k) + "_socket"
}

// fifo returns the handed over FIFO of login processes, nil if there is none.
func (d *Daemon) fifo() *os.File {
	for _, s := range d.sockets {
		if s.fifo != nil {
			return s.fifo
		}
	}
	return nil
}

// HTTPAddr returns where HTTP is served over TCP, nil if it is not.
func (d *Daemon) HTTPAddr() net.Addr {
	for _, s := range d.sockets {
		if s.kind == handover.HTTP {
			return s.listener.Addr()
		}
	}
	return nil
}
