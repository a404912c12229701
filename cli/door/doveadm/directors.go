package doveadm

import (
	"fmt"
	"math"
	"strconv"

	"directormesh/cli/api"
)

// directorList lists the directors of the mesh. This one has six fields; a peer that can be reached
// has six as well, of the twelve that Dovecot has (there are no counters of bytes for a single
// connection here); others have five.
func (c *connection) directorList([]string) error {
	self := c.director.Self()
	for _, d := range c.director.Directors().Directors {
		line := append(c.out.AvailableBuffer(), d.IP.String()...)
		line = append(line, '\t')
		line = strconv.AppendInt(line, int64(d.Port), 10)
		line = append(line, '\t')
		switch {
		case d.Type == api.TypeSelf:
			line = append(line, d.Type...)
			line = appendTime(append(line, '\t'), d.LastFailedAt)
			line = append(line, "\tring "+ringState(self, d)+"\t0"...)
		case d.Type == api.TypePeer && d.Reachable:
			line = append(line, d.Type...)
			line = appendTime(append(line, '\t'), d.LastFailedAt)
			line = append(line, "\t"+peerState(d)+"\t"...)
			if d.PingMS != nil {
				line = strconv.AppendInt(line, int64(math.Round(*d.PingMS)), 10)
			}
		default:
			if d.Type == api.TypeRemoved {
				line = append(line, d.Type...)
			}
			line = appendTime(append(line, '\t'), d.LastFailedAt)
			line = append(line, '\t')
		}
		c.out.Write(append(line, '\n'))
	}
	c.line("")
	return nil
}

// ringState is the state of this director, where Dovecot tells that of its ring.
func ringState(self api.Self, d api.Director) string {
	if self.Synced && self.Changing {
		return api.StateSyncing
	}
	return d.State
}

func peerState(d api.Director) string {
	switch {
	case d.UsersReceived > 0:
		return fmt.Sprintf("%s - %d USERs received", d.State, d.UsersReceived)
	case d.UsersSent > 0:
		return fmt.Sprintf("%s - %d USERs sent", d.State, d.UsersSent)
	}
	return d.State
}

// directorAdd makes the mesh contact a director.
func (c *connection) directorAdd(args []string) error {
	a := &arguments{args}
	ip, err := a.ip()
	if err != nil {
		return err
	}
	port, err := a.port()
	if err != nil {
		return err
	}
	return c.carryOut(api.AddDirector{IP: ip, Port: port})
}

// directorRemove makes the mesh refuse a director; without a port it is the first at that address.
func (c *connection) directorRemove(args []string) error {
	a := &arguments{args}
	ip, err := a.ip()
	if err != nil {
		return err
	}
	port, err := a.port()
	if err != nil {
		return err
	}
	if port == 0 {
		for _, d := range c.director.Directors().Directors {
			if d.IP == ip && d.Type != api.TypeRemoved {
				port = d.Port
				break
			}
		}
	}
	return c.carryOut(api.RemoveDirector{IP: ip, Port: port})
}
