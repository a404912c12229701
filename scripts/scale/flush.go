//go:build scale

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/session"
)

// flushing is one way to flush all users who are not where they hash to.
type flushing struct {
	name     string
	strayed  int  // users to move
	sessions bool // each of them has one, beside one of the directors; the others have none
	// users who are where they hash to and have a session, beside the same director each
	staying  int
	kicker   bool // directors have an anvil to ask
	parallel int  // users moved at a time; 0: the default, 100
	limit    time.Duration
}

// measureFlush measures flushes of 100,000 users without sessions.
func (b *bench) measureFlush(ctx context.Context) error {
	return b.flushes(ctx,
		flushing{
			name: "kickers know that there is no session", strayed: 100_000, kicker: true,
			limit: 20 * time.Second,
		},
		flushing{name: "no kicker", strayed: 100_000, limit: 20 * time.Second})
}

// measureSessions measures flushes of users who are all logged in: each is moved only after the
// kick delay of 2 s.
func (b *bench) measureSessions(ctx context.Context) error {
	return b.flushes(ctx,
		flushing{
			name: "each has a session, 100 at a time", strayed: 2_000, sessions: true, kicker: true,
			limit: 2 * time.Minute,
		},
		flushing{
			name: "each has a session, as have 100,000 others, 100 at a time", strayed: 2_000,
			sessions: true, staying: 100_000, kicker: true, limit: 2 * time.Minute,
		},
		flushing{
			name: "each has a session, 10,000 at a time", strayed: 100_000, sessions: true,
			kicker: true, parallel: 10_000, limit: 3 * time.Minute,
		})
}

func (b *bench) flushes(ctx context.Context, all ...flushing) error {
	for _, f := range all {
		if err := b.flush(ctx, f); err != nil {
			return fmt.Errorf("flush, %s: %w", f.name, err)
		}
	}
	return nil
}

func (b *bench) flush(ctx context.Context, f flushing) (err error) {
	p := population{
		users: max(b.users, f.strayed), expire: time.Hour, oldest: 15 * time.Minute,
		newest: 2 * time.Minute, strayed: f.strayed,
	}
	var anvils []*anvil
	defer func() {
		for _, d := range slices.Clone(b.directors) {
			b.stop(d, killSignal)
		}
		for _, a := range anvils {
			err = errors.Join(err, a.close())
		}
	}()
	flags := func(int) []string { return nil }
	if f.kicker {
		socket := func(n int) string { return filepath.Join(b.dir, fmt.Sprintf("anvil%d", n)) }
		flags = func(n int) []string { return []string{"--kick-anvil", socket(n)} }
		beside := make([][]loggedIn, meshDirectors)
		if f.sessions {
			beside = p.sessions(f.staying, meshDirectors)
		}
		for n := range meshDirectors {
			a, err := newAnvil(socket(n+1), beside[n])
			if err != nil {
				return err
			}
			anvils = append(anvils, a)
		}
	}
	if err := b.populateEach(ctx, p, meshDirectors, flags); err != nil {
		return err
	}
	// A director that has just begun does not know who logged in before.
	select {
	case <-time.After(session.LoginTime + session.ListAge + time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	return b.flushNow(ctx, f, anvils)
}

func (b *bench) flushNow(ctx context.Context, f flushing, anvils []*anvil) error {
	d := b.directors[0]
	used, first, sent := cpuOf(b.directors), d.cpu(), d.sent()
	listsBefore, _, _ := countsOf(anvils)
	began := time.Now()
	outcome, err := d.client.Do(ctx, api.FlushUsers{MaxParallel: f.parallel})
	if err != nil {
		return err
	}
	var last api.Flush
	watch, cancel := context.WithTimeout(ctx, f.limit)
	defer cancel()
	var took time.Duration
	err = b.profile("flush "+f.name, func() error {
		defer func() { took = time.Since(began) }()
		last, err = d.awaitFlush(watch, *outcome.Flush)
		return err
	})
	if err != nil && watch.Err() == nil {
		return err
	}
	figure := fmt.Sprintf("%s for %d users", short(took), last.Moved)
	if !last.Ended() {
		figure += " (stopped)"
	}
	remark := ""
	if f.sessions {
		lists, kicked, left := countsOf(anvils)
		remark = fmt.Sprintf("; %d sessions ended, %d left, %d lists of sessions",
			kicked, left, lists-listsBefore)
	}
	b.note("flush, "+f.name, figure, "%.0f users/s, %d failed; processor time: originator %s, "+
		"all %s; %.0f bytes a user sent by the originator%s",
		float64(last.Moved)/took.Seconds(), last.Failed, short(d.cpu()-first),
		short(cpuOf(b.directors)-used),
		(d.sent()-sent)/float64(max(last.Moved, 1)), remark)
	return nil
}

// awaitFlush waits until a flush has ended or ctx has, and returns how far it came.
func (d *director) awaitFlush(ctx context.Context, id api.FlushID) (last api.Flush, err error) {
	for ctx.Err() == nil && !last.Ended() {
		all, err := d.client.Flushes(ctx)
		if err != nil {
			return last, err
		}
		for _, now := range all.Flushes {
			if now.ID == id.ID && now.Director == id.Director {
				last = now
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return last, nil
}

// countsOf adds up what anvils have done.
func countsOf(anvils []*anvil) (lists, kicked, left int) {
	for _, a := range anvils {
		l, k, n := a.counts()
		lists, kicked, left = lists+l, kicked+k, left+n
	}
	return lists, kicked, left
}
