package mesh

import (
	"errors"
	"time"

	"directormesh/directory"
	"directormesh/mesh/keyring"
	"directormesh/mesh/store"
	"directormesh/mesh/wire"
	"directormesh/mesh/wording"
)

const (
	// keysEvery is how often the keeper looks whether there is something to do that nobody told it.
	keysEvery = time.Second
	// compareKeysEvery is how often directors tell each other the digest of their keyrings. What a
	// broken stream has lost, and what a director that nobody reaches had to say, comes with it.
	compareKeysEvery = 5 * time.Second
	// lastWords is how long after a director was parted it is parted again if it reports its keys:
	// it said so before it left. What it says later it says to another director, which reaches it.
	lastWords = 30 * time.Second
	// maxHeardKeys bounds the messages of peers that wait for the keeper, as while a disk is slow.
	// What does not fit comes again with the next comparison.
	maxHeardKeys = 256
	// packetStep is in what steps packets are reported: the counts need not be exact, and each
	// report is kept on disks.
	packetStep = 1 << 20
	// wornAfter is after how many packets a key should be rotated: with random nonces of 96 bits
	// a key is good for 2^32 (NIST SP 800-38D, 8.3); half of that leaves time.
	wornAfter = 1 << 31
)

// errNoDataDir keeps a director from taking part in changes of keys: a restart would forget them.
var errNoDataDir = errors.New("it has no data-dir")

// heardKeys is a message of a peer.
type heardKeys struct {
	peer string
	m    *wire.Keyring
}

// openingKeys is what an encrypted stream within the mesh begins with.
type openingKeys struct {
	mesh    directory.MeshID
	encoded []byte
}

// keeper has the mesh's keyring: it merges what peers say, keeps it in the data directory, puts it
// in force, reports what this director has, and takes the steps of rotations. Its fields are
// guarded by keys.mu, but for what only its goroutine uses.
type keeper struct {
	ring    *keyring.Ring
	own     directory.MeshID      // this director's mesh, as last seen
	counts  map[wire.KeyID]uint64 // packets that were encrypted with each key, about
	problem error                 // why nothing can be kept; nil: it can
	kept    uint64                // digest of what the data directory has
	waits   []keyring.Lack        // whom the rotation under way waits for
	changed chan struct{}         // closed when something has changed
	outbox  *wire.Keyring         // to be sent to all
	moved   bool                  // into another mesh, and has not said so yet

	// only of the goroutine
	peers    map[string]bool      // those of this life, and whether they are wanted
	parted   map[string]time.Time // when this director parted which, lately
	compared time.Time            // when the digest was last sent
	replied  time.Time            // when a peer was last sent all
}

func (k *keeper) init() {
	k.ring = keyring.New(0)
	k.counts = make(map[wire.KeyID]uint64)
	k.changed = make(chan struct{})
	k.peers, k.parted = make(map[string]bool), make(map[string]time.Time)
}

// loadLocked begins with what the data directory has.
func (k *keys) loadLocked(d store.FS) {
	if d == nil {
		k.problem = errNoDataDir
		return
	}
	m, err := keyring.Load(d)
	if errors.Is(err, keyring.ErrDamaged) {
		name, asideErr := store.PutAside(d, keyring.FileName)
		k.n.log.Error().Str("file", name).
			AnErr("error", wording.Plain(errors.Join(err, asideErr))).
			Msg("the keyring in the data directory cannot be read, it is put aside and the key " +
				"file counts alone")
		return
	}
	if err != nil {
		k.problem = err
		return
	}
	if m == nil {
		return
	}
	k.ring.SetMesh(m.Mesh)
	k.ring.Merge(m)
	k.kept = k.ring.Digest()
	if own, ok := k.ring.Holder(k.n.cfg.Name); ok {
		for _, held := range own.Keys {
			// It ended somewhere within a step.
			k.counts[held.ID] = held.Packets + packetStep
		}
	}
	k.setOpeningLocked()
}

