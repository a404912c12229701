package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/mesh/event"
	"directormesh/mesh/history"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/store"
	"directormesh/ring"
)

// DefaultPort is the port of the mesh where none is given.
const DefaultPort = 9090

// minExpire is the shortest user expire time: below it the waits at the end of a mapping's life
// would be all of its life.
const minExpire = 10 * time.Second

// Config is what New needs to know. The zero value of a field means what its comment says.
type Config struct {
	Name string // node name: unique in the mesh, the same after a restart
	Mesh string // mesh name: directors of another mesh are refused

	Bind netip.AddrPort // where to listen, TCP and UDP; port 0 picks a free one
	// where peers reach this director; zero: Bind, or the address that leads to Join
	Advertise netip.AddrPort
	// host[:port] of peers, by default with the port of Bind; names are resolved to all their
	// addresses, anew at each attempt
	Join []string
	// of the key file: 32 bytes each, the first encrypts unless the mesh has chosen another, all
	// decrypt; none: no encryption
	Keys [][]byte
	// ReadKeys reads the key file again; nil: there is none.
	ReadKeys func() ([][]byte, error)

	HashFormat       string        // director_username_hash; compared with the peers'
	Expire           time.Duration // user expire, at least 10 s
	KickDelay        time.Duration // between the last kick and the release of a move
	MaxParallelMoves int           // users a flush has in flight; 0: 100
	Backends         []ring.Backend

	// ServeAlone lets this director serve by itself although a director that it was to join has
	// another key, mesh name, version, or settings that must be the same.
	ServeAlone bool

	Data     store.FS // the data directory; nil: none
	DataGoOn bool     // go on alone with what is left of a damaged one

	HistoryBytes int64         // of the history's files, about; 0: history.DefaultBytes
	HistoryAge   time.Duration // of what the history keeps, at least; 0: history.DefaultAge

	// Watches says that backends are checked here: those of Watched in every
	// replica.HealthRound, with what is seen given to Observe.
	Watches bool
	// Balance says whether load is evened out; what is known of it is given to ReportLoads, in
	// every replica.LoadRound.
	Balance replica.Balance
	// SlowStart is over how long a backend that comes into use gets its whole share; 0: at once.
	SlowStart time.Duration

	// Names are the names of backends that are looked up here; what that finds is given to
	// ObserveName, for each name in every round.
	Names replica.NameWatch

	Kicker Kicker // ends sessions on this host; nil: knows of none
	Hook   Hook   // flush hook; nil: none
	// Vacancy asks backends for sessions; nil: they cannot be asked.
	Vacancy Vacancy

	// Happened is told what has happened, on a goroutine of its own, ten times a second at most. It
	// must not wait for anything; nil: nobody wants to know.
	Happened func([]event.Event)

	Log        zerolog.Logger
	Registerer prometheus.Registerer // nil: no metrics

	// Clock is a suspend-proof monotonic clock; nil: the kernel's.
	Clock func() mono.Time
	Wall  func() time.Time // nil: time.Now
	// nil: the system's resolver
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	Network Network // nil: real sockets
	Seed    uint64  // of jitter, nonces and the boot id; 0: random
}

// A Kicker ends sessions on this director's host. Kick is called from up to 10,100 goroutines at
// once; how many sessions it ends at a time is its own to limit. It must obey ctx, which ends with
// the node, and give up some time by itself; after 10 s nobody waits for what it returns. known
// says that the kicker knows that count were all the sessions there were.
type Kicker interface {
	Kick(ctx context.Context, tag ring.Tag, target replica.KickTarget) (replica.KickResult, error)
}

// A Hook runs the operator's flush hook for one user who is being moved. Run must obey ctx, which
// ends at run.Cutoff.
type Hook interface {
	Run(ctx context.Context, run replica.RunHook) (ok bool, err error)
}

// A Vacancy asks backends themselves for sessions. Vacant is called from many goroutines at once,
// 20,000 at most. It returns true when the backend has said that it has no session of the user
// left, and false when that is not known: at once if the backend cannot be asked, else at
// ask.Within if it has not answered by then, and at ask.Cutoff if it has sessions left. It must
// obey ctx, which ends at ask.Cutoff.
type Vacancy interface {
	Vacant(ctx context.Context, ask replica.AskVacant) bool
}

