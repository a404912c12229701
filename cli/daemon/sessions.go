package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/cli/door/proxynotify"
	"directormesh/cli/dovecot"
	"directormesh/cli/kick"
	"directormesh/cli/session"
	"directormesh/directory"
	"directormesh/mesh"
	"directormesh/mesh/replica"
	"directormesh/mesh/wording"
	"directormesh/ring"
)

// sessions is what this director does about live sessions: it ends them, and keeps the mappings of
// the others.
type sessions struct {
	options Options
	log     zerolog.Logger
	logins  *session.Logins // nil: nothing asks who is logging in
	sources []*session.Source
	kicker  kick.Kicker
	turns   []kick.Turns            // of each kicker
	late    []func(context.Context) // for each kicker of Dovecot's: looks after slow logins
	mesh    sessionMesh
	notify  *proxynotify.Server // nil: there are no FIFOs
}

// newSessions makes the kickers that the settings ask for; kicker is all of them. Before attach
// they find no sessions.
func newSessions(o Options, log zerolog.Logger) (s *sessions, kickers kick.All, err error) {
	s = &sessions{options: o, log: log, kicker: kick.None{}}
	if o.Sessions.IPC != "" {
		ipc := dovecot.IPC{Path: o.Sessions.IPC}
		d := s.watch(ipc.List)
		kickers = append(kickers, s.lookAfter(kick.IPC{Dovecot: d, Socket: ipc}, d.Late))
	}
	if o.Sessions.Anvil != "" {
		anvil := dovecot.Anvil{Path: o.Sessions.Anvil}
		d := s.watch(anvil.List)
		admin := dovecot.Admin{BaseDir: filepath.Dir(o.Sessions.Anvil)}
		kickers = append(
			kickers, s.lookAfter(kick.Anvil{Dovecot: d, Socket: anvil, Admin: admin}, d.Late))
	}
	if o.KickCommand != "" {
		c, err := kick.NewCommand(o.KickCommand, s.newTurns())
		if err != nil {
			return nil, nil, &ConfigError{Problems: []Problem{{Setting: "kick-command", Err: err}}}
		}
		kickers = append(kickers, c)
	}
	if len(kickers) > 0 {
		s.kicker = kickers
	}
	return s, kickers, nil
}

// watch makes a source of session lists.
func (s *sessions) watch(list func(context.Context) ([]dovecot.Connection, error)) kick.Dovecot {
	if s.logins == nil {
		s.logins = session.NewLogins(time.Now)
	}
	source := session.NewSource(list, s.hash, time.Now)
	s.sources = append(s.sources, source)
	return kick.Dovecot{
		Sessions: source,
		Logins:   s.logins,
		Tag:      s.mesh.Tag,
		Late:     &kick.Late{Current: s.mesh.current},
		Turns:    s.newTurns(),
	}
}

// newTurns returns turns for one more kicker.
func (s *sessions) newTurns() kick.Turns {
	turns := kick.NewTurns(s.options.MaxParallelKicks)
	s.turns = append(s.turns, turns)
	return turns
}

// kicksAtATime changes how many kicks each kicker does at a time.
func (s *sessions) kicksAtATime(n int) {
	for _, turns := range s.turns {
		turns.Resize(n)
	}
}

// lookAfter lets a kicker end sessions that turn up late.
func (s *sessions) lookAfter(k kick.DovecotKicker, late *kick.Late) kick.Kicker {
	s.late = append(s.late, func(ctx context.Context) {
		late.Run(ctx, k, func(err error) {
			s.log.Warn().Err(wording.Plain(err)).
				Msg("sessions of moved users may have come late and stayed")
		})
	})
	return k
}

// hash returns the user that a login name means.
func (s *sessions) hash(login string) ring.UserHash {
	return s.options.UsernameHash.Hash(s.options.withoutMaster(login))
}

