package doveadm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/doortest"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/logtest"
	"directormesh/mesh/meshtest/metrictest"
)

func newReader(c net.Conn) *bufio.Reader { return bufio.NewReader(c) }

// Whoever writes many commands and hangs up without reading has them all carried out, in order.
func TestPipelined(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		addr := "127.0.0.1:0"
		if network == "unix" {
			addr = filepath.Join(t.TempDir(), "s")
		}
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		d := httpapitest.Sample()
		var want []api.Operation
		var text strings.Builder
		text.WriteString(greeting + "\n")
		for n := range 200 {
			host := fmt.Sprintf("192.0.2.%d", n)
			fmt.Fprintf(&text, "HOST-DOWN\t%s\nHOST-LIST\nUSER-LIST\nHOST-FLUSH\t%s\n", host, host)
			want = append(want, api.BackendDown{IP: ip(host)}, api.Forget{Backend: ip(host)})
		}
		text.WriteString("HOST-FLUSH") // not a whole line
		done := make(chan struct{})
		d.OutcomeIs = func(op api.Operation) (api.Outcome, error) {
			if op == want[len(want)-1] {
				close(done)
			}
			return api.Outcome{}, nil
		}
		serve(t, d, l, Config{Log: zerolog.Nop()})
		conn, err := net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, text.String()); err != nil {
			t.Fatal(err)
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			// A plain close with replies unread resets the connection, and with it goes what is
			// still under way.
			if err := tcp.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			defer tcp.Close()
		} else {
			conn.Close()
		}
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the last command never came", network)
		}
		if diff := cmp.Diff(want, d.Done(), equalIP); diff != "" {
			t.Errorf("%s (-want +got):\n%s", network, diff)
		}
	}
}

// Replies to pipelined commands come in the commands' order.
func TestPipelinedReplies(t *testing.T) {
	c := greet(t, serveSample(t, httpapitest.Sample()).Dial())
	go c.send(
		"HOST-LIST-REMOVED\nUSER-LOOKUP\talice\nHOST-UP\t192.0.2.1\nHOST-SET\t192.0.2.1\t1001")
	for _, want := range []string{
		"192.0.2.9", "", "192.0.2.1\t1518085235\t192.0.2.2\t192.0.2.3", "OK",
		"vhost count too large",
	} {
		if got := c.read(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A director that is not synced yet is waited for, but not for ever; in between the change is tried
// again.
func TestWaitsUntilSynced(t *testing.T) {
	for _, test := range []struct {
		synced time.Duration
		want   string
		least  time.Duration
		most   time.Duration
	}{
		{12 * time.Second, "OK", 12 * time.Second, 13 * time.Second},
		{time.Hour, "Ring sync timed out", 30 * time.Second, 31 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			d := httpapitest.Sample()
			d.OutcomeIs = func(api.Operation) (api.Outcome, error) {
				if time.Since(began) < test.synced {
					return api.Outcome{}, api.Errorf(api.CodeNotSynced, "not yet")
				}
				return api.Outcome{}, nil
			}
			c := greet(t, serveSample(t, d).Dial())
			if got := c.ask("HOST-DOWN\t192.0.2.1"); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			if took := time.Since(began); took < test.least || took > test.most {
				t.Errorf("took %v, want %v to %v", took, test.least, test.most)
			}
		})
	}
}

// HOST-RESET-USERS is answered when the last move has begun.
func TestFlushWaits(t *testing.T) {
	id := api.FlushID{Director: "d1", ID: 5}
	for _, test := range []struct {
		name   string
		states []api.Flush // one a second
		want   string
		after  time.Duration
	}{
		{"pending", []api.Flush{
			{Scanning: true}, {Total: 3, Moving: 2}, {Total: 3, Moving: 1, Moved: 1, Failed: 1},
		}, "OK", 2 * time.Second},
		{"nothing to do", []api.Flush{{}}, "OK", 0},
		{"ended", []api.Flush{{Total: 3}, {Total: 3, Moved: 1, EndedAt: pointer(time.Now())}},
			"OK", time.Second},
		{"cancelled", []api.Flush{{Total: 3}, {Total: 3, Cancelled: true}},
			"flush was cancelled", time.Second},
		{"unknown", nil, "OK", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			d := httpapitest.Sample()
			d.OutcomeIs = func(api.Operation) (api.Outcome, error) {
				return api.Outcome{Flush: &id}, nil
			}
			d.FlushesIs = func() api.Flushes {
				if len(test.states) == 0 {
					return api.Flushes{}
				}
				now := min(int(time.Since(began)/time.Second), len(test.states)-1)
				f := test.states[now]
				f.Director, f.ID = id.Director, id.ID
				other := api.Flush{Director: "d2", ID: id.ID, Total: 9}
				return api.Flushes{Flushes: []api.Flush{other, f}}
			}
			c := greet(t, serveSample(t, d).Dial())
			if got := c.ask("HOST-RESET-USERS"); got != test.want {
				t.Errorf("%s: %q, want %q", test.name, got, test.want)
			}
			took := time.Since(began)
			if took < test.after || took > test.after+200*time.Millisecond {
				t.Errorf("%s: took %v, want %v", test.name, took, test.after)
			}
		})
	}
}

// Only so many kicks run at a time; the others wait for their turn, or have to try again.
func TestParallelKicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := httpapitest.Sample()
		release := make(chan struct{})
		d.OutcomeIs = func(api.Operation) (api.Outcome, error) {
			<-release
			return api.Outcome{}, nil
		}
		l := doortest.NewPipeListener()
		serve(t, d, l, Config{Log: zerolog.Nop(), MaxParallelKicks: 2})
		clients := make([]*client, 3)
		for i := range clients {
			clients[i] = greet(t, l.Dial())
			clients[i].send("USER-KICK\talice")
		}
		synctest.Wait()
		if got := len(d.Done()); got != 2 {
			t.Errorf("%d kicks run at a time, want 2", got)
		}
		impatient := greet(t, l.Dial())
		if got := impatient.ask("USER-KICK\tbob\tnowait"); got != "TRYAGAIN" {
			t.Errorf("with nowait: %q", got)
		}
		if got := impatient.ask("USER-KICK-ALT\tuser_mail\tbob\tnowait"); got != "TRYAGAIN" {
			t.Errorf("with nowait: %q", got)
		}
		close(release)
		for _, c := range clients {
			if got := c.read(); got != "OK" {
				t.Errorf("kick: %q", got)
			}
		}
		if got := impatient.ask("USER-KICK\tbob\tnowait"); got != "OK" {
			t.Errorf("after all: %q", got)
		}
	})
}

