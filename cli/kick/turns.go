package kick

import (
	"context"
	"fmt"
	"time"

	"directormesh/cli/session"
)

const (
	// talkTime is how long Dovecot may take for what is asked in one turn. It needs milliseconds,
	// and a login process that hangs must not use up the turns.
	talkTime = 5 * time.Second
	// blindTime is the same for kicks without a list: when one of the login processes hangs the
	// others have ended all by then.
	blindTime = time.Second
)

// Turns bounds how many things are done at a time. Who waits gets a turn in order, but kicks of the
// one user or backend that an operator named go ahead of kicks by hash, of which a flush brings
// thousands. The zero value has no bound.
type Turns struct {
	// kicks by hash need this first; so no more of them wait for the other than there are turns
	crowd *gate
	slots *gate
}

// NewTurns returns so many turns; it must be at least one.
func NewTurns(parallel int) Turns {
	return Turns{crowd: newGate(parallel), slots: newGate(parallel)}
}

// Resize changes how many turns there are, at least one; those that are taken go on.
func (t Turns) Resize(parallel int) {
	t.crowd.resize(parallel)
	t.slots.resize(parallel)
}

// take waits for a turn as long as ctx lasts. The caller gives it back with free.
func (t Turns) take(ctx context.Context, target Target) (free func(), err error) {
	if t.slots == nil {
		return func() {}, nil
	}
	needs := []*gate{t.slots}
	if target.ByHash {
		needs = []*gate{t.crowd, t.slots}
	}
	taken := 0
	free = func() {
		for ; taken > 0; taken-- {
			needs[taken-1].leave()
		}
	}
	for _, need := range needs {
		if err := need.enter(ctx); err != nil {
			free()
			return nil, fmt.Errorf("%d kicks are under way already: %w", t.slots.size(), err)
		}
		taken++
	}
	return free, nil
}

// inTurn is an ender that asks Dovecot for a bounded number of things at a time, each for a bounded
// time.
type inTurn struct {
	by     ender
	turns  Turns
	target Target
}

func (e inTurn) do(
	ctx context.Context, within time.Duration, talk func(ctx context.Context) error,
) error {
	free, err := e.turns.take(ctx, e.target)
	if err != nil {
		return err
	}
	defer free()
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("no answer within %v", within))
	defer cancel()
	return talk(ctx)
}

func (e inTurn) end(
	ctx context.Context, t Target, chosen []session.Session, list *session.List, again bool,
) error {
	return e.do(ctx, talkTime,
		func(ctx context.Context) error { return e.by.end(ctx, t, chosen, list, again) })
}

func (e inTurn) endUnlisted(
	ctx context.Context, users []string, spare []int,
) (count int, known bool, err error) {
	err = e.do(ctx, talkTime, func(ctx context.Context) (err error) {
		count, known, err = e.by.endUnlisted(ctx, users, spare)
		return err
	})
	return count, known, err
}

func (e inTurn) blind(ctx context.Context, t Target, users []string) error {
	return e.do(
		ctx, blindTime, func(ctx context.Context) error { return e.by.blind(ctx, t, users) })
}
