package names

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// GoneAfter is for how long a name must resolve without an address until that is gone.
const GoneAfter = 10 * time.Minute

// Key tells names apart. A name that is watched for two tags is like two names, whose addresses are
// in conflict.
type Key struct {
	Name string
	Tag  ring.Tag
}

// Compare orders keys by name.
func (k Key) Compare(other Key) int {
	if c := strings.Compare(k.Name, other.Name); c != 0 {
		return c
	}
	return strings.Compare(string(k.Tag), string(other.Tag))
}

// Watched are the names that this director looks up.
type Watched struct {
	every, goneAfter time.Duration
	names            map[Key]*watched
}

// watched is one name.
type watched struct {
	addrs    map[netip.Addr]*address
	watched  time.Duration // for how long it has resolved since the director began
	longest  time.Duration // for how long an address was missing that came back
	wholeAt  mono.Time     // the last answer, if it was whole; else 0
	tookAt   mono.Time     // the last answer
	resolves bool
	since    directory.Time // since when resolves is so
	reason   string
}

// address is one that a name had when it was seen last.
type address struct {
	target  ring.Target
	missing time.Duration // for how long the name has resolved without it
}

// Watch begins to watch names, each of which is looked up at this interval. goneAfter is GoneAfter
// but in tests.
func Watch(keys []Key, every, goneAfter time.Duration) *Watched {
	w := &Watched{every: every, goneAfter: goneAfter, names: make(map[Key]*watched)}
	for _, key := range keys {
		w.Watch(key)
	}
	return w
}

// Watch begins to watch one more name.
func (w *Watched) Watch(key Key) { w.names[key] = &watched{addrs: make(map[netip.Addr]*address)} }

// Take takes the answer to a lookup: the addresses that it found, and what went wrong, "" if
// nothing did. It reports whether the sight of the name may be another than before.
func (w *Watched) Take(
	now mono.Time, at directory.Time, key Key, targets []ring.Target, reason string,
) bool {
	n := w.names[key]
	if n == nil {
		return false
	}
	n.tookAt = now
	targets = usable(targets)
	if reason == "" && len(targets) == 0 {
		reason = "it has no address"
	}
	settled := w.settled(n)
	if reason == "" {
		w.age(now, n)
	} else {
		n.wholeAt = 0 // what comes next says nothing of the time between
	}
	changed := false
	for _, target := range targets {
		known := n.addrs[target.Addr]
		switch {
		case known != nil:
			changed = changed || known.target != target
			n.longest = max(n.longest, known.missing)
			known.target, known.missing = target, 0
		case len(n.addrs) < wire.MaxNameTargets:
			n.addrs[target.Addr] = &address{target: target}
			changed = true
		default:
			reason = "it has too many addresses"
		}
	}
	if reason == "" {
		changed = w.drop(n) || changed
	}
	return n.set(at, reason) || changed || settled != w.settled(n)
}

// usable leaves out what cannot be a backend, and what is listed twice.
func usable(targets []ring.Target) (list []ring.Target) {
	known := make(map[netip.Addr]bool, len(targets))
	for _, t := range targets {
		t.Addr = t.Addr.Unmap()
		if !t.Addr.IsValid() || t.Addr.Zone() != "" || t.Addr.IsUnspecified() ||
			t.Addr.IsMulticast() || known[t.Addr] {
			continue
		}
		known[t.Addr] = true
		t.VHosts = min(max(t.VHosts, 0), ring.MaxVHosts)
		list = append(list, t)
	}
	return list
}

// age lets the time since the answer before pass, if that was whole too. A director that stood
// still has not looked: more than two rounds do not pass at once.
func (w *Watched) age(now mono.Time, n *watched) {
	if n.wholeAt != 0 {
		passed := min(now.Sub(n.wholeAt), 2*w.every)
		n.watched += passed
		for _, a := range n.addrs {
			a.missing += passed
		}
	}
	n.wholeAt = now
}

// patience is for how long a name must resolve without an address. Where addresses that were
// missing come back, the answers do not have all at once: eight random ones of twenty leave out one
// of them for ten minutes nearly every day.
func (w *Watched) patience(n *watched) time.Duration {
	return min(max(w.goneAfter, 3*n.longest), 6*w.goneAfter)
}

// drop forgets the addresses that are gone. Those that went within half the time of each other go
// together, so that their users are not moved from one to the next; one that is missing for twice
// the time waits for no other.
func (w *Watched) drop(n *watched) (dropped bool) {
	waits, overdue, patience := false, false, w.patience(n)
	for _, a := range n.addrs {
		waits = waits || a.missing >= patience/2 && a.missing < patience
		overdue = overdue || a.missing >= 2*patience
	}
	if waits && !overdue {
		return false
	}
	for addr, a := range n.addrs {
		if a.missing >= patience {
			delete(n.addrs, addr)
			dropped = true
		}
	}
	return dropped
}

// settled says whether the name was watched for so long that what is not seen is gone.
func (w *Watched) settled(n *watched) bool { return n.watched >= w.patience(n) }

// set notes whether the name resolves, and reports whether that is news.
func (n *watched) set(at directory.Time, reason string) bool {
	reason = ring.Printable(reason)
	reason = reason[:min(len(reason), wire.MaxReason)]
	resolves := reason == ""
	if n.since != 0 && resolves == n.resolves && reason == n.reason {
		return false
	}
	if n.since == 0 || resolves != n.resolves {
		n.since = at
	}
	n.resolves, n.reason = resolves, reason
	return true
}

// Overdue notes the names for which no answer has come for so long that something is wrong here. It
// returns them.
func (w *Watched) Overdue(now mono.Time, at directory.Time, patience time.Duration) (keys []Key) {
	for key, n := range w.names {
		if n.tookAt != 0 && now.Sub(n.tookAt) > patience {
			n.wholeAt = 0
			if n.set(at, "nobody has looked it up for a while") {
				keys = append(keys, key)
			}
		}
	}
	slices.SortFunc(keys, Key.Compare)
	return keys
}

// Sight is what is seen of a name; nil before its first answer.
func (w *Watched) Sight(key Key) *wire.NameSight {
	n := w.names[key]
	if n == nil || n.since == 0 {
		return nil
	}
	s := &wire.NameSight{
		Name: key.Name, Tag: key.Tag, Resolves: n.resolves, Settled: w.settled(n),
		Since: n.since, Reason: n.reason,
	}
	for _, a := range n.addrs {
		s.Targets = append(s.Targets, a.target)
	}
	slices.SortFunc(s.Targets, func(a, b ring.Target) int {
		return ring.CompareAddr(a.Addr, b.Addr)
	})
	return s
}
