package daemon

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/cli/door/audit"
	"directormesh/mesh/loglimit"
)

const (
	// remoteShare and localShare are the quarters of a door's connections that one client may have:
	// an address, and a process of this host, which the mode of the socket has let in.
	remoteShare = 1
	localShare  = 3
)

// Why a connection was closed at once: the values of the label.
const (
	refusedDoor   = "door_full"
	refusedClient = "client_has_too_many"
)

// crowd is the connections of one door, on all its listeners. Those beyond its bounds are closed as
// soon as they come: however many clients sit idle at one door, there are descriptors for the mesh
// and for the other doors.
type crowd struct {
	door    string
	most    int // connections at a time
	log     zerolog.Logger
	metrics *crowdMetrics
	limit   loglimit.Limiter

	mu      sync.Mutex
	all     int
	clients map[audit.Client]int // none is 0; those that nobody can tell apart are not here
}

func newCrowd(door string, most int, log zerolog.Logger, m *crowdMetrics) *crowd {
	m.door(door, most)
	return &crowd{
		door: door, most: most, log: log, metrics: m, clients: make(map[audit.Client]int),
	}
}

// crowdListener accepts only connections for which a crowd has room.
type crowdListener struct {
	net.Listener
	*crowd
}

// Accept implements net.Listener.
func (c crowdListener) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client, known := audit.ClientOf(conn)
		why := c.enter(client, known)
		if why == "" {
			return &crowdConn{conn, sync.OnceFunc(func() { c.exit(client, known) })}, nil
		}
		c.refuse(conn, client, why)
		_ = conn.Close()
	}
}

// ofClient is how many connections one client may have.
func (c *crowd) ofClient(client audit.Client) int {
	share := remoteShare
	if client.Local() {
		share = localShare
	}
	return max(c.most*share/4, 1)
}

// enter counts a connection, or tells why there must not be one more.
func (c *crowd) enter(client audit.Client, known bool) (why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.all >= c.most:
		return refusedDoor
	case known && c.clients[client] >= c.ofClient(client):
		return refusedClient
	}
	c.all++
	if known {
		c.clients[client]++
	}
	c.metrics.connections.WithLabelValues(c.door).Set(float64(c.all))
	return ""
}

func (c *crowd) exit(client audit.Client, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if known {
		if c.clients[client]--; c.clients[client] == 0 {
			delete(c.clients, client)
		}
	}
	c.metrics.connections.WithLabelValues(c.door).Set(float64(c.all))
}

// refuse counts a connection that is closed at once, and logs it, ever more rarely while that goes
// on.
func (c *crowd) refuse(conn net.Conn, client audit.Client, why string) {
	c.metrics.refused.WithLabelValues(c.door, why).Inc()
	c.limit.Logger(c.log, c.door, time.Now()).Warn().Str("door", c.door).Str("who", audit.Who(conn)).
		Str("reason", why).Int("most", c.most).Int("most_of_one", c.ofClient(client)).
		Msg("too many connections at a door, closed at once")
}

// crowdConn is a connection that counts until it is closed.
type crowdConn struct {
	net.Conn
	leave func()
}

// NetConn returns the connection inside, as tls.Conn does.
func (c *crowdConn) NetConn() net.Conn { return c.Conn }

// CloseRead lets nothing more in, where the connection inside can do that.
func (c *crowdConn) CloseRead() error {
	if inner, ok := c.Conn.(interface{ CloseRead() error }); ok {
		return inner.CloseRead()
	}
	return errors.ErrUnsupported
}

func (c *crowdConn) Close() error {
	err := c.Conn.Close()
	c.leave() // the descriptor is free
	return err
}

// crowdMetrics counts the connections of all doors.
type crowdMetrics struct {
	connections, most *prometheus.GaugeVec
	refused           *prometheus.CounterVec
}

func newCrowdMetrics(registry *prometheus.Registry) (*crowdMetrics, error) {
	m := &crowdMetrics{
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "director_door_connections", Help: "Connections of clients, by door.",
		}, []string{"door"}),
		most: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "director_door_connections_max",
			Help: "Connections that a door takes at a time; an address may have a quarter of them, " +
				"a process of this host three.",
		}, []string{"door"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "director_door_connections_refused_total",
			Help: "Connections that were closed at once because there were too many, by door.",
		}, []string{"door", "reason"}),
	}
	for _, c := range []prometheus.Collector{m.connections, m.most, m.refused} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// door makes the values of a door, before its first connection.
func (m *crowdMetrics) door(name string, most int) {
	m.connections.WithLabelValues(name).Set(0)
	m.most.WithLabelValues(name).Set(float64(most))
	m.refused.WithLabelValues(name, refusedDoor)
	m.refused.WithLabelValues(name, refusedClient)
}
