package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const backend = "192.0.2.1"

// fakeDoor is an authreply door that may misbehave.
type fakeDoor struct {
	// reply returns what is sent for the i-th request, counted from 0 over all connections; "" is
	// nothing, and an error closes the connection.
	reply func(i int, id, user string) (string, error)
	// hang, if set, is asked before each reply, and may take its time.
	hang func()

	mu    sync.Mutex
	asked []string
}

func (d *fakeDoor) dial(context.Context, Target) (net.Conn, error) {
	ours, doors := net.Pipe()
	requests := make(chan string, 10_000)
	go func() { // so that the sender need not wait for answers to be read
		defer close(requests)
		for in := bufio.NewScanner(doors); in.Scan(); {
			requests <- in.Text()
		}
	}()
	go func() {
		defer doors.Close()
		for request := range requests {
			fields := strings.Split(request, "\t")
			if fields[0] != "OK" {
				continue
			}
			reply, err := d.answer(fields[1], strings.TrimPrefix(fields[2], "user="))
			if _, failed := io.WriteString(doors, reply); failed != nil || err != nil {
				return
			}
		}
	}()
	return ours, nil
}

func (d *fakeDoor) answer(id, user string) (string, error) {
	if d.hang != nil {
		d.hang()
	}
	d.mu.Lock()
	i := len(d.asked)
	d.asked = append(d.asked, user)
	d.mu.Unlock()
	if d.reply == nil {
		return good(id, user), nil
	}
	return d.reply(i, id, user)
}

// good is what a director replies.
func good(id, user string) string {
	return fmt.Sprintf("OK\t%s\tuser=%s\tproxy\tproxy_refresh=450\thost=%s\n", id, user, backend)
}

// runWith drives fake doors in virtual time; it must be called in a bubble.
func runWith(t *testing.T, ctx context.Context, cfg Config, doors ...*fakeDoor) *Result {
	t.Helper()
	byName := make(map[string]*fakeDoor)
	for i, d := range doors {
		name := fmt.Sprintf("d%d", i+1)
		byName[name] = d
		cfg.Directors = append(cfg.Directors, Target{Name: name})
	}
	cfg.Door = DoorAuthreply
	cfg.Users.Names = testNames(t)
	cfg.Dial = func(ctx context.Context, t Target) (net.Conn, error) {
		return byName[t.Name].dial(ctx, t)
	}
	cfg.newSleeper = func() (sleeper, error) { return plainSleeper{}, nil }
	result, err := Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func config(change func(*Config)) Config {
	cfg := Config{
		Users: Users{Count: 100}, Connections: 2, Depth: 3, Duration: 2 * time.Second,
		Patience: 10 * time.Second,
	}
	change(&cfg)
	return cfg
}

// What is due while a director hangs is late, all of it, although nothing could be sent meanwhile.
func TestHangingDirectorMakesAllDueRequestsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		hanging := &fakeDoor{hang: func() {
			if at := time.Since(began); at > 500*time.Millisecond && at < 1500*time.Millisecond {
				time.Sleep(1500*time.Millisecond - at)
			}
		}}
		fine := &fakeDoor{}
		r := runWith(t, t.Context(), config(func(c *Config) { c.Rate = 2000 }), hanging, fine)
		for i, d := range r.Directors {
			if n := d.Latency.TotalCount(); n != 2000 || d.Failed > 0 {
				t.Errorf("%s: %d answers, failed %v", d.Name, n, d.Failures)
			}
			// as the hang lasts for a second, half of its thousand are late by half a second or
			// more
			late, want := 0, []int{500, 0}[i]
			for _, bar := range d.Latency.Distribution() {
				if bar.From >= int64(500*time.Millisecond) {
					late += int(bar.Count)
				}
			}
			if late < want-2 || late > want+2 {
				t.Errorf("%s: %d answers were late, want %d", d.Name, late, want)
			}
		}
		if max := time.Duration(r.Directors[1].Latency.Max()); max > time.Millisecond {
			t.Errorf("the director that does not hang took up to %v", max)
		}
	})
}

