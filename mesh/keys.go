package mesh

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/memberlist"

	"directormesh/mesh/keyring"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// ErrKeysNeedRestart is the error of a change between having keys and having none: memberlist
// cannot begin or cease to encrypt while it runs.
var ErrKeysNeedRestart = errors.New("a mesh gets its first key, or loses its last, by a restart")

// ErrKeysRemoved is the error of a start with keys that were all removed from the mesh.
var ErrKeysRemoved = errors.New("encrypt-key-file: every key in it was removed from the mesh; " +
	"put one in that the mesh uses")

// errKeyRemoved ends streams that were opened with a key that is not in use any more.
var errKeyRemoved = errors.New("the key that it was opened with was removed")

// keys is the keys of a director: those of its file, those of the mesh's keyring, and what
// memberlist and the streams use of both. Its methods are safe for concurrent use, unless they say
// otherwise.
type keys struct {
	n       *Node
	streams atomic.Pointer[streamKeys]  // never nil after init
	opening atomic.Pointer[openingKeys] // what a stream begins with; nil: nothing
	wake    chan struct{}               // the keeper has something to do
	heard   chan heardKeys              // from peers

	mu   sync.Mutex          // one change at a time; guards what follows
	file [][]byte            // the keys of the file, the primary first
	used [][]byte            // in force, the primary first
	list *memberlist.Keyring // of the used keys in any order; nil: there are none

	keeper // what only encrypted meshes have
}

// init begins with the keys of the file.
func (k *keys) init(n *Node) error {
	k.n, k.file, k.used = n, n.cfg.Keys, n.cfg.Keys
	k.wake = make(chan struct{}, 1)
	k.heard = make(chan heardKeys, maxHeardKeys)
	k.keeper.init()
	if len(k.used) > 0 {
		var err error
		if k.list, err = memberlist.NewKeyring(k.used, k.used[0]); err != nil {
			return fmt.Errorf("encrypt-key-file: %w", err)
		}
	}
	streams, err := newStreamKeys(n.cfg.Mesh, k.used)
	k.streams.Store(&streams)
	return err
}

// load adds what the data directory has, before anything is sent.
func (k *keys) load() error {
	if len(k.file) == 0 {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loadLocked(k.n.cfg.Data)
	_, err := k.applyLocked()
	return err
}

// current returns the keys to open streams with.
func (k *keys) current() streamKeys { return *k.streams.Load() }

// takeFile makes these the keys of the file.
func (k *keys) takeFile(file [][]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if (len(file) == 0) != (len(k.file) == 0) {
		return ErrKeysNeedRestart
	}
	before := k.file
	k.file = file
	if _, err := k.applyLocked(); err != nil {
		k.file = before
		return err
	}
	return nil
}

// applyLocked puts the usable keys in force, and reports whether these are others than before.
// Where the file and the keyring leave none, those in force stay.
func (k *keys) applyLocked() (bool, error) {
	usable := k.ring.Usable(k.file)
	if slices.EqualFunc(usable, k.used, bytes.Equal) {
		return false, nil
	}
	if len(usable) == 0 {
		return false, ErrKeysRemoved
	}
	streams, err := newStreamKeys(k.n.cfg.Mesh, usable)
	if err != nil {
		return false, err
	}
	if err := replaceListKeys(k.list, usable); err != nil {
		return false, err
	}
	k.countPacketsLocked() // with the key from before
	k.used = usable
	k.streams.Store(&streams)
	return true, nil
}

// replaceListKeys changes memberlist's keys. Its RemoveKey moves the keys behind the removed one in
// memory that others are reading, so that one must stand last. UseKey puts a key first and makes
// new memory.
func replaceListKeys(list *memberlist.Keyring, after [][]byte) error {
	for _, key := range after {
		if err := list.AddKey(key); err != nil {
			return err
		}
	}
	if err := list.UseKey(after[0]); err != nil {
		return err
	}
	for _, old := range slices.Backward(list.GetKeys()) {
		if containsKey(after, old) {
			continue
		}
		for !bytes.Equal(last(list.GetKeys()), old) {
			if err := list.UseKey(last(list.GetKeys())); err != nil {
				return err
			}
		}
		if err := errors.Join(list.UseKey(after[0]), list.RemoveKey(old)); err != nil {
			return err
		}
	}
	return nil
}

func containsKey(keys [][]byte, key []byte) bool {
	return slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) })
}

func last(keys [][]byte) []byte { return keys[len(keys)-1] }

// SetKeys replaces the keys of the file of a running director, as Config.Keys has them; those that
// the mesh has removed do not count. Streams that were opened with a key that is not in force any
// more are closed before it returns, and opened again with another. The director must have had
// keys, and keep some; see ErrKeysNeedRestart.
func (n *Node) SetKeys(keys [][]byte) error {
	if err := checkKeys(keys); err != nil {
		return err
	}
	if err := n.keys.takeFile(keys); err != nil {
		return err
	}
	n.closeRemoved()
	n.keys.hurry()
	return nil
}

// closeRemoved closes the streams that were opened with a key that is not in force any more.
func (n *Node) closeRemoved() {
	current := n.keys.current()
	n.input(func(*replica.Core, mono.Time) {
		for _, out := range n.out {
			if !current.opens(out.s) {
				out.close(errKeyRemoved)
			}
		}
		for _, in := range n.in {
			if !current.opens(in.s) {
				_ = in.s.conn.Close() // its reader ends it
			}
		}
	})
}

// streamsByKey counts the open streams, in both directions, by the key that they were opened with.
func (n *Node) streamsByKey() map[wire.KeyID]int {
	secrets, ids := n.keys.secrets()
	streams := make(map[wire.KeyID]int)
	n.coreMu.Lock()
	defer n.coreMu.Unlock()
	count := func(s *secureStream) {
		for i, secret := range secrets {
			if bytes.Equal(secret, s.secret) {
				streams[ids[i]]++
			}
		}
	}
	for _, out := range n.out {
		count(out.s)
	}
	for _, in := range n.in {
		count(in.s)
	}
	return streams
}

// secrets returns the secrets of streams, and the ids of the keys that they are made from.
func (k *keys) secrets() (secrets [][]byte, ids []wire.KeyID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range k.used {
		ids = append(ids, keyring.ID(key))
	}
	return k.current().secrets, ids
}
