package webauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// maxComparisons bounds how many passwords are compared or wait for it.
const maxComparisons = 16

// proof is a keyed hash of a user, whether the file has it, the hash of the password in the file,
// and a password.
type proof [sha256.Size]byte

// comparison is of one password that nobody has seen yet. All who give it wait for the same one.
type comparison struct {
	done  chan struct{}
	right bool // read after done is closed
}

// aim is a known user whose password was tried from an address that may not fail any more.
type aim struct {
	from netip.Addr
	user string
}

// passwords compares passwords with those of a policy. It is safe for concurrent use.
type passwords struct {
	now     func() time.Time
	compare func(hash, password []byte) error // slow

	key   [32]byte      // of this process, so that proofs are worth nothing elsewhere
	slots chan struct{} // one for each comparison that runs

	mu        sync.Mutex
	right     map[string]proof // of users, by name
	running   map[proof]*comparison
	addresses failures[netip.Addr]
	aims      failures[aim]
}

func newPasswords(
	now func() time.Time, random io.Reader, atOnce int, compare func(hash, password []byte) error,
) (*passwords, error) {
	p := &passwords{
		now: now, compare: compare, slots: make(chan struct{}, max(1, atOnce)),
		right: make(map[string]proof), running: make(map[proof]*comparison),
	}
	_, err := io.ReadFull(random, p.key[:])
	return p, err
}

// tooMany is the error of who must wait before a password is looked at.
type tooMany struct {
	wait time.Duration
	busy bool // others' passwords are compared; else this address has failed too often
}

func (e tooMany) Error() string {
	if e.busy {
		return "too many passwords are tried at the same time"
	}
	return "too many wrong passwords from your address"
}

// check reports whether this is the password of a user of the policy. from is the client's address.
// An error is a tooMany.
func (p *passwords) check(
	policy *Policy, from netip.Addr, user, password string,
) (right bool, err error) {
	if from.Is6() && !from.Is4In6() {
		// One client often has all addresses of such a network.
		from = netip.PrefixFrom(from, 64).Masked().Addr()
	}
	from = from.Unmap().WithZone("")
	hash, known := policy.hashOf(user)
	proof := p.prove(known, user, hash, password)
	if right, sure, err := p.recall(from, user, proof); sure || err != nil {
		return right, err
	}
	c, mine, err := p.join(from, proof)
	if err != nil {
		return false, err
	}
	if !mine {
		<-c.done
		return c.right, nil
	}
	p.slots <- struct{}{}
	c.right = p.compare(hash, []byte(password)) == nil && known
	<-p.slots
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, proof)
	if c.right {
		p.right[user] = proof
		p.addresses.undo(from)
	}
	close(c.done)
	return c.right, nil
}

// knows reports whether this password of a user is remembered as right.
func (p *passwords) knows(policy *Policy, user, password string) bool {
	hash, known := policy.hashOf(user)
	given := p.prove(known, user, hash, password)
	p.mu.Lock()
	defer p.mu.Unlock()
	before, remembered := p.right[user]
	return remembered && hmac.Equal(before[:], given[:])
}

// recall answers without a comparison. sure is false if there has to be one.
func (p *passwords) recall(
	from netip.Addr, user string, given proof,
) (right, sure bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	before, remembered := p.right[user]
	right = remembered && hmac.Equal(before[:], given[:])
	wait, full := p.addresses.full(from, now)
	if !full {
		return right, right, nil
	}
	aim := aim{from, user}
	if !remembered {
		return false, true, tooMany{wait: wait}
	}
	if wait, full := p.aims.full(aim, now); full {
		return false, true, tooMany{wait: wait}
	}
	if !right {
		p.aims.add(aim, now)
		return false, true, tooMany{wait: wait}
	}
	return true, true, nil
}

// join returns the comparison of what was given, and whether it is the caller's to make. One that
// begins counts as a failure of the address until it has gone well: others must not begin beside it
// without end.
func (p *passwords) join(from netip.Addr, given proof) (c *comparison, mine bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.running[given]; c != nil {
		return c, false, nil
	}
	now := p.now()
	if wait, full := p.addresses.full(from, now); full {
		return nil, false, tooMany{wait: wait}
	}
	if len(p.running) >= maxComparisons {
		return nil, false, tooMany{wait: time.Second, busy: true}
	}
	p.addresses.add(from, now)
	c = &comparison{done: make(chan struct{})}
	p.running[given] = c
	return c, true, nil
}

// prove makes the proof of what was given.
func (p *passwords) prove(known bool, user string, hash []byte, password string) (made proof) {
	h := hmac.New(sha256.New, p.key[:])
	for _, part := range []string{strconv.FormatBool(known), user, string(hash), password} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	h.Sum(made[:0])
	return made
}

// forget drops what is remembered of users whose password is another now.
func (p *passwords) forget(policy, before *Policy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for user := range p.right {
		if string(policy.users[user]) != string(before.users[user]) {
			delete(p.right, user)
		}
	}
}
