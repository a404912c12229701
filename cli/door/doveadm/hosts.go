package doveadm

import (
	"strconv"

	"directormesh/cli/api"
	"directormesh/cli/dovecot/tabbed"
	"directormesh/ring"
)

// hostList lists the table: address, vhosts, users, tag, U or D, time of the last change between
// them.
func (c *connection) hostList([]string) error {
	for _, b := range c.director.Backends().Backends {
		line := ring.AppendAddrText(c.out.AvailableBuffer(), b.IP.Addr)
		line = append(line, '\t')
		line = strconv.AppendInt(line, int64(b.VHosts), 10)
		line = append(line, '\t')
		line = strconv.AppendInt(line, int64(b.Users), 10)
		line = append(line, '\t')
		line = tabbed.AppendEscaped(line, b.Tag)
		if b.State == api.StateDown {
			line = append(line, "\tD\t"...)
		} else {
			line = append(line, "\tU\t"...)
		}
		line = appendTime(line, b.StateChangedAt)
		c.out.Write(append(line, '\n'))
	}
	c.line("")
	return nil
}

// hostListRemoved lists what is configured here, but not in the table.
func (c *connection) hostListRemoved([]string) error {
	for _, ip := range c.director.Backends().Removed {
		c.line(ip.String())
	}
	c.line("")
	return nil
}

// hostSet adds a backend, or changes one that is there.
func (c *connection) hostSet(args []string) error {
	a := &arguments{args}
	ip, tag, err := a.taggedIP()
	if err != nil {
		return err
	}
	op := api.AddBackend{IP: ip}
	if tag != "" {
		op.Tag = &tag
	}
	if text, ok := a.optional(); ok {
		vhosts, given, err := parseVHosts(text)
		switch {
		case err != nil:
			return err
		case given && vhosts > ring.MaxVHosts:
			c.line(replyVHosts)
			return nil
		case given:
			count := int(vhosts)
			op.VHosts = &count
		}
	}
	return c.carryOut(op)
}

// hostUpdate is hostSet for a backend that must be there.
func (c *connection) hostUpdate(args []string) error {
	a := &arguments{args}
	ip, tag, err := a.taggedIP()
	if err != nil {
		return err
	}
	text, err := a.required("vhost count")
	if err != nil {
		return err
	}
	vhosts, given, err := parseVHosts(text)
	switch {
	case err != nil:
		return err
	case !given:
		c.line(c.replyToNoUpdate(ip, tag))
		return nil
	case vhosts > ring.MaxVHosts:
		c.line(replyVHosts)
		return nil
	}
	op := api.UpdateBackend{IP: ip, VHosts: int(vhosts)}
	if tag != "" {
		op.Tag = &tag
	}
	return c.carryOut(op)
}

// replyToNoUpdate is the reply to an update that changes nothing.
func (c *connection) replyToNoUpdate(ip api.IP, tag string) string {
	for _, b := range c.director.Backends().Backends {
		switch {
		case b.IP != ip:
		case tag != "" && tag != b.Tag:
			return replyTag
		default:
			return replyOK
		}
	}
	return replyNotFound
}

// hostFlush forgets the mappings to a backend, or all.
func (c *connection) hostFlush(args []string) error {
	ip, err := (&arguments{args}).optionalIP()
	if err != nil {
		return err
	}
	return c.carryOut(api.Forget{Backend: ip})
}
