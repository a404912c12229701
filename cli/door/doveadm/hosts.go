package doveadm

import (
	"strconv"

	"directormesh/cli/api"
	"directormesh/cli/dovecot/tabbed"
	"directormesh/ring"
)

// hostList lists the table: address, vhosts, users, tag, U or D, time of the last change between
// them.
func (s *session) hostList([]string) error {
	for _, b := range s.director.Backends().Backends {
		line := ring.AppendAddrText(s.out.AvailableBuffer(), b.IP.Addr)
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
		s.out.Write(append(line, '\n'))
	}
	s.line("")
	return nil
}

// hostListRemoved lists what is configured here, but not in the table.
func (s *session) hostListRemoved([]string) error {
	for _, ip := range s.director.Backends().Removed {
		s.line(ip.String())
	}
	s.line("")
	return nil
}

// hostSet adds a backend, or changes one that is there.
func (s *session) hostSet(args []string) error {
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
			s.line(replyVHosts)
			return nil
		case given:
			count := int(vhosts)
			op.VHosts = &count
		}
	}
	return s.change(op)
}

// hostUpdate is hostSet for a backend that must be there.
func (s *session) hostUpdate(args []string) error {
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
		s.line(s.replyToNoUpdate(ip, tag))
		return nil
	case vhosts > ring.MaxVHosts:
		s.line(replyVHosts)
		return nil
	}
	op := api.UpdateBackend{IP: ip, VHosts: int(vhosts)}
	if tag != "" {
		op.Tag = &tag
	}
	return s.change(op)
}

// replyToNoUpdate is the reply to an update that changes nothing.
func (s *session) replyToNoUpdate(ip api.IP, tag string) string {
	for _, b := range s.director.Backends().Backends {
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
func (s *session) hostFlush(args []string) error {
	ip, err := (&arguments{args}).optionalIP()
	if err != nil {
		return err
	}
	return s.change(api.Forget{Backend: ip})
}
