package handover

import (
	"path/filepath"
	"slices"
	"strings"
)

// Kind says which door a socket is for. The names are those of FileDescriptorName= in a systemd
// unit.
type Kind string

// The kinds of sockets. Notify is the FIFO, all others are listeners.
const (
	API       Kind = "api"
	HTTP      Kind = "http"
	Metrics   Kind = "metrics"
	Login     Kind = "login"
	Userdb    Kind = "userdb"
	Authreply Kind = "authreply"
	Admin     Kind = "admin"
	Notify    Kind = "notify"
)

// endings has each kind with what a name that stands for it may end in, after the last "-".
func endings() []struct {
	kind    Kind
	endings []string
} {
	return []struct {
		kind    Kind
		endings []string
	}{
		{API, []string{"api"}},
		{HTTP, []string{"http"}},
		{Metrics, []string{"metrics"}},
		{Login, []string{"login", "auth"}},
		{Userdb, []string{"userdb"}},
		{Authreply, []string{"authreply"}},
		{Admin, []string{"admin", "doveadm"}},
		{Notify, []string{"notify"}},
	}
}

// Kinds returns all kinds.
func Kinds() (kinds []Kind) {
	for _, e := range endings() {
		kinds = append(kinds, e.kind)
	}
	return kinds
}

// kindOfName returns the kind that a name given by the other side stands for. systemd appends
// nothing to FileDescriptorName=, but without it names a socket after its unit, and Dovecot
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
	for _, e := range endings() {
		if slices.Contains(e.endings, name[i+1:]) {
			return e.kind, true
		}
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
