package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"directormesh/cli/api"
	"directormesh/ring"
)

// barWidth is how long the longest bar is, in percent: the mark at its end must be seen too.
const barWidth = 98

// tagsOf groups backends by tag and measures their shares.
func tagsOf(backends []api.Backend, health api.Health) (tags []tagView) {
	byTag := make(map[string][]api.Backend)
	var names []string
	for _, b := range backends {
		if byTag[b.Tag] == nil {
			names = append(names, b.Tag)
		}
		byTag[b.Tag] = append(byTag[b.Tag], b)
	}
	slices.Sort(names)
	for _, name := range names {
		tags = append(tags, tagOf(name, byTag[name], health))
	}
	return tags
}

func tagOf(name string, backends []api.Backend, health api.Health) tagView {
	users, weights := 0, 0
	for _, b := range backends {
		users += b.Users
		weights += weight(b)
	}
	share := func(n, of int) float64 {
		if of == 0 {
			return 0
		}
		return float64(n) / float64(of)
	}
	most := 0.0
	for _, b := range backends {
		most = max(most, share(b.Users, users), share(weight(b), weights))
	}
	tag := tagView{Tag: name, Users: number(users)}
	for _, b := range backends {
		has, wants := share(b.Users, users), share(weight(b), weights)
		row := backendView{
			IP: b.IP.String(), Name: b.Name, Tag: b.Tag, VHosts: b.VHosts,
			Users: number(b.Users), Share: percent(has), Target: percent(wants),
			Off: fmt.Sprintf("%s of the users of the tag, meant to have %s",
				percent(has), percent(wants)),
			Down: b.State == api.StateDown, Drained: drained(b),
		}
		if most > 0 {
			row.Bar, row.Mark = barWidth*has/most, barWidth*wants/most
		}
		row.State = backendState(b)
		row.Why = why(b, health)
		tag.Backends = append(tag.Backends, row)
	}
	return tag
}

func percent(share float64) string {
	if share > 0 && share < 0.1 {
		return fmt.Sprintf("%.1f %%", 100*share)
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}

// weight is how many points a backend has on the ring, in percent of a vhost: none if it takes no
// new users.
func weight(b api.Backend) int {
	if b.State == api.StateDown || drained(b) || b.Idle || b.Failure != nil && !b.Failure.Kept {
		return 0
	}
	weight := b.VHosts * cmp.Or(b.Factor, 100)
	if b.SlowStart != nil {
		weight = weight * b.SlowStart.Percent / 100
	}
	return weight
}

func drained(b api.Backend) bool { return b.Drain != nil && b.Drain.On }

func backendState(b api.Backend) badge {
	switch {
	case b.Failure != nil && b.Failure.Kept:
		return badge{"failed, kept in use", bad}
	case b.Failure != nil:
		return badge{"failed", bad}
	case drained(b) && b.Users+b.Leaving > 0:
		return badge{"draining", note}
	case drained(b):
		return badge{"drained", note}
	case b.State == api.StateDown:
		return badge{"down", note}
	case b.Idle:
		return badge{"standby", note}
	case b.Standby:
		return badge{"standby in use", warn}
	case b.VHosts == 0:
		return badge{"up, no vhosts", note}
	case b.SlowStart != nil:
		return badge{fmt.Sprintf("starting at %d%%", b.SlowStart.Percent), note}
	}
	return badge{"up", good}
}

// why says what is wrong with a backend: its name does not have its address, or directors see it
// failing.
func why(b api.Backend, health api.Health) string {
	failing := whyFailing(b.IP, health)
	switch {
	case b.Gone && failing != "":
		return "gone from its name; " + failing
	case b.Gone:
		return "gone from its name"
	}
	return failing
}

// whyFailing says who sees a backend failing, and what they see.
func whyFailing(ip api.IP, health api.Health) string {
	i := slices.IndexFunc(health.Backends, func(h api.BackendHealth) bool { return h.IP == ip })
	if i < 0 {
		return ""
	}
	var texts []string
	for _, o := range health.Backends[i].Observers {
		if o.Sees == api.HealthFailing {
			texts = append(texts, o.Director+": "+ring.Printable(o.Reason))
		}
	}
	return strings.Join(texts, "; ")
}
