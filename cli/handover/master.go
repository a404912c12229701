package handover

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Descriptors by which Dovecot's master and its services talk.
const (
	statusFD = 5
	deadFD   = 6
)

// master is the link to the Dovecot master process that started us.
type master struct {
	status     *os.File
	dead       *os.File
	pid        int
	generation uint32
	free       uint32 // connections that the master may believe to be free
}

func newMaster(env Environment, statusFD, deadFD int) (*master, error) {
	generation, err := envUint(env, "GENERATION")
	if err != nil {
		return nil, err
	}
	limit, err := envUint(env, "CLIENT_LIMIT")
	if err != nil {
		return nil, err
	}
	m := &master{pid: env.PID, generation: generation}
	// One less than the limit means that somebody is being served: an idle process would be
	// stopped.
	if limit > 0 {
		m.free = limit - 1
	}
	for fd, file := range map[int]**os.File{statusFD: &m.status, deadFD: &m.dead} {
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, fmt.Errorf(
				"descriptor %d, by which Dovecot's master listens to its services: %w", fd, err)
		}
		*file = os.NewFile(uintptr(fd), "dovecot master")
	}
	return m, nil
}

func envUint(env Environment, name string) (uint32, error) {
	text, _ := env.LookupEnv(name)
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is not a number; is this a service of Dovecot's master?",
			name, text)
	}
	return uint32(n), nil
}

// Started reports to Dovecot's master that this process serves. The master kills a service that
// does not say so within 30 s. Started does nothing if the sockets came from elsewhere.
func (h *Handed) Started() error {
	if h.master == nil {
		return nil
	}
	if _, err := h.master.status.Write(h.master.record()); err != nil {
		return fmt.Errorf("telling Dovecot's master that the service has started: %w", err)
	}
	return nil
}

// record is pid, generation and free connections, as the C struct that the master reads.
func (m *master) record() []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(m.pid))
	b = binary.NativeEndian.AppendUint32(b, m.generation)
	return binary.NativeEndian.AppendUint32(b, m.free)
}

// WatchMaster waits until Dovecot's master is gone or wants to be served by a new process, and
// calls gone then. It returns at once if no master started us, and when ctx ends.
func (h *Handed) WatchMaster(ctx context.Context, gone func()) {
	if h.master == nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { h.master.dead.Close() })
	defer stop()
	conn, err := h.master.dead.SyscallConn()
	if err != nil {
		return
	}
	// It is one end of a pipe, which end depends on the version. Nothing is ever written; when the
	// other end is closed, polling tells so.
	err = conn.Read(func(fd uintptr) (done bool) {
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(polled, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
	if err == nil && ctx.Err() == nil {
		gone()
	}
}
