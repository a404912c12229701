package directory

import (
	"errors"
	"fmt"
	"net/netip"

	"directormesh/ring"
)

// The operations below make a Change and leave the table alone: the caller
// merges it here and sends it to the other directors, in whatever order its
// protocol needs. Each takes the stamp, which must be fresh from the
// director's Clock, and the director's name as origin.

// MaxParallel bounds how many users of one command are moved at a time.
const MaxParallel = 10_000

// Errors that operations wrap; the full text names the backend and what to do.
var (
	ErrUnknownBackend = errors.New("unknown backend")
	ErrTagDiffers     = errors.New("tag differs")
	ErrVHosts         = errors.New("vhost count")
	ErrFull           = errors.New("table is full")
	ErrTooLittleLeft  = errors.New("less than half of the tag's weight would remain")
	ErrNotDrained     = errors.New("backend is not drained")
	ErrParallel       = errors.New("number of users at a time")
	ErrNotPinned      = errors.New("user is not pinned")
	ErrSlowStart      = errors.New("time of a slow start")
)

// Add puts a backend into the table. One that is absent gets all registers
// anew: up, DefaultVHosts unless vhosts is given, and nothing that was mapped
// to it in an earlier life. One that is present gets vhosts if given; its tag
// must be tag or tag be empty, and it keeps its name unless a new one is given.
// One that is drained because its name has lost its address is used again.
// Presence is always written, so that a concurrent remove, or a merge into an
// older mesh that does not know the backend, does not undo the command.
func (t *Table) Add(
	stamp Stamp, origin string, addr netip.Addr, name string, tag ring.Tag, vhosts *int,
) (Change, error) {
	if unusable(addr) {
		return Change{}, fmt.Errorf(
			"add %q: not the address of a backend; give an IP address without zone", addr)
	}
	if vhosts != nil {
		if err := checkVHosts(*vhosts); err != nil {
			return Change{}, err
		}
	}
	row := BackendRow{Addr: addr}
	presence := Presence{Present: true, Tag: tag, Name: name}
	if stored := t.backends[addr]; stored.present() {
		if err := checkTag(stored, tag); err != nil {
			return Change{}, err
		}
		presence.Tag = stored.Presence.Value.Tag
		if name == "" {
			presence.Name = stored.Presence.Value.Name
		}
		row.Listing = retained(stored, stamp, origin)
	} else {
		if err := t.checkRoom(tag); err != nil {
			return Change{}, err
		}
		if vhosts == nil {
			vhosts = new(int)
			*vhosts = ring.DefaultVHosts
		}
		row.State = Register[State]{Stamp: stamp, Origin: origin}
		row.Forgotten = stamp
		row.Drain = Register[Task]{Stamp: stamp, Origin: origin}
		row.Rebalance = Register[Task]{Stamp: stamp, Origin: origin}
		row.Verdict = Register[Verdict]{Stamp: stamp, Origin: origin}
		row.Factor = Register[Factor]{Stamp: stamp, Origin: origin}
		row.Standby = Register[bool]{Stamp: stamp, Origin: origin}
		row.Start = Register[Start]{Stamp: stamp, Origin: origin}
		row.Listing = Register[Listing]{Stamp: stamp, Origin: origin}
	}
	row.Presence = Register[Presence]{Value: presence, Stamp: stamp, Origin: origin}
	if vhosts != nil {
		if err := t.checkWeight(addr, *vhosts); err != nil {
			return Change{}, err
		}
		row.VHosts = Register[int]{Value: *vhosts, Stamp: stamp, Origin: origin}
	}
	return t.change(row), nil
}

// Update gives a backend another vhost count. The tag, if given and not
// empty, must be the one that the backend has.
func (t *Table) Update(
	stamp Stamp, origin string, addr netip.Addr, vhosts int, tag *ring.Tag,
) (Change, error) {
	stored, err := t.present(addr)
	if err != nil {
		return Change{}, err
	}
	if err := checkVHosts(vhosts); err != nil {
		return Change{}, err
	}
	if err := t.checkWeight(addr, vhosts); err != nil {
		return Change{}, err
	}
	if tag != nil {
		if err := checkTag(stored, *tag); err != nil {
			return Change{}, err
		}
	}
	return t.change(BackendRow{
		Addr: addr, VHosts: Register[int]{Value: vhosts, Stamp: stamp, Origin: origin},
	}), nil
}

