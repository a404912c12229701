package kick

import (
	"slices"

	"directormesh/cli/session"
)

// victims are chosen sessions, sorted by how they can be ended.
type victims struct {
	marks  []string                     // values of session.MarkField
	users  []string                     // login names all of whose sessions were chosen
	shared map[string][]session.Session // by login name: the chosen ones without a mark where not all were
}

// sortOut sorts chosen sessions of a list.
func sortOut(chosen []session.Session, list *session.List) victims {
	v := victims{shared: make(map[string][]session.Session)}
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
		all := 0
		for _, s := range list.Of(sessions[0].Hash) {
			if s.User == user && !s.Marked {
				all++
			}
		}
		stays := func(s session.Session) bool { return !marked[session.Mark(s.Hash, s.Backend)] }
		if all == len(sessions) && !slices.ContainsFunc(list.Marked(user), stays) {
			v.users = append(v.users, user)
		} else {
			v.shared[user] = sessions
		}
	}
	return v
}
