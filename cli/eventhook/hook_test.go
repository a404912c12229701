package eventhook

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
)

var kinds = []string{api.KindHealth, api.KindPeer}

// failed is an event with all that a shell would like to be given.
func failed() api.Event {
	return api.Event{
		ID: "7-1", Kind: api.KindHealth, What: api.HealthFailed, Director: "d1",
		Reason: "`touch /tmp/x` $(touch /tmp/x); ' \" \n && touch /tmp/x",
	}
}

// script makes a program of these lines.
func script(t *testing.T, lines string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+lines), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// A command gets kind and what as arguments, and all the rest where no shell reads it.
func TestCommand(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	c, err := ParseCommand(script(t, `for a; do echo "$a"; done >$1; cat >>$1; env >$1.env`) +
		" " + out + " $HOME;")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DIRECTOR_ENCRYPT_KEY_FILE", "secret")
	h, err := New(Config{Mesh: "mail", Command: c, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c.env = append(c.env, "PATH="+os.Getenv("PATH"))
	if err := h.tell(t.Context(), h.queues[0], failed()); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	args, body, _ := strings.Cut(string(raw), "{")
	if want := out + "\n$HOME;\nhealth\nfailed\n"; args != want {
		t.Errorf("arguments %q, want %q", args, want)
	}
	var got message
	if err := json.Unmarshal([]byte("{"+body), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(message{"mail", failed()}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	env, err := os.ReadFile(out + ".env")
	if err != nil || strings.Contains(string(env), "secret") {
		t.Errorf("%v, environment %s", err, env)
	}
}

// A command that fails or hangs says so, and its children do not outlive it.
func TestCommandFails(t *testing.T) {
	alive := filepath.Join(t.TempDir(), "alive")
	for lines, want := range map[string]string{
		"echo not today; exit 3":                `exit status 3: "not today"`,
		"sleep 30 & wait":                       "it took too long",
		"(sleep 2; touch " + alive + ") & wait": "it took too long",
	} {
		c, err := ParseCommand(script(t, lines))
		if err != nil {
			t.Fatal(err)
		}
		if want == errTooLong.Error() {
			c.time = 300 * time.Millisecond
		}
		if err := c.tell(t.Context(), failed(), nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", lines, err, want)
		}
	}
	for _, line := range []string{"", " ", "/no/such program", "no-such-program"} {
		if _, err := ParseCommand(line); err == nil {
			t.Errorf("%q is taken for a command", line)
		}
	}
	time.Sleep(2500 * time.Millisecond)
	if _, err := os.Stat(alive); err == nil {
		t.Error("a child outlived its command")
	}
}

// posted is what an address was sent, and answers with these statuses in turn.
type posted struct {
	mu       sync.Mutex
	statuses []int
	bodies   []string
}

func (p *posted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bodies = append(p.bodies, r.Header.Get("Content-Type")+" "+string(body))
	status := p.statuses[0]
	p.statuses = append(p.statuses[1:], status)
	w.Header().Set("Location", "/other")
	w.WriteHeader(status)
}

// What fails for the moment is posted again, so many times; what was refused is not.
func TestURL(t *testing.T) {
	for _, test := range []struct {
		statuses []int
		posts    int
		want     string // error
	}{
		{[]int{204}, 1, ""},
		{[]int{500, 429, 503, 200}, 4, ""},
		{[]int{502}, tries, "it answers with status 502"},
		{[]int{404}, 1, "it answers with status 404"},
		{[]int{302}, 1, "it answers with status 302"},
	} {
		p := &posted{statuses: slices.Clone(test.statuses)}
		server := httptest.NewServer(p)
		u, err := ParseURL(server.URL + "/secret?token=secret")
		if err != nil {
			t.Fatal(err)
		}
		u.pause = time.Millisecond
		err = u.tell(t.Context(), failed(), []byte("{}"))
		server.Close()
		if got := fmt.Sprint(err); got != test.want && (err != nil || test.want != "") {
			t.Errorf("%v: %v, want %q", test.statuses, err, test.want)
		}
		if len(p.bodies) != test.posts || p.bodies[0] != "application/json {}" {
			t.Errorf("%v: posted %q, want %d times", test.statuses, p.bodies, test.posts)
		}
		u.pause = time.Millisecond // nobody is there now
		if err = u.tell(t.Context(), failed(), nil); err == nil ||
			strings.Contains(err.Error()+u.String(), "secret") {
			t.Errorf("without a server: %v at %s", err, u)
		}
	}
	for _, text := range []string{"", "example.org", "ftp://x/", "http://", "http://a b/"} {
		if _, err := ParseURL(text); err == nil {
			t.Errorf("%q is taken for a URL", text)
		}
	}
}

// noted is a teller that notes what it is told, once it may.
type noted struct {
	mu   sync.Mutex
	told []string
	may  chan struct{} // nil: always
}

func (n *noted) String() string { return "noted" }

func (n *noted) tell(ctx context.Context, e api.Event, _ []byte) error {
	if n.may != nil {
		select {
		case <-n.may:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, e.ID)
	return nil
}

// hooked runs hooks with a teller in a bubble.
func hooked(t *testing.T, n *noted, acts *atomic.Bool) *Hooks {
	t.Helper()
	h, err := New(Config{
		Kinds: kinds, ActsForAll: acts.Load, Now: time.Now, Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	h.queues = []*queue{{n, "command", make(chan api.Event, maxQueue)}}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return h
}

func peerEvent(id string) []api.Event { return []api.Event{{ID: id, Kind: api.KindPeer}} }

// Only the director that acts for all tells, and one that comes to do so tells of what nobody may
// have told.
func TestOneTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n noted
		var acts atomic.Bool
		h := hooked(t, &n, &acts)
		h.Happened(peerEvent("old"))
		time.Sleep(6 * time.Second)
		h.Happened(append(peerEvent("late"), api.Event{ID: "other", Kind: api.KindMoved}))
		time.Sleep(6 * time.Second)
		n.want(t, "before it acts")
		acts.Store(true)
		time.Sleep(2 * time.Second)
		n.want(t, "it acts", "late")
		h.Happened(peerEvent("at once"))
		synctest.Wait()
		n.want(t, "at once", "late", "at once")
		acts.Store(false)
		h.Happened(peerEvent("another's"))
		time.Sleep(time.Minute)
		acts.Store(true)
		time.Sleep(2 * time.Second)
		n.want(t, "another acted", "late", "at once")
	})
}

func (n *noted) want(t *testing.T, when string, want ...string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if diff := cmp.Diff(want, n.told, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

// One who is slow holds up nobody; what finds no room is counted.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := noted{may: make(chan struct{})}
		var acts atomic.Bool
		acts.Store(true)
		h := hooked(t, &n, &acts)
		for i := range 3 * maxQueue {
			h.Happened(peerEvent(fmt.Sprint(i)))
			synctest.Wait()
		}
		close(n.may)
		time.Sleep(time.Second)
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(n.told) != maxQueue+1 || n.told[maxQueue] != fmt.Sprint(maxQueue) {
			t.Errorf("%d told", len(n.told))
		}
		for result, want := range map[string]float64{
			resultFailed: 0, resultNoRoom: 2*maxQueue - 1, resultTold: maxQueue + 1,
		} {
			if got := counted(t, h.told.WithLabelValues("command", result)); got != want {
				t.Errorf("%g %s, want %g", got, result, want)
			}
		}
	})
}

func counted(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