// Remove takes a backend out of the table and forgets its mappings.
func (t *Table) Remove(stamp Stamp, origin string, addr netip.Addr) (Change, error) {
	if _, err := t.present(addr); err != nil {
		return Change{}, err
	}
	return t.change(BackendRow{
		Addr:      addr,
		Presence:  Register[Presence]{Stamp: stamp, Origin: origin},
		Forgotten: stamp,
	}), nil
}

// SetDown marks a backend down or up. Up ends a failure, too. If it is so already, the command is
// written all the same: another part of the mesh may have heard otherwise,
// and what was said last is to hold.
func (t *Table) SetDown(stamp Stamp, origin string, addr netip.Addr, down bool) (Change, error) {
	stored, err := t.present(addr)
	if err != nil {
		return Change{}, err
	}
	state := State{Down: down, Since: stamp}
	if stored.State.Value.Down == down {
		state.Since = stored.State.Value.Since
	}
	row := BackendRow{
		Addr: addr, State: Register[State]{Value: state, Stamp: stamp, Origin: origin},
	}
	if !down && stored.Verdict.set() {
		row.Verdict = Register[Verdict]{
			Value: stored.Verdict.Value.cleared(stamp), Stamp: stamp, Origin: origin,
		}
	}
	return t.change(row), nil
}

// Forget makes all mappings to a backend that were assigned up to now dead;
// the zero address means every backend in the table.
func (t *Table) Forget(stamp Stamp, _ string, addr netip.Addr) (Change, error) {
	if addr.IsValid() {
		if _, err := t.present(addr); err != nil {
			return Change{}, err
		}
		return t.change(BackendRow{Addr: addr, Forgotten: stamp}), nil
	}
	c := t.change()
	for _, b := range t.Backends() {
		c.Backends = append(c.Backends, BackendRow{Addr: b.Addr, Forgotten: stamp})
	}
	return c, nil
}

// SetDirectorRemoved makes the mesh refuse a director, or accept it again.
func (t *Table) SetDirectorRemoved(
	stamp Stamp, origin string, addr netip.AddrPort, removed bool,
) Change {
	return Change{
		Mesh: t.mesh,
		Directors: []DirectorRow{
			{Addr: addr, Removed: Register[bool]{Value: removed, Stamp: stamp, Origin: origin}},
		},
	}
}

// checkRoom refuses one more backend, or one more tag, than a cluster may have.
func (t *Table) checkRoom(tag ring.Tag) error {
	if n := len(t.backends) - t.absent; n >= ring.MaxBackends {
		return fmt.Errorf("%w: %d backends are the most; remove some first",
			ErrFull, ring.MaxBackends)
	}
	if len(t.tags) >= ring.MaxTags && t.tags[tag] == 0 {
		return fmt.Errorf("%w: %d tags are the most; use one that is there", ErrFull, ring.MaxTags)
	}
	return nil
}

// checkWeight refuses a vhost count that would make the rings larger than any cluster needs.
func (t *Table) checkWeight(addr netip.Addr, vhosts int) error {
	total := vhosts
	for _, row := range t.backends {
		if row.present() && row.Addr != addr {
			total += row.vhosts()
		}
	}
	if total > ring.MaxPoints {
		return fmt.Errorf(
			"%w too large: all backends together would have %d; the most is %d, give less to each",
			ErrVHosts, total, ring.MaxPoints)
	}
	return nil
}

func (t *Table) change(rows ...BackendRow) Change {
	return Change{Mesh: t.mesh, Backends: rows}
}

// present returns the row of a backend that must be in the table.
func (t *Table) present(addr netip.Addr) (BackendRow, error) {
	row := t.backends[addr]
	if !row.present() {
		return BackendRow{}, fmt.Errorf("%w %q: add it, or name one that is in the table",
			ErrUnknownBackend, addr)
	}
	return row, nil
}

func checkTag(stored BackendRow, tag ring.Tag) error {
	if has := stored.Presence.Value.Tag; tag != "" && tag != has {
		return fmt.Errorf(
			"%w: backend %s has tag %q, not %q; to change it, remove the backend and add it again",
			ErrTagDiffers, ring.AddrText(stored.Addr), has, tag)
	}
	return nil
}

func checkVHosts(vhosts int) error {
	switch {
	case vhosts < 0:
		return fmt.Errorf("%w negative: %d; give 0 to %d", ErrVHosts, vhosts, ring.MaxVHosts)
	case vhosts > ring.MaxVHosts:
		return fmt.Errorf("%w too large: %d; give 0 to %d", ErrVHosts, vhosts, ring.MaxVHosts)
	default:
		return nil
	}
}
