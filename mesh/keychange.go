package mesh

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"directormesh/mesh/keyring"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// How long a change of keys waits for directors that are in touch.
const (
	keysReportTime = 3 * time.Second  // to report which keys they have, as after a start
	keysApplyTime  = 10 * time.Second // to apply a change, and keep it
	keysRotateTime = 20 * time.Second // to go through a rotation
)

// A KeyOperation is a change of the mesh's keys.
type KeyOperation interface{ keyOperation() }

// AddKey gives all directors a key to decrypt with.
type AddKey struct{ Secret wire.Secret } // nil: a new one, which nobody is shown

// UseKey makes all directors encrypt with a key that they have.
type UseKey struct{ ID wire.KeyID }

// RemoveKey removes a key for good.
type RemoveKey struct{ ID wire.KeyID }

// RotateKeys replaces the key that encrypts by a new one, and removes it.
type RotateKeys struct {
	// FromFile takes the new key from the key files, and so sends it nowhere: it is the first one
	// of this director's file that does not encrypt yet.
	FromFile bool
	secret   wire.Secret // of the new key otherwise
}

func (AddKey) keyOperation()     {}
func (UseKey) keyOperation()     {}
func (RemoveKey) keyOperation()  {}
func (RotateKeys) keyOperation() {}

// KeyOutcome is what a change of keys did.
type KeyOutcome struct {
	ID   wire.KeyID // the key in question; the new one of a rotation
	Away []string   // known directors that were not in touch, and will hear of it when they are
}

// What a change of keys fails with, beside a KeysWaitError and the errors of package keyring.
var (
	ErrNoKeys    = errors.New("this mesh has no key; give each director the same key file first")
	ErrNoSuchKey = errors.New("no such key")
	ErrRotating  = errors.New("a rotation of keys is under way")
	ErrPrimary   = errors.New("the key encrypts; use another one first, or rotate")
	ErrNoNewKey  = errors.New("the key file has no other key than the one that encrypts; put the " +
		"new one first in the key file of each director")
	ErrWithoutSelf = errors.New("a director cannot do without itself; ask another one")
)

// A KeysWaitError names the directors that a change of keys waits for.
type KeysWaitError struct {
	Begun bool // the change is made, and goes on when they are ready; else nothing has changed
	Lacks []keyring.Lack
}

func (e *KeysWaitError) Error() string {
	words := make([]string, len(e.Lacks))
	for i, l := range e.Lacks {
		words[i] = l.Director + " " + l.Why
	}
	return strings.Join(words, "; ")
}

// ChangeKeys carries out a change of keys, and waits until all directors in touch have it. without
// names directors that are removed from the mesh for it, if nothing else is in its way; with such,
// RotateKeys goes on with a rotation that is under way. When ctx ends first, nobody waits any more,
// but what was begun goes on.
func (n *Node) ChangeKeys(ctx context.Context, op KeyOperation, without []string) (
	KeyOutcome, error,
) {
	if len(n.cfg.Keys) == 0 {
		return KeyOutcome{}, ErrNoKeys
	}
	if !n.Self().Synced {
		return KeyOutcome{}, replica.ErrNotSynced
	}
	c := &keyChange{k: &n.keys, op: op, without: without}
	if err := c.check(); err != nil {
		return KeyOutcome{}, err
	}
	// Nothing is removed while something else is in the way.
	if err := c.await(ctx, keysReportTime, c.begun.Count > 0, c.hindered); err != nil {
		return c.outcome(), err
	}
	if err := n.partWith(ctx, without); err != nil {
		return KeyOutcome{}, err
	}
	if c.begun.Count == 0 {
		if err := c.begin(); err != nil {
			return KeyOutcome{}, err
		}
	}
	limit := keysApplyTime
	if _, ok := op.(RotateKeys); ok {
		limit = keysRotateTime
	}
	err := c.await(ctx, limit, true, c.unfinished)
	if c.lost {
		return KeyOutcome{}, ErrRotating
	}
	return c.outcome(), err
}