// hurry has the keeper look at once whether there is something to do.
func (k *keys) hurry() {
	select {
	case k.wake <- struct{}{}:
	default: // it is about to, or there is none
	}
}

// hear takes a message of a peer. It never waits.
func (k *keys) hear(peer string, m *wire.Keyring) {
	select {
	case k.heard <- heardKeys{peer, m}:
	default:
		k.n.metrics.drop(dropKeyring)
	}
}

// run is the keeper's goroutine.
func (k *keys) run() {
	ticks := time.Tick(keysEvery)
	for {
		select {
		case h := <-k.heard:
			k.take(h)
			for len(k.heard) > 0 {
				k.take(<-k.heard)
			}
		case <-ticks:
		case <-k.wake:
		case <-k.n.ctx.Done():
			return
		}
		k.settle()
	}
}

// take merges what a peer said, if it is of this mesh; one that belongs to none yet takes the
// keyring of whom it is joining.
func (k *keys) take(h heardKeys) {
	k.moveHouse()
	k.mu.Lock()
	if k.own == 0 && h.m.Whole && h.m.Mesh != 0 && k.ring.Mesh() != h.m.Mesh {
		k.ring = keyring.New(h.m.Mesh)
	}
	if h.m.Mesh == 0 || h.m.Mesh != k.ring.Mesh() {
		k.mu.Unlock()
		return
	}
	if news := k.ring.Merge(h.m); news != nil {
		k.queue(&wire.Keyring{ // of what others report, they inform all themselves
			Keys: news.Keys, Primary: news.Primary, Rotation: news.Rotation,
		})
		k.changedLocked()
	}
	var all *wire.Keyring
	asks := h.m.Whole || keyring.Empty(h.m)
	if asks && h.m.Digest != k.ring.Digest() && time.Since(k.replied) >= keysEvery {
		k.replied = time.Now()
		all = k.ring.Whole()
	}
	k.mu.Unlock()
	if all != nil {
		k.send(all, h.peer)
	}
}

// moveHouse follows this director into another mesh. One that it founds gets the keyring that it
// has, for it brings the keys. One that it joins has a keyring of its own.
func (k *keys) moveHouse() {
	own := k.n.Self().Mesh.ID
	k.mu.Lock()
	defer k.mu.Unlock()
	if own == k.own || own == 0 {
		return
	}
	first := k.own == 0
	k.own, k.moved = own, true
	switch {
	case k.ring.Mesh() == own:
		return
	case first:
		k.ring.SetMesh(own)
	default:
		k.ring = keyring.New(own)
	}
	k.changedLocked()
}

// settle does all that there is to be done.
func (k *keys) settle() {
	k.moveHouse()
	k.readFileAgain()
	k.mu.Lock()
	k.countPacketsLocked()
	k.partGoneLocked()
	applied, err := k.applyLocked()
	k.mu.Unlock()
	if err != nil {
		k.n.limited("keys in force").Error().AnErr("error", wording.Plain(err)).
			Msg("the keys of the mesh cannot be used, those from before stay in use")
	}
	if applied {
		k.n.closeRemoved()
		k.logInForce()
	}
	k.save()
	k.mu.Lock()
	k.reportLocked()
	k.advanceLocked()
	k.setOpeningLocked()
	k.warnOfWearLocked()
	out := k.outbox
	k.outbox = nil
	if out == nil && time.Since(k.compared) >= compareKeysEvery {
		k.compared = time.Now()
		out = &wire.Keyring{}
	}
	if out != nil {
		out.Mesh, out.Digest = k.ring.Mesh(), k.ring.Digest()
	}
	if k.moved {
		// Streams that were opened before have begun with nothing of this mesh.
		k.moved, out = false, k.openingLocked()
	}
	k.mu.Unlock()
	if out != nil {
		k.send(out)
	}
}

// changedLocked wakes who waits for a change, and the keeper.
func (k *keys) changedLocked() {
	close(k.changed)
	k.changed = make(chan struct{})
	k.hurry()
}
