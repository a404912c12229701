package nodes

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/directory"
	"directormesh/ring"
)

// outOf are the numbers of the backends that a director has out of use.
func outOf(d *Director) (out []int) {
	for i, b := range d.Backends() {
		if b.Backend.Out {
			out = append(out, i+1)
		}
	}
	return out
}

// wantOut demands that all live directors have the same backends out of use, these ones.
func (m *Mesh) wantOut(what string, want ...int) {
	m.t.Helper()
	for _, d := range m.Live() {
		if out := outOf(d); !slices.Equal(out, want) {
			m.t.Errorf("%s: %s has %v out, want %v", what, d.Name, out, want)
		}
	}
}

// verdicts notes when verdicts on backends were written, by polling a director.
type verdicts map[netip.Addr][]directory.Register[directory.Verdict]

func (v verdicts) poll(d *Director) {
	for _, row := range d.Table().Backends {
		if w := v[row.Addr]; row.Verdict.Origin != "" &&
			(len(w) == 0 || w[len(w)-1] != row.Verdict) {
			v[row.Addr] = append(w, row.Verdict)
		}
	}
}

// tooClose reports verdicts on one backend that were written within 10 s of each other.
func (v verdicts) tooClose(t *testing.T) {
	t.Helper()
	for addr, writes := range v {
		for i := range writes[1:] {
			a, b := writes[i], writes[i+1]
			if pause := b.Stamp.Time().Sub(a.Stamp.Time()); pause < 10*time.Second {
				t.Errorf("%v: verdicts %+v and %+v within %v", addr, a, b, pause)
			}
		}
	}
}

func watching(t *testing.T, directors, backends int) (*Mesh, *Checks) {
	t.Helper()
	m := Start(t, Options{
		Directors: directors, Seed: 7, Faults: lan, Watches: true, Backends: Backends(backends),
		Trace: testing.Verbose(),
	})
	m.WaitSynced(20 * time.Second)
	checks := m.Watch()
	time.Sleep(20 * time.Second)
	return m, checks
}

// One backend of four is stopped, in meshes of one, two and five: it is out at all directors, its
// users are moved as they log in, and it comes back.
func TestStoppedBackend(t *testing.T) {
	for _, directors := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(directors, " directors"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, checks := watching(t, directors, 4)
				load := m.Login(200, 20*time.Millisecond)
				time.Sleep(10 * time.Second)
				checks.Stopped(2)
				time.Sleep(16 * time.Second)
				m.wantOut("stopped", 2)
				time.Sleep(30 * time.Second)
				stopped := m.options.Backends[1].Addr
				for hash, mapping := range Mappings(m.Live()[0]) {
					if mapping.Backend == stopped {
						t.Errorf("user %v is on the stopped backend", hash)
					}
				}
				checks.Stopped()
				time.Sleep(27 * time.Second)
				m.wantOut("started")
				load.Stop()
				if load.Failed > 0 {
					t.Errorf("%d of %d logins failed", load.Failed, load.Failed+load.Answered)
				}
				time.Sleep(time.Second)
				if err := m.CheckEqual(200); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Nine backends, six stopped within a second: never more than three are out, and at each poll all
// directors that have the same table have the same ones out.
func TestSixOfNineStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, checks := watching(t, 3, 9)
		seen := make(verdicts)
		var stopped []int
		for _, n := range []int{1, 3, 4, 6, 8, 9} {
			stopped = append(stopped, n)
			checks.Stopped(stopped...)
			time.Sleep(150 * time.Millisecond)
		}
		for range 120 {
			time.Sleep(500 * time.Millisecond)
			first := m.Directors[0]
			seen.poll(first)
			for _, d := range m.Live() {
				out := outOf(d)
				if len(out) > 3 {
					t.Errorf("%s has %v out", d.Name, out)
				}
				if fmt.Sprint(d.Table()) == fmt.Sprint(first.Table()) &&
					!slices.Equal(out, outOf(first)) {
					t.Errorf("%s has %v out, %s %v", d.Name, out, first.Name, outOf(first))
				}
			}
		}
		for _, d := range m.Live() {
			if alarms := d.Health().Alarms; len(alarms) != 1 || alarms[0].Failing != 6 {
				t.Errorf("%s raises %+v", d.Name, alarms)
			}
		}
		seen.tooClose(t)
	})
}

