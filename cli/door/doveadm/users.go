package doveadm

import (
	"strconv"
	"time"

	"directormesh/cli/api"
	"directormesh/ring"
)

// userLookup answers where a user is mapped, until when, and where it hashes now and by the
// configuration.
func (c *connection) userLookup(args []string) error {
	a := &arguments{args}
	name, _ := a.optional()
	tag, _ := a.optional()
	u := c.director.User(ring.Tag(tag), c.user(name))
	line := c.out.AvailableBuffer()
	if u.Mapped {
		line = ring.AppendAddrText(line, u.Current.Addr)
		line = append(line, '\t')
		line = appendTime(line, u.ExpiresAt)
	} else {
		line = append(line, "\t0"...)
	}
	line = append(line, '\t')
	line = ring.AppendAddrText(line, u.Hashed.Addr)
	line = append(line, '\t')
	line = ring.AppendAddrText(line, u.InitialConfig.Addr)
	c.out.Write(append(line, '\n'))
	return nil
}

// userMove gives a user another backend. A number is the user's hash: that is how doveadm names
// users here.
func (c *connection) userMove(args []string) error {
	a := &arguments{args}
	user, err := a.required("user")
	if err != nil {
		return err
	}
	ip, err := a.ip()
	if err != nil {
		return err
	}
	h := uint32(c.user(user))
	return c.carryOut(api.Move{UserHash: &h, Backend: ip})
}

// userKick ends the sessions of the user of this name.
func (c *connection) userKick(args []string) error {
	a := &arguments{args}
	user, err := a.required("user")
	if err != nil {
		return err
	}
	return c.kick(api.KickUser{User: user}, a)
}

// userKickAlt ends the sessions of the user who has this value in an auth field.
func (c *connection) userKickAlt(args []string) error {
	a := &arguments{args}
	field, err := a.required("field")
	if err != nil {
		return err
	}
	value, err := a.required("value")
	if err != nil {
		return err
	}
	return c.kick(api.KickUser{Field: field, User: value}, a)
}

// kick kicks when fewer than the most allowed kicks run, and replies when all directors have.
// A client that does not want to wait for its turn says so by a last argument.
func (c *connection) kick(op api.KickUser, a *arguments) error {
	if last, _ := a.optional(); last == "nowait" {
		select {
		case c.kicks <- struct{}{}:
		default:
			c.line(replyTryAgain)
			return nil
		}
	} else {
		select {
		case c.kicks <- struct{}{}:
		case <-c.ctx.Done():
			return errStopping
		}
	}
	defer func() { <-c.kicks }()
	return c.carryOut(op)
}

// appendTime appends a time as Unix seconds, an absent one as 0.
func appendTime(b []byte, at *time.Time) []byte {
	if at == nil {
		return append(b, '0')
	}
	return strconv.AppendInt(b, at.Unix(), 10)
}
