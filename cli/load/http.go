package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
)

// httpLookup drives POST /v1/lookup over connections that are kept.
type httpLookup struct {
	names *Names
	head  []byte // up to the length of the body
	tail  []byte // of the body, behind the user
	body  []byte // reused
}

func newHTTP(c *Config, t Target, _ int) protocol {
	host := "director"
	if t.Network != "unix" {
		host = t.Address
	}
	p := &httpLookup{names: &c.Users.Names, tail: []byte(`"}`)}
	p.head = []byte("POST /v1/lookup HTTP/1.1\r\nHost: " + host +
		"\r\nContent-Type: application/json\r\nContent-Length: ")
	if c.Tag != "" {
		tag, _ := json.Marshal(c.Tag) // strings can be encoded
		p.tail = append(append([]byte(`","tag":`), tag...), '}')
	}
	return p
}

func (*httpLookup) greeting() []byte { return nil }

func (p *httpLookup) appendRequest(b []byte, _, user uint32) []byte {
	p.body = p.names.appendJSON(append(p.body[:0], `{"user":"`...), user)
	p.body = append(p.body, p.tail...)
	b = strconv.AppendInt(append(b, p.head...), int64(len(p.body)), 10)
	return append(append(b, "\r\n\r\n"...), p.body...)
}

var (
	endOfHead     = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
	success       = []byte("HTTP/1.1 200 ")
	backendMember = []byte(`"backend":"`)
	userMember    = []byte(`"user":"`)
	codeMember    = []byte(`"code":"`)
)

// maxHTTPAnswer is far more than any answer to a lookup has.
const maxHTTPAnswer = 64 << 10

func (*httpLookup) parse(b []byte) (int, answer, error) {
	end := bytes.Index(b, endOfHead)
	if end < 0 {
		return 0, answer{}, nil
	}
	head := b[:end+2]
	_, length, ok := bytes.Cut(head, contentLength)
	length, _, ended := bytes.Cut(length, endOfHead[:2])
	size, valid := parseID(length)
	if !ok || !ended || !valid || size > maxHTTPAnswer {
		return 0, answer{}, errors.New("the answer is not HTTP with a length")
	}
	n := end + len(endOfHead) + int(size)
	if n > len(b) {
		return 0, answer{}, nil
	}
	body := b[end+len(endOfHead) : n]
	if !bytes.HasPrefix(head, success) {
		line, _ := cutLine(head)
		if code := member(body, codeMember); code != nil {
			return n, answer{failure: code}, nil
		}
		return n, answer{failure: line}, nil
	}
	a := answer{user: member(body, userMember), json: true, backend: member(body, backendMember)}
	if len(a.backend) == 0 {
		a.backend, a.failure = nil, []byte("the answer names no backend")
	}
	return n, a, nil
}

// member returns the text of a member of a JSON object, as it stands there. It is enough for what a
// director writes.
func member(object, name []byte) []byte {
	i := bytes.Index(object, name)
	if i < 0 {
		return nil
	}
	text := object[i+len(name):]
	for end := 0; end < len(text); end++ {
		switch text[end] {
		case '\\':
			end++
		case '"':
			return text[:end]
		}
	}
	return nil
}

func (*httpLookup) ordered() bool { return true }
