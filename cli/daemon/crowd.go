package daemon

import (
	"container/list"
	"errors"
	"net"
	"slices"
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
// soon as they come, or take the place of one that has proved nothing yet: however many clients sit
// idle at one door, there are descriptors for the mesh and for the other doors.
type crowd struct {
	door    string
	most    int // connections at a time
	log     zerolog.Logger
	metrics *crowdMetrics
	limit   loglimit.Limiter

	mu        sync.Mutex
	all       int
	clients   map[audit.Client]int // none is 0
	strangers *list.List           // *crowdConn, the oldest first: those that yield
	unproved  map[audit.Client]int // how many of strangers; none is 0
}

func newCrowd(door string, most int, log zerolog.Logger, m *crowdMetrics) *crowd {
	m.door(door, most)
	return &crowd{
		door: door, most: most, log: log, metrics: m, clients: make(map[audit.Client]int),
		strangers: list.New(), unproved: make(map[audit.Client]int),
	}
}

// crowdListener accepts only connections for which a crowd has room.
type crowdListener struct {
	net.Listener
	*crowd
	// guarded: clients prove here who they are. Until then they yield to newer ones, or strangers
	// from a few addresses could keep everybody out.
	guarded bool
}

// Accept implements net.Listener.
func (c crowdListener) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		entering := &crowdConn{Conn: conn, crowd: c.crowd, clients: audit.ClientsOf(conn)}
		if c.admit(entering) {
			return entering, nil
		}
	}
}

// admit counts a connection, for which others may have to yield, or closes it.
func (c crowdListener) admit(entering *crowdConn) bool {
	for {
		why, most := c.enter(entering, c.guarded)
		if why == "" {
			return true
		}
		yielding := c.oldestStranger(entering, why)
		if yielding == nil {
			c.refuse(entering, why, most)
			_ = entering.Close()
			return false
		}
		c.refuse(yielding, why, most)
		_ = yielding.Close()
	}
}

// enter counts a connection, or returns why there must not be one more, and how many there may be.
func (c *crowd) enter(conn *crowdConn, yields bool) (why string, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= c.most {
		return refusedDoor, c.most
	}
	for _, client := range conn.clients {
		if most = client.Share(c.most); c.clients[client] >= most {
			return client.String() + refusedClient, most
		}
	}
	c.all++
	conn.counted = true
	for _, client := range conn.clients {
		c.clients[client]++
	}
	if yields {
		conn.stranger = c.strangers.PushBack(conn)
		for _, client := range conn.clients {
			c.unproved[client]++
		}
	}
	c.metrics.connections.WithLabelValues(c.door).Set(float64(c.all))
	return "", 0
}

// oldestStranger returns the oldest connection that has proved nothing and whose end would let
// another one in, which was refused for this reason; nil if there is none. Where the door is full
// it is one of an address that has most of these: who opens one at a time needs a moment to prove
// something, and strangers with a few addresses must not take it away.
func (c *crowd) oldestStranger(entering *crowdConn, why string) (oldest *crowdConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := 0
	for e := c.strangers.Front(); e != nil; e = e.Next() {
		stranger := e.Value.(*crowdConn)
		if why != refusedDoor {
			if slices.Equal(stranger.clients, entering.clients) {
				return stranger
			}
			continue
		}
		for _, client := range stranger.clients {
			if n := c.unproved[client]; n > most {
				oldest, most = stranger, n
			}
		}
		if oldest == nil { // nobody can tell whose it is
			oldest = stranger
		}
	}
	return oldest
}

// exit stops counting a connection, which may be done already.
func (c *crowd) exit(conn *crowdConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !conn.counted {
		return
	}
	conn.counted = false
	c.all--
	c.trusts(conn)
	for _, client := range conn.clients {
		fewer(c.clients, client)
	}
	c.metrics.connections.WithLabelValues(c.door).Set(float64(c.all))
}

// fewer counts one less of a client.
func fewer(count map[audit.Client]int, client audit.Client) {
	if count[client]--; count[client] == 0 {
		delete(count, client)
	}
}

// trusts makes a connection yield no more.
func (c *crowd) trusts(conn *crowdConn) {
	if conn.stranger == nil {
		return
	}
	c.strangers.Remove(conn.stranger)
	conn.stranger = nil
	for _, client := range conn.clients {
		fewer(c.unproved, client)
	}
}

// refuse counts a connection that is closed at once, and logs it, ever more rarely while that goes
// on.
func (c *crowd) refuse(conn net.Conn, why string, most int) {
	c.metrics.refused.WithLabelValues(c.door, why).Inc()
	c.limit.Logger(c.log, c.door, time.Now()).Warn().
		Str("door", c.door).Str("who", audit.Who(conn)).
		Str("reason", why).Int("most", most).
		Msg("too many connections at a door, one was closed")
}

// crowdConn is a connection that counts until it is closed.
type crowdConn struct {
	net.Conn
	*crowd

	// The crowd's lock guards these.
	clients  []audit.Client // whose it is
	counted  bool
	stranger *list.Element // nil: it does not yield
}

// Proved notes that the client has proved this name, so that the connection does not yield any
// more. False: this name has too many connections, and this one stays as it was.
func (c *crowdConn) Proved(who string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	identity := audit.Identity(who)
	if !c.counted || slices.Contains(c.clients, identity) {
		return true
	}
	if most := identity.Share(c.most); c.crowd.clients[identity] >= most {
		c.metrics.refused.WithLabelValues(c.door, identity.String()+refusedClient).Inc()
		return false
	}
	c.trusts(c)
	c.clients = append(c.clients, identity)
	c.crowd.clients[identity]++
	return true
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
	c.exit(c) // the descriptor is free
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
				"quarter of them, a user of this host, or one by HTTPS, three quarters.",
		}, []string{"door"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "director_door_connections_refused_total",
			Help: "Connections that were closed because there were too many, by door.",
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
	for _, kind := range []string{"address", "process", "user", "identity"} {
		m.refused.WithLabelValues(name, kind+refusedClient)
	}
}
