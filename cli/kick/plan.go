package kick

import (
	"directormesh/cli/session"
)

// kickPlan are chosen sessions, sorted by how they can be ended.
type kickPlan struct {
	marks []string // values of session.MarkField
	users []string // login names all of whose sessions were chosen
	// by login name: the chosen ones without a mark where not all were
	shared map[string][]session.Session
}

// planKicks sorts chosen sessions of a list.
func planKicks(chosen []session.Session, list *session.List) kickPlan {
	v := kickPlan{shared: make(map[string][]session.Session)}
	marked := make(map[string]bool)
	byUser := make(map[string][]session.Session)
	for _, s := range chosen {
		if !s.Marked {
			byUser[s.User] = append(byUser[s.User], s)
		} else if mark := session.Mark(s.Hash, s.Backend); !marked[mark] {
			marked[mark] = true
			v.marks = append(v.marks, mark)
		}
	}
	for user, sessions := range byUser {
		unmarked, stays := 0, false
		for _, s := range list.Named(user) {
			if !s.Marked {
				unmarked++
			} else if !marked[session.Mark(s.Hash, s.Backend)] {
				stays = true
			}
		}
		if unmarked == len(sessions) && !stays {
			v.users = append(v.users, user)
		} else {
			v.shared[user] = sessions
		}
	}
	return v
}

// inProcess is a login name in a login process.
type inProcess struct {
	pid  int
	user string
}

// alone sorts chosen sessions: those of a login name in a process that has no other sessions of
// that name, and the rest.
func alone(
	chosen []session.Session, list *session.List,
) (ended []inProcess, rest []session.Session) {
	count := make(map[inProcess]int)
	for _, s := range chosen {
		count[inProcess{s.PID, s.User}]++
	}
	for p, n := range count {
		all := 0
		for _, s := range list.Named(p.user) {
			if s.PID == p.pid {
				all++
			}
		}
		if all == n {
			ended = append(ended, p)
			delete(count, p)
		}
	}
	for _, s := range chosen {
		if count[inProcess{s.PID, s.User}] > 0 {
			rest = append(rest, s)
		}
	}
	return ended, rest
}
