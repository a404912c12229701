package daemon

import (
	"cmp"
	"context"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"directormesh/cli/api"
	"directormesh/directory"
	"directormesh/mesh"
	"directormesh/mesh/history"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// node is what the doors need of mesh.Node.
type node interface {
	TryLookup(tag ring.Tag, h ring.UserHash) (netip.Addr, bool)
	TryLookups(users []ring.Lookup)
	Lookup(ctx context.Context, tag ring.Tag, h ring.UserHash) (netip.Addr, error)
	Do(ctx context.Context, op replica.Operation) (replica.Outcome, error)
	Plan(ctx context.Context, op replica.Operation) (mesh.Plan, error)
	Self() replica.SelfStatus
	Waiting() map[string]int
	Peers() []replica.PeerStatus
	Backends() []replica.BackendStatus
	OutOfContact() bool
	Pins() []replica.PinStatus
	Keys() mesh.KeyringStatus
	ChangeKeys(ctx context.Context, op mesh.KeyOperation, without []string) (
		mesh.KeyOutcome, error)
	Health() replica.HealthStatus
	Balancing() replica.BalanceStatus
	NamesStatus() replica.NamesStatus
	Configured() []ring.Backend
	User(tag ring.Tag, h ring.UserHash) replica.UserStatus
	Flushes() []replica.FlushStatus
	Directory() *directory.Directory
	MeshTime() directory.Time
	Data() mesh.DataStatus
	Ask(ctx context.Context, topic string, question []byte) []mesh.Answer
	NoteAdmin(note *wire.AdminNote)
	AskHistory(ctx context.Context, q wire.HistoryQuery) (
		answers []history.Answer, failed []mesh.Answer, err error)
}

// director shows a node to the doors in the words of the API. It implements httpapi.Director.
type director struct {
	node    node
	options Options
	version string
	leaving atomic.Bool
	reloads chan reloadRequest // to the goroutine of Run

	noKicker bool // nothing here can end sessions

	// values are the settings as they were read last, by name; nil: those of options. A map in it
	// is not changed any more.
	values atomic.Pointer[map[string]string]
}

// Self implements httpapi.Director.
func (d *director) Self() api.Self {
	s := d.node.Self()
	self := api.Self{
		Name:         d.options.NodeName,
		Mesh:         d.options.MeshName,
		Version:      d.version,
		UsernameHash: d.options.UsernameHash.String(),
		UserExpireMS: d.options.UserExpire.Milliseconds(),
		Synced:       s.Synced,
		Alone:        s.Alone,
		Leaving:      d.leaving.Load(),
		Reason:       s.Reason,
		Users:        s.Users,
		Waiting:      s.Waiting,
		WaitingFor:   waits(d.node.Waiting()),
		Changing:     s.Rings > 1,
		DataDir:      dataStatus(d.node.Data()),
		Missing:      listed(s.Missing),
	}
	if s.Mesh.ID != 0 {
		self.MeshID = s.Mesh.ID.String()
		self.MeshAgeMS = s.Mesh.Age
	}
	return self
}

// waits shows for what how many lookups wait, the most first.
func waits(counts map[string]int) []api.Wait {
	list := []api.Wait{}
	for reason, lookups := range counts {
		if lookups > 0 {
			list = append(list, api.Wait{Reason: reason, Lookups: lookups})
		}
	}
	slices.SortFunc(list, func(a, b api.Wait) int {
		return cmp.Or(cmp.Compare(b.Lookups, a.Lookups), strings.Compare(a.Reason, b.Reason))
	})
	return list
}

// Directors implements httpapi.Director.
func (d *director) Directors() api.Directors {
	peers := d.node.Peers()
	list := make([]api.Director, len(peers))
	for i, p := range peers {
		out := api.Director{
			Name:          p.Name,
			IP:            api.IP{Addr: p.Addr.Addr()},
			Port:          int(p.Addr.Port()),
			Type:          api.TypePeer,
			State:         p.State.String(),
			UsersReceived: p.Received,
			UsersSent:     p.Sent,
			Reachable:     p.Reachable && p.SilentSince.IsZero(),
			Left:          p.Left,
			Users:         p.Users,
			SkewMS:        milliseconds(p.Skew),
			OffsetMS:      milliseconds(p.Offset),
			Reason:        p.Reason,
		}
		switch {
		case p.Self:
			out.Type = api.TypeSelf
			if data := d.node.Data(); data.Problem != nil && out.Reason == "" {
				out.Reason = "the data directory keeps nothing: " + api.Cause(data.Problem)
			}
		case p.Removed:
			out.Type = api.TypeRemoved
		}
		if !p.SilentSince.IsZero() && !p.Self && !p.Left {
			since := p.SilentSince.UTC()
			out.UnreachableSince = &since
		}
		if !p.LastFailed.IsZero() {
			at := p.LastFailed.UTC()
			out.LastFailedAt = &at
		}
		if p.RoundTrip > 0 {
			ping := milliseconds(p.RoundTrip)
			out.PingMS = &ping
		}
		list[i] = out
	}
	return api.Directors{Directors: list}
}

// Backends implements httpapi.Director.
func (d *director) Backends() api.Backends {
	rows, now := d.node.Backends(), d.node.MeshTime()
	table := api.Backends{
		Backends: make([]api.Backend, len(rows)), Removed: []api.IP{},
		OutOfContact: d.node.OutOfContact(),
	}
	present := make(map[netip.Addr]bool, len(rows))
	for i, r := range rows {
		present[r.Backend.Addr] = true
		table.Backends[i] = api.Backend{
			IP:             api.IP{Addr: r.Backend.Addr},
			Name:           r.Backend.Name,
			Tag:            string(r.Backend.Tag),
			VHosts:         r.Backend.VHosts,
			Factor:         directory.Factor(r.Backend.Factor).Percent(),
			Standby:        r.Backend.Standby,
			Idle:           r.Backend.Idle,
			State:          api.StateUp,
			StateChangedAt: meshTime(r.ChangedAt),
			Users:          r.Users,
			Leaving:        r.Leaving,
			Drain:          task(r.Backend.Drained, r.Drain, now),
			Rebalance:      task(r.Backend.Rebalanced, r.Rebalance, now),
			Gone:           r.Backend.Gone,
			Failure:        failure(r.Backend, r.FailedBy, r.FailedAt),
			SlowStart:      slowStartOf(r),
		}
		if r.LoadKnown || r.Load > 0 {
			table.Backends[i].Load = &r.Load
		}
		if drain := table.Backends[i].Drain; drain != nil && drain.On {
			drain.Waits = r.Users > 0 && !otherUsable(rows, r.Backend)
			if r.Users+r.Leaving == 0 {
				drain.LateMS = 0
			}
		}
		if r.Backend.Down {
			table.Backends[i].State = api.StateDown
		}
	}
	for _, b := range d.node.Configured() {
		if !present[b.Addr] {
			table.Removed = append(table.Removed, api.IP{Addr: b.Addr})
		}
	}
	return table
}

// otherUsable reports whether another backend of the tag takes users.
func otherUsable(rows []replica.BackendStatus, than ring.Backend) bool {
	return slices.ContainsFunc(rows, func(r replica.BackendStatus) bool {
		b := r.Backend
		return b.Tag == than.Tag && b.Addr != than.Addr && b.Usable()
	})
}

// task shows what moves users away from a backend; nil if nothing ever did.
func task(on bool, t directory.Task, now directory.Time) *api.Task {
	if !on && t == (directory.Task{}) {
		return nil
	}
	shown := &api.Task{
		On: on || t.On, Since: meshTime(t.Since.Time()), By: meshTime(t.By),
		MaxParallel: t.Parallel,
	}
	if shown.On && t.By != 0 {
		shown.LateMS = max(now.Sub(t.By).Milliseconds(), 0)
	}
	return shown
}

// Flushes implements httpapi.Director.
func (d *director) Flushes() api.Flushes {
	flushes := d.node.Flushes()
	list := make([]api.Flush, len(flushes))
	for i, f := range flushes {
		list[i] = api.Flush{
			Director:  f.ID.Director,
			ID:        f.ID.ID,
			Backend:   api.IP{Addr: f.Backend},
			Total:     f.Total,
			Scanning:  f.Scanning,
			Moved:     f.Moved,
			Moving:    f.Moving,
			Failed:    f.Failed,
			StartedAt: wallTime(f.Started),
			EndedAt:   meshTime(f.Ended),
			Cancelled: f.Canceled,
			Lost:      f.Lost,
			UsersLeft: f.Left,
			NoKicker:  f.Blind,
			Runner:    f.Runner,
		}
	}
	return api.Flushes{Flushes: list}
}

// Hash implements httpapi.Director.
func (d *director) Hash(user string) ring.UserHash { return d.options.UsernameHash.Hash(user) }

// User implements httpapi.Director.
func (d *director) User(tag ring.Tag, h ring.UserHash) api.User {
	s := d.node.User(tag, h)
	user := api.User{
		UserHash:      uint32(h),
		Tag:           string(tag),
		Mapped:        s.Mapped,
		Moving:        s.Moving,
		Current:       api.IP{Addr: s.Current},
		Hashed:        api.IP{Addr: s.Hashed},
		InitialConfig: api.IP{Addr: s.Initial},
		Pinned:        api.IP{Addr: s.Pinned},
	}
	if s.Mapped {
		user.ExpiresAt = meshTime(s.Expires)
	}
	return user
}

// TryLookup implements httpapi.Director.
func (d *director) TryLookup(tag ring.Tag, h ring.UserHash) (api.IP, bool) {
	backend, ok := d.node.TryLookup(tag, h)
	return api.IP{Addr: backend}, ok
}

// TryLookups implements httpapi.Director.
func (d *director) TryLookups(users []ring.Lookup) { d.node.TryLookups(users) }

// Lookup implements httpapi.Director.
func (d *director) Lookup(ctx context.Context, tag ring.Tag, h ring.UserHash) (api.IP, error) {
	if d.unknownTag(tag) {
		return api.IP{}, api.Errorf(api.CodeNotFound,
			"no backend has the tag %q; \"director status\" lists the tags", string(tag))
	}
	backend, err := d.node.Lookup(ctx, tag, h)
	if err != nil {
		return api.IP{}, apiError(err)
	}
	return api.IP{Addr: backend}, nil
}

// unknownTag reports whether a tag is most likely a typing error: there are backends, but none that
// has it, down or not. A lookup of it would wait for one to be added.
func (d *director) unknownTag(tag ring.Tag) bool {
	if !d.node.Self().Synced {
		return false // the table may be another one soon
	}
	backends := d.node.Backends()
	return len(backends) > 0 && !slices.ContainsFunc(backends, func(b replica.BackendStatus) bool {
		return b.Backend.Tag == tag
	})
}

// Mappings implements httpapi.Director. It holds one leaf at a time.
func (d *director) Mappings() iter.Seq[api.Mapping] {
	return func(yield func(api.Mapping) bool) {
		dir, now := d.node.Directory(), d.node.MeshTime()
		for tag, m := range dir.All(now) {
			if !m.Backend.IsValid() { // forgotten
				continue
			}
			if !yield(api.Mapping{
				Tag:       string(tag),
				UserHash:  uint32(m.Hash),
				Backend:   api.IP{Addr: m.Backend},
				ExpiresAt: wallTime(dir.Ends(m).Add(-dir.Share())),
				Moving:    m.Moving,
			}) {
				return
			}
		}
	}
}

func wallTime(t directory.Time) time.Time { return time.UnixMilli(int64(t)).UTC() }

// meshTime returns a time that may be absent.
func meshTime(t directory.Time) *time.Time {
	if t <= 0 {
		return nil
	}
	at := wallTime(t)
	return &at
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
