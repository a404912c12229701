package mesh

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/memberlist"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
)

// ErrKeysNeedRestart is the error of a change between having keys and having none: memberlist
// cannot begin or cease to encrypt while it runs.
var ErrKeysNeedRestart = errors.New("a mesh gets its first key, or loses its last, by a restart")

// errKeyRemoved ends streams that were opened with a key that is not in use any more.
var errKeyRemoved = errors.New("the key that it was opened with was removed")

// keyIDBytes is how much of a key's hash names it.
const keyIDBytes = 4

// KeyID names a key of the mesh without showing it.
func KeyID(key []byte) string {
	id, err := hkdf.Key(sha256.New, key, nil, "director mesh key id", keyIDBytes)
	if err != nil { // only for sizes that there are not
		return ""
	}
	return hex.EncodeToString(id)
}

// KeyStatus is a key of this director.
type KeyStatus struct {
	ID      string
	Primary bool // it encrypts; the others only decrypt
	Streams int  // that are open with it, in both directions
}

// keyring is the keys of a director: memberlist's and those of streams. Its methods are safe for
// concurrent use.
type keyring struct {
	streams atomic.Pointer[streamKeys] // never nil after init

	mu   sync.Mutex          // one change at a time; guards what follows
	keys [][]byte            // the primary first
	list *memberlist.Keyring // of the same keys in any order; nil: there are none
}

func (k *keyring) init(mesh string, keys [][]byte) error {
	streams, err := newStreamKeys(mesh, keys)
	if err != nil {
		return err
	}
	if len(keys) > 0 {
		if k.list, err = memberlist.NewKeyring(keys, keys[0]); err != nil {
			return fmt.Errorf("encrypt-key-file: %w", err)
		}
	}
	k.keys = keys
	k.streams.Store(&streams)
	return nil
}

// current returns the keys to open streams with.
func (k *keyring) current() streamKeys { return *k.streams.Load() }

// replace makes these the keys, the first one the primary.
func (k *keyring) replace(mesh string, keys [][]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if (len(keys) == 0) != (len(k.keys) == 0) {
		return ErrKeysNeedRestart
	}
	streams, err := newStreamKeys(mesh, keys)
	if err != nil {
		return err
	}
	if len(keys) > 0 {
		if err := replaceListKeys(k.list, keys); err != nil {
			return err
		}
	}
	k.keys = keys
	k.streams.Store(&streams)
	return nil
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

// SetKeys replaces the keys of a running director, as Config.Keys has them. Streams that were
// opened with a key that is none of these are closed before it returns, and opened again with
// another. The director must have had keys, and keep some; see ErrKeysNeedRestart.
func (n *Node) SetKeys(keys [][]byte) error {
	if err := checkKeys(keys); err != nil {
		return err
	}
	if err := n.keys.replace(n.cfg.Mesh, keys); err != nil {
		return err
	}
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
	return nil
}

// Keys returns the keys of this director, the primary first.
func (n *Node) Keys() []KeyStatus {
	n.keys.mu.Lock()
	defer n.keys.mu.Unlock()
	secrets := n.keys.current().secrets
	keys := make([]KeyStatus, len(n.keys.keys))
	for i, key := range n.keys.keys {
		keys[i] = KeyStatus{ID: KeyID(key), Primary: i == 0}
	}
	n.coreMu.Lock()
	defer n.coreMu.Unlock()
	count := func(s *secureStream) {
		for i, secret := range secrets {
			if bytes.Equal(secret, s.secret) {
				keys[i].Streams++
			}
		}
	}
	for _, out := range n.out {
		count(out.s)
	}
	for _, in := range n.in {
		count(in.s)
	}
	return keys
}