// A client that reads no replies is given up, but what it has written is carried out.
func TestClientThatNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := httpapitest.Sample()
		for n := range 10000 {
			d.MappingsIs = append(d.MappingsIs, api.Mapping{
				Tag: "ssd", UserHash: uint32(n), Backend: ip("192.0.2.51"),
			})
		}
		l := doortest.NewPipeListener()
		registry := prometheus.NewRegistry()
		serve(t, d, l, Config{Log: zerolog.Nop(), Registerer: registry})
		c := greet(t, l.Dial())
		began := time.Now()
		c.send("USER-LIST\nHOST-LIST\nHOST-UP\t192.0.2.1")
		time.Sleep(time.Minute)
		synctest.Wait()
		diff := cmp.Diff([]api.Operation{api.BackendUp{IP: ip("192.0.2.1")}}, d.Done(), equalIP)
		if diff != "" {
			t.Errorf("after %v (-want +got):\n%s", time.Since(began), diff)
		}
		time.Sleep(idleTimeout)
		synctest.Wait()
		counts := metrictest.Values(t, registry)
		for name, want := range map[string]float64{
			"director_doveadm_commands_total HOST-UP":             1,
			"director_doveadm_commands_total HOST-DOWN":           0,
			"director_doveadm_disconnects_total replies_not_read": 1,
			"director_doveadm_disconnects_total idle":             1,
			"director_doveadm_disconnects_total not_understood":   0,
		} {
			if got, ok := counts[name]; !ok || got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	})
}

// Two servers cannot count in one registry.
func TestRegistersOnce(t *testing.T) {
	cfg := Config{
		Director: httpapitest.Sample(), Log: zerolog.Nop(), Registerer: prometheus.NewRegistry(),
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := New(cfg); err == nil {
		t.Error("registering twice gave no error")
	}
}

// Who says nothing is sent away, at first sooner.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := serveSample(t, httpapitest.Sample())
		began := time.Now()
		silent := &client{t: t, conn: l.Dial()}
		silent.in = newReader(silent.conn)
		if got := silent.read(); got != greeting {
			t.Errorf("greeted with %q", got)
		}
		if got := silent.read(); got != "(closed)" || time.Since(began) != greetingTimeout {
			t.Errorf("%q after %v", got, time.Since(began))
		}
		began = time.Now()
		idle := greet(t, l.Dial())
		if got := idle.read(); got != "(closed)" || time.Since(began) != idleTimeout {
			t.Errorf("%q after %v", got, time.Since(began))
		}
	})
}

