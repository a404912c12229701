package kick

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"directormesh/cli/session"
	"directormesh/ring"
)

const (
	// settleTime is how long Dovecot may go on listing sessions that it has ended.
	settleTime = 20 * time.Millisecond
	arriveTime = 500 * time.Millisecond
	// kickTime is how long a kick tries with lists: after that nobody waits for what it returns.
	kickTime = 10 * time.Second
)

var errKick = fmt.Errorf("no end within %v", kickTime)

// Sessions are lists of the sessions of one Dovecot; *session.Source has them.
type Sessions interface {
	Fresh(ctx context.Context) (*session.List, error)
	Latest(age time.Duration) (*session.List, bool)
}

// Logins tells who may be on the way to one of the backends that count, under which login names;
// complete is false if there may be more.
type Logins interface {
	Recent(h ring.UserHash, counts func(backend netip.Addr) bool) (users []string, complete bool)
}

// Dovecot is what kickers of Dovecot's sessions share.
type Dovecot struct {
	Sessions Sessions
	Logins   Logins
	Tag      func(backend netip.Addr) (ring.Tag, bool) // false: none of ours
	// looks after users whose kicks have left something; nil: nobody does
	Late  *Late
	Turns Turns // to ask Dovecot for something else than lists, which kicks share
	// ArriveTime is how long a login that was answered before the kick is given to appear; 0: 500
	// ms.
	ArriveTime time.Duration
}

// ender is one version's way to end sessions.
type ender interface {
	// end ends the chosen sessions, and as few others as it can. again says that an earlier end has
	// left them.
	end(
		ctx context.Context, t Target, chosen []session.Session, list *session.List, again bool,
	) error
	// endUnlisted ends sessions of these login names that no list shows yet, but none in the login
	// processes to spare. It returns how many, and whether there are certainly no others of them.
	endUnlisted(ctx context.Context, users []string, spare []int) (count int, known bool, err error)
	// blind ends what it can without a list. It may end too many sessions.
	blind(ctx context.Context, t Target, users []string) error
}

// kick ends what a target means, unless a recent list shows that there is nothing to end. A user
// with whom it did not come to an end is left to Late.
func (d Dovecot) kick(ctx context.Context, t Target, by ender) (Result, error) {
	var users []string // that may be on the way
	complete := true
	switch {
	case t.ByHash:
		users, complete = d.Logins.Recent(t.Hash, func(backend netip.Addr) bool {
			return d.meant(t, backend)
		})
	case t.Value != "" && t.Field == "":
		users = []string{t.Value}
	}
	arriving := !t.ByHash || len(users) > 0 || !complete
	recent, ok := d.Sessions.Latest(session.ListAge)
	switch {
	case !ok || arriving:
		recent = nil
	case len(d.choose(t, recent)) == 0:
		return Result{Known: true}, nil
	case d.cameBack(t):
		recent = nil
	}
	result, err := d.endAll(ctx, t, users, arriving, recent, inTurn{by, d.Turns, t})
	result.Known = result.Known && complete && err == nil
	if t.ByHash && t.Keep.IsValid() && d.Late != nil && (arriving || !result.Known) {
		d.Late.add(t, time.Now())
	}
	return result, err
}

// cameBack reports whether a user by hash has logged in lately, wherever. A session that is to be
// kept may be missing then in a list that is not new, and would be ended together with those of the
// same name.
func (d Dovecot) cameBack(t Target) bool {
	users, complete := d.Logins.Recent(t.Hash, func(netip.Addr) bool { return true })
	return len(users) > 0 || !complete
}

// endAll ends what is listed and what is on the way, gives what was on the way time to arrive, and
// ends that too. A last list reports whether it worked: the numbers that Dovecot gives do not. What
// a recent list shows, unless it is nil, is ended before another is there; mostly that is all there
// is, and one list is enough.
func (d Dovecot) endAll(
	ctx context.Context, t Target, users []string, arriving bool, recent *session.List, by ender,
) (result Result, err error) {
	inTime, cancel := context.WithTimeoutCause(ctx, kickTime, errKick)
	defer cancel()
	var chosen []session.Session
	if recent != nil {
		chosen = d.choose(t, recent)
		if err := by.end(inTime, t, chosen, recent, false); err != nil {
			return result, err
		}
		if err := sleep(inTime, settleTime); err != nil {
			return result, err
		}
	}
	list, err := d.Sessions.Fresh(inTime)
	if err != nil {
		// One login process that hangs keeps the list from us, but not a kick from the others. Each
		// has to wait for its turn, however long that takes.
		return result, errors.Join(err, by.blind(ctx, t, users))
	}
	left := d.choose(t, list)
	result = Result{Count: ended(chosen, left), Known: true}
	if chosen = left; len(chosen) == 0 && !arriving {
		return result, nil
	}
	for again := range 2 {
		if len(chosen) > 0 {
			if err := by.end(inTime, t, chosen, list, again > 0); err != nil {
				return result, err
			}
		}
		pause := settleTime
		if arriving {
			count, known, err := by.endUnlisted(inTime, users, d.spare(t, users, list))
			result.Count += count
			result.Known = result.Known && known
			if err != nil {
				return result, err
			}
			if again == 0 {
				pause = cmp.Or(d.ArriveTime, arriveTime)
			}
		}
		if err := sleep(inTime, pause); err != nil {
			return result, err
		}
		if list, err = d.Sessions.Fresh(inTime); err != nil {
			return result, err
		}
		left = d.choose(t, list)
		result.Count += ended(chosen, left)
		if chosen = left; len(chosen) == 0 {
			return result, nil
		}
	}
	result.Known, result.Left = false, len(chosen) // they will not end
	return result, nil
}

// ended counts the sessions that are not there any more. They have no names of their own: one that
// ended while another of the same user came is not counted until that ends too.
func ended(before, after []session.Session) int {
	type kind struct {
		user    string
		backend netip.Addr
	}
	left := make(map[kind]int)
	for _, s := range after {
		left[kind{s.User, s.Backend}]++
	}
	n := 0
	for _, s := range before {
		if k := (kind{s.User, s.Backend}); left[k] > 0 {
			left[k]--
		} else {
			n++
		}
	}
	return n
}

// choose returns the sessions that a target means.
func (d Dovecot) choose(t Target, list *session.List) []session.Session {
	var chosen []session.Session
	if t.ByHash {
		for _, s := range list.Of(t.Hash) {
			if d.meant(t, s.Backend) {
				chosen = append(chosen, s)
			}
		}
		return chosen
	}
	for s := range list.All() {
		if t.matches(s) {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// meant reports whether a target by hash means sessions on this backend.
func (d Dovecot) meant(t Target, backend netip.Addr) bool {
	tag, ok := d.Tag(backend)
	return ok && tag == t.Tag && backend != t.Keep
}

// spare returns the login processes in which a list shows sessions of other users with these login
// names.
func (d Dovecot) spare(t Target, users []string, list *session.List) []int {
	if !t.ByHash {
		return nil
	}
	var pids []int
	for _, user := range users {
		for _, s := range list.Named(user) {
			if tag, ok := d.Tag(s.Backend); s.Hash != t.Hash || ok && tag != t.Tag {
				pids = append(pids, s.PID)
			}
		}
	}
	return pids
}

// matches is choose for the targets that are not by hash.
func (t Target) matches(s session.Session) bool {
	switch {
	case t.Backend.IsValid():
		return s.Backend == t.Backend
	case t.Field != "":
		return s.Field(t.Field) == t.Value
	}
	return s.User == t.Value
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for logins on the way: %w", context.Cause(ctx))
	}
}
