package eventloop

import (
	"errors"
	"net"
)

// plain is a connection that cannot be watched.
type plain struct{ net.Conn }

// NetConn returns the connection inside, as tls.Conn does.
func (p plain) NetConn() net.Conn { return p.Conn }

func (plain) Watch(func(bool)) bool        { return false }
func (plain) TryRead([]byte) (int, error)  { return 0, nil }
func (plain) TryWrite([]byte) (int, error) { return 0, nil }

func (p plain) CloseRead() error {
	if inner, ok := p.Conn.(interface{ CloseRead() error }); ok {
		return inner.CloseRead()
	}
	return errors.ErrUnsupported
}
