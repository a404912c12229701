package mesh

import (
	"maps"
	"slices"
	"time"

	"directormesh/mesh/keyring"
	"directormesh/mesh/wire"
	"directormesh/mesh/wording"
)

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
// removed, or were known in this life and are forgotten. What one of them said last may come a
// little later, and it is parted again.
func (k *keys) partGoneLocked() {
	wanted := make(map[string]bool)
	for _, p := range k.n.Peers() {
		wanted[p.Name] = !p.Left && !p.Removed
	}
	maps.DeleteFunc(k.parted, func(name string, at time.Time) bool {
		if wanted[name] {
			k.compared = time.Time{} // it must hear that, to report its keys again
		}
		return wanted[name] || time.Since(at) > lastWords
	})
	names := slices.Concat(slices.Collect(maps.Keys(wanted)), slices.Collect(maps.Keys(k.peers)),
		slices.Collect(maps.Keys(k.parted)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if wanted[name] || name == k.n.cfg.Name {
			continue
		}
		if change := k.ring.Part(k.n.cfg.Name, name); change != nil {
			if _, again := k.parted[name]; !again {
				k.parted[name] = time.Now()
			}
			k.queue(change)
			k.changedLocked()
		}
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
