package httpapi

import (
	"net"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxRemote bounds the connections over TCP, and maxClient those of one address: descriptors must be
	// left for the mesh, the doors of Dovecot and director.sock, however many clients sit idle here.
	maxRemote = 256
	maxClient = 64
)

// crowd is a listener that turns away connections beyond its bounds.
type crowd struct {
	net.Listener
	refused prometheus.Counter

	mu    sync.Mutex
	all   int
	sites map[netip.Addr]int // by client address; none is 0
}

func newCrowd(l net.Listener, refused prometheus.Counter) *crowd {
	return &crowd{Listener: l, refused: refused, sites: make(map[netip.Addr]int)}
}

// Accept implements net.Listener.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		var site netip.Addr
		if from, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
			site = from.Addr()
		}
		if c.enter(site) {
			return &crowdConn{Conn: conn, leave: sync.OnceFunc(func() { c.exit(site) })}, nil
		}
		c.refused.Inc()
		_ = conn.Close()
	}
}

func (c *crowd) enter(site netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= maxRemote || c.sites[site] >= maxClient {
		return false
	}
	c.all++
	c.sites[site]++
	return true
}

func (c *crowd) exit(site netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.sites[site]--; c.sites[site] == 0 {
		delete(c.sites, site)
	}
}

// crowdConn is a connection that counts until it is closed.
type crowdConn struct {
	net.Conn
	leave func()
}

func (c *crowdConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
