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

// Anvil ends sessions of Dovecot 2.4: through the login processes themselves where this user may
// talk to them and that ends no others, else through anvil. Sessions on the way to their backend
// can be ended only by the former, and with one login process for each connection, as is the
// default, all: anvil of 2.4.1 then tells how many it has ended, and has ended none.
type Anvil struct {
	Dovecot
	Socket dovecot.Anvil
	Admin  dovecot.Admin
}

// adminParallel is how many login processes are asked at a time; by default each connection has
// one.
const adminParallel = 16

// Kick implements Kicker.
func (k Anvil) Kick(ctx context.Context, t Target) (Result, error) { return k.kick(ctx, t, k) }

func (k Anvil) kickLate(ctx context.Context, targets []Target) error {
	return k.late(ctx, targets, k)
}

func (k Anvil) end(
	ctx context.Context, t Target, chosen []session.Session, list *session.List, again bool,
) error {
	processes, err := k.Admin.Processes()
	if err == nil && len(processes) > 0 {
		direct, rest := alone(chosen, list)
		k.endInProcesses(ctx, processes, direct)
		if !again { // otherwise anvil may do better
			chosen = rest
		}
		if len(chosen) == 0 {
			return nil
		}
	}
	if t.Value != "" && t.Field != "" {
		_, err := k.Socket.KickField(ctx, t.Field, t.Value, netip.Addr{})
		return err
	}
	if t.Value != "" {
		_, err := k.Socket.KickUsers(ctx, t.Value)
		return err
	}
	v := planKicks(chosen, list)
	for _, mark := range v.marks {
		if _, err := k.Socket.KickField(ctx, session.MarkField, mark, netip.Addr{}); err != nil {
			return err
		}
	}
	var shared []inProcess
	for user, sessions := range v.shared {
		if again || len(processes) == 0 {
			v.users = append(v.users, user)
		}
		for _, s := range sessions {
			shared = append(shared, inProcess{s.PID, user})
		}
	}
	if len(processes) > 0 {
		k.endInProcesses(ctx, processes, shared) // spares those in other processes
	}
	_, err = k.Socket.KickUsers(ctx, v.users...)
	return err
}

// endInProcesses ends all sessions of login names in login processes. The next list reports whether
// it worked.
func (k Anvil) endInProcesses(ctx context.Context, sockets map[int]string, targets []inProcess) {
	var asking sync.WaitGroup
	slots := make(chan struct{}, adminParallel)
	done := make(map[inProcess]bool)
	for _, p := range targets {
		socket, ok := sockets[p.pid]
		if !ok || done[p] {
			continue // the process has ended, and its sessions with it
		}
		done[p] = true
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			_, _ = k.Admin.KickUser(ctx, socket, p.user)
		})
	}
	asking.Wait()
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
	_, err := k.Socket.KickUsers(ctx, users...)
	errs = append(errs, err)
	_, _, err = k.endUnlisted(ctx, users, nil)
	return errors.Join(append(errs, err)...)
}
