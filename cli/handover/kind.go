package handover

import (
	"path/filepath"
	"strings"
)

// Kind says which door a socket is for. The names are those of FileDescriptorName= in a systemd
// unit.
type Kind string

// The kinds of sockets. Notify is the FIFO, all others are listeners.
const (
	API       Kind = "api"
	HTTP      Kind = "http"
	Login     Kind = "login"
	Userdb    Kind = "userdb"
	Authreply Kind = "authreply"
	Admin     Kind = "admin"
	Notify    Kind = "notify"
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{API, HTTP, Login, Userdb, Authreply, Admin, Notify} }

// kindOfName returns the kind that a name given by the other side stands for. systemd appends
// nothing to FileDescriptorName=, but names a socket after its unit if there is none, and Dovecot
// gives listener names such as "director-userdb".
func kindOfName(name string) (Kind, bool) {
	name = strings.TrimSuffix(name, ".socket")
	for _, k := range Kinds() {
		if name == string(k) {
			return k, true
		}
	}
	return kindOfPart(name)
}

// kindOfPart looks at what follows the last "-".
func kindOfPart(name string) (Kind, bool) {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return "", false
	}
	switch name[i+1:] {
	case "api":
		return API, true
	case "http":
		return HTTP, true
	case "auth", "login":
		return Login, true
	case "userdb":
		return Userdb, true
	case "authreply":
		return Authreply, true
	case "admin", "doveadm":
		return Admin, true
	case "notify":
		return Notify, true
	}
	return "", false
}

// kindOfPath decides by the path of a unix socket.
func kindOfPath(path string) Kind {
	name := filepath.Base(path)
	if name == "director.sock" {
		return API
	}
	if k, ok := kindOfPart(name); ok {
		return k
	}
	return Login
}
