package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"

	"directormesh/cli/handover"
)

// Endpoint is where a door listens, unless a socket for it was handed over.
type Endpoint struct {
	Socket string // a path, in RunDir unless absolute; "": none
	Mode   fs.FileMode
	TCP    string // host:port on the loopback, "": none
}

// Socket is the path of the unix socket where a door listens, "" if there is none.
func (o Options) Socket(k handover.Kind) string {
	u := doorOf(k).unix
	switch {
	case u == nil || u.behind != nil && u.behind(&o) == "":
		return ""
	case u.usage == "":
		return o.inRunDir(u.file)
	}
	return o.inRunDir(o.Doors[k].Socket)
}

// setEndpoint changes the endpoint of a door.
func (o *Options) setEndpoint(k handover.Kind, change func(*Endpoint)) {
	if o.Doors == nil {
		o.Doors = make(map[handover.Kind]Endpoint)
	}
	endpoint := o.Doors[k]
	change(&endpoint)
	o.Doors[k] = endpoint
}

// socket is a listener, or the FIFO of login processes, opened here or handed over.
type socket struct {
	kind     handover.Kind
	field    string       // under which the start-up line gives its address
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
			tcp := s.Listener != nil && s.Listener.Addr().Network() == "tcp"
			row := doorOf(s.Kind)
			guarded := d.options.WebConfigFile != "" && s.Kind == handover.HTTP
			open := row.tcp != nil && row.tcp.any || guarded
			if tcp && !open && (s.Kind == handover.API || row.tcp != nil) {
				if err := checkLoopback(s.Listener.Addr().String()); err != nil {
					return fmt.Errorf("the socket that was handed over as %s: %w", s.Kind, err)
				}
			}
			d.addSocket(socket{kind: s.Kind, listener: s.Listener, fifo: s.FIFO}, tcp)
		}
	}
	// Those in the run directory first: they tell whether another director has it.
	for _, tcp := range []bool{false, true} {
		for _, r := range doorTable() {
			if taken[r.kind] {
				continue
			}
			l, err := d.options.listen(r, tcp)
			if err != nil {
				return err
			}
			if l == nil {
				continue
			}
			d.addSocket(socket{kind: r.kind, listener: l}, tcp)
		}
	}
	return nil
}

// addSocket takes a socket, and gives it a field of its own in the start-up line: a second one of
// the same kind, as systemd may hand over, has a number behind its name.
func (d *Daemon) addSocket(s socket, tcp bool) {
	row := doorOf(s.kind)
	name := row.field()
	if tcp && row.tcp != nil {
		name = fieldOf(row.tcp.setting)
	}
	s.field = name
	for n := 2; slices.ContainsFunc(d.sockets, func(o socket) bool {
		return o.field == s.field
	}); n++ {
		s.field = fmt.Sprintf("%s_%d", name, n)
	}
	d.sockets = append(d.sockets, s)
}

// listen opens the unix socket of a door, or what it has of TCP; nil if it has none.
func (o Options) listen(r doorRow, tcp bool) (net.Listener, error) {
	endpoint := o.Doors[r.kind]
	path := o.Socket(r.kind)
	switch {
	case tcp && r.tcp != nil && endpoint.TCP != "":
		return listenTCP(r.tcp.setting, endpoint.TCP)
	case !tcp && path != "":
		setting := r.unix.setting
		if r.unix.usage == "" {
			setting = "run-dir"
		}
		return listenUnix(setting, path, endpoint.Mode)
	}
	return nil, nil
}

// fifos returns the FIFOs of login processes that were handed over.
func (d *Daemon) fifos() (all []*os.File) {
	for _, s := range d.sockets {
		if s.fifo != nil {
			all = append(all, s.fifo)
		}
	}
	return all
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