// A backend that comes and goes every seven seconds does not come and go for users.
func TestFlappingBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, checks := watching(t, 3, 4)
		began, seen := time.Now(), make(verdicts)
		checks.See(func(_, backend int) string {
			if backend == 3 && time.Since(began)/(7*time.Second)%2 == 0 {
				return "closed"
			}
			return ""
		})
		for range 600 {
			time.Sleep(500 * time.Millisecond)
			seen.poll(m.Directors[0])
		}
		seen.tooClose(t)
		if n := len(seen[m.options.Backends[2].Addr]); n > 1 {
			t.Errorf("%d verdicts in five minutes", n)
		}
	})
}

// A backend that is frozen for 13 s in 40, which is time enough to come back, does so once.
func TestFlappingBackendIsDamped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, checks := watching(t, 3, 4)
		began, seen := time.Now(), make(verdicts)
		checks.See(func(_, backend int) string {
			if backend == 3 && time.Since(began)%(40*time.Second) < 13*time.Second {
				return "no greeting in time"
			}
			return ""
		})
		for range 600 {
			time.Sleep(time.Second)
			seen.poll(m.Directors[0])
		}
		var fails int
		for _, v := range seen[m.options.Backends[2].Addr] {
			if v.Value.Failed {
				fails++
			}
		}
		if fails != 2 {
			t.Errorf("it was taken out %d times in ten minutes, want 2", fails)
		}
		m.wantOut("while it freezes", 3)
	})
}

// A split of two and three, in which each side sees another backend fail, again and again: the side
// of two changes nothing, and when it heals no verdict is written against another.
func TestSplitSeesOtherBackends(t *testing.T) {
	heals := 3
	if full() {
		heals = 100
	}
	synctest.Test(t, func(t *testing.T) {
		m, checks := watching(t, 5, 6)
		seen := make(verdicts)
		pass := func(length time.Duration) {
			for end := time.Now().Add(length); time.Now().Before(end); {
				time.Sleep(500 * time.Millisecond)
				for _, d := range m.Live() {
					seen.poll(d)
				}
			}
		}
		for range heals {
			m.Split([]int{0, 1}, []int{2, 3, 4})
			checks.See(func(director, backend int) string {
				if director < 2 && backend == 1 || director >= 2 && backend == 2 {
					return "no route"
				}
				return ""
			})
			pass(25 * time.Second)
			for _, d := range m.Live()[:2] {
				if out := outOf(d); len(out) > 0 {
					t.Errorf("%s, on the side of two, has %v out", d.Name, out)
				}
			}
			for _, d := range m.Live()[2:] {
				if out := outOf(d); !slices.Equal(out, []int{2}) {
					t.Errorf("%s, on the side of three, has %v out", d.Name, out)
				}
			}
			checks.Stopped()
			m.Heal()
			pass(6 * time.Minute) // one that fails again comes back after five at the most
			m.wantOut("healed")
		}
		for _, row := range m.Directors[4].Table().Backends {
			if row.Addr == m.options.Backends[0].Addr && row.Verdict.Origin != "" {
				t.Errorf("the side of two wrote %+v", row.Verdict)
			}
		}
		for addr, writes := range seen {
			slices.SortFunc(writes, func(a, b directory.Register[directory.Verdict]) int {
				return int(a.Stamp) - int(b.Stamp)
			})
			seen[addr] = slices.Compact(writes)
		}
		seen.tooClose(t)
	})
}

// A hundred thousand users of a failed backend come back at once, at one director.
func TestAllUsersOfAFailedBackendComeBack(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long, and has one path")
	}
	synctest.Test(t, func(t *testing.T) {
		const users = 100_000
		m, checks := watching(t, 2, 4)
		failed := m.options.Backends[1].Addr
		var theirs []ring.UserHash
		d := m.Directors[0]
		for i := 0; len(theirs) < users; i++ {
			backend, err := d.Lookup(t.Context(), "", User(i))
			if err != nil {
				t.Fatal(err)
			}
			if backend == failed {
				theirs = append(theirs, User(i))
			}
		}
		checks.Stopped(2)
		time.Sleep(20 * time.Second)
		m.wantOut("stopped", 2)
		began := time.Now()
		answers := make(chan error, users)
		for _, hash := range theirs {
			go func() {
				backend, err := d.Lookup(context.Background(), "", hash)
				if err == nil && backend == failed {
					err = fmt.Errorf("user %v is sent to the failed backend", hash)
				}
				answers <- err
			}()
		}
		late := 0
		for range users {
			if err := <-answers; err != nil {
				if late++; late == 1 {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
			}
		}
		t.Logf("%d users moved in %v, %d in vain", users, time.Since(began), late)
	})
}
