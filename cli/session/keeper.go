package session

import (
	"context"
	"net/netip"
	"time"

	"github.com/rs/zerolog"

	"directormesh/mesh/wording"
	"directormesh/ring"
)

// Mesh is what a Keeper needs of the mesh. None of its methods waits.
type Mesh interface {
	// Synced reports whether mappings can be recorded now.
	Synced() bool
	// Tag returns the tag of a backend, false if the table does not have the backend.
	Tag(backend netip.Addr) (ring.Tag, bool)
	// Refresh prolongs the user's mapping if it is on this backend.
	Refresh(tag ring.Tag, h ring.UserHash, backend netip.Addr)
	// Adopt is Refresh, and maps a user who has no mapping to this backend.
	Adopt(tag ring.Tag, h ring.UserHash, backend netip.Addr)
}

const (
	// syncedPoll is how often a director that is not synced is asked whether it is now.
	syncedPoll = time.Second
	// warnEvery bounds the warnings about lists that failed.
	warnEvery = time.Minute
)

// Keeper reports to the mesh from time to time whose sessions live, so that their mappings do not
// expire and a mesh that was restarted learns them again.
//
// A user without a mapping is mapped to the backend of a session once, when the session is listed
// for the first time: a mapping that has gone since was taken away on purpose (flush -F forgets and
// kicks nobody), and must not come back.
type Keeper struct {
	source *Source
	mesh   Mesh
	every  time.Duration
	forget time.Duration
	log    zerolog.Logger

	seen   map[userOnBackend]bool // where sessions were in the last list
	seenAt time.Time
	warned time.Time
}

// userOnBackend is a user who has a session on a backend.
type userOnBackend struct {
	hash    ring.UserHash
	backend netip.Addr
}

// NewKeeper returns a keeper that asks for a list every so often. After forget without a list it
// takes all sessions for new ones: their mappings may have expired meanwhile.
func NewKeeper(source *Source, mesh Mesh, every, forget time.Duration, log zerolog.Logger) *Keeper {
	return &Keeper{source: source, mesh: mesh, every: every, forget: forget, log: log}
}

// Run works until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		wait := syncedPoll
		if k.mesh.Synced() {
			k.poll(ctx)
			wait = k.every
		}
		timer.Reset(wait)
	}
}

// poll asks for a list and reports it to the mesh.
func (k *Keeper) poll(ctx context.Context) {
	list, err := k.source.Fresh(ctx)
	if err != nil {
		if now := k.source.now(); ctx.Err() == nil && now.Sub(k.warned) >= warnEvery {
			k.warned = now
			k.log.Warn().Err(wording.Plain(err)).
				Msg("live sessions are not known, their mappings may expire")
		}
		return
	}
	if list.asked.Sub(k.seenAt) > k.forget {
		k.seen = nil
	}
	seen := make(map[userOnBackend]bool, len(k.seen))
	adopted := 0
	for s := range list.All() {
		p := userOnBackend{s.Hash, s.Backend}
		if seen[p] {
			continue
		}
		tag, ok := k.mesh.Tag(s.Backend)
		if !ok {
			continue
		}
		seen[p] = true
		if k.seen[p] {
			k.mesh.Refresh(tag, s.Hash, s.Backend)
		} else {
			k.mesh.Adopt(tag, s.Hash, s.Backend)
			adopted++
		}
	}
	if !k.mesh.Synced() {
		return // it may have become so in the middle; what was adopted then is not recorded
	}
	if k.seenAt.IsZero() {
		k.log.Info().Int("sessions", list.Len()).Int("users", adopted).Msg("live sessions found")
	}
	k.seen, k.seenAt = seen, list.asked
}
