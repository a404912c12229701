package sim

import (
	"errors"
	"net/netip"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
)

// kickerLimit is when the shell stops waiting for a kicker.
const kickerLimit = 10 * time.Second

var errNoKicker = errors.New("the kicker does not answer")

// session is a user's connection through a director's proxy.
type session struct {
	user    int
	backend netip.Addr
}

// openSession notes the connection that follows an answer. It lasts until it is kicked.
func (d *director) openSession(user int, backend netip.Addr) {
	u := d.w.schedule.Users[user]
	for _, s := range d.sessions[u] {
		if s == (session{user, backend}) {
			return
		}
	}
	d.sessions[u] = append(d.sessions[u], session{user, backend})
}

// kick is the local kicker: it ends sessions, sooner or later, and may or may not know that these
// were all.
func (d *director) kick(e replica.Kick) {
	w := d.w
	target := e.Target
	k := check.Kick{At: w.when(), Director: d.name}
	switch {
	case target.ByHash:
		k.User, k.Keep = check.User{Tag: string(e.Tag), Hash: uint32(target.Hash)}, target.Keep
	case target.Backend.IsValid():
		k.Backend = target.Backend
	default:
		k.Name = target.Value
	}
	d.record(k)
	w.tracef("%s: kick %d: %+v", d.name, e.ID, target)
	if w.chance(w.schedule.Kickers.Never) {
		w.after(kickerLimit, d.inLife("kicker", func() {
			d.core.KickDone(d.now(), e.ID, replica.KickResult{}, errNoKicker)
		}))
		return
	}
	delay := w.between(0, 30*time.Millisecond)
	if w.chance(w.schedule.Kickers.Slow) {
		delay = w.between(0, 3*time.Second)
	}
	known := !w.chance(w.schedule.Kickers.Unsure)
	w.after(delay, d.inLife("kicker", func() {
		count := d.endSessions(k)
		w.kicked += count
		d.core.KickDone(d.now(), e.ID, replica.KickResult{Count: count, Known: known}, nil)
	}))
}

func (d *director) endSessions(k check.Kick) (count int) {
	for i, u := range d.w.schedule.Users {
		var kept []session
		for _, s := range d.sessions[u] {
			hit := false
			switch {
			case k.Backend.IsValid():
				hit = s.backend == k.Backend
			case k.Name != "":
				hit = userName(s.user) == k.Name
			default:
				hit = u == k.User && s.backend != k.Keep
			}
			if hit && s.user == i {
				count++
			} else {
				kept = append(kept, s)
			}
		}
		d.sessions[u] = kept
	}
	return count
}

// runHook is the flush hook: it takes its time, and sometimes too long.
func (d *director) runHook(e replica.RunHook) {
	w := d.w
	took := w.between(0, 4*time.Second)
	if w.chance(0.1) {
		took = e.Cutoff
	}
	ok := took < e.Cutoff
	w.after(min(took, e.Cutoff), d.inLife("hook", func() {
		d.core.HookDone(d.now(), e.ID, ok, nil)
	}))
}

// askVacant asks a backend, again and again until an end, whether any director has a session of the
// user there. Sometimes a backend cannot be asked.
func (d *director) askVacant(e replica.AskVacant, until time.Duration) {
	w := d.w
	if w.chance(0.1) {
		w.after(e.Within, d.inLife("vacancy", func() { d.core.VacantDone(d.now(), e.ID, false) }))
		return
	}
	w.after(w.between(5*time.Millisecond, 50*time.Millisecond), d.inLife("vacancy", func() {
		left := w.sessionsOn(check.User{Tag: string(e.Tag), Hash: uint32(e.Hash)}, e.Backend)
		if left && w.now < until {
			d.askVacant(e, until)
			return
		}
		d.core.VacantDone(d.now(), e.ID, !left)
	}))
}

// sessionsOn reports whether a director has a session of a user on a backend.
func (w *world) sessionsOn(u check.User, backend netip.Addr) bool {
	for _, d := range w.directors {
		for _, s := range d.sessions[u] {
			if d.alive && s.backend == backend {
				return true
			}
		}
	}
	return false
}