// Close ends what waits, and later connections at once.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := httpapitest.Sample()
		d.OutcomeIs = failing(api.CodeNotSynced, "never")
		l := doortest.NewPipeListener()
		s, err := New(Config{Director: d, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		c := greet(t, l.Dial())
		c.send("HOST-UP\t192.0.2.1")
		time.Sleep(time.Second)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		c.gone()
		if err := s.Close(); err != nil {
			t.Errorf("twice: %v", err)
		}
		if err := s.Serve(doortest.NewPipeListener()); err != nil {
			t.Errorf("serving when closed: %v", err)
		}
	})
}

// A door that shuts down answers what runs and what has been written, and ends idle connections at
// once. What takes too long is cut off, and logged.
func TestShutdown(t *testing.T) {
	for _, test := range []struct {
		name  string
		takes time.Duration // the command
		cut   bool
	}{
		{"a command that ends", 2 * time.Second, false},
		{"a command that takes too long", time.Minute, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := httpapitest.Sample()
				running := make(chan struct{}, 2)
				d.OutcomeIs = func(api.Operation) (api.Outcome, error) {
					running <- struct{}{}
					time.Sleep(test.takes)
					return api.Outcome{}, nil
				}
				l := doortest.NewPipeListener()
				s := serve(t, d, l, Config{Log: zerolog.Nop()})
				idle, busy := greet(t, l.Dial()), greet(t, l.Dial())
				busy.send("HOST-UP\t192.0.2.1")
				<-running
				const limit = 5 * time.Second
				began := time.Now()
				ended := make(chan error, 1)
				go func() {
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					defer cancel()
					ended <- s.Shutdown(ctx)
				}()
				idle.gone()
				if took := time.Since(began); took > time.Second {
					t.Errorf("an idle connection ended after %v", took)
				}
				if !test.cut {
					if got := busy.read(); got != "OK" {
						t.Errorf("the command that ran gets %q", got)
					}
					if got := busy.ask("HOST-DOWN\t192.0.2.1"); got != "OK" {
						t.Errorf("the command behind it gets %q", got)
					}
				}
				busy.gone()
				if err := <-ended; (err != nil) != test.cut {
					t.Errorf("shut down with %v", err)
				}
			})
		})
	}
}

// The log tells who was disconnected for what, without the names of users.
func TestLog(t *testing.T) {
	var log logtest.Buffer
	l := doortest.NewPipeListener()
	serve(t, httpapitest.Sample(), l, Config{Log: zerolog.New(&log)})
	c := greet(t, l.Dial())
	if got := c.ask("USER-MOVE\talice@example.org\t192.0.2.1"); got != "OK" {
		t.Error(got)
	}
	c.send("USER-MOVE\talice@example.org\tb1")
	c.gone()
	c.conn.Close()
	text := log.String()
	for _, want := range []string{
		`"action":"move"`, `"door":"director-admin"`, `USER-MOVE: not understood: address \"b1\"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in the log:\n%s", want, text)
		}
	}
	if strings.Contains(text, "alice") {
		t.Errorf("a name is in the log:\n%s", text)
	}
}

// TestBrowsers has a browser post commands to the door, as a foreign page can have it do to an
// address of the loopback: its request is no greeting, so nothing behind it is read.
func TestBrowsers(t *testing.T) {
	for _, begin := range []string{"", "\r\n", "\n"} {
		d := httpapitest.Sample()
		conn := serveSample(t, d).Dial()
		text := begin + "POST / HTTP/1.1\r\nHost: 127.0.0.1:9091\r\nContent-Length: 99\r\n\r\n" +
			greeting + "\nHOST-DOWN\t192.0.2.1\n"
		go func() {
			_, _ = io.WriteString(conn, text) // it may be closed in the middle
		}()
		said, err := io.ReadAll(conn)
		if err != nil || strings.Contains(string(said), "OK") {
			t.Errorf("%q: %q, %v", begin, said, err)
		}
		conn.Close()
		if done := d.Done(); len(done) != 0 {
			t.Errorf("%q: carried out %v", begin, done)
		}
	}
}
