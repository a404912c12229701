package daemon

import (
	"net/netip"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/door/webauth"
	"directormesh/cli/handover"
	"directormesh/ring"
)

// Options are the settings of a director, checked.
type Options struct {
	NodeName  string
	MeshName  string
	Bind      netip.AddrPort
	Advertise netip.AddrPort // zero: as Bind
	Join      []string       // host[:port]
	Keys      [][]byte       // of the mesh, the first one encrypts; none: no encryption
	// ReadKeys reads the key file again; nil: there is none.
	ReadKeys func() ([][]byte, error)
	// ServeAlone: see mesh.Config.
	ServeAlone bool

	Backends     []ring.Backend
	UsernameHash ring.HashFormat
	UserExpire   time.Duration

	UserKickDelay    time.Duration
	MaxParallelMoves int
	SlowStart        time.Duration
	MaxParallelKicks int
	KickCommand      string         // "": none
	Sessions         sessionOptions // those of Dovecot
	Doveadm          doveadmOptions // that of the backends
	Health           healthOptions
	Events           eventOptions
	Balance          balanceOptions
	Names            nameOptions

	DataDir     string // "": none
	DataDamaged bool   // go on alone with what is left of a damaged one

	HistoryBytes int64         // of what the history keeps, at most
	HistoryAge   time.Duration // of what it keeps

	RunDir string
	Doors  map[handover.Kind]Endpoint // of those that are in the table of doors
	Auth   authOptions                // the doors in front of Dovecot's auth

	WebConfigFile string         // of HTTPS, "": --http is for reading, on the loopback
	Rights        webauth.Rights // of those whom WebConfigFile knows

	Insecure bool // the mesh may listen on public addresses without a key

	LogLevel zerolog.Level
	LogText  bool // lines for people instead of JSON

	// values are the texts that the settings were read from, by name, to tell what a reload would
	// change.
	values map[string]string
}

// apiSocket is the file of this director's own socket in RunDir.
const apiSocket = "director.sock"

// SocketPath is where this director's own socket is.
func (o Options) SocketPath() string { return filepath.Join(o.RunDir, apiSocket) }
