//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"directormesh/cli/api"
)

// answer is one lookup as a proxy has seen it.
type answer struct {
	user     string
	backend  string
	err      error
	at       *process
	asked    time.Time
	answered time.Time
}

func (a answer) took() time.Duration { return a.answered.Sub(a.asked) }

// asker makes lookups at one director over HTTP, many at a time. It is safe for concurrent use.
type asker struct {
	at   *process
	http *http.Client
}

// askerConns is how many connections one asker opens to a director.sock: nearly the 512 that one
// process may have, so that lookups that wait hold up no others here.
const askerConns = 500

func newAsker(t *testing.T, d *process) *asker { return newAskerOf(t, d, askerConns) }

// newAskerOf returns an asker that opens so many connections, where a director has several.
func newAskerOf(t *testing.T, d *process, conns int) *asker {
	t.Helper()
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", d.socket())
		},
		MaxIdleConnsPerHost: conns,
		MaxConnsPerHost:     conns,
		DisableCompression:  true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &asker{at: d, http: &http.Client{Transport: transport, Timeout: commandTime}}
}

// lookup asks for a user's backend. A director that answers with an error, or not at all, makes an
// answer with err.
func (k *asker) lookup(user string) answer {
	a := answer{user: user, at: k.at, asked: time.Now()}
	a.backend, a.err = k.ask(user)
	a.answered = time.Now()
	return a
}

func (k *asker) ask(user string) (string, error) {
	body, err := json.Marshal(api.LookupRequest{User: user})
	if err != nil {
		return "", err
	}
	resp, err := k.http.Post("http://director/v1/lookup", "application/json", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var reply struct {
		api.LookupAnswer
		Error *api.Error `json:"error"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		return "", fmt.Errorf("status %d: %w", resp.StatusCode, err)
	}
	if reply.Error != nil {
		return "", reply.Error
	}
	if !reply.Backend.IsValid() {
		return "", errors.New("an answer without a backend")
	}
	return reply.Backend.String(), nil
}

// load is a steady stream of lookups at one director.
type load struct {
	asker   *asker
	running sync.WaitGroup
	stop    chan struct{}

	answersMu sync.Mutex
	answers   []answer
}

// startLoad asks a director for next() at this rate until the load is stopped. Lookups do not wait
// for each other: one that is held keeps no other one back.
func startLoad(t *testing.T, d *process, perSecond int, next func() string) *load {
	t.Helper()
	return startLoadOf(newAsker(t, d), perSecond, next)
}

func startLoadOf(asker *asker, perSecond int, next func() string) *load {
	l := &load{asker: asker, stop: make(chan struct{})}
	l.running.Go(func() {
		const step = 10 * time.Millisecond
		ticker := time.NewTicker(step)
		defer ticker.Stop()
		began, sent := time.Now(), 0
		for {
			select {
			case now := <-ticker.C:
				// By the clock, not by ticks: a busy machine swallows some.
				for due := int(now.Sub(began).Seconds() * float64(perSecond)); sent < due; sent++ {
					user := next()
					l.running.Go(func() { l.record(l.asker.lookup(user)) })
				}
			case <-l.stop:
				return
			}
		}
	})
	return l
}

func (l *load) record(a answer) {
	l.answersMu.Lock()
	defer l.answersMu.Unlock()
	l.answers = append(l.answers, a)
}

// take returns what was answered since it was last asked.
func (l *load) take() []answer {
	l.answersMu.Lock()
	defer l.answersMu.Unlock()
	all := l.answers
	l.answers = nil
	return all
}

// end stops asking, waits for the lookups under way and returns all answers.
func (l *load) end() []answer {
	close(l.stop)
	l.running.Wait()
	l.asker.http.CloseIdleConnections()
	return l.answers
}

// mixedUsers yields known and new users in turn, every name that comes up new being used once. It
// is safe for concurrent use.
func mixedUsers(known []string, prefix string) func() string {
	var mu sync.Mutex
	n := 0
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		n++
		if n%2 == 0 {
			return known[n/2%len(known)]
		}
		return fmt.Sprintf("%s%d@example.org", prefix, n)
	}
}

// What lookups may take while strangers, liars or large tables cost a director work. On a quiet
// machine 99 of 100 take under 100 ms. A machine that does other work too stops everything for
// that long now and then, and the slowest of a few hundred lookups measure just that. So the limit
// for 99 of 100 only finds lookups that wait for such work to end, which once took 2 s.
const (
	mostOfHalf      = 100 * time.Millisecond
	mostOfHundredth = time.Second
)

// checkWaits demands that the lookups that were made meanwhile were answered in time.
func checkWaits(t *testing.T, answers []answer) {
	t.Helper()
	if len(answers) == 0 {
		t.Fatal("nobody logged in")
	}
	var took []time.Duration
	for _, a := range answers {
		took = append(took, a.took())
	}
	slices.Sort(took)
	half, hundredth := took[len(took)/2], took[len(took)*99/100]
	t.Logf("%d lookups meanwhile: half took %v at most, 99 of 100 %v, the slowest %v",
		len(took), half, hundredth, took[len(took)-1])
	if half > mostOfHalf || hundredth > mostOfHundredth {
		t.Errorf("of the lookups half took up to %v and 99 of 100 up to %v, allowed are %v and %v",
			half, hundredth, mostOfHalf, mostOfHundredth)
	}
}