func TestWrongAnswersAreFound(t *testing.T) {
	other := func(_ int, id, user string) (string, error) {
		return strings.ReplaceAll(good(id, user), backend, "192.0.2.9"), nil
	}
	for _, tt := range []struct {
		name  string
		reply func(i int, id, user string) (string, error)
		wrong string
	}{
		{"another backend", other, "user7@example.org: 192.0.2.9 by d2, before 192.0.2.1 by d1"},
		{"another user", func(_ int, id, _ string) (string, error) { return good(id, "bob"), nil },
			`user7@example.org: d2 answered about "bob"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				second := &fakeDoor{}
				second.reply = func(i int, id, user string) (string, error) {
					if user == "user7@example.org" {
						return tt.reply(i, id, user)
					}
					return good(id, user), nil
				}
				second.hang = func() { time.Sleep(time.Millisecond) } // so that d1 answers first
				r := runWith(t, t.Context(), config(func(c *Config) { c.Users.Each = true }),
					&fakeDoor{}, second)
				if diff := cmp.Diff([]string{tt.wrong}, r.Examples); diff != "" || r.Wrong != 1 {
					t.Errorf("%d wrong (-want +got):\n%s", r.Wrong, diff)
				}
				if failed, reasons := r.Failed(); failed > 0 {
					t.Errorf("failed: %v", reasons)
				}
			})
		})
	}
}

func TestEveryUserOnce(t *testing.T) {
	for _, rate := range []float64{0, 1000} {
		synctest.Test(t, func(t *testing.T) {
			d1, d2 := &fakeDoor{}, &fakeDoor{}
			r := runWith(t, t.Context(), config(func(c *Config) {
				c.Users.Each = true
				c.Rate = rate
			}), d1, d2)
			for _, d := range []*fakeDoor{d1, d2} {
				users := make(map[string]int)
				for _, u := range d.asked {
					users[u]++
				}
				if len(users) != 100 || len(d.asked) != 100 {
					t.Errorf("rate %v: %d users asked for %d times", rate, len(users), len(d.asked))
				}
			}
			if r.Users != 100 || r.Latency().TotalCount() != 200 {
				t.Errorf("rate %v: %d users in %d answers", rate, r.Users, r.Latency().TotalCount())
			}
		})
	}
}

func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rate  float64
		reply func(i int, id, user string) (string, error)
		want  map[string]int64
	}{
		{"refused", 100, func(i int, id, user string) (string, error) {
			if i%50 == 0 {
				return "FAIL\t" + id + "\tcode=temp_fail\n", nil
			}
			return good(id, user), nil
		}, map[string]int64{"FAIL code=temp_fail": 4}},
		{"not answered", 100, func(i int, id, user string) (string, error) {
			if i%50 == 0 {
				return "", nil
			}
			return good(id, user), nil
		}, map[string]int64{"no answer in time": 4}},
		{"connection closed", 100, func(i int, id, user string) (string, error) {
			if i == 20 || i == 120 {
				return "", errors.New("close")
			}
			return good(id, user), nil
		}, map[string]int64{"connection lost: EOF": 2}},
		{"all connections closed", 100, func(i int, id, user string) (string, error) {
			if i == 20 || i == 21 {
				return "", errors.New("close")
			}
			return good(id, user), nil
		}, map[string]int64{"connection lost: EOF": 2, "no connection": 9}},
		{"an answer to nobody", 100, func(i int, id, user string) (string, error) {
			if i == 20 {
				return good("12345678", user), nil
			}
			return good(id, user), nil
		}, map[string]int64{"connection lost: the director answers what was not asked": 1}},
		{"no address", 100, func(i int, id, user string) (string, error) {
			if i == 20 {
				return "OK\t" + id + "\tuser=" + user + "\thost=mail\n", nil
			}
			return good(id, user), nil
		}, map[string]int64{`"mail" is not the address of a backend`: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := runWith(t, t.Context(), config(func(c *Config) { c.Rate = tt.rate }),
					&fakeDoor{reply: tt.reply})
				failed, reasons := r.Failed()
				// What is due at the very moment at which a connection is there again may use it or
				// not.
				if n := reasons["no connection"]; n == 8 && tt.want["no connection"] == 9 {
					reasons["no connection"] = 9
				}
				if diff := cmp.Diff(tt.want, reasons); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if n := r.Latency().TotalCount(); n+failed != int64(tt.rate*2) {
					t.Errorf("%d answered, %d failed, of %v", n, failed, tt.rate*2)
				}
			})
		})
	}
}

// In the closed loop a connection that is lost is made again.
func TestReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDoor{hang: func() { time.Sleep(10 * time.Millisecond) }}
		d.reply = func(i int, id, user string) (string, error) {
			if i == 10 {
				return "", errors.New("close")
			}
			return good(id, user), nil
		}
		r := runWith(t, t.Context(), config(func(c *Config) { c.Connections = 1 }), d)
		_, reasons := r.Failed()
		if diff := cmp.Diff(map[string]int64{"connection lost: EOF": 3}, reasons); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		// 10 ms each for two seconds, but for the pause before the connection was made again.
		if n := r.Latency().TotalCount(); n < 185 || n > 195 {
			t.Errorf("%d answers", n)
		}
	})
}

func TestInterrupted(t *testing.T) {
	for _, rate := range []float64{0, 1000} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			d := &fakeDoor{hang: func() { time.Sleep(100 * time.Microsecond) }}
			r := runWith(
				t, ctx, config(func(c *Config) { c.Rate, c.Duration = rate, time.Hour }), d)
			if took := time.Since(began); took > 1200*time.Millisecond {
				t.Errorf("rate %v: ended after %v", rate, took)
			}
			if failed, reasons := r.Failed(); failed > 0 || r.Latency().TotalCount() < 900 {
				t.Errorf("rate %v: %d answers, failed %v", rate, r.Latency().TotalCount(), reasons)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	cfg := Config{Door: "window", Users: Users{Zipf: 0.5, Each: true}, Rate: -1, Tag: "a\tb"}
	err := cfg.Check()
	if err == nil || strings.Count(err.Error(), "\n") < 7 {
		t.Errorf("not all is reported: %v", err)
	}
}

func TestZipf(t *testing.T) {
	p := newPicker(Users{Count: 1000, Zipf: 1.5}, 1, 2, nil)
	counts := make([]int, 1000)
	for range 100_000 {
		user, err := p.pick()
		if err != nil {
			t.Fatal(err)
		}
		counts[user]++
	}
	if counts[0] < 2*counts[1] || counts[1] <= counts[9] || counts[0] < 30_000 {
		t.Errorf("the first users log in %v times", counts[:10])
	}
}
