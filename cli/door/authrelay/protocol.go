package authrelay

// Protocol is what a door speaks.
type Protocol int

// The protocols.
const (
	// Login is the auth client protocol of login processes.
	Login Protocol = iota
	// Userdb is the auth master protocol of LMTP and doveadm.
	Userdb
	// Authreply has no auth behind it: the client sends reply lines and gets them back, completed.
	Authreply
)

func (p Protocol) String() string {
	switch p {
	case Login:
		return "login"
	case Userdb:
		return "userdb"
	}
	return "authreply"
}

// maxLine is the longest line either side may send, its end included. Dovecot's own limits are
// 16384 bytes for logins and 8192 for the others; lines below ours are left for it to judge.
const maxLine = 16<<10 + 2

// maxBuffer is how much of the input is taken in one read: more makes pipelined requests cheaper.
func (p Protocol) maxBuffer() int {
	if p == Authreply {
		return 64 << 10
	}
	return maxLine
}

// completes reports whether replies with this verb may get a backend.
func (p Protocol) completes(verb []byte) bool {
	if p == Userdb {
		return string(verb) == "PASS"
	}
	return string(verb) == "OK"
}

// final reports whether a reply with this verb is the last one to its request.
func (p Protocol) final(verb []byte) bool {
	switch string(verb) {
	case "OK", "FAIL", "CANCELLED", "PASS", "USER", "NOTFOUND", "DONE":
		return true
	}
	return false
}

// request is what is remembered of an open request: how it fails.
type request uint8

const (
	plain   request = iota
	listing         // of all users
)

// opens reports whether a client's line with this verb opens a request.
func (p Protocol) opens(verb []byte) (request, bool) {
	switch p {
	case Login:
		return plain, string(verb) == "AUTH"
	case Userdb:
		switch string(verb) {
		case "PASS", "USER":
			return plain, true
		case "LIST":
			return listing, true
		}
	}
	return plain, false
}

// asks reports whether a line with this id can be answered. Where replies are completed any can,
// one whose id is empty too.
func (p Protocol) asks(id []byte) bool { return p == Authreply || len(id) > 0 }

// asksInPart does so for the beginning of a line, and tells how its request fails.
func (p Protocol) asksInPart(verb []byte) (request, bool) {
	if p == Authreply {
		return plain, p.final(verb)
	}
	return p.opens(verb)
}

// cancels reports whether a client's line with this verb gives a request up.
func (p Protocol) cancels(verb []byte) bool { return p == Login && string(verb) == "CANCEL" }

// appendFailure appends the line that ends a request with a temporary failure.
func (r request) appendFailure(out, id, ending []byte) []byte {
	if r == listing {
		out = append(append(append(out, "DONE\t"...), id...), "\tfail"...)
	} else {
		out = append(append(append(out, "FAIL\t"...), id...), "\tcode=temp_fail"...)
	}
	return append(out, ending...)
}
