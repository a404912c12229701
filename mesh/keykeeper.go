package mesh

import (
	"errors"
	"maps"
	"slices"
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
	compareKeysEvery = 30 * time.Second
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
	peers    map[string]bool // those of this life, and whether they are wanted
	compared time.Time       // when the digest was last sent
	replied  time.Time       // when a peer was last sent all
}

func (k *keeper) init() {
	k.ring = keyring.New(0)
	k.counts = make(map[wire.KeyID]uint64)
	k.changed = make(chan struct{})
	k.peers = make(map[string]bool)
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

// queue has a part of the keyring sent to all. keys.mu is locked.
func (k *keeper) queue(m *wire.Keyring) {
	if m == nil || keyring.Empty(m) {
		return
	}
	if k.outbox == nil {
		k.outbox = &wire.Keyring{}
	}
	out := k.outbox
	for _, key := range m.Keys {
		out.Keys = slices.DeleteFunc(out.Keys, func(o wire.Key) bool { return o.ID == key.ID })
		out.Keys = append(out.Keys, key)
	}
	if m.Primary.Version.Compare(out.Primary.Version) > 0 {
		out.Primary = m.Primary
	}
	if m.Rotation.Version.Compare(out.Rotation.Version) > 0 {
		out.Rotation = m.Rotation
	}
	for _, h := range m.Holders {
		out.Holders = slices.DeleteFunc(out.Holders,
			func(o wire.KeyHolder) bool { return o.Name == h.Name })
		out.Holders = append(out.Holders, h)
	}
}

// send sends a message to one peer, or to all, over the encrypted streams within the mesh.
func (k *keys) send(m *wire.Keyring, to ...string) {
	encoded, err := wire.Encode(m)
	if err != nil {
		k.n.metrics.drop(dropUnencodable)
		k.n.limited("keyring").Error().AnErr("error", wording.Plain(err)).
			Msg("the keyring cannot be sent")
		return
	}
	var streams []*outStream
	k.n.coreMu.Lock()
	for name, o := range k.n.out {
		theirs := k.n.core.PeerMesh(name)
		meant := len(to) == 0 || slices.Contains(to, name)
		if meant && (theirs == m.Mesh || theirs == 0) && o.s.secret != nil {
			streams = append(streams, o)
		}
	}
	k.n.coreMu.Unlock()
	var room []byte
	for _, o := range streams {
		if o.add(encoded) == nil { // else the stream ends, and the next one begins with it
			room = o.push(room)
		}
	}
}

// openingLocked is what streams begin with: the keys, and what this director reports.
func (k *keys) openingLocked() *wire.Keyring {
	m := k.ring.Whole()
	m.Holders = slices.DeleteFunc(m.Holders,
		func(h wire.KeyHolder) bool { return h.Name != k.n.cfg.Name })
	return m
}

// setOpeningLocked renews what streams begin with.
func (k *keys) setOpeningLocked() {
	m := k.openingLocked()
	encoded, err := wire.Encode(m)
	if err != nil || m.Mesh == 0 {
		k.opening.Store(nil)
		return
	}
	k.opening.Store(&openingKeys{m.Mesh, encoded})
}

// begin makes the keyring the first message of a stream to a director of this mesh, or
// to one that belongs to none yet.
func (k *keys) begin(out *outStream, mesh directory.MeshID) error {
	first := k.opening.Load()
	if first == nil || out.s.secret == nil || mesh != 0 && mesh != first.mesh {
		return nil
	}
	return out.add(first.encoded)
}

// save keeps the keyring in the data directory, if it has changed.
func (k *keys) save() {
	k.mu.Lock()
	digest := k.ring.Digest()
	if k.n.cfg.Data == nil || digest == k.kept && k.problem == nil {
		k.mu.Unlock()
		return
	}
	m := k.ring.Whole()
	k.mu.Unlock()
	err := keyring.Save(k.n.cfg.Data, m)
	if err != nil {
		k.n.limited("keeping keys").Error().AnErr("error", wording.Plain(err)).
			Msg("the keyring cannot be kept in the data directory; trying again")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.problem = err; err == nil {
		k.kept = digest
	}
}

// reportLocked says what this director has, once it keeps that.
func (k *keys) reportLocked() {
	h := wire.KeyHolder{Name: k.n.cfg.Name, Rotation: k.ring.Rotation().Begun}
	for _, secret := range k.used {
		id := keyring.ID(secret)
		whole := k.counts[id] / packetStep * packetStep
		h.Keys = append(h.Keys, wire.HeldKey{ID: id, Packets: whole})
	}
	h.Uses = keyring.ID(k.used[0])
	if k.problem != nil {
		h.Problem = wording.Plain(k.problem).Error()
	}
	if change := k.ring.Report(h); change != nil {
		k.queue(change)
		k.changedLocked()
	}
}

// partGoneLocked notes which directors are no part of the mesh any more: those that left, were
// removed, or were known in this life and are forgotten.
func (k *keys) partGoneLocked() {
	wanted := make(map[string]bool)
	for _, p := range k.n.Peers() {
		wanted[p.Name] = !p.Left && !p.Removed
	}
	gone := func(name string, wanted bool) {
		if wanted || name == k.n.cfg.Name {
			return
		}
		if change := k.ring.Part(k.n.cfg.Name, name); change != nil {
			k.queue(change)
			k.changedLocked()
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		gone(name, wanted[name])
	}
	for _, name := range slices.Sorted(maps.Keys(k.peers)) {
		gone(name, wanted[name])
	}
	k.peers = wanted
}

// advanceLocked takes the next step of the rotation under way, if this director is the first by
// name of those in touch. Any other would do the same.
func (k *keys) advanceLocked() {
	if !k.ring.Rotating() {
		k.waits = nil
		return
	}
	known, live := k.directors()
	if live[0] != k.n.cfg.Name {
		k.waits = k.ring.Waits(known)
		return
	}
	change, waits := k.ring.Advance(k.n.cfg.Name, known)
	k.waits = waits
	if change != nil {
		k.queue(change)
		k.changedLocked()
	}
}

// directors lists the directors that changes of keys wait for, and those of them that have not
// failed, this one among both. Sorted.
func (k *keys) directors() (known, live []string) {
	var peers []string
	for _, p := range k.n.Peers() {
		if p.Name == "" || p.Left || p.Removed {
			continue
		}
		peers = append(peers, p.Name)
		if p.Self || p.Reachable {
			live = append(live, p.Name)
		}
	}
	slices.Sort(live)
	return k.ring.Known(peers), live
}

// silent are the directors that are not heard at present, be it only for a second.
func (k *keys) silent() map[string]bool {
	silent := make(map[string]bool)
	for _, p := range k.n.Peers() {
		silent[p.Name] = !p.Self && !p.SilentSince.IsZero()
	}
	return silent
}

// countPacketsLocked adds what was encrypted since it was last called, with the key in force.
func (k *keys) countPacketsLocked() {
	if k.n.transport == nil { // nothing has been sent yet
		return
	}
	if n := k.n.transport.written.Swap(0); n > 0 {
		k.counts[keyring.ID(k.used[0])] += n
	}
}

// warnOfWearLocked says when a key has encrypted so much that it should be replaced.
func (k *keys) warnOfWearLocked() {
	id := keyring.ID(k.used[0])
	if packets := k.ring.Packets(id); packets >= wornAfter {
		k.n.limited("key wear").Warn().Stringer("key", id).Uint64("packets", packets).
			Msg("the key has encrypted as many packets as it should; rotate it: " +
				"director keys rotate")
	}
}

// wear is how many packets the key in use has encrypted, and whether a rotation is under way.
func (k *keys) wear() (packets uint64, rotating bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.used) == 0 {
		return 0, false
	}
	return k.ring.Packets(keyring.ID(k.used[0])), k.ring.Rotating()
}

// readFileAgain looks in the key file for the new key of a rotation that goes by files.
func (k *keys) readFileAgain() {
	k.mu.Lock()
	o := k.ring.Rotation()
	before := k.file
	has := slices.ContainsFunc(k.used, func(s []byte) bool { return keyring.ID(s) == o.New })
	looks := k.ring.Rotating() && o.FromFile && !has && k.n.cfg.ReadKeys != nil
	k.mu.Unlock()
	if !looks {
		return
	}
	file, err := k.n.cfg.ReadKeys()
	if err == nil {
		err = checkKeys(file)
	}
	if err == nil {
		// A file that already lacks the old key must not take it away before its time.
		for _, secret := range before {
			if !containsKey(file, secret) {
				file = append(file, secret)
			}
		}
		err = k.takeFile(file)
	}
	if err != nil {
		k.n.limited("key file").Error().AnErr("error", wording.Plain(err)).
			Msg("the key file cannot be read for the new key of the mesh; trying again")
	}
}

// logInForce says which keys are in force now.
func (k *keys) logInForce() {
	_, ids := k.secrets()
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.String()
	}
	k.n.log.Info().Str("encrypts", names[0]).Strs("decrypts", names).Msg("keys changed")
}
