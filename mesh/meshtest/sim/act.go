package sim

import "directormesh/mesh/meshtest/check"

// act makes one action of the schedule happen.
func (w *world) act(a Action) {
	w.tracef("--- %v", a)
	if a.isFault() {
		w.record(check.Fault{At: w.when(), Until: w.judgedTime() + a.For})
	}
	d := w.directors[a.Director]
	if w.leavesTheRemoved(a, d) {
		return
	}
	switch a.Kind {
	case Login:
		d.login(append([]int{a.User}, a.Others...))
	case Order:
		d.order(a.Op)
	case Crash:
		if w.schedule.Disks.On && w.noneBut(d) {
			return // what all go on with from their disks is only looked at after AllDie
		}
		if a.Power {
			d.disk.losePower(w)
		}
		d.crash(a.Silent)
		if a.Wiped {
			d.disk.wipe()
		}
		if a.For > 0 {
			w.after(a.For, func() { d.start(false) })
		}
	case Rename:
		d.crash(a.Silent)
		w.after(a.For, func() {
			if !d.alive {
				d.rename()
				d.start(false)
			}
		})
	case Leave:
		d.leave()
		if a.For > 0 {
			w.after(a.For, func() { d.start(false) })
		}
	case Sleep:
		d.sleep(a.For)
	case Cut:
		w.cut(a.From, a.To, 1)
		w.after(a.For, func() {
			w.tracef("--- frames from %v to %v again", directorNames(a.From), directorNames(a.To))
			w.cut(a.From, a.To, -1)
		})
	case Break:
		if s := d.out[w.directors[a.Peer].index]; s != nil {
			s.breakNow("broken")
		}
	case Slow:
		more := w.extra
		if a.StreamsOnly {
			more = w.slower
		}
		more[a.Director][a.Peer] += a.Extra
		w.after(a.For, func() { more[a.Director][a.Peer] -= a.Extra })
	case AskAll:
		all := make([]int, len(w.schedule.Users))
		for u := range all {
			all[u] = u
		}
		for _, d := range w.directors {
			d.login(all)
		}
	case JoinLater:
		d.start(false)
	default:
		w.actMore(a)
	}
}

// actMore is act for what is rare.
func (w *world) actMore(a Action) {
	d, p := w.directors[a.Director], w.directors[a.Peer]
	switch a.Kind {
	case Phantom:
		d.hearOfNobody(a.For)
	case Freeze:
		for _, i := range a.From {
			w.directors[i].freeze(a.For)
		}
	case StepWall:
		d.wallOff += a.Extra
	case Deaf:
		if len(a.From) == 0 {
			d.turnDeaf(a.For)
		}
		for _, i := range a.From {
			d.turnDeafTo(w.directors[i], a.For)
		}
	case Stuck:
		w.stuck[a.Director][a.Peer]++
		w.after(a.For, func() {
			if w.stuck[a.Director][a.Peer]--; d.out[p.index] != nil {
				d.out[p.index].readOn()
			}
		})
	case RingRemove, RingAdd:
		d.orderMembership(p, a.Kind == RingRemove)
	case Replay:
		w.replay(a, d)
	case Bad:
		d.goBad(a)
	case AllDie:
		w.allDie(a)
	case Sick:
		w.sicken(a)
	case Unname:
		w.unname(a)
	case Burden:
		w.loads[backend(a.Backend)] = a.Load
	}
}

// cut blocks frames, or lets them through again.
func (w *world) cut(from, to []int, by int) {
	for _, i := range from {
		for _, j := range to {
			if i != j {
				w.blocked[i][j] += by
				if s := w.directors[i].out[w.directors[j].index]; s != nil {
					s.linkChanged()
				}
				if s := w.directors[j].out[w.directors[i].index]; s != nil {
					s.linkChanged()
				}
			}
		}
	}
}
