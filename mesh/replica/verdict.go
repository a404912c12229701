package replica

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/health"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Alarm says that in a tag more backends seem to fail at once than may be out. Then it is more
// likely that something before them fails, and no verdict is written.
type Alarm struct {
	Tag     ring.Tag
	Failing int // backends that seem to fail, and those that failed in the last 10 s
	Most    int // so many may be out
}

// verdictRegister is the place of the verdict among the registers that were added after the first
// release.
const verdictRegister = 3

// judge writes the verdicts that most observers have agreed on for long enough.
func (w *watching) judge(now mono.Time) {
	alarms := w.alarmed(now)
	before := w.alarms
	w.alarms = alarms
	if !w.writesVerdicts() {
		return
	}
	for _, tag := range slices.Sorted(maps.Keys(alarms)) {
		if _, known := before[tag]; !known {
			w.logf(LogError, "too many backends fail at once, so none is taken out of use",
				Field{"tag", string(tag)}, Field{"failing", alarms[tag].Failing},
				Field{"most", alarms[tag].Most})
		}
	}
	for _, b := range w.backends {
		row, _ := w.table.Row(b.Addr)
		_, alarmed := alarms[b.Tag]
		failed, due := w.due(now, row.Verdict, w.agreements.Get(b.Addr))
		if !due || failed && alarmed && !w.cfg.Guards.NoVerdictLimit {
			continue
		}
		w.writeVerdict(now, b.Addr, failed)
	}
}

// due says what verdict most observers agree on, and whether it is time to write it.
func (w *watching) due(
	now mono.Time, verdict directory.Register[directory.Verdict], a health.Agreement,
) (failed, due bool) {
	stood := w.clock.At(now).Sub(verdict.Stamp.Time())
	agreed := now.Sub(a.Since)
	switch v := verdict.Value; {
	case stood < verdictPause:
		return false, false
	case a.Sight == wire.Failing && !v.Failed && !v.Cleared:
		return true, agreed >= failAgreed
	case a.Sight == wire.Good && v.Failed:
		return false, agreed >= goodFor(v)
	case a.Sight == wire.Good && v.Cleared:
		return false, min(agreed, stood) >= goodAgreed
	}
	return false, false
}

// goodFor is for how long most observers must see a backend good that failed.
func goodFor(v directory.Verdict) time.Duration {
	return min(goodAgreed<<min(v.Flaps, directory.MaxFlaps), mostGood)
}

// alarmed are the tags in which more backends seem to fail at once than may be out: those that most
// observers see fail, and those whose failure was written lately.
func (w *watching) alarmed(now mono.Time) map[ring.Tag]Alarm {
	failing, weighted := make(map[ring.Tag]int), make(map[ring.Tag]int)
	for _, b := range w.backends {
		row, _ := w.table.Row(b.Addr)
		if b.VHosts > 0 {
			weighted[b.Tag]++
		}
		switch v := row.Verdict; {
		case b.Down || b.Drained || b.Idle || b.VHosts == 0: // it takes no users anyway
		case v.Value.Failed:
			if w.clock.At(now).Sub(v.Stamp.Time()) < verdictPause {
				failing[b.Tag]++
			}
		case !v.Value.Cleared && w.agreements.Get(b.Addr).Sight == wire.Failing:
			failing[b.Tag]++
		}
	}
	alarms := make(map[ring.Tag]Alarm)
	for tag, n := range failing {
		if most := directory.MostOut(weighted[tag]); n > most {
			alarms[tag] = Alarm{Tag: tag, Failing: n, Most: most}
		}
	}
	return alarms
}

// writesVerdicts reports whether this director is the one to write verdicts: of the synced ones
// that check backends the one with the lowest name that may act.
func (w *watching) writesVerdicts() bool {
	if !w.synced() || !w.cfg.Watches {
		return false
	}
	for _, p := range w.peers.all {
		switch {
		case !p.live || !p.Counted:
		case p.registers < verdictRegister: // it would not go by the verdict
			return false
		case p.watches() && p.synced && p.name < w.cfg.Name && !w.standsBack(p):
			return false
		}
	}
	return w.mayAct()
}

// mayAct reports whether this director is in contact with enough of the others to act for all.
func (w *watching) mayAct() bool {
	return w.inContact() && !w.outnumbered() || w.cfg.Guards.NoContactCheck
}

// inContact reports whether this director counts half at least of the directors that it knows,
// itself included. One that left or was removed is not missed.
func (w *watching) inContact() bool {
	known, near := 1+w.peers.missed(), 1
	for _, p := range w.peers.all {
		if p.left || p.boot == 0 || p.stranger || w.table.Removed(p.addr) {
			continue
		}
		known++
		if p.live && p.Counted {
			near++
		}
	}
	return 2*near >= known
}

// writeVerdict writes a verdict like a command's change.
func (w *watching) writeVerdict(now mono.Time, backend netip.Addr, failed bool) {
	stamp, err := w.nextStamp(now, 0)
	if err != nil {
		return // the next look tries again
	}
	change, err := w.table.Judge(stamp, w.cfg.Name, backend, failed)
	if err != nil {
		return // it was removed
	}
	if change, err = w.slowly(change, stamp, nil); err != nil {
		return // the setting is out of bounds, which nobody could set
	}
	if w.apply(now, change, nil) != nil {
		w.gossip(change, nil)
	}
}

// noteVerdicts takes note of the verdicts in a change that was just applied.
func (w *watching) noteVerdicts(applied directory.Change) {
	w.tableChanged()
	var backends []ring.Backend
	for _, row := range applied.Backends {
		v := row.Verdict
		if v.Origin == "" || v.Value.Since == 0 || v.Value.Since != v.Stamp {
			continue // none, or what was so stays
		}
		if backends == nil {
			backends = w.table.Backends()
		}
		for _, b := range backends {
			if b.Addr == row.Addr {
				w.logVerdict(b, v)
			}
		}
	}
}

func (w *watching) logVerdict(b ring.Backend, v directory.Register[directory.Verdict]) {
	fields := []Field{
		{"backend", ring.AddrText(b.Addr)}, {"tag", string(b.Tag)}, {"by", v.Origin},
	}
	if v.Value.Failed && v.Value.Flaps > 0 {
		fields = append(fields, Field{"flaps", v.Value.Flaps},
			Field{"good_for_s", int(goodFor(v.Value).Seconds())})
	}
	switch {
	case v.Value.Failed && b.Out:
		w.logf(LogWarn, "backend has failed, its users are moved as they log in", fields...)
	case v.Value.Failed:
		w.logf(LogError, "backend has failed and stays in use, too many of its tag have", fields...)
	case v.Value.Cleared:
		w.logf(LogInfo, "failure of a backend ended by a command", fields...)
	default:
		w.logf(LogInfo, "backend works again", fields...)
	}
}
