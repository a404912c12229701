//go:build e2e

package dovecot

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/api"
	"directormesh/ring"
)

// "director who", asked of any director, lists the sessions that the proxies really have: of all,
// of one user, and on one backend; and no longer those that have ended.
func TestWho(t *testing.T) {
	t.Parallel()
	eachRelease(t, listsSessions)
}

func listsSessions(t *testing.T, r release) {
	backends := startBackends(t, 2)
	for _, b := range backends {
		b.mark("alice", "bob", "carol")
	}
	sites := startProxies(t, r, backends, 2, "")
	address := make(map[string]string) // by the name of a backend
	for _, b := range backends {
		address[b.name] = b.ip.String()
	}
	open := make(map[string][]*mailConn)
	all := make(map[string]int) // by user, backend and director, as sessionsOf names them
	for _, login := range []struct {
		user     string
		site     int
		sessions int
	}{{"alice", 0, 2}, {"alice", 1, 1}, {"bob", 1, 3}, {"carol", 0, 1}} {
		s := sites[login.site]
		for range login.sessions {
			c, at := s.login(t, login.user)
			open[login.user] = append(open[login.user], c)
			all[fmt.Sprintf("%s on %s by %s", login.user, address[at], s.director.name)]++
		}
	}
	only := func(part string) map[string]int {
		some := maps.Clone(all)
		maps.DeleteFunc(some, func(key string, _ int) bool { return !strings.Contains(key, part) })
		return some
	}
	home := backends[0].ip.String()
	for _, s := range sites {
		s.lists(t, all)
		s.lists(t, only("alice on "), "alice")
		s.lists(t, only(" on "+home+" by "), "--host", home)
		s.lists(t, map[string]int{}, "nobody")
	}
	for _, c := range open["bob"] {
		c.Close()
	}
	maps.DeleteFunc(all, func(key string, _ int) bool { return strings.HasPrefix(key, "bob ") })
	sites[0].lists(t, all)
}

// lists demands that the director comes to list these sessions within a few seconds: Dovecot's list
// is of a moment ago.
func (s *site) lists(t *testing.T, want map[string]int, args ...string) {
	t.Helper()
	var diff string
	if !eventually(10*time.Second, func() bool {
		diff = cmp.Diff(want, s.sessionsOf(t, args...))
		return diff == ""
	}) {
		t.Errorf("%s, who %q: (-want +got):\n%s", s.director.name, args, diff)
	}
}

// sessionsOf asks who has sessions, and names those that are not where their user is mapped to.
func (s *site) sessionsOf(t *testing.T, args ...string) map[string]int {
	t.Helper()
	var list api.Sessions
	out := s.director.must(slices.Concat([]string{"who", "--json"}, args)...)
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	var format ring.HashFormat
	found := make(map[string]int)
	for _, one := range list.Sessions {
		user := fmt.Sprint(one.UserHash)
		for _, name := range []string{"alice", "bob", "carol"} {
			if uint32(format.Hash(name)) == one.UserHash {
				user = name
			}
		}
		key := fmt.Sprintf("%s on %v by %s", user, one.Backend, one.Director)
		if one.Mapped != one.Backend { // or this director has not heard of the mapping yet
			key += fmt.Sprintf(", mapped to %q", one.Mapped)
		}
		found[key] += one.Sessions
	}
	for _, d := range list.Directors {
		if !d.Lists || d.Error != "" {
			t.Errorf("director %s: %+v", d.Name, d)
		}
	}
	return found
}