// partWith removes directors from the mesh. One that only the keyring knows any more is struck off
// there.
func (n *Node) partWith(ctx context.Context, names []string) error {
	for _, name := range names {
		_, err := n.Do(ctx, replica.SetDirectorRemoved{Name: name, Removed: true})
		n.keys.mu.Lock()
		_, holds := n.keys.ring.Holder(name)
		if err == nil || errors.Is(err, replica.ErrUnknownDirector) && holds {
			n.keys.queue(n.keys.ring.Part(n.cfg.Name, name))
			n.keys.changedLocked()
			err = nil
		}
		n.keys.mu.Unlock()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// keyChange is a change of keys under way.
type keyChange struct {
	k       *keys
	op      KeyOperation
	without []string

	id      wire.KeyID   // of the key in question
	primary wire.KeyID   // that encrypted when the change was asked for
	begun   wire.Version // names the rotation
	ended   bool         // it has gone through
	lost    bool         // another one, begun at the same time, goes on instead
}

// check refuses what makes no sense, and finds out which key it is about.
func (c *keyChange) check() error {
	if slices.Contains(c.without, c.k.n.cfg.Name) {
		return ErrWithoutSelf
	}
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	known, _ := c.k.directors()
	for _, p := range c.k.n.Peers() { // those that were removed already
		known = append(known, p.Name)
	}
	for _, name := range c.without {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%w: %s", replica.ErrUnknownDirector, ring.Printable(name))
		}
	}
	if o := c.k.ring.Rotation(); c.k.ring.Rotating() {
		if _, ok := c.op.(RotateKeys); !ok || len(c.without) == 0 {
			return ErrRotating
		}
		c.id, c.primary, c.begun = o.New, o.Old, o.Begun
		return nil
	}
	c.primary = keyring.ID(c.k.used[0])
	has := func(id wire.KeyID) bool {
		return slices.ContainsFunc(c.k.used, func(s []byte) bool { return keyring.ID(s) == id })
	}
	switch op := c.op.(type) {
	case AddKey:
		if op.Secret == nil {
			op.Secret = newSecret()
		}
		c.op, c.id = op, keyring.ID(op.Secret)
		if c.k.ring.Removed(c.id) {
			return keyring.ErrRemoved
		}
	case UseKey:
		if c.id = op.ID; !has(c.id) {
			return ErrNoSuchKey
		}
	case RemoveKey:
		switch c.id = op.ID; {
		case c.id == c.primary:
			return ErrPrimary
		case !has(c.id) && !c.k.ring.Knows(c.id):
			return ErrNoSuchKey
		}
	case RotateKeys:
		if op.FromFile {
			return c.newFromFile()
		}
		op.secret = newSecret()
		c.op, c.id = op, keyring.ID(op.secret)
	}
	return nil
}

func newSecret() wire.Secret {
	secret := make(wire.Secret, KeySize)
	rand.Read(secret) // never fails
	return secret
}

// newFromFile finds the new key in this director's own file.
func (c *keyChange) newFromFile() error {
	if c.k.n.cfg.ReadKeys == nil {
		return ErrNoKeys
	}
	file, err := c.k.n.cfg.ReadKeys()
	if err == nil {
		err = checkKeys(file)
	}
	if err != nil {
		return err
	}
	i := slices.IndexFunc(file, func(s []byte) bool {
		return keyring.ID(s) != c.primary && !c.k.ring.Removed(keyring.ID(s))
	})
	if i < 0 {
		return ErrNoNewKey
	}
	c.id = keyring.ID(file[i])
	return nil
}

// hindered lists the directors that keep the change from being made. keys.mu is locked.
//
// All but an addition needs every known director in touch: what one that is away reported last need
// not hold any more on the other side of a split.
func (c *keyChange) hindered() []keyring.Lack {
	known, live := c.k.directors()
	silent := c.k.silent()
	live = slices.DeleteFunc(live, func(name string) bool { return silent[name] })
	drop := func(name string) bool { return slices.Contains(c.without, name) }
	known, live = slices.DeleteFunc(known, drop), slices.DeleteFunc(live, drop)
	keys := c.k.ring
	if _, ok := c.op.(AddKey); ok {
		return keys.NotReady(live)
	}
	var lacks []keyring.Lack
	for _, name := range known {
		if !slices.Contains(live, name) {
			lacks = append(lacks, keyring.Lack{Director: name, Why: "is not in touch"})
		}
	}
	if c.begun.Count > 0 {
		return lacks // the rotation itself waits for what else there is
	}
	switch c.op.(type) {
	case UseKey:
		return append(lacks, keys.Without(live, c.id)...)
	case RemoveKey:
		return append(lacks, keys.NotUsing(live, c.primary)...)
	}
	return append(lacks, keys.NotReady(live)...)
}

// begin makes the change, or begins the rotation that makes it.
func (c *keyChange) begin() error {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	keys, by := c.k.ring, c.k.n.cfg.Name
	if keys.Rotating() {
		return ErrRotating
	}
	change := new(wire.Keyring)
	var err error
	switch op := c.op.(type) {
	case AddKey:
		change, err = keys.Add(op.Secret)
	case UseKey:
		change = keys.Rotate(by, wire.KeyID{}, c.id, false)
	case RemoveKey:
		change = keys.Rotate(by, c.id, c.primary, false)
	case RotateKeys:
		if op.FromFile {
			change, err = keys.AddFromFile(c.id)
		} else {
			change, err = keys.Add(op.secret)
		}
		if err == nil {
			change.Rotation = keys.Rotate(by, c.primary, c.id, op.FromFile).Rotation
		}
	}
	if err != nil {
		return err
	}
	c.begun = change.Rotation.Begun
	c.k.queue(change)
	c.k.changedLocked()
	return nil
}

// unfinished lists the directors in touch that do not have the change yet. keys.mu is locked.
func (c *keyChange) unfinished() []keyring.Lack {
	_, live := c.k.directors()
	keys := c.k.ring
	if _, ok := c.op.(AddKey); ok {
		return keys.Without(live, c.id)
	}
	if o := keys.Rotation(); o.Begun == c.begun {
		c.ended = o.Ended
	} else if !c.ended {
		return c.giveUp()
	}
	switch {
	case !c.ended && len(c.k.waits) > 0:
		return c.k.waits
	case !c.ended:
		return []keyring.Lack{{Director: live[0], Why: "has not taken the next step"}}
	}
	switch c.op.(type) {
	case RemoveKey:
		return keys.Holding(live, c.id)
	case RotateKeys:
		return keys.Holding(live, c.primary) // nobody holds the zero key
	}
	return nil
}

// giveUp takes back the new key of a rotation that has lost against another one; nobody uses it.
func (c *keyChange) giveUp() []keyring.Lack {
	if _, ok := c.op.(RotateKeys); ok && !c.lost && c.k.ring.Primary() != c.id {
		if change, err := c.k.ring.Remove(c.id); err == nil {
			c.k.queue(change)
			c.k.hurry()
		}
	}
	c.lost = true
	return nil
}

// await returns when there is nothing to wait for, or a *KeysWaitError about what there is after
// that time.
func (c *keyChange) await(
	ctx context.Context, limit time.Duration, begun bool, lacking func() []keyring.Lack,
) error {
	timeout := time.After(limit)
	for {
		c.k.mu.Lock()
		lacks, changed := lacking(), c.k.changed
		c.k.mu.Unlock()
		if len(lacks) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-time.After(keysEvery): // who is in touch may have changed
		case <-timeout:
			return &KeysWaitError{Begun: begun, Lacks: lacks}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.k.n.ctx.Done():
			return ErrClosed
		}
	}
}

func (c *keyChange) outcome() KeyOutcome {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	known, live := c.k.directors()
	away := slices.DeleteFunc(known, func(name string) bool { return slices.Contains(live, name) })
	return KeyOutcome{ID: c.id, Away: away}
}
