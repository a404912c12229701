package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/session"
	"directormesh/directory"
	"directormesh/mesh/wording"
	"directormesh/ring"
)

// whoTopic is that of questions about sessions.
const whoTopic = "sessions"

// whoTime bounds how long Dovecot may take for its list. The asker waits for five seconds.
const whoTime = 4 * time.Second

// whoQuestion is what directors ask each other. Users are named by hash.
type whoQuestion struct {
	Hash    *ring.UserHash `json:"hash,omitempty"`
	Backend *netip.Addr    `json:"backend,omitempty"`
}

// whoAnswer is the sessions of one director.
type whoAnswer struct {
	Lists    bool         `json:"lists"`
	Problem  string       `json:"problem,omitempty"`
	Sessions int          `json:"sessions"`
	Backends []whoBackend `json:"backends"`
}

// whoBackend is users with sessions on a backend: pairs of a hash and how many there are.
type whoBackend struct {
	Backend netip.Addr  `json:"backend"`
	Users   [][2]uint32 `json:"users"`
}

// answerWho answers what a director asks about the sessions here.
func (s *sessions) answerWho(ctx context.Context, question []byte) ([]byte, error) {
	var q whoQuestion
	if err := json.Unmarshal(question, &q); err != nil {
		return nil, fmt.Errorf("the question about sessions cannot be read")
	}
	ctx, cancel := context.WithTimeout(ctx, whoTime)
	defer cancel()
	answer := whoAnswer{Lists: len(s.sources) > 0}
	found := make(map[netip.Addr]map[ring.UserHash]uint32)
	for _, source := range s.sources {
		list, err := source.Fresh(ctx)
		if err != nil {
			answer.Problem = wording.Plain(err).Error()
			continue
		}
		count := func(one session.Session) {
			if q.Backend != nil && one.Backend != *q.Backend {
				return
			}
			if found[one.Backend] == nil {
				found[one.Backend] = make(map[ring.UserHash]uint32)
			}
			found[one.Backend][one.Hash]++
			answer.Sessions++
		}
		if q.Hash != nil {
			for _, one := range list.Of(*q.Hash) {
				count(one)
			}
			continue
		}
		for one := range list.All() {
			count(one)
		}
	}
	left := api.MaxSessions
	for backend, users := range found {
		b := whoBackend{Backend: backend}
		for hash, n := range users {
			if left == 0 {
				break
			}
			left--
			b.Users = append(b.Users, [2]uint32{uint32(hash), n})
		}
		answer.Backends = append(answer.Backends, b)
	}
	return json.Marshal(answer)
}

// Sessions implements httpapi.Director.
func (d *director) Sessions(
	ctx context.Context, user *ring.UserHash, backend api.IP,
) (api.Sessions, error) {
	q := whoQuestion{Hash: user}
	if backend.IsValid() {
		q.Backend = &backend.Addr
	}
	question, err := json.Marshal(q)
	if err != nil {
		return api.Sessions{}, fmt.Errorf("encoding a question: %w", err)
	}
	out := api.Sessions{Sessions: []api.UserSessions{}, Directors: []api.SessionsDirector{}}
	for _, a := range d.node.Ask(ctx, whoTopic, question) {
		var told whoAnswer
		if a.Err == nil && json.Unmarshal(a.Body, &told) != nil {
			a.Err = fmt.Errorf("its answer cannot be read")
		}
		shown := api.SessionsDirector{
			Name: a.Director, Sessions: told.Sessions, Lists: told.Lists,
			Error: api.Visible(told.Problem),
		}
		if a.Err != nil {
			shown.Error = api.Cause(a.Err)
		}
		out.Directors = append(out.Directors, shown)
		listed := 0
		for _, b := range told.Backends {
			for _, u := range b.Users {
				listed += int(u[1])
				out.Sessions = append(out.Sessions, api.UserSessions{
					UserHash: u[0], Backend: api.IP{Addr: b.Backend}, Director: a.Director,
					Sessions: int(u[1]),
				})
			}
		}
		out.More = out.More || listed < told.Sessions
	}
	slices.SortFunc(out.Sessions, func(a, b api.UserSessions) int {
		return cmp.Or(cmp.Compare(a.UserHash, b.UserHash), ring.CompareAddr(a.Backend.Addr,
			b.Backend.Addr), strings.Compare(a.Director, b.Director))
	})
	if len(out.Sessions) > api.MaxSessions {
		out.Sessions, out.More = out.Sessions[:api.MaxSessions], true
	}
	tags := tagsOf(d.node.Backends(), time.Now()).tags
	now := d.node.MeshTime()
	for i := range out.Sessions {
		one := &out.Sessions[i]
		row, status := d.node.Directory().Find(tags[one.Backend.Addr],
			ring.UserHash(one.UserHash), now)
		if status == directory.Live {
			one.Mapped = api.IP{Addr: row.Backend}
		}
	}
	return out, nil
}
