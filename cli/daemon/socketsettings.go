package daemon

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"directormesh/cli/handover"
)

// maxSocketPath is the kernel's limit for the path of a unix socket.
const maxSocketPath = 107

// socketSetting is where a door of ours listens: a path, in the run directory unless absolute, ""
// for no such door.
func socketSetting(name, value, usage string, door handover.Kind) Setting {
	return Setting{
		Name: name, Value: "PATH", Default: value, Usage: usage,
		read: func(o *Options, s string, _ Environment) error {
			o.setEndpoint(door, func(p *Endpoint) { p.Socket = s })
			if !filepath.IsAbs(s) && len(o.SocketPath()) > maxSocketPath {
				return nil // it is run-dir that is too long
			}
			return checkSocketPath(o.inRunDir(s))
		},
	}
}

// modeSetting is the mode of a socket of ours.
func modeSetting(name, value, usage string, door handover.Kind) Setting {
	return Setting{
		Name: name, Value: "MODE", Default: value, Usage: usage,
		read: func(o *Options, s string, _ Environment) error {
			mode, err := strconv.ParseUint(s, 8, 32)
			if err != nil || mode > 0o777 {
				return fmt.Errorf("%q is not an octal mode such as 0660", s)
			}
			o.setEndpoint(door, func(p *Endpoint) { p.Mode = fs.FileMode(mode) })
			return nil
		},
	}
}

// addressSetting is an address where a door of ours listens on TCP, "" for none.
func addressSetting(row tcpRow, door handover.Kind) Setting {
	check := checkLoopback
	if row.any || row.guarded {
		check = checkAddress
	}
	return Setting{
		Name: row.setting, Value: "IP:PORT", Default: "", Usage: row.usage,
		read: func(o *Options, s string, _ Environment) error {
			if s != "" {
				o.setEndpoint(door, func(p *Endpoint) { p.TCP = s })
			}
			return check(s)
		},
	}
}

// dovecotSocketSetting is a socket that Dovecot serves: an absolute path, "" for none.
func dovecotSocketSetting(name, value, usage string, field func(*Options) *string) Setting {
	return Setting{
		Name: name, Value: "PATH", Default: value, Usage: usage,
		read: func(o *Options, s string, _ Environment) error {
			*field(o) = s
			if s != "" && !filepath.IsAbs(s) {
				return fmt.Errorf("%q is not an absolute path", s)
			}
			return checkSocketPath(s)
		},
	}
}

func checkSocketPath(path string) error {
	if len(path) > maxSocketPath {
		return fmt.Errorf("%q is a socket path of %d bytes; the most is %d",
			path, len(path), maxSocketPath)
	}
	return nil
}

// inRunDir returns the path of a socket of ours, "" if there is none.
func (o *Options) inRunDir(s string) string {
	if s == "" || filepath.IsAbs(s) {
		return s
	}
	return filepath.Join(o.RunDir, s)
}
