package load

import (
	"bytes"
	"strconv"
)

// Door is a kind of socket of a director.
type Door string

// The doors that can be driven. The latter two need an auth behind them that lets all users in.
const (
	DoorAuthreply Door = "authreply"
	DoorHTTP      Door = "http"
	DoorLogin     Door = "login"
	DoorUserdb    Door = "userdb"
)

// Doors returns all doors.
func Doors() []Door { return []Door{DoorAuthreply, DoorHTTP, DoorLogin, DoorUserdb} }

// Socket returns where the door's socket is by default, relative to the run directory; HTTP is
// served where commands ask.
func (d Door) Socket() string {
	switch d {
	case DoorAuthreply:
		return "director-authreply"
	case DoorLogin:
		return "login/director"
	case DoorUserdb:
		return "director-userdb"
	}
	return "director.sock"
}

// protocol is what is said on one connection. It belongs to two goroutines at most: one that sends
// and one that receives.
type protocol interface {
	// greeting is what the client says first. It need not wait for the director's.
	greeting() []byte
	// appendRequest appends a request for a user's backend.
	appendRequest(b []byte, id, user uint32) []byte
	// parse reads what the director says next: the number of bytes that it takes, 0 if there is
	// more to come. The answer's parts are parts of b.
	parse(b []byte) (n int, a answer, err error)
	// ordered reports whether answers come in the order of the requests, and without ids.
	ordered() bool
}

// answer is one answer of a director.
type answer struct {
	none bool // what was read is no answer to a request
	id   uint32
	// the user that the answer is about, nil if it cannot be compared
	user    []byte
	json    bool   // user is in JSON
	backend []byte // an address; nil: the lookup failed
	failure []byte // why
}

// protocols returns what makes the protocol of a connection, nil if the door is not known.
// Connections are numbered over all directors.
func (d Door) protocols() func(c *Config, t Target, connection int) protocol {
	switch d {
	case DoorAuthreply:
		return newAuthreply
	case DoorHTTP:
		return newHTTP
	case DoorLogin:
		return newLogin
	case DoorUserdb:
		return newUserdb
	}
	return nil
}

// cutLine returns the first line of b without its ending, and how many bytes it takes; 0 if it is
// not complete.
func cutLine(b []byte) (line []byte, n int) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return nil, 0
	}
	line = b[:i]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, i + 1
}

// cutField returns the field before the next tab and what follows that.
func cutField(line []byte) (field, rest []byte) {
	if i := bytes.IndexByte(line, '\t'); i >= 0 {
		return line[:i], line[i+1:]
	}
	return line, nil
}

// parseID reads the id of an answer.
func parseID(field []byte) (uint32, bool) {
	if len(field) == 0 || len(field) > 10 {
		return 0, false
	}
	var id uint64
	for _, c := range field {
		if c < '0' || c > '9' {
			return 0, false
		}
		id = id*10 + uint64(c-'0')
	}
	return uint32(id), id>>32 == 0
}

func appendID(b []byte, id uint32) []byte { return strconv.AppendUint(b, uint64(id), 10) }

var (
	hostField   = []byte("host=")
	hostIPField = []byte("hostip=")
	userField   = []byte("user=")
)

// hostOf returns the address of the backend in the fields of a reply, nil if they name none. A
// director adds it at the end, where it is looked for first.
func hostOf(fields []byte) []byte {
	for len(fields) > 0 {
		field := fields
		if i := bytes.LastIndexByte(fields, '\t'); i >= 0 {
			field, fields = fields[i+1:], fields[:i]
		} else {
			fields = nil
		}
		if value, ok := bytes.CutPrefix(field, hostIPField); ok {
			return value
		}
		if value, ok := bytes.CutPrefix(field, hostField); ok {
			return value
		}
	}
	return nil
}

// userOf returns the user that the fields of a reply begin with.
func userOf(fields []byte) []byte {
	field, _ := cutField(fields)
	user, _ := bytes.CutPrefix(field, userField)
	return user
}

// parseReply reads a line in one of Dovecot's auth protocols. Success is the verb of replies that
// want a backend.
func parseReply(line []byte, success string) (answer, error) {
	verb, rest := cutField(line)
	id, fields := cutField(rest)
	var a answer
	var ok bool
	switch string(verb) {
	case success:
		a.user, a.backend = userOf(fields), hostOf(fields)
		if a.backend == nil {
			a.failure = []byte("the answer names no backend")
		}
	case "FAIL", "NOTFOUND":
		a.failure = append([]byte(string(verb)+" "), withoutUser(fields)...)
	default:
		return answer{none: true}, nil
	}
	if a.id, ok = parseID(id); !ok {
		return answer{}, unexpected(line)
	}
	return a, nil
}

// withoutUser returns why a request failed, in a form that is the same for all users.
func withoutUser(fields []byte) []byte {
	if i := bytes.Index(fields, []byte("code=")); i >= 0 {
		code, _ := cutField(fields[i:])
		return code
	}
	return nil
}
