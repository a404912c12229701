package kick

import (
	"context"
	"maps"
	"slices"

	"directormesh/cli/dovecot"
	"directormesh/cli/session"
	"directormesh/ring"
)

// IPC ends sessions of Dovecot 2.3. Of connections that are still on the way to their backend it
// misses only the first that a login process ever proxies.
type IPC struct {
	Dovecot
	Socket dovecot.IPC
}

// Kick implements Kicker.
func (k IPC) Kick(ctx context.Context, t Target) (Result, error) { return k.kick(ctx, t, k) }

func (k IPC) kickLate(ctx context.Context, targets []Target) error {
	return k.late(ctx, targets, k)
}

func (k IPC) end(
	ctx context.Context, t Target, chosen []session.Session, list *session.List, again bool,
) error {
	var err error
	switch {
	case t.Backend.IsValid() && !again:
		// Sessions whose passdb or table named the backend by its host name are left for the next
		// time.
		_, err = k.Socket.KickHost(ctx, ring.AddrText(t.Backend))
		return err
	case t.Value != "" && t.Field != "":
		_, err = k.Socket.KickField(ctx, t.Field, t.Value)
		return err
	case t.Value != "":
		_, err = k.Socket.KickUsers(ctx, t.Value)
		return err
	}

	v := planKicks(chosen, list)
	for _, mark := range v.marks {
		if _, err := k.Socket.KickField(ctx, session.MarkField, mark); err != nil {
			return err
		}
	}
	users := v.users
	switch {
	case len(v.shared) == 0:
	case t.ByHash && t.Keep.IsValid() && !again:
		// The only way to spare sessions of the same name. It depends on Dovecot's own
		// director_username_hash.
		if _, err := k.Socket.KickHash(ctx, t.Hash, t.Keep); err != nil {
			return err
		}
	default:
		users = slices.AppendSeq(users, maps.Keys(v.shared))
	}
	for len(users) > 0 {
		n := fitting(users)
		if _, err := k.Socket.KickUsers(ctx, users[:n]...); err != nil {
			return err
		}
		users = users[n:]
	}
	return nil
}

// maxKickBytes keeps the lines to Dovecot below its limit, 1 KiB or more.
const maxKickBytes = 900

// fitting returns how many names from the first on, at least one, fit into a line.
func fitting(users []string) int {
	n, size := 1, len(users[0])
	for n < len(users) && size+1+len(users[n]) <= maxKickBytes {
		size += 1 + len(users[n])
		n++
	}
	return n
}

// endUnlisted has nothing to do: what Dovecot 2.3 can end it lists.
func (k IPC) endUnlisted(context.Context, []string, []int) (int, bool, error) {
	return 0, true, nil
}

func (k IPC) blind(ctx context.Context, t Target, _ []string) error {
	var err error
	switch {
	case t.ByHash:
		_, err = k.Socket.KickHash(ctx, t.Hash, t.Keep)
	case t.Backend.IsValid():
		_, err = k.Socket.KickHost(ctx, ring.AddrText(t.Backend))
	case t.Field != "":
		_, err = k.Socket.KickField(ctx, t.Field, t.Value)
	default:
		_, err = k.Socket.KickUsers(ctx, t.Value)
	}
	return err
}