// check reports everything that is wrong with the configuration, each problem by the name of its
// setting.
func (cfg *Config) check() error {
	var problems []error
	wrong := func(setting, format string, args ...any) {
		problems = append(problems, fmt.Errorf(setting+": "+format, args...))
	}
	checkName(cfg.Name, "node-name", wrong)
	checkName(cfg.Mesh, "mesh-name", wrong)
	if !cfg.Bind.IsValid() {
		wrong("bind", "no address given")
	} else if cfg.Bind.Addr().Zone() != "" {
		wrong("bind", "%q has a zone; give a global address", cfg.Bind)
	}
	if cfg.Advertise.IsValid() {
		if a := cfg.Advertise.Addr(); a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
			wrong("advertise", "%q cannot be reached by peers; give an address of this host",
				cfg.Advertise)
		}
	}
	for _, s := range cfg.Join {
		if _, err := parseSeed(s, cfg.joinPort()); err != nil {
			wrong("join", "%w", err)
		}
	}
	if err := checkKeys(cfg.Keys); err != nil {
		wrong("encrypt-key-file", "%w", err)
	}
	if _, err := ring.ParseHashFormat(cfg.HashFormat); err != nil {
		wrong("username-hash", "%w", err)
	}
	if cfg.Expire < minExpire {
		wrong("user-expire", "%s is too short; the least is %s", cfg.Expire, minExpire)
	}
	if cfg.KickDelay < 0 {
		wrong("user-kick-delay", "%s is negative", cfg.KickDelay)
	}
	if cfg.MaxParallelMoves < 0 {
		wrong("max-parallel-moves", "%d is negative", cfg.MaxParallelMoves)
	}
	if cfg.HistoryBytes != 0 && cfg.HistoryBytes < history.MinBytes {
		wrong("history-size", "%d is too small; the least is %d", cfg.HistoryBytes,
			int64(history.MinBytes))
	}
	if cfg.HistoryAge != 0 && cfg.HistoryAge < history.MinAge {
		wrong("history-age", "%s is too short; the least is %s", cfg.HistoryAge, history.MinAge)
	}
	return errors.Join(problems...)
}

// checkName refuses names that would break a log line, a table column or a field of the wire
// format.
func checkName(name, setting string, wrong func(setting, format string, args ...any)) {
	if err := ring.CheckWord(name); err != nil {
		wrong(setting, "%q %w", name, err)
	}
}

// A seed is one entry of Config.Join: a host name or address, and a port.
type seed struct {
	host string
	port uint16
}

func (s seed) String() string { return net.JoinHostPort(s.host, strconv.Itoa(int(s.port))) }

// joinPort is the port of peers that are named without one: the same as here, so that a mesh that
// was given another than the usual one does not dial what runs there.
func (cfg *Config) joinPort() uint16 {
	if port := cfg.Bind.Port(); port != 0 {
		return port
	}
	return DefaultPort
}

// parseSeed reads host[:port]; an IPv6 address needs brackets when a port follows.
func parseSeed(s string, port uint16) (seed, error) {
	bare := s
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		bare = strings.TrimSuffix(inner, "]")
	}
	if addr, err := netip.ParseAddr(bare); err == nil {
		if addr.Zone() != "" {
			return seed{}, fmt.Errorf("%q has a zone; give a global address", s)
		}
		return seed{addr.String(), port}, nil
	}
	host, portText, found := strings.Cut(s, ":")
	if strings.HasPrefix(s, "[") || strings.Count(s, ":") > 1 {
		var err error
		if host, portText, err = net.SplitHostPort(s); err != nil {
			return seed{}, fmt.Errorf("%q is not host[:port]", s)
		}
	}
	if strings.Trim(host, "0123456789") == "" {
		return seed{}, fmt.Errorf("%q is a number and not host[:port]", s)
	}
	if strings.ContainsAny(host, "[]%") || strings.ContainsFunc(host, unicode.IsSpace) {
		return seed{}, fmt.Errorf("%q is not host[:port]", s)
	}
	if !found {
		return seed{host, port}, nil
	}
	given, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || given == 0 {
		return seed{}, fmt.Errorf("%q: port must be 1 to 65535", s)
	}
	return seed{host, uint16(given)}, nil
}

// checkKeys says what is wrong with keys of the mesh.
func checkKeys(keys [][]byte) error {
	for i, key := range keys {
		if len(key) != KeySize {
			return fmt.Errorf("key %d has %d bytes, want %d", i+1, len(key), KeySize)
		}
	}
	return nil
}
