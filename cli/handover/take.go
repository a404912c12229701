package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// systemdFirst is the first descriptor that systemd hands over.
	systemdFirst = 3
	// dovecotFirst is the first one that may be a listener of Dovecot's master; how many come
	// before depends on its version.
	dovecotFirst = 7
	// dovecotGap is how many descriptors that are no listeners may be among them.
	dovecotGap = 8
	// maxHanded bounds what the environment can make us look at.
	maxHanded = 256
)

// A Socket is one listener or the FIFO.
type Socket struct {
	Kind     Kind
	Name     string       // for logs: what the other side calls it, or its path
	Listener net.Listener // nil for Notify
	FIFO     *os.File     // open for reading and writing, non-blocking; Notify only
}

// Handed is what another process has opened for this one.
type Handed struct {
	Sockets []Socket
	master  *master // nil unless Dovecot's master started us
}

// Environment is what Take reads; tests give their own.
type Environment struct {
	LookupEnv func(name string) (string, bool)
	PID       int
}

// Take takes over what the environment says was handed over; nothing is no error. Descriptors that
// are neither listeners nor FIFOs are an error when systemd passes them. The caller closes the
// sockets. It must be called once, before the process opens files of its own, because Dovecot does
// not tell which descriptors are free.
func Take(env Environment) (*Handed, error) {
	if pid, ok := env.LookupEnv("LISTEN_PID"); ok && pid == strconv.Itoa(env.PID) {
		return takeSystemd(env, systemdFirst)
	}
	if count, ok := env.LookupEnv("SOCKET_COUNT"); ok {
		if _, ok := env.LookupEnv("GENERATION"); ok {
			return takeDovecot(env, count, dovecotFirst, statusFD, deadFD)
		}
	}
	return &Handed{}, nil
}

// Close closes all that was taken over. The files stay: they belong to the process that made them.
func (h *Handed) Close() {
	for _, s := range h.Sockets {
		if s.Listener != nil {
			s.Listener.Close()
		}
		if s.FIFO != nil {
			s.FIFO.Close()
		}
	}
}

func takeSystemd(env Environment, first int) (_ *Handed, err error) {
	text, _ := env.LookupEnv("LISTEN_FDS")
	count, err := strconv.Atoi(text)
	if err != nil || count < 0 || count > maxHanded {
		return nil, fmt.Errorf("LISTEN_FDS: %q is not a number from 0 to %d", text, maxHanded)
	}
	var names []string
	if joined, ok := env.LookupEnv("LISTEN_FDNAMES"); ok {
		names = strings.Split(joined, ":")
	}
	h := &Handed{}
	defer func() {
		if err != nil {
			h.Close()
		}
	}()
	for i := range count {
		name := ""
		if i < len(names) {
			name = names[i]
		}
		s, ok, err := take(first+i, name)
		if err == nil && !ok {
			err = errors.New("is neither a listening socket nor a FIFO")
		}
		if err != nil {
			return nil, fmt.Errorf("descriptor %d (%q) that was handed over: %w",
				first+i, name, err)
		}
		h.Sockets = append(h.Sockets, s)
	}
	return h, nil
}

func takeDovecot(env Environment, text string, first, statusFD, deadFD int) (_ *Handed, err error) {
	count, err := strconv.Atoi(text)
	if err != nil || count < 0 || count > maxHanded {
		return nil, fmt.Errorf("SOCKET_COUNT: %q is not a number from 0 to %d", text, maxHanded)
	}
	h := &Handed{}
	if h.master, err = newMaster(env, statusFD, deadFD); err != nil {
		return nil, err
	}
	for fd := first; fd < first+count+dovecotGap && len(h.Sockets) < count; fd++ {
		name, _ := env.LookupEnv(fmt.Sprintf("SOCKET%d_SETTINGS", len(h.Sockets)))
		name, _, _ = strings.Cut(name, "\t") // more settings may follow the name
		s, ok, err := take(fd, name)
		if err != nil {
			h.Close()
			return nil, fmt.Errorf("descriptor %d that Dovecot's master has handed over: %w",
				fd, err)
		}
		if ok {
			h.Sockets = append(h.Sockets, s)
		}
	}
	if len(h.Sockets) < count {
		h.Close()
		return nil, fmt.Errorf("SOCKET_COUNT: %d listeners are announced, %d were handed over",
			count, len(h.Sockets))
	}
	return h, nil
}

// take makes a Socket of a descriptor and closes the descriptor; false if it is neither listener
// nor FIFO.
func take(fd int, name string) (Socket, bool, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return Socket{}, false, nil // not open
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFIFO:
		return takeFIFO(fd, name)
	case unix.S_IFSOCK:
		listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		if err != nil || listening == 0 {
			return Socket{}, false, nil
		}
		return takeListener(fd, name)
	}
	return Socket{}, false, nil
}

func takeListener(fd int, name string) (Socket, bool, error) {
	unix.CloseOnExec(fd)
	file := os.NewFile(uintptr(fd), name)
	defer file.Close() // the listener has its own copy
	l, err := net.FileListener(file)
	if err != nil {
		return Socket{}, false, err
	}
	s := Socket{Name: name, Listener: l}
	if s.Name == "" {
		s.Name = l.Addr().String()
	}
	kind, known := kindOfName(name)
	switch {
	case known:
		s.Kind = kind
	case l.Addr().Network() == "unix":
		s.Kind = kindOfPath(l.Addr().String())
	default:
		l.Close()
		return Socket{}, false, fmt.Errorf("%s has no name that tells its door; name it %s or %s",
			l.Addr(), HTTP, Admin)
	}
	return s, true, nil
}

// takeFIFO takes a FIFO over, non-blocking, so that closing it ends a read. Dovecot's master opens
// it for reading only, which ends whenever nobody writes; then it is opened again for both.
func takeFIFO(fd int, name string) (Socket, bool, error) {
	self := fmt.Sprintf("/proc/self/fd/%d", fd)
	path, err := os.Readlink(self)
	if err != nil || strings.HasPrefix(path, "pipe:") {
		return Socket{}, false, nil // an anonymous pipe, such as the log's
	}
	unix.CloseOnExec(fd)
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return Socket{}, false, err
	}
	if flags&unix.O_ACCMODE != unix.O_RDWR {
		both, err := unix.Open(self, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return Socket{}, false, fmt.Errorf("opening %s for reading and writing: %w", path, err)
		}
		_ = unix.Close(fd)
		fd = both
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return Socket{}, false, err
	}
	if name == "" {
		name = path
	}
	return Socket{Kind: Notify, Name: name, FIFO: os.NewFile(uintptr(fd), path)}, true, nil
}
