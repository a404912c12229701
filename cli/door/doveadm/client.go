package doveadm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/dovecot/tabbed"
	"directormesh/ring"
)

const (
	dialTimeout  = 5 * time.Second  // for the connection and the greeting, as doveadm has it
	replyTimeout = 60 * time.Second // for each piece of a reply
	maxReply     = 8 << 10          // of one line of a reply
)

// Client asks a running director, Dovecot's own or ours, over this protocol. It is for one
// goroutine at a time.
type Client struct {
	addr    string
	conn    net.Conn
	in      *bufio.Reader
	release func() bool // gives up watching the context
}

// User is one line of a director's list of users.
type User struct {
	Hash      ring.UserHash
	Backend   api.IP
	ExpiresAt time.Time // whole seconds
}

// Dial connects to the director at a socket's path or at host:port, whichever the address looks
// like, and greets it. When ctx ends, the connection does.
func Dial(ctx context.Context, addr string) (*Client, error) {
	network := "tcp"
	if strings.Contains(addr, "/") {
		network = "unix"
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &Client{addr: addr, conn: conn, in: bufio.NewReaderSize(conn, maxReply)}
	c.release = context.AfterFunc(ctx, func() { conn.Close() })
	if err := c.greet(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the connection.
func (c *Client) Close() {
	c.release()
	c.conn.Close()
}

func (c *Client) greet() error {
	if err := c.conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(c.conn, greeting+"\n"); err != nil {
		return err
	}
	line, err := c.readLine()
	if err != nil {
		return err
	}
	if !isGreeting(line) {
		return c.odd("greeting", line)
	}
	return nil
}

// Backends asks for the table.
func (c *Client) Backends() ([]api.Backend, error) {
	var all []api.Backend
	err := c.list("HOST-LIST", func(line string) error {
		b, err := parseBackend(line)
		if err != nil {
			return c.odd("HOST-LIST", line)
		}
		all = append(all, b)
		return nil
	})
	return all, err
}

// Users calls each for every mapping, until each returns an error, which Users then returns; after
// that, and after any other error, the client is of no more use. The list is streamed.
func (c *Client) Users(each func(User) error) error {
	return c.list("USER-LIST", func(line string) error {
		u, err := parseUser(line)
		if err != nil {
			return c.odd("USER-LIST", line)
		}
		return each(u)
	})
}

// list sends a command and calls each for every line up to the empty one that ends a list.
func (c *Client) list(command string, each func(line string) error) error {
	if err := c.conn.SetDeadline(time.Now().Add(replyTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(c.conn, command+"\n"); err != nil {
		return err
	}
	for {
		if c.in.Buffered() == 0 {
			if err := c.conn.SetDeadline(time.Now().Add(replyTimeout)); err != nil {
				return err
			}
		}
		line, err := c.readLine()
		if err != nil || line == "" {
			return err
		}
		if err := each(line); err != nil {
			return err
		}
	}
}

func (c *Client) readLine() (string, error) {
	line, err := c.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", c.odd("reply", string(line))
	case errors.Is(err, io.EOF):
		return "", fmt.Errorf("%s unexpectedly disconnected", c.addr)
	case err != nil:
		return "", err
	}
	return strings.TrimSuffix(string(line[:len(line)-1]), "\r"), nil
}

// odd reports that what answers does not speak this protocol.
func (c *Client) odd(where, line string) error {
	return &api.ProtocolError{
		Addr: c.addr, Reason: fmt.Sprintf("unexpected %s %q", where, shorten(line)),
	}
}

var errLine = errors.New("not a line of this list")

// parseBackend reads a line of HOST-LIST. Fields beyond the sixth are ignored, and what is not down
// is up.
func parseBackend(line string) (api.Backend, error) {
	fields := tabbed.Fields(line)
	if len(fields) < 6 {
		return api.Backend{}, errLine
	}
	addr, addrErr := ring.ParseAddr(fields[0])
	vhosts, vhostsOK := parseNumber(fields[1])
	users, usersOK := parseNumber(fields[2])
	changed, changedErr := strconv.ParseInt(fields[5], 10, 64)
	if addrErr != nil || !vhostsOK || vhosts > ring.MaxVHosts || !usersOK || changedErr != nil {
		return api.Backend{}, errLine
	}
	b := api.Backend{
		IP: api.IP{Addr: addr}, Tag: fields[3], VHosts: int(vhosts), State: api.StateUp,
		Factor: ring.NoFactor,
		Users:  int(users),
	}
	if fields[4] == "D" {
		b.State = api.StateDown
	}
	if changed != 0 {
		at := time.Unix(changed, 0).UTC()
		b.StateChangedAt = &at
	}
	return b, nil
}

// parseUser reads a line of USER-LIST.
func parseUser(line string) (User, error) {
	hash, rest, _ := strings.Cut(line, "\t")
	expires, host, _ := strings.Cut(rest, "\t")
	host, _, _ = strings.Cut(host, "\t")
	h, ok := parseNumber(hash)
	at, atErr := strconv.ParseInt(expires, 10, 64)
	addr, addrErr := ring.ParseAddr(host)
	if !ok || atErr != nil || addrErr != nil {
		return User{}, errLine
	}
	return User{
		Hash: ring.UserHash(h), Backend: api.IP{Addr: addr}, ExpiresAt: time.Unix(at, 0),
	}, nil
}
