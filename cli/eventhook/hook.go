package eventhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/mesh/loglimit"
	"directormesh/mesh/wording"
)

const (
	// keep is how long a director that does not act for all keeps events. A director counts as
	// failed after five to seven seconds of silence.
	keep = 10 * time.Second
	// lookEvery is how often it looks whether it acts for all now.
	lookEvery = time.Second
	// maxQueue bounds the events that wait for each hook, and those that are kept.
	maxQueue = 1000
)

// A teller tells somebody of one event. It must obey ctx.
type teller interface {
	tell(ctx context.Context, e api.Event, body []byte) error
	String() string // for the log; without secrets
}

// Config is what Hooks need.
type Config struct {
	Mesh    string   // its name, which is told with each event
	Kinds   []string // of the events that are told
	Command *Command // nil: none is run
	URL     *URL     // nil: nothing is posted
	// ActsForAll reports whether this director is the one that tells.
	ActsForAll func() bool
	Now        func() time.Time
	Log        zerolog.Logger
	Registerer prometheus.Registerer // nil: nothing is counted
}

// Hooks tell of events. They are safe for concurrent use.
type Hooks struct {
	cfg    Config
	queues []*queue
	wake   chan struct{} // of capacity 1
	limit  loglimit.Limiter
	told   *prometheus.CounterVec

	mu   sync.Mutex
	kept []kept // oldest first
}

// kept is an event that may have to be told here.
type kept struct {
	event api.Event
	since time.Time
}

// queue is what one teller has to tell.
type queue struct {
	teller
	name  string
	tasks chan api.Event
}

// The results, for metrics.
const (
	resultTold   = "told"
	resultFailed = "failed"
	resultNoRoom = "no_room"
)

// New returns hooks; Run runs them.
func New(cfg Config) (*Hooks, error) {
	h := &Hooks{
		cfg: cfg, wake: make(chan struct{}, 1),
		told: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "director_event_hook_runs_total",
			Help: "Events that this director told to the hooks for events, by result.",
		}, []string{"hook", "result"}),
	}
	add := func(name string, t teller) {
		h.queues = append(h.queues, &queue{t, name, make(chan api.Event, maxQueue)})
	}
	if cfg.Command != nil {
		add("command", cfg.Command)
	}
	if cfg.URL != nil {
		add("url", cfg.URL)
	}
	for _, name := range []string{"command", "url"} {
		for _, result := range []string{resultTold, resultFailed, resultNoRoom} {
			h.told.WithLabelValues(name, result)
		}
	}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(h.told); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return h, nil
}

// Happened takes events. It does not wait.
func (h *Hooks) Happened(events []api.Event) {
	if len(h.queues) == 0 {
		return
	}
	now := h.cfg.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		if slices.Contains(h.cfg.Kinds, e.Kind) {
			h.kept = append(h.kept, kept{e, now})
		}
	}
	h.kept = h.kept[max(0, len(h.kept)-maxQueue):]
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Run tells of events until ctx ends. What waits then is not told any more.
func (h *Hooks) Run(ctx context.Context) {
	if len(h.queues) == 0 {
		return
	}
	var tellers sync.WaitGroup
	defer tellers.Wait()
	for _, q := range h.queues {
		tellers.Go(func() { h.serve(ctx, q) })
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-h.wake:
		case <-look.C:
		case <-ctx.Done():
			return
		}
		h.hand(h.take())
	}
}

// take returns the events that this director is to tell of, and forgets those that are too old.
func (h *Hooks) take() []kept {
	acts := h.cfg.ActsForAll()
	now := h.cfg.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	old := 0
	for old < len(h.kept) && now.Sub(h.kept[old].since) > keep {
		old++
	}
	h.kept = h.kept[old:]
	if !acts {
		return nil
	}
	take := h.kept
	h.kept = nil
	return take
}

func (h *Hooks) hand(events []kept) {
	for _, k := range events {
		for _, q := range h.queues {
			select {
			case q.tasks <- k.event:
			default:
				h.told.WithLabelValues(q.name, resultNoRoom).Inc()
			}
		}
	}
}

// serve tells one after the other.
func (h *Hooks) serve(ctx context.Context, q *queue) {
	for {
		select {
		case e := <-q.tasks:
			err := h.tell(ctx, q, e)
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				h.told.WithLabelValues(q.name, resultTold).Inc()
				continue
			}
			h.told.WithLabelValues(q.name, resultFailed).Inc()
			h.limit.Logger(h.cfg.Log, q.name, h.cfg.Now()).Warn().Str("hook", q.String()).
				Str("kind", e.Kind).Str("what", e.What).AnErr("error", wording.Plain(err)).
				Msg("an event could not be told")
		case <-ctx.Done():
			return
		}
	}
}

// message is what is told.
type message struct {
	Mesh  string    `json:"mesh"`
	Event api.Event `json:"event"`
}

func (h *Hooks) tell(ctx context.Context, q *queue, e api.Event) error {
	body, err := json.Marshal(message{h.cfg.Mesh, e})
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	return q.tell(ctx, e, append(body, '\n'))
}

var errTooLong = errors.New("it took too long")
