package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"directormesh/cli/api"
)

// listenUnix listens on a unix socket of this mode, as a setting wants it. A socket that a dead
// process left behind is replaced; one that answers is not.
func listenUnix(setting, path string, mode fs.FileMode) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf(
			"%s: the directory of %s cannot be made: %s; create it, or choose another with --%s",
			setting, path, api.Cause(err), setting)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf(
			"%s: another process serves %s; stop it, or choose another place with --%s",
			setting, path, setting)
	} else if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf(
			"%s: %s belongs to somebody else; remove it, or choose another with --%s",
			setting, path, setting)
	}
	// What is there may be a socket whose process is dead, and nothing else.
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf(
			"%s: %s is there already and is no socket; remove it, or choose another with --%s",
			setting, path, setting)
	}
	// The socket is made under another name and renamed when it has its mode: nobody can connect
	// before that, and there is no moment without a socket.
	fresh := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, cannotListen(setting, path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, cannotListen(setting, path, err)
	}
	l.SetUnlinkOnClose(false) // by its first name it is not there any more
	if err := errors.Join(os.Chmod(fresh, mode), os.Rename(fresh, path)); err != nil {
		l.Close()
		os.Remove(fresh)
		return nil, cannotListen(setting, path, err)
	}
	return &unixListener{UnixListener: l, path: path}, nil
}

// unixListener removes its socket when it is closed.
type unixListener struct {
	*net.UnixListener
	path string
}

// Addr returns the path that others connect to.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

func (l *unixListener) Close() error {
	err := l.UnixListener.Close()
	if err == nil { // the first time only: later the path may be another's
		err = os.Remove(l.path)
	}
	return err
}

// listenTCP listens on an address, as a setting wants it.
func listenTCP(setting, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %s is in use by another process; choose another with --%s",
			setting, addr, setting)
	}
	if err != nil {
		return nil, cannotListen(setting, addr, err)
	}
	return l, nil
}

func cannotListen(setting, at string, err error) error {
	return fmt.Errorf("%s: cannot listen at %s: %s; choose another with --%s",
		setting, at, api.Cause(err), setting)
}
