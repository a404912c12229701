package directory

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"directormesh/ring"
)

// cleared returns the verdict after an operator said that the backend is up.
func (v Verdict) cleared(stamp Stamp) Verdict {
	if v.Failed {
		return Verdict{Since: stamp, Cleared: true}
	}
	v.Flaps = 0
	return v
}

const (
	// FlapWithin is how long a backend must stay good that its next failure is none of a row.
	FlapWithin = 10 * time.Minute
	// MaxFlaps bounds how many failures in a row are counted.
	MaxFlaps = 5
)

// next returns the verdict that follows when most observers see the backend failed, or good.
func (v Verdict) next(stamp Stamp, failed bool) Verdict {
	next := Verdict{Failed: failed, Since: stamp, Flaps: v.Flaps}
	switch {
	case v.Failed == failed:
		next.Since = v.Since
	case !failed: // what follows tells whether it stays good
	case v.Since != 0 && stamp.Time().Sub(v.Since.Time()) <= FlapWithin:
		next.Flaps = min(v.Flaps+1, MaxFlaps)
	default:
		next.Flaps = 0
	}
	return next
}

// Judge writes what most observers see of a backend: that it has failed, or that it is good. Of a
// good one that an operator has cleared it takes the mark away.
func (t *Table) Judge(stamp Stamp, origin string, addr netip.Addr, failed bool) (Change, error) {
	stored, err := t.present(addr)
	if err != nil {
		return Change{}, err
	}
	verdict := stored.Verdict.Value.next(stamp, failed)
	return t.change(BackendRow{
		Addr: addr, Verdict: Register[Verdict]{Value: verdict, Stamp: stamp, Origin: origin},
	}), nil
}

// MostOut is how many failed backends of a tag may be out, of which n have vhosts: a third, but one
// always.
func MostOut(n int) int { return max(1, n/3) }

// Unlimited lets all failed backends be out. Only tests do that, to prove that others notice.
func (t *Table) Unlimited() { t.unlimited = true }

// guard marks the failed backends of a list, which has all that are present, that are out: of each
// tag those that failed first, MostOut of them. Those that take no new users anyway, being down,
// drained or without vhosts, are out without counting: else one that an operator has taken down to
// repair it would keep in use the next one that fails. So are standbys while others are to take
// users. If no usable backend of the tag would remain, none is out. It depends on nothing but the
// table, so all directors with the same table do alike.
func (t *Table) guard(list []ring.Backend) {
	failed := make(map[ring.Tag][]*ring.Backend)
	for i := range list {
		if b := &list[i]; t.backends[b.Addr].Verdict.Value.Failed {
			b.Failed = true
			failed[b.Tag] = append(failed[b.Tag], b)
		}
	}
	if len(failed) == 0 {
		return
	}
	weighted := make(map[ring.Tag]int) // backends with vhosts
	usable := make(map[ring.Tag]int)
	regular := make(map[ring.Tag]int) // of those that are no standbys
	takesUsers := func(b *ring.Backend) bool { return !b.Down && !b.Drained && b.VHosts > 0 }
	for i := range list {
		b := &list[i]
		if b.VHosts > 0 {
			weighted[b.Tag]++
		}
		if takesUsers(b) {
			usable[b.Tag]++
			if !b.Standby {
				regular[b.Tag]++
			}
		}
	}
	for tag, backends := range failed {
		slices.SortFunc(backends, func(a, b *ring.Backend) int {
			return cmp.Or(
				cmp.Compare(t.backends[a.Addr].Verdict.Stamp, t.backends[b.Addr].Verdict.Stamp),
				ring.CompareAddr(a.Addr, b.Addr),
			)
		})
		most := MostOut(weighted[tag])
		left := usable[tag]
		for _, b := range backends {
			if !takesUsers(b) {
				b.Out = true // that takes nothing away
				continue
			}
			if b.Standby && regular[tag] > 0 {
				b.Out = true
				left--
				continue
			}
			if most--; most >= 0 || t.unlimited {
				b.Out = true
				left--
			}
		}
		if left == 0 && !t.unlimited {
			for _, b := range backends {
				b.Out = false
			}
		}
	}
}
