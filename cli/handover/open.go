package handover

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"directormesh/mesh/wording"
)

// Spec says what Hold is to open: the FIFO if Kind is Notify, else a unix socket.
type Spec struct {
	Kind Kind
	Path string
	Mode fs.FileMode
}

// ParseSpec reads KIND=PATH or KIND=PATH:MODE. The mode is octal; without one it is 0666 for what
// login processes use, who run as a user of their own, else 0600.
func ParseSpec(s string) (Spec, error) {
	kind, path, ok := strings.Cut(s, "=")
	spec := Spec{Kind: Kind(kind), Mode: 0o600}
	onTCP := spec.Kind == HTTP || spec.Kind == Metrics
	if !ok || onTCP || !slices.Contains(Kinds(), spec.Kind) {
		return Spec{}, fmt.Errorf("%q is not KIND=PATH or KIND=PATH:MODE; the kinds are api, "+
			"login, userdb, authreply, admin and notify", s)
	}
	if spec.Kind == Login || spec.Kind == Notify {
		spec.Mode = 0o666
	}
	if i := strings.LastIndexByte(path, ':'); i >= 0 {
		mode, err := strconv.ParseUint(path[i+1:], 8, 32)
		if err != nil || mode > 0o777 {
			return Spec{}, fmt.Errorf("%q: %q is not an octal mode such as 0660", s, path[i+1:])
		}
		spec.Mode, path = fs.FileMode(mode), path[:i]
	}
	if !filepath.IsAbs(path) {
		return Spec{}, fmt.Errorf("%q: %q is not an absolute path", s, path)
	}
	spec.Path = path
	return spec, nil
}

// open opens the socket or FIFO, which may have been left behind by a dead process.
func (s Spec) open() (f *os.File, err error) {
	if err = os.MkdirAll(filepath.Dir(s.Path), 0o755); err == nil {
		if s.Kind == Notify {
			f, err = s.openFIFO()
		} else {
			f, err = s.openSocket()
		}
	}
	if err != nil {
		cause := strings.TrimPrefix(wording.Text(err.Error()), s.Path+": ")
		if !strings.HasSuffix(cause, orElse) {
			cause += "; choose another path"
		}
		return nil, fmt.Errorf("%s cannot be opened: %s", s.Path, cause)
	}
	return f, nil
}

// orElse ends the errors that say what else can be done.
const orElse = ", or choose another path"

// isThere says that something else is at the path.
func isThere(what string) error {
	return errors.New("what is there is no " + what + "; remove it" + orElse)
}

func (s Spec) openFIFO() (*os.File, error) {
	if err := unix.Mkfifo(s.Path, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	// Open for both, so that neither this nor any writer ever waits for somebody at the other end.
	f, err := os.OpenFile(s.Path, os.O_RDWR|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.ENXIO) {
		return nil, isThere("FIFO")
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Type() != fs.ModeNamedPipe {
		err = isThere("FIFO")
	}
	if err == nil {
		err = f.Chmod(s.Mode)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// maxSocketPath is how long the path of a unix socket may be, in bytes, on Linux.
const maxSocketPath = 107

func (s Spec) openSocket() (*os.File, error) {
	if n := len(s.Path); n > maxSocketPath {
		return nil, fmt.Errorf("the path has %d bytes; the most is %d", n, maxSocketPath)
	}
	if c, err := net.DialTimeout("unix", s.Path, time.Second); err == nil {
		c.Close()
		return nil, errors.New("another process serves it; stop it" + orElse)
	}
	if info, err := os.Lstat(s.Path); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, isThere("socket")
		}
		if err := os.Remove(s.Path); err != nil {
			return nil, err
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.Path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	defer l.Close() // the file has its own copy
	if err := os.Chmod(s.Path, s.Mode); err != nil {
		return nil, err
	}
	return l.File()
}
