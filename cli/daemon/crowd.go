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

// Why a connection was closed at once: the values of the label. Before refusedClient stands the
// kind of client.
const (
	refusedDoor   = "door_full"
	refusedClient = "_has_too_many"
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
	clients map[audit.Client]int // none is 0
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
		clients := audit.ClientsOf(conn)
		why, most := c.enter(clients)
		if why == "" {
			return &crowdConn{conn, sync.OnceFunc(func() { c.exit(clients) })}, nil
		}
		c.refuse(conn, why, most)
		_ = conn.Close()
	}
}

// enter counts a connection, or returns why there must not be one more, and how many there may be.
func (c *crowd) enter(clients []audit.Client) (why string, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= c.most {
		return refusedDoor, c.most
	}
	for _, client := range clients {
		if most = client.Share(c.most); c.clients[client] >= most {
			return client.String() + refusedClient, most
		}
	}
	c.all++
	for _, client := range clients {
		c.clients[client]++
	}
	c.metrics.connections.WithLabelValues(c.door).Set(float64(c.all))
	return "", 0
}

func (c *crowd) exit(clients []audit.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	for _, client := range clients {
		if c.clients[client]--; c.clients[client] == 0 {
			delete(c.clients, client)
		}
	}
	c.metrics.connections.WithLabelValues(c.door).Set(float64(c.all))
}

// refuse counts a connection that is closed at once, and logs it, ever more rarely while that goes
// on.
func (c *crowd) refuse(conn net.Conn, why string, most int) {
	c.metrics.refused.WithLabelValues(c.door, why).Inc()
	c.limit.Logger(c.log, c.door, time.Now()).Warn().
		Str("door", c.door).Str("who", audit.Who(conn)).
		Str("reason", why).Int("most", most).
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
			Help: "Connections that a door takes at a time; an address or a process may have a " +
				"quarter of them, a user of this host three quarters.",
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
	for _, kind := range []string{"address", "process", "user"} {
		m.refused.WithLabelValues(name, kind+refusedClient)
	}
}
