package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"directormesh/cli/api"
)

const (
	connectTime = 5 * time.Second
	// abortTime is how long answers are waited for after an interruption.
	abortTime = time.Second
	// drainPoll is how often it is looked whether the last answers are there.
	drainPoll = 2 * time.Millisecond
	// sendBatch is how many requests that are due are written together at most.
	sendBatch = 256
)

// run is one run of a load.
type run struct {
	cfg        *Config
	protocols  func(*Config, Target, int) protocol
	dial       func(context.Context, Target) (net.Conn, error)
	newSleeper func() (sleeper, error)
	checker    *checker
	directors  []*director
	groups     [][]*connection // by director

	start time.Time
	// no request is sent from then on, since the start; an interruption sets it
	endAt   atomic.Int64
	shut    atomic.Bool // connections are closed for good
	aborted atomic.Bool
}

// Run does what cfg asks for. When ctx ends before that is done, it returns what has happened so
// far. It fails if cfg makes no sense or a first connection cannot be made; all that goes wrong
// later is in the result.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	r := &run{
		cfg: &cfg, protocols: cfg.Door.protocols(), dial: cfg.Dial, newSleeper: cfg.newSleeper,
		checker: newChecker(&cfg),
	}
	if r.dial == nil {
		dialer := net.Dialer{Timeout: connectTime}
		r.dial = func(ctx context.Context, t Target) (net.Conn, error) {
			return dialer.DialContext(ctx, t.Network, t.Address)
		}
	}
	if r.newSleeper == nil {
		r.newSleeper = newSleeper
	}
	defer r.closeAll()
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	before := cpuTime()
	if err := r.drive(ctx); err != nil {
		return nil, err
	}
	result := r.result()
	result.CPU = cpuTime() - before
	return result, nil
}

// connect makes all connections.
func (r *run) connect(ctx context.Context) error {
	for k, target := range r.cfg.Directors {
		d := newDirector(k, target)
		var group []*connection
		next := new(atomic.Int64)
		for i := range r.cfg.Connections {
			number := k*r.cfg.Connections + i
			var p *picker
			if r.cfg.Rate == 0 {
				p = newPicker(r.cfg.Users, r.cfg.Seed, uint64(number), next)
			}
			c := newConnection(r, d, number, p)
			if err := c.connect(ctx); err != nil {
				return fmt.Errorf("cannot connect to %s: %s", target.Name, api.Cause(err))
			}
			group = append(group, c)
			r.groups = append(r.groups[:k], group)
		}
		r.directors = append(r.directors, d)
	}
	return nil
}

func (r *run) now() time.Duration { return time.Since(r.start) }
func (r *run) end() time.Duration { return time.Duration(r.endAt.Load()) }
func (r *run) over() bool         { return r.shut.Load() || r.now() >= r.end() }

// drive sends and receives until all is answered or lost.
func (r *run) drive(ctx context.Context) error {
	r.start = time.Now()
	r.endAt.Store(int64(r.cfg.Duration))
	inside, leave := context.WithCancel(ctx)
	defer leave()

	var connections, senders, others sync.WaitGroup
	for _, group := range r.groups {
		for _, c := range group {
			connections.Go(func() { c.run(inside) })
		}
	}
	errs := make([]error, len(r.directors))
	if r.cfg.Rate > 0 {
		for k := range r.directors {
			senders.Go(func() { errs[k] = r.send(k) })
		}
	}
	others.Go(func() { r.watch(ctx, inside) })
	if r.cfg.Progress != nil {
		others.Go(func() { r.report(inside) })
	}
	senders.Wait()
	if r.cfg.Rate > 0 {
		r.drain()
		r.closeAll()
	}
	connections.Wait()
	leave()
	others.Wait()
	return errors.Join(errs...)
}

// watch ends a run that was interrupted, or whose last answers do not come.
func (r *run) watch(ctx, inside context.Context) {
	patience := r.cfg.Duration + r.cfg.Patience
	select {
	case <-ctx.Done():
		r.aborted.Store(true)
		r.endAt.Store(min(int64(r.now()), r.endAt.Load()))
		// inside has ended too, but the answers that are on the way are still welcome.
		deadline := time.Now().Add(abortTime)
		for r.outstanding() > 0 && time.Now().Before(deadline) {
			time.Sleep(drainPoll)
		}
	case <-inside.Done():
		return
	case <-time.After(patience):
	}
	r.closeAll()
}

// send sends the requests to one director when they are due.
func (r *run) send(k int) error {
	s, err := r.newSleeper()
	if err != nil {
		return err
	}
	defer s.close()
	d, connections := r.directors[k], r.groups[k]
	pick := newPicker(r.cfg.Users, r.cfg.Seed, uint64(k), new(atomic.Int64))
	plan := newSchedule(r.cfg.Rate, k, len(r.directors), r.cfg.Duration)
	turn := 0 // connections take turns
	for i := int64(0); i < plan.total; {
		now := r.now()
		if wait := plan.due(i) - now; wait > 0 {
			// Not longer than that, so that an interruption is noticed.
			if err := s.sleep(min(wait, reconnectPause)); err != nil {
				return err
			}
			if r.aborted.Load() {
				return nil
			}
			continue
		}
		for range sendBatch {
			if i >= plan.total || plan.due(i) > now {
				break
			}
			user, err := pick.pick()
			if err != nil {
				i = plan.total // no more users
				break
			}
			turn = d.dispatch(connections, turn, user, plan.due(i), now)
			i++
		}
		for _, c := range connections {
			_ = c.flush() // the goroutine that reads counts what is lost
		}
		if r.aborted.Load() {
			return nil
		}
		if r.shut.Load() {
			d.fail("not sent in time", plan.total-i)
			return nil
		}
	}
	return nil
}

// dispatch gives a request to the next connection that can take it, and returns whose turn it is
// then.
func (d *director) dispatch(
	connections []*connection, turn int, user uint32, due, now time.Duration,
) int {
	var err error
	for range connections {
		turn = (turn + 1) % len(connections)
		if err = connections[turn].add(user, due, now); err == nil {
			return turn
		}
	}
	d.fail(err.Error(), 1)
	return turn
}

// outstanding returns how many requests wait for an answer.
func (r *run) outstanding() int {
	n := 0
	for _, group := range r.groups {
		for _, c := range group {
			n += c.waiting()
		}
	}
	return n
}

// drain waits for the answers to what has been sent. watch ends it if they do not come.
func (r *run) drain() {
	for r.outstanding() > 0 && !r.shut.Load() {
		time.Sleep(drainPoll)
	}
}

// closeAll closes all connections for good.
func (r *run) closeAll() {
	r.shut.Store(true)
	for _, group := range r.groups {
		for _, c := range group {
			c.shut()
		}
	}
}

// report prints every second how it goes.
func (r *run) report(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	second := newHistogram()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		p := Progress{At: r.now(), Wrong: r.checker.wrongAnswers()}
		second.Reset()
		for _, d := range r.directors {
			answered, failed := d.turn(second)
			p.Lookups += answered
			p.Failed += failed
		}
		p.P99 = time.Duration(second.ValueAtPercentile(99))
		r.cfg.Progress(p)
	}
}

func (r *run) result() *Result {
	result := &Result{Users: r.checker.seen()}
	for _, d := range r.directors {
		result.Directors = append(result.Directors, d.result())
		result.Took = max(result.Took, d.sums.last)
	}
	c := r.checker
	c.mu.Lock()
	defer c.mu.Unlock()
	result.Moved, result.Wrong, result.Examples = c.moved, c.wrong, c.examples
	return result
}

// cpuTime is what this process has used of the processors.
func cpuTime() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
