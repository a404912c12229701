package kick

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"directormesh/cli/dovecot"
	"directormesh/cli/session"
)

// Anvil ends sessions of Dovecot 2.4: through anvil those that have reached their backend, through the login processes
// themselves those on the way. If this user may not talk to the login processes, a kick of a user on the way is not Known.
type Anvil struct {
	Dovecot
	Socket dovecot.Anvil
	Admin  dovecot.Admin
}

// adminParallel is how many login processes are asked at a time; by default each connection has one.
const adminParallel = 16

// Kick implements Kicker.
func (k Anvil) Kick(ctx context.Context, t Target) (Result, error) { return k.kick(ctx, t, k) }

func (k Anvil) kickLate(ctx context.Context, targets []Target) error { return k.late(ctx, targets, k) }

func (k Anvil) end(ctx context.Context, t Target, chosen []session.Session, list *session.List, again bool) error {
	if t.Value != "" && t.Field != "" {
		_, err := k.Socket.KickField(ctx, t.Field, t.Value, netip.Addr{})
		return err
	}
	if t.Value != "" {
		_, err := k.Socket.KickUser(ctx, t.Value)
		return err
	}
	v := sortOut(chosen, list)
	for _, mark := range v.marks {
		if _, err := k.Socket.KickField(ctx, session.MarkField, mark, netip.Addr{}); err != nil {
			return err
		}
	}
	for user, sessions := range v.shared {
		if again || !k.endInProcesses(ctx, user, sessions) {
			v.users = append(v.users, user)
		}
	}
	for _, user := range v.users {
		if _, err := k.Socket.KickUser(ctx, user); err != nil {
			return err
		}
	}
	return nil
}

// endInProcesses ends a user's sessions in the login processes of the given ones, which spares those in other processes. Those of
// a process that is not there any more have ended with it. It reports whether it could.
func (k Anvil) endInProcesses(ctx context.Context, user string, sessions []session.Session) bool {
	sockets, err := k.Admin.Processes()
	if err != nil || len(sockets) == 0 {
		return false
	}
	var done []int
	for _, s := range sessions {
		if slices.Contains(done, s.PID) {
			continue
		}
		done = append(done, s.PID)
		socket, ok := sockets[s.PID]
		if !ok {
			continue
		}
		if _, err := k.Admin.KickUser(ctx, socket, user); err != nil && !hasEnded(err) {
			return false
		}
	}
	return true
}

// hasEnded reports whether an error of a login process means that it has ended meanwhile.
func hasEnded(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// endUnlisted asks every login process, which ends all that it has of a login name.
func (k Anvil) endUnlisted(ctx context.Context, users []string, spare []int) (int, bool, error) {
	if len(users) == 0 {
		return 0, true, nil
	}
	processes, err := k.Admin.Processes()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	}
	var count atomic.Int64
	var missed atomic.Bool
	var asking sync.WaitGroup
	slots := make(chan struct{}, adminParallel)
	for pid, socket := range processes {
		if slices.Contains(spare, pid) {
			missed.Store(true)
			continue
		}
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			for _, user := range users {
				n, err := k.Admin.KickUser(ctx, socket, user)
				count.Add(int64(n))
				switch {
				case err == nil:
				case hasEnded(err):
					return
				default:
					missed.Store(true)
					return
				}
			}
		})
	}
	asking.Wait()
	return int(count.Load()), !missed.Load(), nil
}

func (k Anvil) blind(ctx context.Context, t Target, users []string) error {
	var errs []error
	if t.Value != "" && t.Field != "" {
		_, err := k.Socket.KickField(ctx, t.Field, t.Value, netip.Addr{})
		errs = append(errs, err)
	}
	for _, user := range users {
		_, err := k.Socket.KickUser(ctx, user)
		errs = append(errs, err)
	}
	_, _, err := k.endUnlisted(ctx, users, nil)
	return errors.Join(append(errs, err)...)
}
