package replica

import (
	"errors"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// Whatever comes first after a pause, a director notices the pause before it takes it in.
func TestEachInputNoticesAPause(t *testing.T) {
	type input struct {
		*Core
		now   mono.Time
		peer  Dial
		boot  uint64         // of the peer
		hello *wire.Hello    // of the peer
		state *wire.PushPull // of the peer
		on    uint64         // session of the peer
	}
	for name, do := range map[string]func(i input){
		"Tick": func(i input) { i.Tick(i.now) },
		"Do": func(i input) {
			i.Do(i.now, 1, UpdateBackend{Addr: testBackend(1), VHosts: 5})
		},
		"Gossip": func(i input) {
			i.Gossip(i.now, &wire.Delta{
				Origin: i.peer.Name, Boot: i.boot, N: 1, Change: directory.Change{},
			})
		},
		"MemberJoined":  func(i input) { i.MemberJoined(i.now, i.peer.Name, i.peer.Addr, i.boot) },
		"MemberFailed":  func(i input) { i.MemberFailed(i.now, i.peer.Name) },
		"KickDone":      func(i input) { i.KickDone(i.now, 1, KickResult{}, nil) },
		"HookDone":      func(i input) { i.HookDone(i.now, 1, true, nil) },
		"ProbeFailed":   func(i input) { i.ProbeFailed(i.now, i.peer.Name) },
		"Leave":         func(i input) { i.Leave(i.now) },
		"LocalState":    func(i input) { i.PushPull(i.now) },
		"MergePushPull": func(i input) { _ = i.MergePushPull(i.now, i.state) },
		"Hello":         func(i input) { i.Hello(i.now, i.peer) },
		"Accept":        func(i input) { _, _, _ = i.Accept(i.now, i.hello) },
		"Opened":        func(i input) { _ = i.Opened(i.now, i.peer, i.hello) },
		"InClosed":      func(i input) { i.InClosed(i.now, i.on, nil) },
		"OutClosed":     func(i input) { i.OutClosed(i.now, i.peer.Name, nil) },
		"DialFailed":    func(i input) { i.DialFailed(i.now, i.peer.Name, errors.New("refused")) },
		"Refused":       func(i input) { i.Refused(i.now, &wire.Refuse{Reason: "x"}) },
		"SetLimits":     func(i input) { i.SetLimits(i.now, Limits{}) },
		"Lookup":        func(i input) { i.Lookup(i.now, 1, "", 7) },
		"Receive":       func(i input) { i.Receive(i.now, i.on, &wire.Counting{}) },
	} {
		for late, want := range map[time.Duration]uint64{wakeAfter: 0, wakeAfter + 1: 1} {
			w := started(t, 2)
			d1, d2 := w.directors[0], w.directors[1]
			w.now = w.now.Add(late)
			do(input{
				d1.core, w.now, Dial{Name: "d2", Addr: d2.core.cfg.Addr}, d2.core.boot,
				d2.core.Hello(w.now, Dial{Name: "d1", Addr: d1.core.cfg.Addr}),
				d2.core.PushPull(w.now), d1.sessions["d2"],
			})
			if got := d1.core.counters.Pauses; got != want {
				t.Errorf("%s after %v: %d pauses, want %d", name, late, got, want)
			}
		}
	}
}