// attach connects it to the mesh, and to the FIFOs of login processes if there are any.
func (s *sessions) attach(
	node *mesh.Node, fifos []*os.File, registry *prometheus.Registry,
) (err error) {
	s.mesh.node.Store(node)
	node.Handle(whoTopic, s.answerWho)
	if len(s.sources) > 0 {
		if err := registry.Register(newSessionCounts(s.sources, node.Backends)); err != nil {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	if len(fifos) == 0 {
		return nil
	}
	s.notify, err = proxynotify.New(proxynotify.Config{
		Refresh:    func(user string) { node.Refresh(s.hash(user)) },
		Log:        s.log,
		Registerer: registry,
	})
	return err
}

// run keeps mappings alive until ctx ends. The error of what fails goes to failed.
func (s *sessions) run(
	ctx context.Context, running *sync.WaitGroup, fifos []*os.File, failed chan<- error,
) {
	every := listEvery(s.options.Sessions.Interval, s.options.UserExpire,
		s.mesh.node.Load().Directory().Share())
	for _, source := range s.sources {
		keeper := session.NewKeeper(source, &s.mesh, every, s.options.UserExpire, s.log)
		running.Go(func() { keeper.Run(ctx) })
	}
	for _, run := range s.late {
		running.Go(func() { run(ctx) })
	}
	if s.logins != nil {
		running.Go(func() { s.logins.Run(ctx) })
	}
	for _, fifo := range fifos {
		running.Go(func() {
			if err := s.notify.Serve(fifo); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
}

// listEvery returns how often sessions are listed: as often as set, or more. Activity is recorded
// anew only when half the share has passed, and a mapping must not get into its last seconds
// between two lists.
func listEvery(set, expire, share time.Duration) time.Duration {
	return min(set, (expire+share/2-directory.EndOfLife)*8/10)
}

// close ends everything. It may be called twice.
func (s *sessions) close() error {
	for _, source := range s.sources {
		source.Close()
	}
	if s.notify == nil {
		return nil
	}
	return s.notify.Close()
}

// seen and mark are for the login door; nil if nobody kicks or lists Dovecot's sessions.
func (s *sessions) seen() func(ring.UserHash, []byte, netip.Addr) {
	if s.logins == nil {
		return nil
	}
	return s.logins.Answered
}

func (s *sessions) mark() func(ring.UserHash, netip.Addr, bool) string {
	if s.logins == nil {
		return nil
	}
	return func(h ring.UserHash, backend netip.Addr, own bool) string {
		if own && !s.mesh.severalTags() {
			return ""
		}
		return session.MarkField + "=" + session.Mark(h, backend)
	}
}

// sessionMesh is what a session.Keeper and the kickers know of the mesh.
type sessionMesh struct {
	node atomic.Pointer[mesh.Node] // nil until there is one
	tags atomic.Pointer[knownTags]
}

// knownTags are the tags of backends. They are read from the table now and then: there are far more
// sessions than changes.
type knownTags struct {
	until   time.Time
	tags    map[netip.Addr]ring.Tag
	several bool // there are at least two
}

// Synced implements session.Mesh.
func (m *sessionMesh) Synced() bool { return m.node.Load().Self().Synced }

// Tag implements session.Mesh.
func (m *sessionMesh) Tag(backend netip.Addr) (ring.Tag, bool) {
	known := m.knownTags()
	if known == nil {
		return "", false
	}
	tag, ok := known.tags[backend]
	return tag, ok
}

// severalTags reports whether one name may be several users.
func (m *sessionMesh) severalTags() bool {
	known := m.knownTags()
	return known != nil && known.several
}

// knownTags returns nil before there is a mesh.
func (m *sessionMesh) knownTags() *knownTags {
	node := m.node.Load()
	if node == nil {
		return nil
	}
	known := m.tags.Load()
	if now := time.Now(); known == nil || now.After(known.until) {
		known = tagsOf(node.Backends(), now)
		m.tags.Store(known)
	}
	return known
}

func tagsOf(rows []replica.BackendStatus, now time.Time) *knownTags {
	known := &knownTags{until: now.Add(namesAge), tags: make(map[netip.Addr]ring.Tag, len(rows))}
	for _, r := range rows {
		known.tags[r.Backend.Addr] = r.Backend.Tag
		known.several = known.several || r.Backend.Tag != rows[0].Backend.Tag
	}
	return known
}

// name returns the host name of a backend, "" if it has none.
func (m *sessionMesh) name(backend netip.Addr) string {
	node := m.node.Load()
	if node == nil {
		return ""
	}
	for _, r := range node.Backends() {
		if r.Backend.Addr == backend {
			return r.Backend.Name
		}
	}
	return ""
}

// current returns where a user is mapped, false if nowhere or while the user is being moved.
func (m *sessionMesh) current(tag ring.Tag, h ring.UserHash) (netip.Addr, bool) {
	node := m.node.Load()
	if node == nil {
		return netip.Addr{}, false
	}
	row, status := node.Directory().Find(tag, h, node.MeshTime())
	return row.Backend, status == directory.Live && !row.Moving && row.Backend.IsValid()
}

// Refresh implements session.Mesh.
func (m *sessionMesh) Refresh(tag ring.Tag, h ring.UserHash, backend netip.Addr) {
	node := m.node.Load()
	row, status := node.Directory().Find(tag, h, node.MeshTime())
	if status == directory.Live && row.Backend == backend {
		node.Adopt(tag, h, backend)
	}
}

// Adopt implements session.Mesh.
func (m *sessionMesh) Adopt(tag ring.Tag, h ring.UserHash, backend netip.Addr) {
	m.node.Load().Adopt(tag, h, backend)
}
